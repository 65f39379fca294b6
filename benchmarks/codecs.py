"""How small stored features become, and how fast they are written and read, by compressor.

    python benchmarks/codecs.py [--mode fast] [--json FILE]

The features are those of real frames and of networks that are untrained, but whose batch norms
have seen the video, so that activations are as large and as sparse as in a network that works.
How much a trained network's features change from frame to frame is not known from this; mode
``noise``, values without any structure in time, is a bound.

Three ways to keep them: exact float32; float32 with the mantissa rounded to 10 bits, which is what
``features="float16"`` stores; and float16 arrays, for comparison.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import zarr
from _report import load, machine, print_machine, print_table, summary, write_json
from infer import MIRROR, VIEWS, default_videos
from numcodecs import BitRound
from torch import nn
from zarr.codecs import BloscCodec, TransposeCodec, ZstdCodec

from soupxr.inference.engine import FeatureEngine
from soupxr.inference.preprocess import Preprocessing, frame_windows
from soupxr.inference.sink import HALF_PRECISION_BITS
from soupxr.inference.stream import blocks_of
from soupxr.inference.trial import trial_statistics
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import BEHAVIORS, MODES
from soupxr.schema import FEATURE_CHUNK
from soupxr.store.zarrs import CODECS
from soupxr.video import lazy_frames, probe

#: Whole recordings of two views; the pairs of ``infer.py`` are half as long as one chunk.
RECORDING = [MIRROR.parents[1].with_name("mirror_full") / f"180607_004_{v}.mp4" for v in VIEWS]
#: Frames from which batch norms learn.
CALIBRATION_FRAMES = 42

FloatArray = npt.NDArray[Any]


def main() -> None:
    """Measure, print, and write JSON if asked."""
    arguments = _parse()
    facts = machine()
    print_machine(facts)
    results: dict[str, Any] = {"machine": facts, "frames": arguments.frames, "modes": {}}
    for mode in arguments.mode:
        features = _features(mode, arguments)
        results["modes"][mode] = found = {
            "features": describe(features),
            "codecs": measure(features, arguments.repeats),
        }
        print_results(mode, found)
    results["load_at_end"] = load()
    print(f"\nload {results['load_at_end']} at the end")
    write_json(arguments.json, results)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mode", nargs="+", default=["fast", "noise"], choices=[*MODES, "noise"])
    parser.add_argument("--frames", type=int, default=FEATURE_CHUNK)
    parser.add_argument("--video", type=Path, nargs=2, metavar=("SIDE", "FRONT"))
    parser.add_argument("--features", type=Path, help="folder to keep computed features in")
    parser.add_argument("--repeats", type=int, default=5, help="runs; the median counts")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    return parser.parse_args()


def print_results(mode: str, found: dict[str, Any]) -> None:
    """Print the table of a mode."""
    told = ", ".join(f"{name} {value:.3g}" for name, value in found["features"].items())
    rows = [
        (
            name,
            *(
                value
                for kind in ("exact", "rounded")
                for value in (
                    by_kind[kind]["bytes_per_frame"],
                    by_kind[kind]["write_mb_s"]["median"],
                    by_kind[kind]["read_mb_s"]["median"],
                )
            ),
            by_kind["float16"]["bytes_per_frame"],
        )
        for name, by_kind in found["codecs"].items()
    ]
    kinds = [f"{what} {unit}" for what in ("exact", "rounded") for unit in _UNITS]
    title = f"{mode.capitalize()}: features of both streams, 4,096 B a frame ({told})"
    print_table(title, ("compressor", *kinds, "float16 B/frame"), rows)


_UNITS = ("B/frame", "write MB/s", "read MB/s")


# ------------------------------------------------------------------ compressors


def candidates() -> dict[str, dict[str, Any]]:
    """Arguments of zarr's ``create_array``, by name; the first is what the store uses."""
    along_time = {"filters": [TransposeCodec(order=(0, 2, 1))]}
    found: dict[str, dict[str, Any]] = {
        "the store's": {"compressors": CODECS["features"]},
        "zarr's default": {"compressors": "auto"},
        "none": {"compressors": None},
    }
    for level in (1, 3, 5):
        found[f"zstd {level}"] = {"compressors": ZstdCodec(level=level)}
    for shuffle in ("shuffle", "bitshuffle"):
        for cname in ("zstd", "lz4"):
            for level in (1, 3, 5):
                name = f"blosc {cname} {level} {shuffle}"
                codec = BloscCodec(cname=cname, clevel=level, shuffle=shuffle)
                found[name] = {"compressors": codec}
                if level != 5:
                    found[f"{name}, along time"] = found[name] | along_time
    return found


