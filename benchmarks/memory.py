"""How much memory inference needs, and whether a longer video needs more.

    python benchmarks/memory.py [--json FILE]

Mode fast on the CPU, each case in a process of its own. Decoding, preprocessing and storing are
measured over the whole pair of videos and over the pair ten times in a row, with a stand-in for
the feature extractor that answers at once; everything else is the real thing. The real feature
extractor is measured on as many frames as it does in a few minutes, and on a tenth of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
from _report import load, machine, print_machine, print_table, write_json

ORIGINALS = Path(__file__).resolve().parents[2] / "shared" / "data" / "originals"
#: CameraL is the side, CameraE the front.
CYLINDER = [ORIGINALS / f"cylinder_Camera{camera}_24500.mp4" for camera in "LE"]
SAMPLING_S = 0.1
LIMIT_GB = 3.0
GB = 1e9


def main() -> None:
    """Measure, print, and write JSON if asked."""
    arguments = _parse()
    if arguments.child:
        _infer(arguments.child, stand_in=arguments.stand_in)
        return
    sources = arguments.video or CYLINDER
    missing = [path for path in sources if not path.is_file()]
    if missing:
        sys.exit(f"no video at {', '.join(map(str, missing))}; pass --video SIDE FRONT")
    facts = machine()
    print_machine(facts)
    results: dict[str, Any] = {"machine": facts, "cases": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, store, stand_in in _cases(sources, Path(folder), arguments):
            results["cases"][name] = found = measure(store, stand_in)
            print(f"{name}: {found['peak_gb']:.2f} GB in {found['seconds']:.0f} s", flush=True)
    results["load_at_end"] = load()
    print_results(results["cases"], arguments.times)
    write_json(arguments.json, results)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--video", type=Path, nargs=2, metavar=("SIDE", "FRONT"))
    parser.add_argument("--times", type=int, default=10, help="how often in a row; 0 leaves it out")
    parser.add_argument("--full-frames", type=int, default=300, help="for the real networks")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stand-in", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def print_results(cases: dict[str, dict[str, Any]], times: int) -> None:
    """Print the table and what follows from it."""
    headings = ("case", "frames", "peak GB", "Python GB", "ffmpeg GB", "seconds")
    rows = [
        (
            name,
            f"{found['frames']:,}",
            found["peak_gb"],
            found["python_gb"],
            found["children_gb"],
            f"{found['seconds']:.0f}",
        )
        for name, found in cases.items()
    ]
    print_table("Peak resident memory, mode fast on the CPU", headings, rows)
    worst = max(found["peak_gb"] for found in cases.values())
    print(f"\nUnder {LIMIT_GB:g} GB: {'yes' if worst < LIMIT_GB else 'NO'} ({worst:.2f} GB)")
    peaks = [found["peak_gb"] for name, found in cases.items() if "stand-in" in name]
    if len(peaks) == 2:
        print(f"{times} times the length: {100 * (peaks[1] / peaks[0] - 1):+.1f}%")
        longest = max(cases.values(), key=lambda found: found["frames"])
        told = ", ".join(f"{peak:.2f}" for peak in longest["tenths_gb"])
        print(f"Peaks of the longest run, by tenths of its time: {told} GB")


# ------------------------------------------------------------------ cases, each in its process


def _cases(
    sources: list[Path], folder: Path, arguments: argparse.Namespace
) -> Iterator[tuple[str, Path, bool]]:
    """Name, store, and whether the feature extractor is a stand-in, of each case."""
    _write_models(folder)
    for times in (1, arguments.times):
        if times:
            clips = [_repeated(path, folder, times) for path in sources]
            yield f"{times} x, stand-in", _new_store(clips, folder, f"x{times}"), True
    for frames in (arguments.full_frames // 10, arguments.full_frames):
        if frames:
            clips = [_shortened(path, folder, frames) for path in sources]
            yield f"{frames} frames, real", _new_store(clips, folder, f"first{frames}"), False


def _write_models(folder: Path) -> None:
    from infer import write_models

    write_models(folder, "fast", (224, 224))


def _repeated(source: Path, folder: Path, times: int) -> Path:
    """The same packets several times in a row."""
    if times == 1:
        return source
    target = folder / f"{source.stem}-x{times}.mp4"
    listing = target.with_suffix(".txt")
    listing.write_text(f"file '{source.resolve()}'\n" * times)
    _ffmpeg("-f", "concat", "-safe", "0", "-i", str(listing), "-c", "copy", str(target))
    return target


def _shortened(source: Path, folder: Path, frames: int) -> Path:
    target = folder / f"{source.stem}-{frames}.mp4"
    encode = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p")
    _ffmpeg("-i", str(source), "-frames:v", str(frames), *encode, str(target))
    return target


def _ffmpeg(*arguments: str) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *arguments]
    subprocess.run(command, check=True)


def _new_store(clips: list[Path], folder: Path, name: str) -> Path:
    """A store with one trial of these videos, side first."""
    import soupxr as sx

    session = folder / name / "videos" / "M1" / "S1"
    session.mkdir(parents=True)
    for view, clip in zip(("side", "front"), clips, strict=True):
        (session / f"clip_{view}_v001.mp4").symlink_to(clip.resolve())
    store = folder / name / "trials.zarr"
    ds = sx.create(store, data_root=session.parents[1])
    ds.soup.add_item("M1", progress=False)
    return store


# ------------------------------------------------------------------ measuring


def measure(store: Path, stand_in: bool) -> dict[str, Any]:
    """Run one case and watch it.

    Returns
    -------
    dict
        ``python_gb`` is the system's own mark of the process's highest resident memory where there
        is one. ``children_gb`` and ``peak_gb``, the sum of all, are sampled. ``tenths_gb`` are
        the peaks in each tenth of the time it took.
    """
    command = [sys.executable, __file__, "--child", str(store), *["--stand-in"] * stand_in]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    seen = _watch(psutil.Process(process.pid))
    told, _ = process.communicate()
    if process.returncode:
        sys.exit(f"the case failed with status {process.returncode}")
    own = json.loads(told)
    python = max(own["highest_bytes"], *(own for own, _ in seen))
    totals = [sum(both) for both in seen]
    return {
        "frames": own["frames"],
        "seconds": time.perf_counter() - started,
        "python_gb": python / GB,
        "children_gb": max(children for _, children in seen) / GB,
        "peak_gb": max(python, *totals) / GB,
        "tenths_gb": [max(part) / GB for part in _tenths(totals)],
    }


def _tenths(values: list[int]) -> Iterator[list[int]]:
    for tenth in range(10):
        start, stop = (len(values) * edge // 10 for edge in (tenth, tenth + 1))
        yield values[start : max(stop, start + 1)]


def _watch(process: psutil.Process) -> list[tuple[int, int]]:
    """Resident bytes of a process and of its children, again and again until it ends."""
    seen = [(0, 0)]
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        with suppress(psutil.NoSuchProcess):
            own = process.memory_info().rss
            seen.append((own, sum(_resident(child) for child in process.children(recursive=True))))
        time.sleep(SAMPLING_S)
    return seen


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


# ------------------------------------------------------------------ in the process that is watched


def _infer(store: Path, stand_in: bool) -> None:
    """Infer the store's only trial and tell the highest resident memory."""
    import soupxr as sx

    if stand_in:
        _put_stand_in()
    models = store.parents[1]
    done = sx.open(store).soup.infer(
        "fast",
        flow_model_in=models / "fast-flow_generator.ckpt",
        feature_model_in=models / "fast-feature_extractor.ckpt",
        sequence_model_in=models / "fast-sequence.ckpt",
        normalization="trial",
        device="cpu",
        progress=False,
    )
    frames = int(done.n_frames[0])
    print(json.dumps({"frames": frames, "highest_bytes": _highest_resident()}))


def _highest_resident() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 0


def _put_stand_in() -> None:
    """Let inference load, in place of the networks, something that answers with noise."""
    import torch

    from soupxr.inference import trial
    from soupxr.inference.engine import FeatureEngine, choose_device
    from soupxr.models.two_stream import TwoStreamOutput
    from soupxr.modes import MODES

    class StandIn(torch.nn.Module):
        mode, window = MODES["fast"], MODES["fast"].window

        def forward(self, windows: torch.Tensor) -> TwoStreamOutput:
            spatial, flow = torch.rand(2, len(windows), 512)
            return TwoStreamOutput(spatial[:, :7], spatial, flow, None, None, ())

    @lru_cache(maxsize=1)
    def stand_in(_flow: Any, _feature: Any, device: str, *others: Any) -> FeatureEngine:
        return FeatureEngine(StandIn(), choose_device(device), *others)

    trial._load_engine = stand_in


if __name__ == "__main__":
    main()
