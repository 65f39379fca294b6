"""Running decoders of this process, shared by all lazy arrays.

Blocks of a lazy array know only a path and a range of frames. So that blocks computed one after
the other continue one decoder, readers wait here between blocks. A reader is lent to one block at
a time. A block that begins where a reader will be when it comes back waits for it, which costs
nothing that a second decoder would not cost as well; a block elsewhere gets a reader of its own.

A reader that is not asked for again is closed after ``IDLE_SECONDS``, so no ffmpeg outlives its
last use by more than about twice that.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from soupxr.video.probe import VideoInfo
from soupxr.video.reader import VideoReader

__all__ = ["Pool", "close_all", "this_process"]

IDLE_SECONDS = 10.0
MAX_OPEN = 8


class _Lane:
    """A reader, and the blocks that wait for it in line."""

    def __init__(self, info: VideoInfo) -> None:
        self.reader = VideoReader(info.path, info)
        self.key = _key(info)
        self.end = 0  # where the reader will stand when all in line have read
        self.line: deque[object] = deque()
        self.used = time.monotonic()

    @property
    def idle(self) -> bool:
        return not self.line

    def suits(self, key: object, start: int) -> bool:
        """Whether a block that begins at `start` had better wait for this reader."""
        if self.key != key:
            return False
        return self.end == start or (self.idle and self.reader.reads_on_to(start))


def _key(info: VideoInfo) -> object:
    return (info.path, info.mtime_ns, info.n_bytes)


class Pool:
    """Readers kept between blocks; see the module's text.

    Parameters
    ----------
    max_open : int, optional
        Readers kept; more are open only while more blocks are being read at once.
    idle_seconds : float, optional
        How long one is kept unused.
    """

    def __init__(self, max_open: int = MAX_OPEN, idle_seconds: float = IDLE_SECONDS) -> None:
        self._max_open, self._idle_seconds = max_open, idle_seconds
        self._lanes: list[_Lane] = []
        self._changed = threading.Condition()
        self._sweeper: threading.Timer | None = None

    @contextmanager
    def lend(self, info: VideoInfo, start: int, stop: int) -> Iterator[VideoReader]:
        """Lend a reader to read frames `start` to `stop`, for the length of a ``with`` block."""
        ticket = object()
        with self._changed:
            lane = self._lane_for(info, start)
            lane.end = stop
            lane.line.append(ticket)
        try:
            with self._changed:
                self._changed.wait_for(lambda: lane.line[0] is ticket)
            yield lane.reader
        finally:
            with self._changed:
                lane.line.remove(ticket)
                lane.used = time.monotonic()
                if lane.idle and lane.reader.position is None:
                    self._drop(lane)
                self._sweep_later()
                self._changed.notify_all()

    def close_all(self) -> None:
        """Close every reader that is not lent out at this moment."""
        with self._changed:
            self._close_idle(older_than=0.0)

    def __len__(self) -> int:
        return len(self._lanes)

    def _lane_for(self, info: VideoInfo, start: int) -> _Lane:
        suitable = [lane for lane in self._lanes if lane.suits(_key(info), start)]
        if suitable:
            return max(suitable, key=lambda lane: lane.end)
        self._make_room()
        lane = _Lane(info)
        self._lanes.append(lane)
        return lane

    def _make_room(self) -> None:
        idle = sorted((lane for lane in self._lanes if lane.idle), key=lambda lane: lane.used)
        for lane in idle[: max(0, len(self._lanes) - self._max_open + 1)]:
            self._drop(lane)

    def _drop(self, lane: _Lane) -> None:
        self._lanes.remove(lane)
        lane.reader.close()

    def _close_idle(self, older_than: float) -> None:
        now = time.monotonic()
        for lane in [lane for lane in self._lanes if lane.idle]:
            if now - lane.used >= older_than:
                self._drop(lane)

    def _sweep_later(self) -> None:
        if self._sweeper is not None or not self._lanes:
            return
        self._sweeper = threading.Timer(self._idle_seconds, self._sweep)
        self._sweeper.name = "soupxr-decoder-sweeper"
        self._sweeper.daemon = True
        self._sweeper.start()

    def _sweep(self) -> None:
        with self._changed:
            self._sweeper = None
            self._close_idle(older_than=self._idle_seconds)
            self._sweep_later()


_POOLS: dict[int, Pool] = {}


def this_process() -> Pool:
    """The pool of this process; a forked child does not take over its parent's."""
    mine = os.getpid()
    for pid in [pid for pid in _POOLS if pid != mine]:
        _POOLS.pop(pid, None)
    return _POOLS.setdefault(mine, Pool())


def close_all() -> None:
    """Close the decoders that wait for the next block of a lazy array, in this process."""
    this_process().close_all()
