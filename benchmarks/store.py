"""How long it takes to write a store: create, add, commit.

    python benchmarks/store.py [--trials 10000] [--json FILE]

No video is read and nothing is inferred: trials and their results are made up. What people wait
for when they read a store is in ``waiting.py``.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _report import load, machine, print_machine, print_table, summary, write_json
from _stores import ANNOTATOR, MODE, N_FRAMES, mask_of, new_store, rows

import soupxr as sx
from soupxr.modes import BEHAVIORS
from soupxr.schema import FEATURE_CHUNK
from soupxr.store import Store, TrialResults, add_trials, write_annotations, write_out_of_fold


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000, help="in the large store")
    parser.add_argument("--repeats", type=int, default=5, help="runs; the median counts")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(Path(folder), arguments)
    headings = ("what", "ms", "spread")
    lines = [
        (
            name,
            1000 * found["median"],
            f"{1000 * found['lowest']:.3g} to {1000 * found['highest']:.3g}",
        )
        for name, found in seconds.items()
    ]
    print_table("Writing a store", headings, lines)
    print(f"\nload {load()} at the end")
    settings = {"trials": arguments.trials}
    results = {"machine": facts, "settings": settings, "seconds": seconds, "load_at_end": load()}
    write_json(arguments.json, results)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Seconds of everything."""
    repeats, n = arguments.repeats, arguments.trials
    places = (folder / f"{number}.zarr" for number in itertools.count())
    found = {"create": _repeat(repeats, lambda: sx.create(next(places), data_root=folder))}
    found[f"add {n:,} trials"], large = _add(n, min(repeats, 3), places, folder)
    found |= _commits(large, f"of {n:,}", n, repeats)
    return found | _commits(new_store(next(places), folder, 1), "alone", 1, repeats)


def _repeat(repeats: int, work: Callable[[], object]) -> dict[str, Any]:
    return summary(_seconds(work) for _ in range(repeats))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _add(n: int, repeats: int, places: Iterator[Path], root: Path) -> tuple[dict[str, Any], str]:
    """Seconds of adding trials to empty stores, and the last of those stores."""
    made, seconds = rows(n), []
    for address in itertools.islice(places, repeats):
        sx.create(address, data_root=root)
        seconds.append(_seconds(lambda: add_trials(str(address), made, "table")))  # noqa: B023
    return summary(seconds), str(address)


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
        mask_of(0),
    )
    key = rows(n_trials)[-1].key
    what = f"of a trial of {N_FRAMES:,} frames, {name}"

    def results() -> TrialResults:
        return TrialResults(Store(address), MODE, key)

    def save() -> None:
        write_annotations(address, ANNOTATOR, {key: trial.ethogram}, overwrite=True)

    return {
        f"write features {what}": _repeat(repeats, lambda: trial.write_features(results())),
        f"commit ethogram {what}": _repeat(
            repeats, lambda: results().commit(trial.probability, trial.ethogram, "{}")
        ),
        f"keep out-of-fold probabilities {what}": _repeat(
            repeats, lambda: write_out_of_fold(address, MODE, key, 0, trial.probability)
        ),
        f"save labels {what}": _repeat(repeats, save),
    }


if __name__ == "__main__":
    main()
