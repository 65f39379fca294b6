"""An hour in the life of a store: many processes at once, some of which are killed all the time.

    python benchmarks/soak.py [--minutes 60] [--kill-every 20] [--json FILE]

Seven processes add and remove animals (some with broken videos), infer with small networks, write
made-up results, label, and look at pages in a browser. Three more do the same and are killed with
``kill -9`` at random moments, and started again. Every ten seconds the memory, the open files, the
ffmpeg processes and the temporary files of those that live are counted. At the end everybody's
journal is held against the store: no trial, no label and no result may be lost, and none half
written be shown as whole. Nothing may have grown beyond the bounds that stand below.
"""

from __future__ import annotations

import argparse
import collections
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from _report import load, machine, print_machine, print_table, write_json
from _soak import FILMS, KEPT, N_FRAMES, VIEWS, Place, film_of, labels_of, read_journal, work
from cluster import write_models

import soupxr as sx
from soupxr.store import Store
from soupxr.synthetic import write_dataset

#: Those that live, and those that are killed.
LIVE = ("add", "infer", "infer", "stand_in", "annotate", "annotate", "view")
KILLED = ("add", "infer", "annotate")
LOOK_S = 10.0
#: What may grow by no more than this in an hour, in each process; judged from half an hour on,
#: for in minutes everything still warms up.
MEMORY_MB_AN_HOUR, FILES_AN_HOUR = 60.0, 2.0
JUDGED_FROM_MINUTES = 30.0
#: Decoders at a time: two views of a trial in each process, and as many of those just killed.
FFMPEGS = 4 * (len(LIVE) + len(KILLED))
TEMPORARY_FILES = 100
#: What nobody should have to say.
WRONG = ("broke", "accepted a broken video", "other labels were there")


