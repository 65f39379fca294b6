"""Random clips a second, as training reads them: from the frame cache, and from video by seeking.

    python benchmarks/clips.py [--runs 5] [--json FILE]

A clip is 11 consecutive frames of both views, joined and resized, from anywhere in any trial, as
likely from one place as from another. It measures the real videos beside the checkout. Both ways
are read in turn, in one thread of Python, so that both suffer alike from whatever else the machine
does; the median of several runs is reported. The files are in the system's memory when they are
read: what a slow disk adds is not measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from _report import load, machine, print_machine, print_table, summary, write_json

import soupxr as sx
from soupxr.dataset import data_root, keys_of, store_of
from soupxr.framecache import open_cached
from soupxr.inference.preprocess import Preprocessing
from soupxr.ingest import resolve_video
from soupxr.video import close_all, probe_many
from soupxr.video.frames import FrameSource

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {"cylinder": "M1", "mirror": "M1"}
SIZES = ((224, 224), (96, 96))
CLIP = 11
GOAL = 10

Size = tuple[int, int]
Read = Callable[[int, int], npt.NDArray[np.uint8]]


def main() -> None:
    """Measure, print, and write JSON if asked."""
    arguments = _parse()
    facts = machine()
    print_machine(facts)
    results: dict[str, Any] = {"machine": facts, "clip": CLIP, "sets": []}
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        sx.set_options(progress=False),
    ):
        for name, animal in SETS.items():
            if not (DATA / name).is_dir():
                print(f"{name}: not beside the checkout, left out")
                continue
            ds = sx.create(Path(folder, f"{name}.zarr"), DATA / name, join="pad")
            ds = ds.soup.add_item(animal)
            results["sets"] += [measure(ds, name, size, arguments) for size in SIZES]
    print_results(results["sets"])
    write_json(arguments.json, results)


def measure(ds: xr.Dataset, name: str, size: Size, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fill a cache, then read clips from it and from video in turn."""
    start = time.perf_counter()
    ds = ds.soup.cache_frames(size)
    filled = time.perf_counter() - start
    n_frames = ds.n_frames.values.tolist()
    trials = {"cache": _cached(ds, size), "video": _seeking(ds, size)}
    counts = {"cache": arguments.cached, "video": arguments.sought}
    draw = np.random.default_rng(0)
    rates: dict[str, list[float]] = {way: [] for way in trials}
    for way, readers in trials.items():
        _read_clips(readers, n_frames, 4, draw)  # the files are in memory from here on
        assert readers[0](3, 3 + CLIP).shape == (CLIP, *size, 3), way
    loads = []
    for _ in range(arguments.runs):
        loads.append(load())
        for way, readers in trials.items():
            rates[way].append(counts[way] / _read_clips(readers, n_frames, counts[way], draw))
    close_all()
    address = Path(ds.attrs["soupxr_store"], "frames", f"{size[0]}x{size[1]}")
    on_disk = sum(file.stat().st_size for file in address.rglob("*") if file.is_file())
    return {
        "set": name,
        "size": size,
        "trials": len(n_frames),
        "frames": sum(n_frames),
        "fill_frames_per_s": sum(n_frames) / filled,
        "bytes_per_frame": on_disk / sum(n_frames),
        "compressed_to": on_disk / sum(n_frames) / (size[0] * size[1] * 3),
        "clips_per_s": {way: summary(values) for way, values in rates.items()},
        "load": loads,
    }


def _read_clips(
    readers: Sequence[Read], n_frames: Sequence[int], count: int, draw: np.random.Generator
) -> float:
    """Seconds that so many random clips take."""
    places = [_place(n_frames, draw) for _ in range(count)]
    start = time.perf_counter()
    for trial, frame in places:
        readers[trial](frame, frame + CLIP)
    return time.perf_counter() - start


def _place(n_frames: Sequence[int], draw: np.random.Generator) -> tuple[int, int]:
    trial = int(draw.integers(len(n_frames)))
    return trial, int(draw.integers(n_frames[trial] - CLIP + 1))


def _cached(ds: xr.Dataset, size: Size) -> list[Read]:
    store = store_of(ds)
    found = [open_cached(store, key, size, "antialias") for key in keys_of(ds)]
    return [reader.read for reader in found if reader is not None]


def _seeking(ds: xr.Dataset, size: Size) -> list[Read]:
    return [_resizing(source, size) for source in _sources(ds)]


def _sources(ds: xr.Dataset) -> Iterator[FrameSource]:
    store = store_of(ds)
    for trial in store.trials(keys_of(ds)):
        paths = [resolve_video(data_root(store), path) for path in trial.video_paths]
        yield FrameSource(probe_many(paths), trial.n_frames)


def _resizing(source: FrameSource, size: Size) -> Read:
    resize = Preprocessing(size, "antialias", (0.0,) * 3, (1.0,) * 3).resize

    def read(start: int, stop: int) -> npt.NDArray[np.uint8]:
        with torch.inference_mode():
            values = resize(torch.from_numpy(source.read(start, stop))).mul_(255).round_()
            return values.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()

    return read


def print_results(sets: Sequence[dict[str, Any]]) -> None:
    """Print one line a set and size."""
    rows = []
    for found in sets:
        cache, video = (found["clips_per_s"][way]["median"] for way in ("cache", "video"))
        rows.append(
            (
                f"{found['set']}, {found['size'][0]}x{found['size'][1]}",
                cache,
                video,
                cache / video,
                1000 / cache,
                found["fill_frames_per_s"],
                found["bytes_per_frame"] / 1000,
                found["compressed_to"],
                max(found["load"]),
            )
        )
    print_table(
        f"Clips of {CLIP} frames; the goal for cylinder is a ratio of {GOAL}",
        (
            "videos, size",
            "cache, clips/s",
            "video, clips/s",
            "ratio",
            "cache, ms a clip",
            "filling, frames/s",
            "kB a frame",
            "of raw",
            "load",
        ),
        rows,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each way (default: 5)")
    parser.add_argument("--cached", type=int, default=300, help="clips a run from the cache")
    parser.add_argument("--sought", type=int, default=15, help="clips a run from video")
    parser.add_argument("--folder", type=Path, help="where to make the store (default: temporary)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
