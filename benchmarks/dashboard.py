"""How quick the dashboard is: keys, jumps, playing, edits, first picture, memory, a long list.

    python benchmarks/dashboard.py [--minutes 60] [--only steps list] [--json FILE]

Each part serves a store from a process of its own and uses its page in headless Chromium. Times
run from the key press to the animation frame after the one in which the page drew the answer; the
clock is the page's own. Where no videos are given, they are rendered.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
from _report import load, machine, print_machine, print_table, write_json
from _viewing import Bench, Served, chromium

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS
from soupxr.schema import Status
from soupxr.store import Store, add_trials, write_annotations
from soupxr.synthetic import VIEWS, write_dataset
from soupxr.video import probe

ORIGINALS = Path(__file__).resolve().parents[2] / "shared" / "data" / "originals"
#: CameraL is the side, CameraE the front.
CYLINDER = [ORIGINALS / f"cylinder_Camera{camera}_24500.mp4" for camera in "LE"]
KEY = "M1/S1/1"
RENDERED = 500
SHORT, LONG = 2_500, 100_000
#: Bouts of all behaviors together.
BOUTS = {SHORT: 221, LONG: 9_750}
#: Pause between key presses (s): a quick hand.
PAUSE_S = 0.08
SAMPLING_S = 2.0
#: Playing until all that is ever kept has been filled, twice.
FILLED_MINUTES = 2.0
#: For a filter box: what somebody may type.
FILTERS = ("m1", "m12 s3", "trial 4", "is:unlabelled", "nothing has this name", "")
ORDERS = ("name", "long", "unlabelled", "status fast", "stored")


@dataclass
class Figure:
    """One line of the table."""

    name: str
    unit: str
    median: float
    p95: float | None = None
    #: What p95 (the median where there is none) is to be under.
    goal: float | None = None
    #: What the median is to be under.
    goal_median: float | None = None
    #: Whether it is to be at least the goal.
    at_least: bool = False
    runs: list[float] = field(default_factory=list)
    busy: float | None = field(default_factory=load)

    @property
    def is_met(self) -> bool | None:
        """Whether the goals are met; None where there is none."""
        worst = self.median if self.p95 is None else self.p95
        if self.at_least:
            return None if self.goal is None else worst >= self.goal
        pairs = [(worst, self.goal), (self.median, self.goal_median)]
        met = [value < goal for value, goal in pairs if goal is not None]
        return all(met) if met else None

    @property
    def told_goal(self) -> str:
        """The goals in words."""
        if self.goal is None:
            return ""
        both = f"{self.goal_median:g} / {self.goal:g}" if self.goal_median else f"{self.goal:g}"
        return f"{'≥' if self.at_least else '<'} {both}"


def main() -> None:
    """Measure, print, and write JSON if asked."""
    arguments = _parse()
    facts = machine()
    print_machine(facts)
    with tempfile.TemporaryDirectory() as folder, chromium(arguments.chromium) as browser:
        stores = Stores(Path(folder), arguments)
        figures: list[Figure] = []
        for name in arguments.only or PARTS:
            print(f"{name} …", flush=True)
            figures += PARTS[name](browser, stores, arguments)
    print_figures(figures)
    print(f"\nload {load()} at the end")
    results = [vars(figure) | {"met": figure.is_met} for figure in figures]
    write_json(arguments.json, {"machine": facts, "figures": results, "load_at_end": load()})


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--video", type=Path, nargs=2, metavar=("SIDE", "FRONT"), help="to play")
    parser.add_argument(
        "--large", type=Path, nargs=2, metavar=("SIDE", "FRONT"), help="to jump about in"
    )
    parser.add_argument("--samples", type=int, default=100, help="of each time")
    parser.add_argument("--minutes", type=float, default=2.0, help="of playing, for the memory")
    parser.add_argument("--trials", type=int, default=10_000, help="in the long list")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="these parts")
    parser.add_argument("--chromium", help="path of the browser; default: the system's")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    return parser.parse_args()


def print_figures(figures: Iterable[Figure]) -> None:
    """Print the table."""
    met = {True: "yes", False: "NO", None: ""}
    rows = [
        (one.name, one.unit, one.median, one.p95, one.told_goal, met[one.is_met], one.busy)
        for one in figures
    ]
    print_table("The dashboard", ("what", "unit", "median", "p95", "goal", "met", "load"), rows)


def _times(name: str, taken: Sequence[dict[str, float]], **goals: float) -> Figure:
    """A figure of times on screen, in ms."""
    shown = [one["shown"] for one in taken]
    return Figure(name, "ms", statistics.median(shown), _p95(shown), runs=shown, **goals)


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


# ------------------------------------------------------------------ stores


class Stores:
    """Stores to be looked at, made when they are first asked for."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._folder, self._arguments = folder, arguments
        self._made: dict[str, Path] = {}

    def of_frames(self, n_frames: int) -> Path:
        """One trial of so many frames, 704×260 if rendered, with many bouts."""
        return self._get(f"{n_frames}", lambda: self._film(n_frames))

    @property
    def large(self) -> Path | None:
        """One trial of large pictures; None where there are none."""
        clips = self._arguments.large or CYLINDER
        if not all(clip.is_file() for clip in clips):
            return None
        return self._get("large", lambda: _new_store(clips, self._folder / "large"))

    def of_trials(self, count: int) -> Path:
        """So many trials without videos."""
        return self._get(f"{count} trials", lambda: _without_videos(self._folder, count))

    def _get(self, name: str, make: Callable[[], Path]) -> Path:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def _film(self, n_frames: int) -> Path:
        clips = self._arguments.video or self._get("rendered", self._rendered).glob("*.mp4")
        folder = self._folder / f"of{n_frames}"
        folder.mkdir()
        ordered = sorted(clips, key=lambda path: "front" in path.name)
        longer = [_repeated(clip, folder, n_frames) for clip in ordered]
        store = _new_store(longer, folder)
        _put_labels(store, n_frames)
        return store

    def _rendered(self) -> Path:
        root = self._folder / "rendered"
        size = {"n_frames": RENDERED, "height": 260, "width": 352}
        write_dataset(root, animals=1, trials=1, progress=False, **size)
        return root / "M1" / "S1"


