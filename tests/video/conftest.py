"""Awkward films made on the spot, and the plain sequential decode they are compared with."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from pages import until
from processes import ffmpegs

Clip = Callable[[str], Path]
Oracle = Callable[..., list[int]]

SIZE = "96x64"
MOVING = ["-f", "lavfi", "-i", f"testsrc2=s={SIZE}:r=30:d=3"]
X264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "20", "-preset", "fast"]
X265 = ["-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params"]
OPEN_GOP = "keyint=20:min-keyint=20:bframes=4:open-gop=1:log-level=error"

# name: (ffmpeg arguments). Where the input is another clip, its name stands behind "@".
RECIPES: dict[str, list[str]] = {
    "plain.mp4": [*MOVING, *X264],
    "no_b_frames.mp4": [*MOVING, *X264, "-bf", "0"],
    "intra_only.avi": [*MOVING, "-c:v", "mjpeg", "-q:v", "5"],
    "ffv1.mkv": [*MOVING, "-c:v", "ffv1", "-g", "1"],
    "matroska.mkv": [*MOVING, *X264],
    "vfr.mp4": [*MOVING, "-vf", "select='gt(mod(n*n,7),1)'", "-fps_mode", "vfr", *X264],
    "vfr.mkv": [*MOVING, "-vf", "select='gt(mod(n*n,7),1)'", "-fps_mode", "vfr", *X264],
    "slow.mp4": [*MOVING, "-vf", "setpts=150*PTS", "-r", "0.2", *X264],
    "h264.avi": [*MOVING, *X264],
    "h264_no_b_frames.avi": [*MOVING, *X264, "-bf", "0"],
    "xvid.avi": [*MOVING, "-c:v", "libxvid", "-g", "20", "-bf", "2", "-b:v", "1M"],
    "mpeg4.avi": [*MOVING, "-c:v", "mpeg4", "-g", "20", "-b:v", "1M"],
    "mpeg4.mp4": [*MOVING, "-c:v", "mpeg4", "-g", "20", "-b:v", "1M"],
    "h264.ts": [*MOVING, *X264],
    "open_gop_h264.ts": [*MOVING, *X264, "-x264-params", "open-gop=1"],
    "open_gop_hevc.ts": [*MOVING, *X265, OPEN_GOP],
    "open_gop_hevc.mp4": [*MOVING, *X265, OPEN_GOP],
    "open_gop_hevc.mkv": [*MOVING, *X265, OPEN_GOP],
    "mpeg2.mpg": [*MOVING, "-c:v", "mpeg2video", "-g", "20", "-bf", "2", "-b:v", "2M"],
    "intra_refresh.mp4": [*MOVING, *X264, "-x264-params", "intra-refresh=1"],
    "interlaced.ts": [*MOVING, *X264, "-flags", "+ildct+ilme", "-x264-params", "tff=1"],
    "raw.h264": [*MOVING, *X264],
    "vp8.webm": [*MOVING, "-c:v", "libvpx", "-g", "20", "-b:v", "500k", "-cpu-used", "8"],
    "vp9.webm": [*MOVING, "-c:v", "libvpx-vp9", "-g", "20", "-b:v", "500k", "-cpu-used", "8"],
    "flash.flv": [*MOVING, *X264],
    "odd_height.avi": [*MOVING, "-vf", "crop=96:63:0:0:exact=1", "-c:v", "mjpeg"],
    "gray.mp4": [*MOVING, *X264, "-pix_fmt", "gray"],
    "full_range.mp4": [*MOVING, *X264, "-pix_fmt", "yuvj420p"],
    "yuv444p.mp4": [*MOVING, *X264, "-pix_fmt", "yuv444p"],
    "lossless.mp4": [*MOVING, *X264, "-qp", "0", "-pix_fmt", "yuv444p"],
    "square_no_more.mp4": [*MOVING, "-vf", "setsar=832/747", *X264],
    "with_sound.mp4": [*MOVING, "-f", "lavfi", "-i", "sine=d=3", *X264, "-c:a", "aac"],
    "one_frame.mp4": [*MOVING, "-frames:v", "1", *X264],
    "edit_list.mp4": ["-ss", "1.1", "-i", "@plain.mp4", "-c", "copy"],
    "edit_list_hevc.mp4": ["-ss", "1.1", "-i", "@open_gop_hevc.mp4", "-c", "copy"],
    "cut_open_gop.ts": ["-ss", "1.1", "-i", "@open_gop_h264.ts", "-c", "copy"],
    "rotated.mp4": ["-display_rotation", "90", "-i", "@plain.mp4", "-c", "copy"],
    "other_size.mp4": ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=30:d=3", *X264],
    "other_size.ts": ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=30:d=1", *X264],
    "ten_bits.mp4": [*MOVING, *X264, "-pix_fmt", "yuv420p10le"],
    "fragments.mp4": [*MOVING, *X264, "-movflags", "frag_keyframe+empty_moov"],
    "no_edit_list.mov": [*MOVING, *X264, "-use_editlist", "0"],
    "twice_the_same_time.mkv": [
        *[*MOVING, "-vf", "setpts='PTS-eq(N,40)'", "-fps_mode", "passthrough"],
        *["-enc_time_base", "-1", *X264, "-bf", "0"],
    ],
    "two_videos.mp4": ["-i", "@plain.mp4", "-i", "@longer.mp4", "-map", "0", "-map", "1"],
    "bgr.avi": [*MOVING, "-c:v", "rawvideo", "-pix_fmt", "bgr24"],
    "longer.mp4": ["-f", "lavfi", "-i", f"testsrc2=s={SIZE}:r=30:d=8", *X264],
}


# One after the other in one file, as some recorders make them: name: names of the parts.
STRUNG = {
    "two_sizes.ts": ["h264.ts", "other_size.ts"],
    "clock_starts_anew.ts": ["h264.ts", "h264.ts"],
}


def run_ffmpeg(*arguments: object) -> bytes:
    """Run ffmpeg, by itself as from a shell."""
    # The static build for Linux crashes on mpeg-ts unless it is kept from this machine's gconv.
    environment = os.environ | {"GCONV_PATH": os.devnull}
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "fatal", "-nostdin", "-y"]
    return subprocess.run(
        [*command, *map(str, arguments)], check=True, stdout=subprocess.PIPE, env=environment
    ).stdout


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Make a film by its recipe's name; each is made once."""
    shelf = tmp_path_factory.mktemp("clips")

    def make(name: str) -> Path:
        path = shelf / name
        if name in STRUNG and not path.exists():
            path.write_bytes(b"".join(make(part).read_bytes() for part in STRUNG[name]))
        elif not path.exists():
            arguments = [str(make(a[1:])) if a.startswith("@") else a for a in RECIPES[name]]
            run_ffmpeg(*arguments, path)
        return path

    return make


