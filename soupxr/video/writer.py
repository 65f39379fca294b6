"""Writes frames as a video that plays anywhere: mp4, H.264, 4:2:0, the index in front."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, VideoError, expected
from soupxr.video import ffmpeg

__all__ = ["VideoWriter"]

LINES_KEPT = 50


class VideoWriter:
    """One ffmpeg that encodes the frames it is given, each once.

    Use it as a context manager; leaving it by an exception ends ffmpeg and leaves a useless file.

    Parameters
    ----------
    path : Path
        File to write; what is there is replaced.
    height, width : int
        Of the frames, in pixels; both even, as 4:2:0 wants.
    fps : float
        Frames that a player shows in a second.
    metadata : mapping of str to str
        What mp4 keeps: ``title``, ``comment``.
    quality : int
        Of libx264, 0 (lossless) to 51; 18 can hardly be told from the original.

    Raises
    ------
    VideoError
        If ffmpeg cannot write the file; says why.
    """

    def __init__(
        self,
        path: Path,
        height: int,
        width: int,
        fps: float,
        metadata: Mapping[str, str] | None = None,
        quality: int = 18,
    ) -> None:
        if height % 2 or width % 2:
            raise ArgumentError(expected("height, width", "even numbers", (height, width)))
        self.path, self.shape = path, (height, width, 3)
        rate = Fraction(fps).limit_denominator(1_000_000)
        own_group: dict[str, Any] = (
            {"creationflags": 0x08000200} if sys.platform == "win32" else {"process_group": 0}
        )
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [
                ffmpeg._executable(),
                *("-hide_banner", "-nostats", "-loglevel", "warning"),
                *("-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{width}x{height}"),
                *("-framerate", f"{rate.numerator}/{rate.denominator}", "-i", "pipe:0"),
                # Players take pictures of this size for bt709; untold, some would shift colours.
                *("-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"),
                *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
                *("-color_range", "tv", "-c:v", "libx264", "-crf", str(quality)),
                *("-profile:v", "high", "-fps_mode", "passthrough", "-movflags", "+faststart"),
                *(word for item in (metadata or {}).items() for word in _metadata(*item)),
                *("-f", "mp4", "-y", f"file:{path}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=ffmpeg._environment(),
            **own_group,
        )
        self._words: deque[str] = deque(maxlen=LINES_KEPT)
        assert self._process.stderr is not None
        self._ear = threading.Thread(
            target=self._listen, args=(self._process.stderr,), daemon=True, name="soupxr-ffmpeg"
        )
        self._ear.start()

    def _listen(self, stream: Any) -> None:
        with (
            contextlib.suppress(OSError, ValueError),
            io.TextIOWrapper(stream, errors="replace") as lines,
        ):
            self._words.extend(line.rstrip() for line in lines)

    def write(self, frame: npt.NDArray[np.uint8]) -> None:
        """Encode the next frame, uint8 (height, width, 3), RGB."""
        if frame.shape != self.shape or frame.dtype != np.uint8:
            came = f"{frame.dtype} {frame.shape}"
            raise ArgumentError(expected("frame", f"uint8 {self.shape}", came))
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except (BrokenPipeError, OSError):
            raise self._failed() from None

    def close(self) -> None:
        """Finish the file.

        Raises
        ------
        VideoError
            If ffmpeg could not.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if self._process.wait() != 0:
            raise self._failed()
        self._ear.join()

    def _failed(self) -> VideoError:
        self.abandon()
        told = "; ".join(list(self._words)[-3:]) or "it does not say why"
        return VideoError(
            f"{self.path}: the video cannot be written ({told}). "
            "Check the disk's free space and your permission to write there."
        )

    def abandon(self) -> None:
        """End ffmpeg, whatever it has done. Safe to call again."""
        self._process.kill()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.wait()
        self._ear.join()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def _metadata(name: str, value: str) -> tuple[str, str]:
    return "-metadata", f"{name}={value}"
