"""How fast trials are rendered: pairs of frames a second on one core.

    python benchmarks/synthetic.py [--json FILE]

The process, and the encoder it starts, are tied to one core where the system allows it. Rates are
medians, per second in which that core worked for us, and by the clock: they differ where others
use the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from soupxr.synthetic import VIEWS, render_trial, write_dataset

HEIGHT, WIDTH = 260, 176


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--frames", type=int, default=300, help="frames of a trial")
    parser.add_argument("--runs", type=int, default=5, help="runs; the median counts")
    arguments = parser.parse_args()
    results = measure(arguments.frames, arguments.runs)
    print(f"{2 * WIDTH}x{HEIGHT} pair of views, {arguments.frames} frames, {arguments.runs} runs")
    for name, value in results["pairs_per_second"].items():
        print(
            f"  {name:<20}{value['core']:6.0f} pairs per second of a core"
            f"   ({value['clock']:.0f} by the clock)"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def measure(n_frames: int, runs: int) -> dict[str, object]:
    """Time each way of getting pictures; pairs of frames a second."""
    ways = {"render": _render, "render to RGB": _render_rgb, "render and encode": _write}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return {
        "frames": n_frames,
        "height": HEIGHT,
        "width": WIDTH,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pairs_per_second": {name: _rates(way, n_frames, runs) for name, way in ways.items()},
    }


def _rates(way: Callable[[int, int], None], n_frames: int, runs: int) -> dict[str, float]:
    by_clock, by_core = [], []
    for run in range(runs):
        clock, core = time.perf_counter(), _core_seconds()
        way(n_frames, run)
        by_clock.append(n_frames / (time.perf_counter() - clock))
        by_core.append(n_frames / (_core_seconds() - core))
    return {"core": statistics.median(by_core), "clock": statistics.median(by_clock)}


def _core_seconds() -> float:
    """Time that this process and those it waited for had a core to themselves."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _render(n_frames: int, seed: int) -> None:
    trial = render_trial(seed=seed, n_frames=n_frames, height=HEIGHT, width=WIDTH)
    for frame in range(n_frames):
        for view in VIEWS:
            trial.picture(view, frame)


def _render_rgb(n_frames: int, seed: int) -> None:
    trial = render_trial(seed=seed, n_frames=n_frames, height=HEIGHT, width=WIDTH)
    for view in VIEWS:
        for _ in trial.frames(view):
            pass


def _write(n_frames: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        write_dataset(
            root,
            animals=1,
            trials=1,
            seed=seed,
            n_frames=n_frames,
            height=HEIGHT,
            width=WIDTH,
            progress=False,
        )


if __name__ == "__main__":
    main()