@pytest.fixture(scope="session")
def checksum() -> Callable[[np.ndarray], list[int]]:
    """Checksums of frames, as ffmpeg's framecrc makes them."""
    return lambda frames: [zlib.adler32(frame.tobytes(), 0) for frame in frames]


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """Checksums of the frames of a full sequential decode."""
    known: dict[tuple[Path, int | None], list[int]] = {}

    def decode(path: Path, limit: int | None = None) -> list[int]:
        if (path, limit) not in known:
            some = [] if limit is None else ["-frames:v", limit]
            known[path, limit] = _decoded(path, *some)
        return known[path, limit]

    return decode


@pytest.fixture(scope="session")
def some_frames() -> Callable[..., dict[int, int]]:
    """The same, of these frames and of any from the last of them on; others are only decoded."""

    def decode(path: Path, frames: set[int]) -> dict[int, int]:
        wanted = "+".join([*(f"eq(n,{n})" for n in sorted(frames)), f"gt(n,{max(frames)})"])
        checksums = _decoded(path, "-vf", f"select='{wanted}'")
        assert len(checksums) == len(frames), f"{path} goes on after frame {max(frames)}, or ends"
        return dict(zip(sorted(frames), checksums, strict=True))

    return decode


def _decoded(path: Path, *options: object) -> list[int]:
    """Checksums of the frames that ffmpeg decodes from the first on."""
    raw = ["-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "rgb24"]
    out = run_ffmpeg("-i", path, *raw, *options, "-c:v", "rawvideo", "-f", "framecrc", "-")
    rows = [line for line in out.decode().splitlines() if not line.startswith("#")]
    return [int(row.split(",")[5], 16) for row in rows]


@pytest.fixture
def running() -> Callable[[], list[psutil.Process]]:
    """ffmpeg processes below this one."""
    return ffmpegs


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The frames at which decoders were started."""
    from soupxr.video import reader

    seen: list[int] = []
    opened = reader.open_decoder

    def count(info, timeline, start):
        seen.append(start)
        return opened(info, timeline, start)

    monkeypatch.setattr(reader, "open_decoder", count)
    return seen


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Every test begins and ends without an ffmpeg, and without help from a collector to come."""
    if ffmpegs():  # of a test elsewhere, kept for a while in case they are asked for again
        _end_all()
    yield
    _end_all()


def _end_all() -> None:
    module = sys.modules.get("soupxr.video")
    if module is not None:
        module.close_all()
    gc.collect()
    until(lambda: not ffmpegs())
