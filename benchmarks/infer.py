"""How fast video becomes ethograms: frames a second, as a whole and stage by stage.

    python benchmarks/infer.py [--mode fast] [--json FILE]

The whole call ``ds.soup.infer``, from encoded video to committed store, alternates with a plain
loop that gives the same results: frames decoded one by one, windows stacked on the host, batches
of 16 in float32, nothing done ahead of time. Both are also timed on a video of one frame; what
that takes is called the start-up, and is left out of the rates called steady. Seconds of a core
count the work of this process and its decoders; they say more than the clock where others use the
machine too. The networks are untrained, which costs as much as trained ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import h5py
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import torch
from _report import load, machine, print_machine, print_table, summary, write_json
from torch.nn.functional import interpolate

import soupxr as sx
from soupxr.inference.preprocess import Preprocessing, frame_windows
from soupxr.inference.sequence import class_probabilities
from soupxr.inference.stream import blocks_of
from soupxr.inference.trial import trial_statistics
from soupxr.ingest import TrialRow
from soupxr.models import checkpoint
from soupxr.models.tgmj import TGMJ, windowed_logits
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import BEHAVIORS, MODES
from soupxr.schema import FEATURE_CHUNK
from soupxr.store import Store, TrialResults, add_trials
from soupxr.synthetic import write_dataset
from soupxr.video import lazy_frames

VIEWS = ("side", "front")
BATCH = 16
#: Frames of a trial, so that one takes about a quarter of a minute on two cores.
FRAMES = {"fast": 96, "medium": 56, "slow": 24}
#: Frames for the stages that need no network.
LIGHT_FRAMES = 1024
#: A pass of its own, before the others, where a checkpoint brings no normalisation.
STATISTICS = "statistics of the video"
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
MIRROR = Path(__file__).resolve().parents[2] / "shared" / "data" / "mirror" / "M1" / "S1"

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """What is measured: one mode on one video."""

    mode: str
    size: tuple[int, int]
    device: str
    precision: str
    root: Path
    models: dict[str, Path]

    def videos(self, trial_id: int) -> list[Path]:
        """Files of both views."""
        return [clip_path(self.root, view, trial_id) for view in VIEWS]


def main() -> None:
    """Measure, print, and write JSON if asked."""
    arguments = _parse()
    sources = arguments.video or default_videos(Path(tempfile.gettempdir()))
    facts = machine()
    print_machine(facts)
    results: dict[str, Any] = {"machine": facts, "settings": _settings(arguments), "modes": {}}
    for mode in arguments.mode:
        with tempfile.TemporaryDirectory() as folder:
            results["modes"][mode] = _measure(mode, sources, Path(folder), arguments)
        print_results(mode, results["modes"][mode])
    results["load_at_end"] = load()
    print(f"\nload {results['load_at_end']} at the end")
    write_json(arguments.json, results)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mode", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--frames", type=int, help="frames of a trial; default: by mode")
    parser.add_argument("--size", type=int, nargs=2, default=(224, 224), metavar=("H", "W"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--repeats", type=int, default=3, help="runs; the median counts")
    parser.add_argument("--video", type=Path, nargs=2, metavar=("SIDE", "FRONT"))
    parser.add_argument("--json", type=Path, help="write the results to this file")
    return parser.parse_args()


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    told = {name: value for name, value in vars(arguments).items() if name != "json"}
    if told["video"]:
        told["video"] = [path.name for path in told["video"]]
    return told


def _measure(
    mode: str, sources: list[Path], folder: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    n_frames = arguments.frames or FRAMES[mode]
    size = tuple(arguments.size)
    root = folder / "videos"
    for trial_id, length in enumerate((1, n_frames, LIGHT_FRAMES)):
        for view, source in zip(VIEWS, sources, strict=True):
            write_clip(source, clip_path(root, view, trial_id), length)
    models = write_models(folder, mode, size)
    case = Case(mode, size, arguments.device, arguments.precision, root, models)
    return {
        "frames": n_frames,
        "stages": stages(case, arguments.repeats, folder),
        "whole": whole(case, n_frames, arguments.repeats, folder),
    }


def print_results(mode: str, results: dict[str, Any]) -> None:
    """Print both tables of a mode."""
    rates = dict(results["stages"])
    statistic = rates.pop(STATISTICS)
    stage_rows = [
        (name, rate["median"], 1000 / rate["median"], _spread(rate)) for name, rate in rates.items()
    ]
    total = sum(1000 / rate["median"] for rate in rates.values())
    headings = ("stage", "frames/s", "ms/frame", "spread")
    rows = [
        *stage_rows,
        ("all, one after the other", 1000 / total, total, None),
        (STATISTICS, statistic["median"], 1000 / statistic["median"], _spread(statistic)),
    ]
    print_table(f"Mode {mode}: stages, each by itself", headings, rows)
    found = results["whole"]
    rows = [
        (
            way,
            found[way]["rate"]["median"],
            _spread(found[way]["rate"]),
            found[way]["steady"],
            found[way]["core_seconds_per_frame"]["median"],
            found[way]["start_up"]["median"],
        )
        for way in ("soupxr", "reference")
    ]
    ratio, core = found["ratio"], found["core_ratio"]["median"]
    rows.append(("ratio", ratio["median"], _spread(ratio), found["steady_ratio"], core, None))
    title = f"Mode {mode}: {results['frames']} frames, encoded video to results on disk"
    headings = ("", "frames/s", "spread", "steady frames/s", "core s/frame", "start-up s")
    print_table(title, headings, rows)
    print(f"\nLargest difference of their probabilities: {found['difference']:.1e}")


def _spread(found: dict[str, Any]) -> str:
    return f"{found['lowest']:.3g} to {found['highest']:.3g}"


# ------------------------------------------------------------------ material


def clip_path(root: Path, view: str, trial_id: int) -> Path:
    """Where a clip lies under data_root."""
    return root / "M1" / "S1" / f"clip_{view}_v{trial_id:03d}.mp4"


def default_videos(folder: Path) -> list[Path]:
    """Real videos that lie beside the checkout, else rendered ones."""
    real = [MIRROR / f"run_{view}_v001.mp4" for view in VIEWS]
    if all(path.is_file() for path in real):
        return real
    root = folder / "soupxr-benchmark-videos"
    if not (root / "truth.csv").is_file():
        write_dataset(root, animals=1, trials=1, n_frames=300, overwrite=True, progress=False)
    return [root / "M1" / "S1" / f"reach_{view}_v001.mp4" for view in VIEWS]


def write_clip(source: Path, target: Path, n_frames: int) -> None:
    """Encode so many frames of a video anew, from its start again where it is too short."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-stream_loop", "-1"]
    command += ["-i", str(source), "-frames:v", str(n_frames), "-an", "-c:v", "libx264"]
    command += ["-preset", "veryfast", "-crf", "18", "-g", "50", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, str(target)], check=True)


