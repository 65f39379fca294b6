"""How long the store takes: import, create, add, open, list, bouts, commit.

    python benchmarks/store.py [--trials 10000] [--json FILE]

No video is read and nothing is inferred: trials, marks and ethograms are made up.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _report import load, machine, print_machine, print_table, summary, write_json

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS
from soupxr.schema import FEATURE_CHUNK, Status
from soupxr.store import Store, TrialResults, add_trials

N_FRAMES = 2500
MODE = "fast"
FPS = 500.0
#: Bouts of each behavior in a made-up trial.
BOUTS = 4


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000, help="in the large store")
    parser.add_argument("--bout-trials", type=int, default=1_000, help="with ethograms")
    parser.add_argument("--repeats", type=int, default=5, help="runs; the median counts")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(Path(folder), arguments)
    headings = ("what", "ms", "spread")
    rows = [
        (
            name,
            1000 * found["median"],
            f"{1000 * found['lowest']:.3g} to {1000 * found['highest']:.3g}",
        )
        for name, found in seconds.items()
    ]
    print_table("The store", headings, rows)
    print(f"\nload {load()} at the end")
    settings = {"trials": arguments.trials, "bout_trials": arguments.bout_trials}
    results = {"machine": facts, "settings": settings, "seconds": seconds, "load_at_end": load()}
    write_json(arguments.json, results)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Seconds of everything."""
    repeats, n = arguments.repeats, arguments.trials
    places = (folder / f"{number}.zarr" for number in itertools.count())
    found = {
        "start Python alone": _repeat(repeats, lambda: _python("pass")),
        "start Python and import soupxr": _repeat(repeats, lambda: _python("import soupxr")),
        "create": _repeat(repeats, lambda: sx.create(next(places), data_root=folder)),
    }
    found[f"add {n:,} trials"], large = _add(n, min(repeats, 3), places, folder)
    found[f"open {n:,} trials, first in a process"] = _first_opens(repeats, large)
    found[f"open {n:,} trials, again"] = _repeat(repeats, lambda: sx.open(large))
    ds = sx.open(large)
    found["trials, no marks"] = _repeat(repeats, lambda: ds.soup.trials)
    store = Store(large)
    store.arrays["status"][store.mode_index(MODE)] = np.full(n, int(Status.COMPLETE), np.int8)
    found["trials, all marked in one mode"] = _repeat(repeats, lambda: ds.soup.trials)
    found |= _commits(large, "of many", n, repeats)
    medium = _with_ethograms(next(places), folder, arguments.bout_trials)
    ds = sx.open(medium)
    name = f"bouts of {arguments.bout_trials:,} trials of {N_FRAMES:,} frames"
    found[name] = _repeat(min(repeats, 3), lambda: ds.soup.bouts(mode=MODE))
    small = _store(next(places), folder, 1)
    return found | _commits(small, "alone", 1, repeats)


def _repeat(repeats: int, work: Callable[[], object]) -> dict[str, Any]:
    return summary(_seconds(work) for _ in range(repeats))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _first_opens(repeats: int, address: str) -> dict[str, Any]:
    """Opening in fresh processes, imports excluded; the disk's cache is warm."""
    code = (
        "import time, soupxr.dataset, zarr; started = time.perf_counter(); "
        f"soupxr.open({address!r}); print(time.perf_counter() - started)"
    )
    return summary(float(_python(code)) for _ in range(repeats))


# ------------------------------------------------------------------ stores


def _rows(n_trials: int) -> list[TrialRow]:
    """Made-up trials: 50 in a session, 5 sessions an animal."""
    rows = []
    for number in range(n_trials):
        animal, session, trial = f"M{number // 250}", f"S{number // 50 % 5}", number % 50
        stem = f"{animal}/{session}/reach"
        videos = tuple(f"{stem}_{view}_v{trial:03d}.mp4" for view in ("side", "front"))
        rows.append(TrialRow(animal, session, trial, videos, N_FRAMES, FPS))
    return rows


def _store(address: Path, root: Path, n_trials: int) -> str:
    sx.create(address, data_root=root)
    add_trials(str(address), _rows(n_trials), "table")
    return str(address)


def _add(n: int, repeats: int, places: Any, root: Path) -> tuple[dict[str, Any], str]:
    """Seconds of adding trials to empty stores, and the last of those stores."""
    rows, seconds = _rows(n), []
    for address in itertools.islice(places, repeats):
        sx.create(address, data_root=root)
        seconds.append(_seconds(lambda: add_trials(str(address), rows, "table")))  # noqa: B023
    return summary(seconds), str(address)


def _with_ethograms(address: Path, root: Path, n_trials: int) -> str:
    _store(address, root, n_trials)
    store = Store(str(address))
    array, mode = store.arrays["ethogram"], store.mode_index(MODE)
    for slot in range(n_trials):
        array[mode, slot, :N_FRAMES] = _ethogram(slot)
    return str(address)


def _ethogram(seed: int) -> npt.NDArray[np.int8]:
    """A mask with a few bouts of 20 to 100 frames of each behavior."""
    random = np.random.default_rng(seed)
    mask = np.zeros((N_FRAMES, len(BEHAVIORS)), np.int8)
    for behavior in range(len(BEHAVIORS)):
        for start in random.integers(0, N_FRAMES - 100, BOUTS):
            mask[start : start + random.integers(20, 100), behavior] = 1
    return mask


# ------------------------------------------------------------------ committing


@dataclass
class _Trial:
    """Results of one trial, ready to be written."""

    features: npt.NDArray[np.float32]
    probability: npt.NDArray[np.float32]
    ethogram: npt.NDArray[np.int8]

    def write_features(self, results: TrialResults) -> None:
        results.start_features("{}")
        for start in range(0, N_FRAMES, FEATURE_CHUNK):
            part = self.features[start : start + FEATURE_CHUNK]
            parts = {"spatial": part[:, :512], "flow": part[:, 512:], "logit": part[:, :7]}
            results.write_features(start, parts)
        results.commit_features("{}")


def _commits(address: str, name: str, n_trials: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Writing the results of one trial, of many in the store or alone."""
    random = np.random.default_rng(0)
    trial = _Trial(
        random.gamma(1, size=(N_FRAMES, 1024)).astype(np.float32),
        random.random((N_FRAMES, len(BEHAVIORS)), np.float32),
        _ethogram(0),
    )
    key = _rows(n_trials)[-1].key
    what = f"of a trial of {N_FRAMES:,} frames, {name}"

    def results() -> TrialResults:
        return TrialResults(Store(address), MODE, key)

    return {
        f"write features {what}": _repeat(repeats, lambda: trial.write_features(results())),
        f"commit ethogram {what}": _repeat(
            repeats, lambda: results().commit(trial.probability, trial.ethogram, "{}")
        ),
    }


if __name__ == "__main__":
    main()
