"""What ``torch.compile`` buys and costs, and after how many frames it has paid for itself.

    python benchmarks/compiled.py [--mode fast] [--precision float32 bfloat16] [--json FILE]

The networks as ``ds.soup.infer`` runs them, on frames that are there, against the same compiled.
Compiling happens once for each process, shape and precision. Told are the seconds that it takes,
the frames/s of both, the largest difference of features, and the number of frames from which on
the compiled one is ahead.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _report import load, machine, print_machine, print_table, write_json

from soupxr.inference.network import FeatureNetwork
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import BEHAVIORS, MODES

JOBS = (300, 100_000)


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mode", nargs="+", default=["fast"], choices=list(MODES))
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--size", type=int, nargs=2, default=(224, 224), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3, help="the median counts")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    results: dict[str, Any] = {"machine": facts}
    for mode in arguments.mode:
        for precision in arguments.precision:
            results[f"{mode}, {precision}"] = compare(mode, precision, arguments)
    results["load_at_end"] = load()
    report({name: one for name, one in results.items() if "," in name})
    write_json(arguments.json, results)


def compare(mode: str, precision: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Both ways in turns, on the same frames."""
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    model = HiddenTwoStream(MODES[mode], 1 + len(BEHAVIORS)).eval()
    plain = FeatureNetwork(model, device, precision)
    fast = FeatureNetwork(model, device, precision)
    fast._features = torch.compile(fast._features, dynamic=False)  # type: ignore[method-assign]
    frames = torch.randn(arguments.batch + plain.window - 1, 3, *arguments.size, device=device)
    expected = plain(frames)
    started = time.perf_counter()
    found = fast(frames)
    compiling = time.perf_counter() - started
    fast(frames)
    times: dict[str, list[float]] = {"plain": [], "compiled": []}
    for _ in range(arguments.runs):
        times["plain"].append(timed(plain, frames))
        times["compiled"].append(timed(fast, frames))
    a_frame = {name: statistics.median(runs) / arguments.batch for name, runs in times.items()}
    saved = a_frame["plain"] - a_frame["compiled"]
    return {
        "compiling_s": compiling,
        "frames_a_second": 1 / a_frame["plain"],
        "frames_a_second_compiled": 1 / a_frame["compiled"],
        "paid_after_frames": compiling / saved if saved > 0 else float("inf"),
        "largest_difference": float((found.spatial - expected.spatial).abs().max()),
        "largest_feature": float(expected.spatial.abs().max()),
        **{f"s_for_{n}_frames": n * a_frame["plain"] for n in JOBS},
        **{f"s_for_{n}_frames_compiled": compiling + n * a_frame["compiled"] for n in JOBS},
    }


def timed(network: Callable[[torch.Tensor], Any], frames: torch.Tensor) -> float:
    """Seconds of one batch."""
    started = time.perf_counter()
    network(frames)
    if frames.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def report(results: dict[str, dict[str, float]]) -> None:
    """Print what was measured."""
    names = list(next(iter(results.values())))
    rows = [[name.replace("_", " "), *(one[name] for one in results.values())] for name in names]
    print_table("Compiled networks", ["", *results], rows)


if __name__ == "__main__":
    main()