def write_models(folder: Path, mode: str, size: tuple[int, int]) -> dict[str, Path]:
    """Write checkpoints of untrained networks; returns them as arguments of ``infer``."""
    torch.manual_seed(0)
    network = HiddenTwoStream(MODES[mode], 1 + len(BEHAVIORS))
    seen: dict[str, Any] = {
        "mode": mode,
        "window": network.window,
        "image_size": size,
        "preprocessing": "antialias",
        "normalization": (MEAN, STD),
    }
    unseen: dict[str, Any] = dict.fromkeys(seen) | {"mode": mode}
    paths = {
        kind: folder / f"{mode}-{kind}.ckpt"
        for kind in ("flow_generator", "feature_extractor", "sequence")
    }
    flow, feature, sequence = paths.values()
    checkpoint.write(
        flow, kind="flow_generator", model=network.flow_generator, behaviors=None, **seen
    )
    checkpoint.write(feature, kind="feature_extractor", model=network, behaviors=BEHAVIORS, **seen)
    model = TGMJ(1 + len(BEHAVIORS))
    checkpoint.write(sequence, kind="sequence", model=model, behaviors=BEHAVIORS, **unseen)
    return {
        "flow_model_in": flow,
        "feature_model_in": feature,
        "sequence_model_in": sequence,
    }


# ------------------------------------------------------------------ stages


