"""How long people wait for what reads a store: import, open, trials, bouts, evaluate, thresholds.

    python benchmarks/waiting.py [--trials 10000] [--labelled 1000] [--json FILE]

No video is read and no network runs: trials, labels and results are made up. Beside the time that
passes stands that of the processor alone, which says more on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _report import load, machine, print_machine, print_table, summary, write_json
from _stores import MODE, N_FRAMES, mark_complete, new_store, rows, with_results

import soupxr as sx
from soupxr.store import Store

#: Runs of what takes many seconds.
FEW = 3
#: What is run in a new Python: times it, and prints seconds and seconds of the processor.
TIMED = """
import time
{before}
started, busy = time.perf_counter(), time.process_time()
{code}
print(time.perf_counter() - started, time.process_time() - busy)
"""


@dataclass
class Figure:
    """Runs of one thing, in seconds, and what they are to stay below."""

    name: str
    wall: dict[str, Any]
    processor: dict[str, Any]
    goal: float | None = None
    busy: float | None = field(default_factory=load)


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000, help="in the large store")
    parser.add_argument("--labelled", type=int, default=1_000, help="with labels and results")
    parser.add_argument("--repeats", type=int, default=5, help="runs; the median counts")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    with tempfile.TemporaryDirectory() as folder:
        figures = list(_measure(Path(folder), arguments))
    print_figures(figures)
    print(f"\nload {load()} at the end")
    settings = {"trials": arguments.trials, "labelled": arguments.labelled}
    results = {"machine": facts, "settings": settings, "load_at_end": load()}
    write_json(arguments.json, results | {"figures": [vars(figure) for figure in figures]})


def print_figures(figures: Iterable[Figure]) -> None:
    """Print the table."""
    headings = ("what", "s", "spread", "processor s", "goal", "met", "load")
    lines = []
    for one in figures:
        wall, processor = one.wall, one.processor
        goal = "" if one.goal is None else f"< {one.goal:g}"
        met = "" if one.goal is None else ("yes" if wall["median"] < one.goal else "NO")
        spread = f"{wall['lowest']:.3g} to {wall['highest']:.3g}"
        lines.append((one.name, wall["median"], spread, processor["median"], goal, met, one.busy))
    print_table("Waiting", headings, lines)


def _measure(folder: Path, arguments: argparse.Namespace) -> Iterator[Figure]:
    repeats = arguments.repeats
    few = min(repeats, FEW)
    yield _in_new_process("import soupxr", repeats, "import soupxr", goal=1.0)
    large = new_store(folder / "large.zarr", folder, arguments.trials)
    mark_complete(large)
    yield from _of_many(large, f"{arguments.trials:,} trials", repeats)
    labelled = with_results(folder / "labelled.zarr", folder, arguments.labelled)
    yield from _of_results(labelled, f"{arguments.labelled:,} trials of {N_FRAMES:,} frames", few)


def _of_many(address: str, what: str, repeats: int) -> Iterator[Figure]:
    """What a store of many trials is asked first."""
    code = f"soupxr.open({address!r})"
    name = f"open {what}, first in a process"
    yield _in_new_process(name, repeats, code, before="import soupxr", goal=0.2)
    yield _timed(f"open {what}, again", repeats, lambda: sx.open(address), goal=0.2)
    ds = sx.open(address)
    yield _timed(f"trials of {what}, all marked", repeats, lambda: ds.soup.trials)
    key = rows(1)[0].key
    yield _timed(f"look up one of {what}", repeats, lambda: Store(address).trial(key))


def _of_results(address: str, what: str, repeats: int) -> Iterator[Figure]:
    """What is asked of labels and results."""
    ds = sx.open(address)
    one = ds.isel(trial=[0])
    yield _timed(f"bouts of {what}", repeats, lambda: ds.soup.bouts(mode=MODE), goal=2.0)
    yield _timed("bouts of one trial", repeats, lambda: one.soup.bouts(mode=MODE))
    code = f"ds.soup.evaluate({MODE!r}, progress=False)"
    name = f"evaluate {what}, first in a process"
    before = f"import soupxr; ds = soupxr.open({address!r})"
    yield _in_new_process(name, repeats, code, before=before)

    def evaluate(by: str | None = None) -> object:
        return ds.soup.evaluate(MODE, by=by, progress=False)

    evaluate()  # which imports what it needs
    yield _timed(f"evaluate {what}", repeats, evaluate, goal=5.0)
    yield _timed("– by animal", repeats, lambda: evaluate("animal"))
    yield _timed("– by trial", repeats, lambda: evaluate("trial"))
    # Last, for it changes ethograms: all of them each time, as the scores choose differently.
    scores = itertools.cycle(("f1", "informedness"))
    yield _timed(
        f"optimize_thresholds over {what}, all ethograms change",
        repeats,
        lambda: ds.soup.optimize_thresholds(MODE, on="all", score=next(scores)),
    )
    ds.soup.optimize_thresholds(MODE, on="all")
    yield _timed("– none changes", repeats, lambda: ds.soup.optimize_thresholds(MODE, on="all"))


def _timed(
    name: str, repeats: int, work: Callable[[], object], goal: float | None = None
) -> Figure:
    def once() -> tuple[float, float]:
        started, busy = time.perf_counter(), time.process_time()
        work()
        return time.perf_counter() - started, time.process_time() - busy

    return _figure(name, [once() for _ in range(repeats)], goal)


def _in_new_process(
    name: str, repeats: int, code: str, before: str = "", goal: float | None = None
) -> Figure:
    """Time code in a new Python each time; files are in the system's cache."""
    command = [sys.executable, "-c", TIMED.format(before=before, code=code)]

    def once() -> tuple[float, float]:
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        wall, processor = map(float, told.split())
        return wall, processor

    once()
    return _figure(name, [once() for _ in range(repeats)], goal)


def _figure(name: str, runs: list[tuple[float, float]], goal: float | None) -> Figure:
    print(f"{name} …", flush=True)
    wall, processor = zip(*runs, strict=True)
    return Figure(name, summary(wall), summary(processor), goal)


if __name__ == "__main__":
    main()
