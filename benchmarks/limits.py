"""How near the networks come to what the machine can do.

    python benchmarks/limits.py [--mode fast medium slow] [--device cpu] [--json FILE]

Counts the operations of a frame (a multiplication and an addition are two), part by part, as the
networks are written down and as they run, where windows share some; measures how many the machine
does in the product of two large matrices; and how many of these the networks reach, on frames that
are there already. On a GPU it also tells the largest amount of memory that each batch takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _report import load, machine, print_machine, print_table, write_json
from torch.utils.flop_counter import FlopCounterMode

from soupxr.inference.network import DTYPES, FeatureNetwork
from soupxr.inference.preprocess import frame_windows
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import BEHAVIORS, MODES

PARTS = ("flow_generator", "spatial_classifier.0", "flow_classifier.0")
#: Side of the matrices: large enough for the ceiling, small enough for a laptop.
SIDE = {"cpu": 2048, "cuda": 8192}
SECONDS = 2.0


def main() -> None:
    """Count, measure, print, and write JSON if asked."""
    arguments = _parse()
    facts = machine()
    torch.set_num_threads(facts["cores"])
    print_machine(facts)
    device = torch.device(arguments.device)
    ceilings = {name: ceiling(device, dtype) for name, dtype in DTYPES.items()}
    results: dict[str, Any] = {"machine": facts, "tflops": ceilings, "modes": {}}
    for name, value in ceilings.items():
        print(f"matrix product in {name}: {value:.2f} TFLOP/s")
    for mode in arguments.mode:
        results["modes"][mode] = measure(mode, arguments, device, ceilings)
    results["load_at_end"] = load()
    _print(results["modes"], arguments)
    write_json(arguments.json, results)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mode", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--size", type=int, nargs=2, default=(224, 224), metavar=("H", "W"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--json", type=Path, help="write the results to this file")
    return parser.parse_args()


def ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """TFLOP/s of a matrix product."""
    side = SIDE.get(device.type, SIDE["cpu"])
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / seconds(lambda: one @ other, device) / 1e12


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of the fastest run among some."""
    best, until = float("inf"), time.perf_counter() + SECONDS
    work()
    while time.perf_counter() < until or best == float("inf"):
        _synchronize(device)
        started = time.perf_counter()
        work()
        _synchronize(device)
        best = min(best, time.perf_counter() - started)
    return best


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(
    mode: str, arguments: argparse.Namespace, device: torch.device, ceilings: dict[str, float]
) -> dict[str, Any]:
    """One mode: operations, and rates by precision and batch."""
    model = HiddenTwoStream(MODES[mode], 1 + len(BEHAVIORS)).eval()
    found: dict[str, Any] = {"gflop": operations(model, tuple(arguments.size)), "rates": []}
    for precision in DTYPES:
        network = FeatureNetwork(model, device, precision)
        for batch in arguments.batch:
            frames = torch.randn(batch + model.window - 1, 3, *arguments.size, device=device)
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            each = seconds(lambda: network(frames), device) / batch  # noqa: B023
            with FlopCounterMode(display=False) as counter:
                network(frames)
            done = counter.get_total_flops() / batch
            row = {
                "precision": precision,
                "batch": batch,
                "frames_per_s": 1 / each,
                "gflop_done": done / 1e9,
                "of_ceiling": done / each / 1e12 / ceilings[precision],
            }
            if device.type == "cuda":
                row["peak_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
            found["rates"].append(row)
    return found


def operations(model: HiddenTwoStream, size: tuple[int, int]) -> dict[str, float]:
    """GFLOP of one window, by part."""
    frames = torch.randn(model.window, 3, *size)
    windows = frame_windows(frames, model.window, model.mode.layout).contiguous()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(windows)
    counts = counter.get_flop_counts()
    return {
        part.removesuffix(".0"): sum(counts[f"HiddenTwoStream.{part}"].values()) / 1e9
        for part in PARTS
    }


def _print(modes: dict[str, dict[str, Any]], arguments: argparse.Namespace) -> None:
    rows = [
        (mode, sum(found["gflop"].values()), *found["gflop"].values())
        for mode, found in modes.items()
    ]
    height, width = arguments.size
    names = [part.removesuffix(".0") for part in PARTS]
    print_table(f"GFLOP a frame at {height}x{width}, as written down", ("", "all", *names), rows)
    rows = [
        (
            f"{mode}, {one['precision']}, batch {one['batch']}",
            one["frames_per_s"],
            one["gflop_done"],
            f"{one['of_ceiling']:.0%}",
            one.get("peak_gb"),
        )
        for mode, found in modes.items()
        for one in found["rates"]
    ]
    headings = ("", "frames/s", "GFLOP a frame", "of the matrix ceiling", "peak GB")
    print_table(f"Networks alone, on {arguments.device}", headings, rows)


if __name__ == "__main__":
    main()
