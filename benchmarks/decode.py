"""How fast frames are read: against a bare ffmpeg pipe, and what a seek costs.

Run ``python benchmarks/decode.py``. It measures the real videos beside the checkout where they are
present, and films that it makes. Of several runs, alternating between the ways of reading so that
all suffer alike from whatever else the machine does, it reports the median.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from soupxr.video import VideoInfo, VideoReader, close_all, lazy_frames, probe

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL = (
    "mirror_full/180607_004_front.mp4",
    "originals/mirror_mouse_test_vid.mp4",
    "originals/openfield_cropped_video.mp4",
    "cylinder/M1/S1/cyl_front_v001.mp4",
)
MADE = {"testsrc2 640x480": ("640x480", 900), "testsrc2 1280x1024": ("1280x1024", 400)}
BLOCK = 64
BLOCK_BYTES = 32_000_000
GOAL = 0.9


def bare_pipe(info: VideoInfo) -> int:
    """Read what ffmpeg writes, into one buffer, and do nothing with it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", info.path]
    command += ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    buffer = memoryview(bytearray(info.frame_bytes))
    total = 0
    with subprocess.Popen([*command, "-"], stdout=subprocess.PIPE, bufsize=0) as process:
        while read := process.stdout.readinto(buffer):
            total += read
    assert total == info.n_frames * info.frame_bytes
    return info.n_frames


def _block(info: VideoInfo) -> int:
    return min(BLOCK, max(1, BLOCK_BYTES // info.frame_bytes))


def reader(info: VideoInfo) -> int:
    """Read block by block, each into an array of its own."""
    with VideoReader(info.path, info) as video:
        for start in range(0, len(video), _block(info)):
            video.read(start, min(start + _block(info), len(video)))
    return info.n_frames


def reader_into(info: VideoInfo) -> int:
    """Read block by block into one array."""
    with VideoReader(info.path, info) as video:
        out = np.empty((_block(info), *video.shape[1:]), np.uint8)
        for start in range(0, len(video), len(out)):
            stop = min(start + len(out), len(video))
            video.read(start, stop, out=out[: stop - start])
    return info.n_frames


def dask_blocks(info: VideoInfo) -> int:
    """Compute the blocks of a lazy array one after the other."""
    frames = lazy_frames([info.path], info.n_frames, [info])
    for index in range(frames.numblocks[0]):
        frames.blocks[index].compute(scheduler="synchronous")
    close_all()
    return info.n_frames


WAYS: dict[str, Callable[[VideoInfo], int]] = {
    "bare pipe": bare_pipe,
    "reader": reader,
    "reader, one array": reader_into,
    "dask, block by block": dask_blocks,
}


def measure_ways(info: VideoInfo, runs: int) -> dict[str, float]:
    """Median frames a second of each way of reading a whole video."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    bare_pipe(info)  # the file is in memory from here on
    for run in range(runs):
        ways = list(WAYS)
        random.Random(run).shuffle(ways)
        for way in ways:
            start = time.perf_counter()
            WAYS[way](info)
            seconds[way].append(time.perf_counter() - start)
    return {way: info.n_frames / statistics.median(times) for way, times in seconds.items()}


def measure_seeks(info: VideoInfo, n: int) -> dict[str, float]:
    """Median milliseconds to open the file at a random frame, and to start it at the first."""
    choose = random.Random(0)
    times: dict[str, list[float]] = {"first": [], "random": []}
    for _ in range(n):
        for kind, frame in (("first", 0), ("random", choose.randrange(info.n_frames))):
            with VideoReader(info.path, info) as video:
                start = time.perf_counter()
                video.read(frame, frame + 1)
                times[kind].append(1000 * (time.perf_counter() - start))
    return {kind: statistics.median(values) for kind, values in times.items()}


def make_film(folder: Path, size: str, n_frames: int) -> Path:
    """Encode a moving test picture to H.264."""
    path = folder / f"{size}.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi"]
    command += ["-i", f"testsrc2=s={size}:r=30", "-frames:v", str(n_frames), "-c:v", "libx264"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


def _films(folder: Path) -> dict[str, Path]:
    found = {name: DATA / name for name in REAL if (DATA / name).is_file()}
    return found | {name: make_film(folder, *facts) for name, facts in MADE.items()}


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each way (default: 5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    results = []
    print(f"{os.cpu_count()} processors, {platform.platform()}; median of {options.runs} runs\n")
    print(f"{'video':38}{'frames':>7}{'MB/frame':>9}", *[f"{way:>21}" for way in WAYS], sep="")
    with tempfile.TemporaryDirectory() as folder:
        for name, path in _films(Path(folder)).items():
            info = probe(path)
            rates = measure_ways(info, options.runs)
            seeks = measure_seeks(info, 2 * options.runs)
            told = [f"{rate:9.0f}/s  x{rate / rates['bare pipe']:5.2f} " for rate in rates.values()]
            told = [f"{text:>21}" for text in told]
            print(f"{name:38}{info.n_frames:7}{info.frame_bytes / 1e6:9.2f}", *told, sep="")
            print(f"{'':38}   open at frame 0: {seeks['first']:.0f} ms; ", end="")
            print(f"at a random frame: {seeks['random']:.0f} ms")
            results.append({"video": name, "frames": info.n_frames, "frames_per_s": rates} | seeks)
    ratios = [r["frames_per_s"]["reader"] / r["frames_per_s"]["bare pipe"] for r in results]
    print(f"\nreader / bare pipe: median {statistics.median(ratios):.2f}, ", end="")
    print(f"least {min(ratios):.2f}; the goal is {GOAL}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