def main() -> None:
    """Let them live together, count, judge, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--kill-every", type=float, default=20.0, help="seconds, on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        place = Place(Path(name))
        os.environ["TMPDIR"] = str(place.folder / "tmp")
        (place.folder / "tmp").mkdir()
        prepare(place)
        town = Town(place, random.Random(arguments.seed))
        town.live(arguments.minutes * 60, arguments.kill_every)
        results: dict[str, Any] = {"machine": facts, "minutes": arguments.minutes}
        results |= {"faults": judge(place, town), "did": did(place), **town.figures()}
        results["leases_at_the_end"] = sum(1 for _ in leases(place))
        results["faults"] += beyond_bounds(results)
        results["load_at_end"] = load()
    report(results)
    write_json(arguments.json, results)
    sys.exit(bool(results["faults"]))


def prepare(place: Place) -> None:
    """Films, checkpoints and an empty store."""
    with sx.set_options(progress=False):
        write_dataset(
            place.films / "as filmed",
            animals=["F1"],
            trials=FILMS,
            n_frames=N_FRAMES,
            height=64,
            width=40,
        )
        for film in range(FILMS):
            for view in VIEWS:
                name = f"F1/S1/reach_{view}_v{film + 1:03d}.mp4"
                (place.films / "as filmed" / name).rename(place.films / f"{film}_{view}.mp4")
        made = write_models(place.folder)
        for argument, path in made.items():
            path.rename(place.models[argument])
        place.videos.mkdir()
        sx.create(place.store, place.videos)


# ------------------------------------------------------------------ the processes


@dataclass
class Resident:
    """A process, and what was counted of it."""

    role: str
    name: str
    process: Any
    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


class Town:
    """All processes."""

    def __init__(self, place: Place, draw: random.Random) -> None:
        self._place, self._draw = place, draw
        self._context = multiprocessing.get_context("spawn")
        self._started = 0
        self.kills = 0
        self.live_ones = [self._start(role) for role in LIVE]
        self.victims = [self._start(role) for role in KILLED]
        self.ffmpegs: list[int] = []
        self.temporary: list[int] = []
        self.loads: list[float] = []

    def _start(self, role: str) -> Resident:
        self._started += 1
        name = f"{role}-{self._started}"
        facts = (role, name, str(self._place.folder), self._draw.randrange(2**31))
        process = self._context.Process(target=work, args=facts)
        process.start()
        return Resident(role, name, process)

    def live(self, seconds: float, kill_every: float) -> None:
        """Count and kill until the time is up, then wait for all to come to an end."""
        end = time.monotonic() + seconds
        look = kill = time.monotonic() + LOOK_S
        while (now := time.monotonic()) < end:
            if now >= look:
                look = now + LOOK_S
                self._count()
            if now >= kill:
                kill = now + self._draw.uniform(0, 2 * kill_every)
                self._kill()
            time.sleep(0.2)
        self._place.end.touch()
        for resident in (*self.live_ones, *self.victims):
            resident.process.join(300)
        # Decoders that nobody asks any more end by themselves within half a minute.
        time.sleep(30)
        self._count_ffmpegs()

    def _kill(self) -> None:
        place = self._draw.randrange(len(self.victims))
        victim = self.victims[place]
        if victim.process.is_alive():
            os.kill(victim.process.pid, signal.SIGKILL)
            self.kills += 1
        victim.process.join()
        self.victims[place] = self._start(victim.role)

    def _count(self) -> None:
        for resident in self.live_ones:
            try:
                process = psutil.Process(resident.process.pid)
                resident.memory.append(process.memory_info().rss / 1e6)
                resident.files.append(process.num_fds())
            except psutil.NoSuchProcess:
                continue
        self._count_ffmpegs()
        self.temporary.append(sum(1 for _ in self._temporary()))
        self.loads.append(load() or 0.0)

    def _temporary(self) -> Iterator[Path]:
        """Temporary files, but for the profile of the browser."""
        for place in (self._place.folder / "tmp").iterdir():
            if not place.name.startswith(("playwright", ".org.chromium", "org.chromium")):
                yield place
                yield from place.rglob("*")

    def _count_ffmpegs(self) -> None:
        # By the environment, for those of a process that was killed have no parent any more.
        ours = 0
        for process in psutil.process_iter(["name", "environ"]):
            is_ours = (process.info["environ"] or {}).get("TMPDIR") == os.environ["TMPDIR"]
            ours += is_ours and (process.info["name"] or "").startswith("ffmpeg")
        self.ffmpegs.append(ours)

    def figures(self) -> dict[str, Any]:
        """What was counted."""
        return {
            "kills": self.kills,
            "ffmpeg_at_most": max(self.ffmpegs),
            "ffmpeg_at_the_end": self.ffmpegs[-1],
            "temporary_files_at_most": max(self.temporary),
            "temporary_files_at_the_end": self.temporary[-1],
            "load": float(np.mean(self.loads)),
            "ended_well": all(one.process.exitcode == 0 for one in self.live_ones),
            "residents": {one.name: _course(one) for one in self.live_ones},
        }


def _course(resident: Resident) -> dict[str, float]:
    """How memory and open files went: at most, and how they grew in the second half."""
    memory, memory_error = _growth(resident.memory)
    files, files_error = _growth(resident.files)
    return {
        "memory_most_MB": max(resident.memory),
        "memory_MB_an_hour": memory,
        "memory_MB_an_hour_error": memory_error,
        "files_most": max(resident.files),
        "files_an_hour": files,
        "files_an_hour_error": files_error,
    }


def _growth(counts: Sequence[float]) -> tuple[float, float]:
    """Slope of the second half, an hour, and its standard error."""
    later = counts[len(counts) // 2 :]
    if len(later) < 4:
        return 0.0, 0.0
    hours = np.arange(len(later)) * LOOK_S / 3600
    slope, covariance = np.polyfit(hours, later, 1, cov=True)
    return float(slope[0]), float(covariance[0, 0] ** 0.5)


# ------------------------------------------------------------------ the judgement


def did(place: Place) -> dict[str, int]:
    """How often each thing was done."""
    counts: collections.Counter[str] = collections.Counter()
    for path in place.journals.glob("*.jsonl"):
        counts.update(f"{path.stem.split('-')[0]}: {line['event']}" for line in read_journal(path))
    return dict(sorted(counts.items()))


def leases(place: Place) -> Iterator[dict[str, Any]]:
    """Leases that are in the store."""
    for path in place.store.glob("leases/[0-9a-f]*"):
        yield json.loads(path.read_text())


def judge(place: Place, town: Town) -> list[str]:
    """Everything that is not as it should be."""
    faults = []
    for path in place.journals.glob("*.jsonl"):
        faults += [f"{path.stem}: {line}" for line in read_journal(path) if line["event"] in WRONG]
    ds = sx.open(place.store)
    animals = {str(animal) for animal in ds.animal.values}
    faults += [f"K{i} is lost" for i in range(KEPT) if f"K{i}" not in animals]
    faults += _labels(place) + _made_up(place) + _networks(place)
    return faults + _leases(place, town, animals)


def beyond_bounds(results: dict[str, Any]) -> list[str]:
    """Whatever has grown by more than it may."""
    faults = []
    for name, course in results["residents"].items():
        if results["minutes"] < JUDGED_FROM_MINUTES:
            continue
        for what, bound in (
            ("memory_MB_an_hour", MEMORY_MB_AN_HOUR),
            ("files_an_hour", FILES_AN_HOUR),
        ):
            growth, error = course[what], course[f"{what}_error"]
            # What is open at the moment of a look varies by chance.
            if growth - 2 * error > bound:
                told = f"{growth:.1f} ± {error:.1f}"
                faults.append(f"{name}: {what} {told}, for certain more than {bound:g}")
    most = {
        "ffmpeg_at_most": FFMPEGS,
        "ffmpeg_at_the_end": 0,
        "temporary_files_at_the_end": TEMPORARY_FILES,
    }
    faults += [] if results["ended_well"] else ["a process had to be ended, or failed"]
    faults += [
        f"{name}: {results[name]}, more than {bound}"
        for name, bound in most.items()
        if results[name] > bound
    ]
    return faults


def _leases(place: Place, town: Town, animals: Set[str]) -> list[str]:
    """Who was killed leaves a lease, which the next to come takes over; nobody else may."""
    ended = {one.process.pid: one.name for one in (*town.live_ones, *town.victims)}
    left = list(leases(place))
    faults = [
        f"{ended[lease['pid']]} ended and left a lease: {lease['what']}"
        for lease in left
        if lease["pid"] in ended
    ]
    # "fast of K3/S1/1"; to a trial that is no more, nobody comes.
    lost = [lease for lease in left if lease["what"].split()[-1].split("/")[0] not in animals]
    if len(lost) > len(KILLED):
        faults.append(f"{len(lost)} leases of trials that are no more were left")
    return faults


def _possible(path: Path) -> dict[str, set[int]]:
    """Seeds of what may stand in the store: the last that was written, or begun after it."""
    found: dict[str, set[int]] = {}
    for line in read_journal(path):
        if line["event"] == "wrote":
            found[line["key"]] = {line["seed"]}
        elif line["event"] == "writes":
            found.setdefault(line["key"], {-1}).add(line["seed"])
    return found


def _labels(place: Place) -> list[str]:
    faults, store = [], Store(str(place.store))
    there = store.labels("annotator")
    for path in place.journals.glob("annotate-*.jsonl"):
        for key, seeds in _possible(path).items():
            if path.stem not in there:
                faults += [] if -1 in seeds else [f"{path.stem} is lost"]
                continue
            labels = store.rows("annotation", there.index(path.stem), store.trial(key))
            right = [labels_of(seed) for seed in seeds if seed >= 0]
            right += [np.full_like(labels, -1)] if -1 in seeds else []
            if not any(np.array_equal(labels, one) for one in right):
                faults.append(f"labels of {path.stem} for {key} are others than were written")
    return faults


def _made_up(place: Place) -> list[str]:
    faults, store = [], Store(str(place.store))
    row = store.mode_index("medium")
    for path in place.journals.glob("stand_in-*.jsonl"):
        for key, seeds in _possible(path).items():
            trial = store.trial(key)
            ethogram = store.rows("ethogram", row, trial)
            right = [labels_of(seed).clip(0) for seed in seeds if seed >= 0]
            if not any(np.array_equal(ethogram, one) for one in right):
                faults.append(f"the made-up ethogram of {key} is another than was written")
    return faults


def _networks(place: Place) -> list[str]:
    """Complete trials against a run that nobody disturbed, by the film that they show."""
    plain = sx.create(place.folder / "plain.zarr", place.videos).soup.add_item("K0")
    plain = plain.soup.add_item("K2")
    plain = plain.soup.infer("fast", **place.models, features="none").sel(mode="fast").load()
    expected = {
        film_of(str(one.animal.item()), int(one.trial_id.item())): one.probability.values
        for one in (plain.isel(trial=i) for i in range(plain.sizes["trial"]))
    }
    ds = sx.open(place.store).sel(mode="fast").load()
    faults = []
    for place_ in range(ds.sizes["trial"]):
        one = ds.isel(trial=place_)
        if int(one.status) != 2:
            continue
        right = expected[film_of(str(one.animal.item()), int(one.trial_id.item()))]
        if not np.allclose(one.probability.values[:N_FRAMES], right[:N_FRAMES], atol=1e-5):
            faults.append(f"probabilities of {one.animal.item()} {one.trial_id.item()} differ")
    return faults


def report(results: dict[str, Any]) -> None:
    """Print what was counted and found."""
    rows = [[name, *course.values()] for name, course in results["residents"].items()]
    columns = [column.replace("_", " ") for column in next(iter(results["residents"].values()))]
    print_table("Those that lived", ["", *columns], rows)
    print_table("What was done", ["", "times"], list(results["did"].items()))
    names = [name for name, value in results.items() if isinstance(value, int | float)]
    print_table("All", ["", ""], [[name.replace("_", " "), results[name]] for name in names])
    print(f"\n{len(results['faults'])} faults")
    for fault in results["faults"]:
        print(f"  - {fault}")


if __name__ == "__main__":
    main()