def _repeated(source: Path, folder: Path, n_frames: int) -> Path:
    """The same packets again and again, up to a number of frames."""
    listing, target = folder / f"{source.stem}.txt", folder / source.name
    times = -(-n_frames // probe(source).n_frames) + 1
    listing.write_text(f"file '{source.resolve()}'\n" * times)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-f", "concat"]
    command += ["-safe", "0", "-i", str(listing), "-frames:v", str(n_frames), "-c", "copy"]
    subprocess.run([*command, str(target)], check=True)
    return target


def _new_store(clips: Sequence[Path], folder: Path) -> Path:
    """A store with one trial of these videos, side first."""
    session = folder / "videos" / "M1" / "S1"
    session.mkdir(parents=True)
    for view, clip in zip(VIEWS, clips, strict=True):
        (session / f"clip_{view}_v001.mp4").symlink_to(clip.resolve())
    store = folder / "trials.zarr"
    sx.create(store, data_root=session.parents[1]).soup.add_item("M1", progress=False)
    return store


def _put_labels(address: Path, n_frames: int) -> None:
    """Labels with many bouts, and a mode's ethogram with as many."""
    store = Store(str(address))
    trial = store.trial(KEY)
    mask, other = (_mask(trial.n_frames, BOUTS.get(n_frames, n_frames // 10), s) for s in (0, 1))
    write_annotations(str(address), "benchmark", {KEY: mask})
    mode = store.mode_index("fast")
    store.arrays["ethogram"][mode, store.slot(KEY), : trial.n_frames] = other
    store.arrays["status"][mode, store.slot(KEY)] = int(Status.COMPLETE)


def _mask(n_frames: int, bouts: int, seed: int) -> npt.NDArray[np.int8]:
    """Labels with so many bouts, of all behaviors together."""
    random_ = np.random.default_rng(seed)
    mask = np.zeros((n_frames, len(BEHAVIORS)), np.int8)
    for behavior, part in enumerate(np.array_split(np.arange(bouts), len(BEHAVIORS))):
        edges = np.sort(random_.choice(np.arange(1, n_frames), 2 * len(part), replace=False))
        for start, stop in edges.reshape(-1, 2):
            mask[start:stop, behavior] = 1
    return mask


def _without_videos(folder: Path, count: int) -> Path:
    """50 trials in a session, 5 sessions an animal; each third one inferred."""
    address = folder / f"list{count}.zarr"
    sx.create(address, data_root=folder)
    rows = []
    for number in range(count):
        animal, session, trial = f"M{number // 250}", f"S{number // 50 % 5}", number % 50
        videos = tuple(f"{animal}/{session}/reach_{view}_v{trial:03d}.mp4" for view in VIEWS)
        rows.append(TrialRow(animal, session, trial, videos, 2_000 + number % 1_000, 500.0))
    add_trials(str(address), rows, "table")
    store = Store(str(address))
    marks = np.where(np.arange(count) % 3 == 0, int(Status.COMPLETE), int(Status.NONE))
    store.arrays["status"][store.mode_index("fast")] = marks.astype(np.int8)
    return address


# ------------------------------------------------------------------ what is measured


def first_picture(browser: Any, stores: Stores, _: argparse.Namespace) -> list[Figure]:
    """Seconds from ``.show()`` in a new process to the first picture, and for a page more."""
    first, again = [], []
    for _run in range(5):
        with Served(stores.of_frames(SHORT)) as served:
            with Bench(browser, served) as bench:
                first.append(bench.first_s)
            with Bench(browser, served) as bench:
                again.append(bench.first_of_page_s)
    found = Figure("first picture after .show()", "s", statistics.median(first), _p95(first), 2.0)
    found.runs = first
    return [found, Figure("– of a page more", "s", statistics.median(again), _p95(again))]


def steps(browser: Any, stores: Stores, arguments: argparse.Namespace) -> list[Figure]:
    """Arrow keys: among frames that were shown a moment ago, and on into new ones."""
    with Served(stores.of_frames(SHORT)) as served, Bench(browser, served) as bench:
        # Also warms up what is compiled as it runs.
        new = [_paused(lambda: bench.turn("ArrowRight", 1)) for _ in range(arguments.samples)]
        keys = [("ArrowLeft", -1), ("ArrowRight", 1), ("Shift+ArrowLeft", -10)]
        keys.append(("Shift+ArrowRight", 10))
        turned = []
        for number in range(arguments.samples):
            key, by = keys[number % 4] if number % 8 < 4 else keys[number % 4 ^ 1]
            turned.append(_paused(lambda: bench.turn(key, by)))  # noqa: B023
    return [
        _times("key to frame, 352×260 pair, in cache", turned, goal=60, goal_median=30),
        _times("– frames not shown before", new),
    ]


def _paused(work: Callable[[], dict[str, float]]) -> dict[str, float]:
    time.sleep(PAUSE_S)
    return work()


def jumps(browser: Any, stores: Stores, arguments: argparse.Namespace) -> list[Figure]:
    """The slider, to anywhere in a trial of large pictures."""
    if stores.large is None:
        print(f"  left out: there is no {CYLINDER[0]}")
        return []
    n_frames = int(sx.open(stores.large).n_frames[0])
    choose = random.Random(0)
    with Served(stores.large) as served, Bench(browser, served) as bench:
        taken, memory = [], [_over_baseline(served)]
        for _ in range(arguments.samples):
            time.sleep(0.3)
            taken.append(bench.jump(choose.randrange(n_frames)))
            memory.append(_over_baseline(served))
    peak, decoders = (max(one[part] for one in memory) for part in (0, 1))
    return [
        _times(f"random jump, {n_frames:,} frames of 1328×1048 pairs", taken, goal=400),
        Figure("– memory of the server over import", "MB", peak, goal=400),
        Figure("– memory of its decoders", "MB", decoders),
    ]


def playback(browser: Any, stores: Stores, _: argparse.Namespace) -> list[Figure]:
    """Play at 1×, which asks for 30 frames a second."""
    with Served(stores.of_frames(SHORT)) as served, Bench(browser, served) as bench:
        drawn = bench.play(15.0)
    gaps = np.diff(drawn)
    rate = 1000 * len(gaps) / (drawn[-1] - drawn[0])
    # A frame is held for two ticks of a screen with 60 a second; 29 of 30 is as good as all.
    return [
        Figure("playing at 704×260, 30 asked for", "frames/s", rate, goal=29, at_least=True),
        Figure("– from frame to frame", "ms", float(np.median(gaps)), _p95(gaps)),
        Figure("– longest pause", "ms", float(max(gaps))),
    ]


def edits(browser: Any, stores: Stores, arguments: argparse.Namespace) -> list[Figure]:
    """Keys 3, 1, 2 and Ctrl+Z in regions all over a trial, short and long."""
    found = []
    for n_frames, goal in ((SHORT, 50.0), (LONG, 100.0)):
        with Served(stores.of_frames(n_frames)) as served, Bench(browser, served) as bench:
            taken = list(_edit(bench, n_frames, arguments.samples))
            name = f"edit to repaint, {n_frames:,} frames, {BOUTS[n_frames]:,} bouts"
            found.append(_times(name, taken, goal=goal))
            drawn = [one["drawn"] for one in taken]
            found.append(Figure("– until it is drawn", "ms", statistics.median(drawn), _p95(drawn)))
            _wait_until_saved(bench)
    return found


def _edit(bench: Bench, n_frames: int, samples: int) -> Iterator[dict[str, float]]:
    # Nothing is unlabelled, so each of them changes something.
    keys = ("3", "1", "2", "Control+z", "Control+z", "Control+z")
    width = n_frames // 50
    choose = random.Random(1)
    for _ in range(-(-samples // len(keys))):
        start = choose.randrange(1, n_frames - width)
        _select(bench, start, start + width)
        for key in keys:
            time.sleep(PAUSE_S)
            yield bench.press(key, "page", "version")


def _select(bench: Bench, start: int, stop: int) -> None:
    """Make frames the region, in the next lane."""
    if bench.attribute("page", "region"):
        bench.press("Escape", "page", "region", "")
    bench.press("s", "page", "current")
    bench.jump(stop - 1)
    bench.press("o", "page", "region")
    bench.jump(start)
    bench.press("i", "page", "region", f"{start}-{stop}")


def _wait_until_saved(bench: Bench) -> None:
    bench.run("bench.until(() => bench.find('saved').dataset.state === 'saved')")


def memory(browser: Any, stores: Stores, arguments: argparse.Namespace) -> list[Figure]:
    """Resident memory of a server with one page, while it plays on and on; and of pages more."""
    with Served(stores.of_frames(SHORT)) as served, Bench(browser, served) as bench:
        # All that is ever kept has been filled by the time that growth is looked at.
        _set(bench, "speed", "change", "2")
        bench.run("bench.find('loop').click()")
        bench.page.keyboard.press("Space")
        seen = list(_sampled(served, 60 * arguments.minutes))
        one = _over_baseline(served)[0]
        with Bench(browser, served) as _, Bench(browser, served) as _:
            time.sleep(SAMPLING_S)
            more = (_over_baseline(served)[0] - one) / 2
    later = seen[len(seen) // 2 :]
    slope = 3600 * float(np.polyfit([at for at, *_ in later], [own for _, own, _ in later], 1)[0])
    peak = max(own for _, own, _ in seen)
    played = f"{arguments.minutes:g} min of playing at 2×"
    found = [
        Figure("memory of the server at import", "MB", served.baseline_mb),
        Figure(f"– over that, at most in {played}", "MB", peak, goal=400),
        Figure("– of its decoders, at most", "MB", max(others for *_, others in seen)),
        Figure("– for each page more", "MB", more, goal=400),
    ]
    if arguments.minutes >= FILLED_MINUTES:
        hence = peak + max(slope, 0.0)
        found.append(Figure("– growth in an hour, by the second half", "MB", slope))
        found.append(Figure("– over import after an hour, by that", "MB", hence, goal=400))
    return found


def _over_baseline(served: Served) -> tuple[float, float]:
    own, decoders = served.resident_mb()
    return own - served.baseline_mb, decoders


def _sampled(served: Served, seconds: float) -> Iterator[tuple[float, float, float]]:
    """Seconds, memory over the baseline, and memory of the decoders, again and again."""
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        yield (now, *_over_baseline(served))
        time.sleep(SAMPLING_S)


def long_list(browser: Any, stores: Stores, arguments: argparse.Namespace) -> list[Figure]:
    """Draw, filter, order and scroll a list of many trials, and turn to the next ones."""
    few, many = 10, arguments.trials
    opened = {}
    for count in (few, many):
        with Served(stores.of_trials(count), "view") as served, Bench(browser, served) as bench:
            opened[count] = bench.first_of_page_s
            if count == few:
                continue
            typed = [_set(bench, "filter", "input", text) for text in FILTERS * 4]
            ordered = [_set(bench, "sort", "change", order) for order in ORDERS * 4]
            ticks = bench.run(
                """() => {
                  const list = bench.find("trials");
                  return bench.frames(120, (i) => { list.scrollTop = 397 * i; });
                }"""
            )
            turned = [_paused(lambda: bench.press("n", "page", "trial")) for _ in range(30)]
    told = f"list of {many:,} trials"
    return [
        Figure(f"page with a {told}", "s", opened[many], goal=2.0),
        Figure(f"– with a list of {few}", "s", opened[few]),
        _times(f"filter a {told}", typed, goal=100),
        _times("– order it", ordered, goal=200),
        Figure("– scroll it, from picture to picture", "ms", statistics.median(ticks), _p95(ticks)),
        _times("– N to the next trial", turned),
    ]


def _set(bench: Bench, part: str, event: str, value: str) -> dict[str, float]:
    taken: dict[str, float] = bench.run(
        """([part, event, value]) => {
          const element = bench.find(part);
          return bench.time(() => {
            element.value = value;
            element.dispatchEvent(new Event(event, { bubbles: true }));
          });
        }""",
        [part, event, value],
    )
    return taken


PARTS: dict[str, Callable[[Any, Stores, argparse.Namespace], list[Figure]]] = {
    "first": first_picture,
    "steps": steps,
    "jumps": jumps,
    "playback": playback,
    "edits": edits,
    "memory": memory,
    "list": long_list,
}


if __name__ == "__main__":
    main()
