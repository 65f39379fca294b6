"""A trial's videos as a page reads them: at one place at a time, in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt

from soupxr.video.frames import FrameSource
from soupxr.video.pool import this_process
from soupxr.video.reader import VideoReader

__all__ = ["BLOCK_FRAMES", "JOINED", "Decoding"]

#: Name of the picture of all views side by side.
JOINED = "joined"

# Four frames of 2656x1048, or whoever comes next would wait too long; a page that has one frame
# asks for the three on either side. And two dozen, which take about as long as the seek to them.
PIECE_FRAMES, PIECE_BYTES = 16, 33_500_000
BLOCK_FRAMES, BLOCK_BYTES = 32, 200_000_000

Frames = npt.NDArray[np.uint8]


class Decoding:
    """Reads a trial's frames; for one thread.

    Parameters
    ----------
    source : FrameSource
        The videos.
    views : sequence of str
        Names of the views, left to right.

    Attributes
    ----------
    at : int or None
        The frame before which decoders stand; None where none is running.
    kept : range
        Frames of which one can be had again without reading.
    piece : int
        Frames to read at once.
    block : int
        Frames to read for each seek on the way back.
    boxes : dict of str to tuple of slice
        Where each view lies in the joined picture.
    """

    def __init__(self, source: FrameSource, views: Sequence[str]) -> None:
        self._source = source
        self._n_frames, height, width, _ = source.shape
        self._closer = ThreadPoolExecutor(1, thread_name_prefix="soupxr-frames-closer")
        self._pictures = np.empty((0, height, width, 3), np.uint8)
        self.kept = range(0)
        self.at: int | None = None
        frame_bytes = height * width * 3
        self.piece = min(PIECE_FRAMES, max(1, PIECE_BYTES // frame_bytes))
        self.block = min(BLOCK_FRAMES, max(self.piece, BLOCK_BYTES // frame_bytes))
        self.boxes = {JOINED: (slice(height), slice(width))}
        right = 0
        for name, info in zip(views, source.infos, strict=True):
            left, right = right, right + info.width
            self.boxes[name] = (slice(info.height), slice(left, right))

    def read(self, frames: range, *, wanted: bool) -> Frames:
        """Read frames, joined.

        Parameters
        ----------
        frames : range
            Which, one or more, in order and without gaps.
        wanted : bool
            Whether somebody waits for them. They are kept until others are, for when another
            view of one is asked for.

        Returns
        -------
        array of uint8, shape (frame, height, width, 3)

        Raises
        ------
        VideoError
            If one of them cannot be read.
        """
        if wanted and len(frames) == 1 and frames[0] in self.kept:
            row = self.kept.index(frames[0])
            return self._pictures[row : row + 1]
        if self.at != frames.start:
            self._end_decoders()
        self.at = frames.stop
        try:
            pictures = self._source.read(frames.start, frames.stop)
        except BaseException:
            self._end_decoders()
            raise
        if self.at == self._n_frames:
            self.at = None  # the source ends them with the last frame
        if wanted:
            self.kept, self._pictures = frames, pictures
        return pictures

    def close(self) -> None:
        """End the decoders."""
        self._end_decoders()
        self._closer.shutdown()

    def _end_decoders(self) -> None:
        """End those that stand where we have been.

        The pool would keep them for seconds, each with a hundred megabytes of its own, and on a
        jump forward might read through to its frame where a seek is faster. To end one takes tens
        of milliseconds, which a jump need not wait for: once lent, it is out of the way.
        """
        at, self.at = self.at, None
        if at is None:
            return
        for info in self._source.infos:
            lent = ExitStack()
            reader = lent.enter_context(this_process().lend(info, at, at))
            self._closer.submit(_end, reader, lent)


def _end(reader: VideoReader, lent: ExitStack) -> None:
    with lent:
        reader.close()
