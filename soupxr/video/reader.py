"""The frame-exact reader of one video."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, expected
from soupxr.video import faults
from soupxr.video.decoder import Decoder, open_decoder
from soupxr.video.patience import in_time
from soupxr.video.probe import VideoInfo, count_by_decoding, probe
from soupxr.video.timeline import Timeline

__all__ = ["VideoReader"]

Frames = npt.NDArray[np.uint8]

# Starting a decoder takes as long as decoding about this many bytes of frames (measured by
# benchmarks/decode.py): a seek that saves less is not worth it.
BYTES_WORTH_A_SEEK = 32_000_000
SAMPLE_BYTES = 32_000_000
SKIP_BYTES = 8_000_000


class VideoReader:
    """Reads any frames of a video, exactly.

    Reading on from where the last read ended continues the same decoder. Threads may share a
    reader: they take turns. A reader can be pickled; it opens the file again where it arrives.

    Parameters
    ----------
    path : path
        A video file.
    info : VideoInfo, optional
        Its facts, if it has been probed before; else it is probed now.

    Examples
    --------
    >>> with VideoReader("trial.mp4") as video:  # doctest: +SKIP
    ...     first = video.read(0, 16)
    """

    def __init__(self, path: str | os.PathLike[str], info: VideoInfo | None = None) -> None:
        self.info = probe(path) if info is None else info
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._decoder: Decoder | None = None
        self._timeline: Timeline | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()

    # -------------------------------------------------------------- facts

    def __len__(self) -> int:
        return self.info.n_frames

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Frames, height, width, channels."""
        return (self.info.n_frames, self.info.height, self.info.width, 3)

    def __repr__(self) -> str:
        return f"VideoReader({self.info.path!r}, shape={self.shape})"

    @property
    def position(self) -> int | None:
        """The frame before which a decoder stands; None where none is running."""
        decoder = self._decoder
        return None if decoder is None else decoder.position

    # -------------------------------------------------------------- reading

    def read(self, start: int, stop: int, *, out: Frames | None = None) -> Frames:
        """Read frames ``start`` up to but not including ``stop``.

        Parameters
        ----------
        start, stop : int
            Frame numbers, ``0 <= start <= stop <= len(self)``.
        out : array of uint8, shape (stop - start, height, width, 3), C-contiguous, optional
            Receives the frames, instead of a new array.

        Returns
        -------
        array of uint8, shape (stop - start, height, width, 3)
            RGB.

        Raises
        ------
        ArgumentError
            If the video has no such frames.
        VideoError
            If the file has changed, is damaged, or brings nothing for too long.
        """
        start, stop = self._range(start, stop)
        shape = (stop - start, *self.shape[1:])
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            came = f"{out.dtype} {out.shape}"
            raise ArgumentError(expected("out", f"a C-contiguous array of uint8 {shape}", came))
        if start == stop:
            return out
        if self._pid != os.getpid():
            self._start_afresh()  # forked: the decoder and the lock are our parent's
        with self._lock:
            try:
                self._fill(start, out)
            except BaseException:
                self._stop()
                raise
            if stop == self.info.n_frames:
                self._stop()
        return out

    def sample(
        self, every: int = 10, *, start: int = 0, stop: int | None = None
    ) -> Iterator[Frames]:
        """Go through every n-th frame, in blocks of bounded size.

        Parameters
        ----------
        every : int, optional
            Step between frames. Default: 10.
        start, stop : int, optional
            First frame, and the frame before which to end. Default: the whole video.

        Yields
        ------
        array of uint8, shape (frames, height, width, 3)
            Frames ``start``, ``start + every``, ... in order; about 32 MB at most.
        """
        if every < 1:
            raise ArgumentError(expected("every", "a whole number from 1", every))
        start, stop = self._range(start, len(self) if stop is None else stop)
        wanted = range(start, stop, every)
        size = max(1, SAMPLE_BYTES // self.info.frame_bytes)
        for at in range(0, len(wanted), size):
            block = wanted[at : at + size]
            if every == 1:
                yield self.read(block[0], block[-1] + 1)
                continue
            out = np.empty((len(block), *self.shape[1:]), np.uint8)
            for row, frame in enumerate(block):
                self.read(frame, frame + 1, out=out[row : row + 1])
            yield out

    def _range(self, start: int, stop: int) -> tuple[int, int]:
        start, stop = int(start), int(stop)
        if not 0 <= start <= stop <= len(self):
            raise ArgumentError(
                expected("start, stop", f"0 <= start <= stop <= {len(self)} frames", (start, stop))
                + f" The video is {self.info.path}."
            )
        return start, stop

    # -------------------------------------------------------------- decoders

    def _fill(self, start: int, out: Frames) -> None:
        try:
            self._stand_before(start).read_into(out)
        except faults.Damaged:
            self._stop()
            self._check_file()
            if self.info.seekable and count_by_decoding(self.info.path) != len(self):
                raise
            self._go_by_count()
            # ffmpeg forgets how many frames it has dropped when they change their size half way.
            # Taking them all from the first is slow, and does not depend on anything.
            self._decoder = open_decoder(self.info, None, 0)
            self._stand_before(start).read_into(out)

    def _go_by_count(self) -> None:
        """Stop relying on times: all frames are there, but not at the times of the packets."""
        if self.info.seekable:
            reason = "its pictures do not carry the times of their packets"
            self.info = replace(self.info, scan_reason=reason, timeline=b"")
            self._timeline = None

    def reads_on_to(self, start: int) -> bool:
        """Whether the running decoder is the cheapest way to a frame."""
        decoder = self._decoder
        if decoder is None or start < decoder.position:
            return False
        if start == decoder.position or self._timeline is None:
            return True
        saved = self._timeline.key_frame(start) - decoder.position
        return saved * self.info.frame_bytes <= BYTES_WORTH_A_SEEK

    def _stand_before(self, start: int) -> Decoder:
        """A decoder whose next frame is `start`."""
        if not self.reads_on_to(start):
            self._stop()
            self._open_file()
            self._decoder = open_decoder(self.info, self._timeline, start)
        assert self._decoder is not None
        self._read_through(self._decoder, start)
        return self._decoder

    def _read_through(self, decoder: Decoder, start: int) -> None:
        if decoder.position == start:
            return
        size = max(1, SKIP_BYTES // self.info.frame_bytes)
        waste = np.empty((min(size, start - decoder.position), *self.shape[1:]), np.uint8)
        while decoder.position < start:
            decoder.read_into(waste[: start - decoder.position])

    def _open_file(self) -> None:
        self._check_file()
        if self.info.seekable and self._timeline is None:
            self._timeline = Timeline.unpack(self.info.timeline)

    def _check_file(self) -> None:
        """See that the file is still the one that was probed."""
        was = self.info
        facts = in_time(was.path, lambda: faults.check_file(was.path))
        if (facts.st_size, facts.st_mtime_ns) == (was.n_bytes, was.mtime_ns):
            return
        now = probe(was.path)
        if _outline(now) != _outline(was):
            raise faults.changed(was.path, _told(was), _told(now))
        # The same video under another date, such as a copy on another machine.
        self.info = replace(was, mtime_ns=now.mtime_ns)

    def _stop(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()

    # -------------------------------------------------------------- ending, travelling

    def close(self) -> None:
        """End the decoder, if one runs. The reader can be used again; it then starts another."""
        if self._pid != os.getpid():
            self._start_afresh()
        with self._lock:
            self._stop()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> VideoInfo:
        return self.info

    def __setstate__(self, info: VideoInfo) -> None:
        self.info = info
        self._start_afresh()


def _outline(info: VideoInfo) -> tuple[int, ...]:
    return (info.n_bytes, info.n_frames, info.height, info.width)


def _told(info: VideoInfo) -> str:
    return f"{info.n_frames} frames of {info.width}x{info.height} pixels in {info.n_bytes} bytes"
