"""What all benchmarks tell alike: the machine, tables, and JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: Packages whose versions say which code was measured.
PACKAGES = ("soupxr", "torch", "numpy", "zarr", "numcodecs", "xarray", "dask", "imageio-ffmpeg")


def machine() -> dict[str, Any]:
    """Describe the machine, how busy it is at this moment, and the versions."""
    facts: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": _cores(),
        "load": load(),
        "python": platform.python_version(),
        "ffmpeg": _ffmpeg_version(),
    }
    facts |= {name: _version(name) for name in PACKAGES}
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        facts["torch_threads"] = torch.get_num_threads()
        facts["torch_instructions"] = torch.backends.cpu.get_cpu_capability()
        if torch.cuda.is_available():
            facts["gpu"] = torch.cuda.get_device_name()
    return facts


def load() -> float | None:
    """Processes that wanted a core, on average over the last minute; None where unknown."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def summary(values: Iterable[float]) -> dict[str, Any]:
    """Median, extremes and all values of repeated measurements."""
    runs = list(values)
    return {
        "median": statistics.median(runs),
        "lowest": min(runs),
        "highest": max(runs),
        "runs": runs,
    }


def print_machine(facts: dict[str, Any]) -> None:
    """Print :func:`machine` on two lines."""
    busy = "unknown" if facts["load"] is None else f"{facts['load']:.2f}"
    print(f"{facts['processor']}, {facts['cores']} core(s), load {busy} at the start")
    named = ("python", "ffmpeg", *PACKAGES, "torch_threads", "torch_instructions", "gpu")
    print(", ".join(f"{name} {facts[name]}" for name in named if facts.get(name)))


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table in Markdown, the first column left, the others right."""
    cells = [list(headings), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    print(f"\n{title}\n")
    for row in (cells[0], rule, *cells[1:]):
        first, *others = zip(row, widths, strict=True)
        aligned = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        print(f"| {' | '.join(aligned)} |")


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Write results where asked to."""
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n")


def _text(cell: Any) -> str:
    """Three significant digits for numbers, others as they are."""
    if not isinstance(cell, float):
        return "" if cell is None else str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


def _processor() -> str:
    with_name = Path("/proc/cpuinfo")
    if with_name.is_file():
        for line in with_name.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ffmpeg_version() -> str:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return told.split()[2]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