def measure(features: dict[str, FloatArray], repeats: int) -> dict[str, dict[str, Any]]:
    """Every compressor on every way to keep the features."""
    rounder = BitRound(keepbits=HALF_PRECISION_BITS)
    exact = np.stack(list(features.values()))
    kinds = {
        "exact": exact,
        "rounded": np.asarray(rounder.decode(rounder.encode(exact))).reshape(exact.shape),
        "float16": exact.astype(np.float16),
    }
    with tempfile.TemporaryDirectory() as folder:
        return {
            name: {
                kind: _measure(values, codec, repeats, Path(folder))
                for kind, values in kinds.items()
            }
            for name, codec in candidates().items()
        }


def _measure(
    values: FloatArray, codec: dict[str, Any], repeats: int, folder: Path
) -> dict[str, Any]:
    """Bytes a frame on disk, and MB of uncompressed features a second."""
    array = zarr.create_array(
        folder / "array.zarr",
        shape=values.shape,
        chunks=(1, FEATURE_CHUNK, values.shape[2]),
        dtype=values.dtype,
        fill_value=np.nan,
        overwrite=True,
        **codec,
    )

    def write() -> None:
        array[...] = values

    def rate(work: Callable[[], object]) -> dict[str, Any]:
        work()
        return summary(values.nbytes / 1e6 / _seconds(work) for _ in range(repeats))

    found: dict[str, Any] = {"write_mb_s": rate(write), "read_mb_s": rate(lambda: array[...])}
    assert np.array_equal(array[...], values)
    files = (path for path in (folder / "array.zarr" / "c").rglob("*") if path.is_file())
    return found | {"bytes_per_frame": sum(f.stat().st_size for f in files) / values.shape[1]}


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# ------------------------------------------------------------------ features


def describe(features: dict[str, FloatArray]) -> dict[str, float]:
    """How sparse they are, how large, and how much they change from frame to frame."""
    both = np.concatenate(list(features.values()), axis=1)
    change = np.abs(np.diff(both, axis=0)).mean() / both.std(axis=0).mean()
    return {
        "zeros": float((both == 0).mean()),
        "mean": float(both.mean()),
        "change a frame in standard deviations": float(change),
    }


def _features(mode: str, arguments: argparse.Namespace) -> dict[str, FloatArray]:
    """Features of both streams, kept in a file where one was named."""
    if mode == "noise":
        random = np.random.default_rng(0)
        return {
            name: random.exponential(size=(arguments.frames, 512)).astype(np.float32)
            for name in ("spatial", "flow")
        }
    keep = arguments.features and arguments.features / f"features-{mode}-{arguments.frames}.npz"
    if keep and keep.is_file():
        return dict(np.load(keep))
    features = _extract(mode, arguments.frames, arguments.video)
    if keep:
        keep.parent.mkdir(parents=True, exist_ok=True)
        np.savez(keep, **features)
    return features


def _extract(mode: str, n_frames: int, videos: list[Path] | None) -> dict[str, FloatArray]:
    if videos is None:
        there = all(path.is_file() for path in RECORDING)
        videos = RECORDING if there else default_videos(Path(tempfile.gettempdir()))
    infos = [probe(path) for path in videos]
    n_frames = min(n_frames, *(info.n_frames for info in infos))
    statistics = trial_statistics(infos, n_frames)
    preprocessing = Preprocessing((224, 224), "antialias", statistics.mean, statistics.std)
    frames = lazy_frames(videos, n_frames, infos, join="pad")
    torch.manual_seed(0)
    model = HiddenTwoStream(MODES[mode], 1 + len(BEHAVIORS))
    _calibrate(model, frames, preprocessing)
    engine = FeatureEngine(model, torch.device("cpu"))
    parts = list(engine.extract(blocks_of(frames), preprocessing))
    return {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("spatial", "flow")
    }


@torch.inference_mode()
def _calibrate(model: HiddenTwoStream, frames: Any, preprocessing: Preprocessing) -> None:
    """Let batch norms see some frames of the whole video."""
    norms = [
        layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    ]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
        layer.training = True
    batch = 8
    last = len(frames) - model.window - batch
    for start in np.linspace(0, last, CALIBRATION_FRAMES // batch + 1, dtype=int):
        pictures = frames[start : start + model.window + batch - 1].compute()
        values = preprocessing(torch.from_numpy(pictures))
        model(frame_windows(values, model.window, model.mode.layout))
    model.eval()


if __name__ == "__main__":
    main()