def stages(case: Case, repeats: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Frames a second of every stage, by itself."""
    infos = [sx.video.probe(path) for path in case.videos(2)]
    frames = lazy_frames(case.videos(2), LIGHT_FRAMES, infos, join="pad")
    preprocessing = Preprocessing(case.size, "antialias", MEAN, STD)
    blocks = list(islice(blocks_of(frames), 4))
    device = torch.device(case.device)
    rate = _Rate(repeats, device)
    rates = {
        STATISTICS: rate(LIGHT_FRAMES, lambda: trial_statistics(infos, LIGHT_FRAMES)),
        "decode": rate(LIGHT_FRAMES, lambda: deque(blocks_of(frames), maxlen=0)),
        "preprocess": rate(
            sum(map(len, blocks)),
            lambda: [preprocessing(torch.from_numpy(block).to(device)) for block in blocks],
        ),
    }
    few = preprocessing(torch.from_numpy(blocks[0][: BATCH + 10]).to(device))
    rates |= _network_stages(case, few, rate)
    sequence = checkpoint.read(case.models["sequence_model_in"]).build().to(device)
    features = np.random.default_rng(0).gamma(1, size=(LIGHT_FRAMES, 1024)).astype(np.float32)
    rates["sequence"] = rate(LIGHT_FRAMES, lambda: class_probabilities(sequence, [features]))
    store_at = iter(range(1000))
    rates["write"] = rate(
        LIGHT_FRAMES, lambda: _write(folder / f"write-{next(store_at)}.zarr", case, features)
    )
    return rates


class _Rate:
    """Times something: frames a second, over some runs after one that does not count."""

    def __init__(self, repeats: int, device: torch.device) -> None:
        self.repeats, self.device = repeats, device

    def __call__(self, n_frames: int, work: Callable[[], object]) -> dict[str, Any]:
        self._seconds(work)
        return summary(n_frames / self._seconds(work) for _ in range(self.repeats))

    def _seconds(self, work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - started


@torch.inference_mode()
def _network_stages(case: Case, frames: torch.Tensor, rate: _Rate) -> dict[str, dict[str, Any]]:
    """The parts of the feature extractor, on one batch of windows."""
    model = checkpoint.read(case.models["feature_model_in"]).build().eval().to(case.device)
    layout = model.mode.layout
    windows = frame_windows(frames, model.window, layout)
    with torch.autocast(rate.device.type, torch.bfloat16, enabled=case.precision == "bfloat16"):
        flow = model.flow_generator(windows)[0]
        return {
            "windows": rate(BATCH, lambda: frame_windows(frames, model.window, layout)),
            "flow generator": rate(BATCH, lambda: model.flow_generator(windows)),
            "spatial classifier": rate(
                BATCH, lambda: model.spatial_classifier(model.spatial_input(windows))
            ),
            "flow classifier": rate(BATCH, lambda: model.flow_classifier(flow)),
        }


def _write(address: Path, case: Case, features: FloatArray) -> None:
    """Store features and results of one trial, as inference does."""
    sx.create(address, data_root=case.root, join="pad")
    row = TrialRow("M1", "S1", 1, ("side.mp4", "front.mp4"), len(features), 100.0)
    add_trials(str(address), [row])
    results = TrialResults(Store(str(address)), case.mode, row.key)
    results.start_features("{}")
    for start in range(0, len(features), FEATURE_CHUNK):
        part = features[start : start + FEATURE_CHUNK]
        parts = {"spatial": part[:, :512], "flow": part[:, 512:], "logit": part[:, :7]}
        results.write_features(start, parts)
    results.commit_features("{}")
    results.commit(features[:, :6], (features[:, :6] > 1).astype(np.int8), "{}")


# ------------------------------------------------------------------ the whole way, twice


def whole(case: Case, n_frames: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Time soupxr and the reference by turns, on the trial and on one frame."""
    times: dict[tuple[str, int], list[tuple[float, float]]] = {}
    probabilities = {}
    for turn in range(repeats):
        for trial_id in (0, 1):
            ds = _store(case, folder / f"{turn}-{trial_id}.zarr", trial_id)
            for way in ("soupxr", "reference"):
                work = _soupxr(case, ds) if way == "soupxr" else _reference(case, trial_id, folder)
                started = time.perf_counter(), _core_seconds()
                probabilities[way] = work()
                took = time.perf_counter() - started[0], _core_seconds() - started[1]
                times.setdefault((way, trial_id), []).append(took)
    found: dict[str, Any] = {
        way: _told(n_frames, times[way, 1], times[way, 0]) for way in ("soupxr", "reference")
    }
    pairs = list(zip(times["reference", 1], times["soupxr", 1], strict=True))
    found["ratio"] = summary(slow[0] / quick[0] for slow, quick in pairs)
    found["core_ratio"] = summary(slow[1] / quick[1] for slow, quick in pairs)
    found["steady_ratio"] = found["soupxr"]["steady"] / found["reference"]["steady"]
    difference = np.abs(probabilities["soupxr"] - probabilities["reference"]).max()
    return found | {"difference": float(difference)}


def _told(
    n_frames: int, times: list[tuple[float, float]], start_up: list[tuple[float, float]]
) -> dict[str, Any]:
    before = statistics.median(clock for clock, _ in start_up)
    return {
        "rate": summary(n_frames / clock for clock, _ in times),
        "core_seconds_per_frame": summary(core / n_frames for _, core in times),
        "start_up": summary(clock for clock, _ in start_up),
        "steady": (n_frames - 1) / (statistics.median(clock for clock, _ in times) - before),
    }


def _core_seconds() -> float:
    """Time that this process and those it waited for had a core to themselves."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _store(case: Case, address: Path, trial_id: int) -> Any:
    ds = sx.create(address, data_root=case.root, join="pad")
    return ds.soup.add_item("M1", "S1", trial_id, progress=False)


def _soupxr(case: Case, ds: Any) -> Callable[[], FloatArray]:
    def work() -> FloatArray:
        done = ds.soup.infer(
            case.mode,
            **case.models,
            device=case.device,
            precision=case.precision,
            progress=False,
        )
        return done.probability.sel(mode=case.mode).isel(trial=0).values[: int(done.n_frames[0])]

    return work


def _reference(case: Case, trial_id: int, folder: Path) -> Callable[[], FloatArray]:
    return lambda: reference(case, case.videos(trial_id), folder / "reference.h5")[:, 1:]


@torch.no_grad()
def reference(case: Case, videos: list[Path], results: Path) -> FloatArray:
    """Infer as a plain tool does: read, compute, read on; results to HDF5 at the end."""
    flow = checkpoint.read(case.models["flow_model_in"])
    read = checkpoint.read(case.models["feature_model_in"])
    model = read.build(flow_generator=flow).eval().to(case.device)
    sequence = checkpoint.read(case.models["sequence_model_in"]).build().eval().to(case.device)
    frames = (_plain_preprocess(frame, case.size) for frame in _plain_frames(videos))
    windows = _plain_windows(frames, case.size, model.window, model.mode.layout)
    spatial, flow_features = [], []
    while batch := list(islice(windows, BATCH)):
        output = model(torch.from_numpy(np.stack(batch)).to(case.device))
        spatial.append(output.spatial_features.cpu().numpy())
        flow_features.append(output.flow_features.cpu().numpy())
    features = np.concatenate([np.concatenate(spatial), np.concatenate(flow_features)], axis=1)
    probability = torch.sigmoid(windowed_logits(sequence, torch.from_numpy(features))).numpy()
    ethogram = probability > np.asarray(MODES[case.mode].published_thresholds)
    with h5py.File(results, "w") as file:
        file["features"], file["probability"] = features, probability
        file["ethogram"] = ethogram.astype(np.int8)
    return probability


def _plain_frames(videos: list[Path]) -> Iterator[npt.NDArray[np.uint8]]:
    """Frames of all views side by side, black below shorter ones."""
    readers = [imageio_ffmpeg.read_frames(str(path)) for path in videos]
    sizes = [next(reader)["size"] for reader in readers]
    tallest = max(height for _, height in sizes)
    for pictures in zip(*readers, strict=True):
        views = [
            np.frombuffer(picture, np.uint8).reshape(height, width, 3)
            for picture, (width, height) in zip(pictures, sizes, strict=True)
        ]
        below = [((0, tallest - len(view)), (0, 0), (0, 0)) for view in views]
        padded = [np.pad(view, room) for view, room in zip(views, below, strict=True)]
        yield np.concatenate(padded, axis=1)


def _plain_preprocess(frame: npt.NDArray[np.uint8], size: tuple[int, int]) -> FloatArray:
    values = torch.from_numpy(frame).permute(2, 0, 1).unsqueeze(0).float() / 255
    small = interpolate(values, size, mode="bilinear", antialias=True)[0].numpy()
    mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (MEAN, STD))
    return (small - mean) / std


def _plain_windows(
    frames: Iterator[FloatArray], size: tuple[int, int], window: int, layout: str
) -> Iterator[FloatArray]:
    color = (np.floor(255 * np.array(MEAN)) / 255 - np.array(MEAN)) / np.array(STD)
    edge = np.broadcast_to(color.astype(np.float32).reshape(3, 1, 1), (3, *size))
    around = window // 2
    seen: deque[FloatArray] = deque([edge] * around, maxlen=window)
    for frame in chain(frames, [edge] * around):
        seen.append(frame)
        if len(seen) == window:
            stacked = np.stack(seen)
            yield stacked.swapaxes(0, 1) if layout == "volume" else stacked.reshape(-1, *size)


if __name__ == "__main__":
    main()
