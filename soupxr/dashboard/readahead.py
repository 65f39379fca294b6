"""Which frames to read next, from where the page is and where the decoders stand. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from soupxr.dashboard.jpegs import JpegCache

__all__ = ["FAR_FRAMES", "Head", "Plan"]

NEAR_FRAMES = 32
FAR_FRAMES = 128
AHEAD_FRAMES = 64
PLAYING_SECONDS = 1.0


class Standing(Protocol):
    """Where decoders stand, and how much is read at once; see ``Decoding``."""

    at: int | None
    piece: int
    block: int


@dataclass(frozen=True)
class Head:
    """Where the page is.

    Parameters
    ----------
    frame : int
        The frame that is on screen, or about to be.
    view : str
        In which view.
    back : bool
        Whether it goes backwards.
    playing : bool
        Whether it plays.
    since : float
        When it came here, in seconds.
    """

    frame: int
    view: str
    back: bool
    playing: bool
    since: float


class Plan:
    """Chooses pieces to read: for one who waits, and ahead of the page while nobody does.

    Parameters
    ----------
    cache : JpegCache
        What need not be read.
    n_frames : int
        Frames of the trial.

    Attributes
    ----------
    head : Head or None
        Where the page is.
    """

    def __init__(self, cache: JpegCache, n_frames: int) -> None:
        self._cache, self._n_frames = cache, n_frames
        self._doubtful: set[int] = set()
        self.head: Head | None = None

    def goes_back(self, frame: int, direction: int) -> bool:
        """Whether the page goes backwards if it wants a frame now."""
        head = self.head
        if direction or head is None or head.playing:
            return direction < 0
        return 0 < head.frame - frame <= NEAR_FRAMES

    def doubt(self, frames: Iterable[int]) -> None:
        """Note frames of which one or more cannot be read: each is to be tried alone."""
        self._doubtful.update(frames)

    def toward(self, standing: Standing, frame: int, size: int) -> range:
        """The piece to read next so as to come to `frame`, the last of at most `size` frames."""
        if frame in self._doubtful:
            return range(frame, frame + 1)
        start = standing.at
        if start is None or not start <= frame < start + standing.block:
            start, size = frame, min(size, self._cache.room)
            for other in range(frame - 1, max(-1, frame - size), -1):
                if other in self._doubtful:
                    break
                start = start if self.holds(other) else other
        return range(start, min(start + standing.piece, frame + 1))

    def ahead(self, standing: Standing, now: float) -> range | None:
        """The piece to read so that coming frames are there in time; None where they are."""
        head = self.head
        if head is None or (head.playing and now - head.since > PLAYING_SECONDS):
            return None
        step = standing.block if head.back else standing.piece
        reach = min(AHEAD_FRAMES if head.playing else 2 * step, self._cache.room)
        way = range(head.frame - 1, -1, -1) if head.back else range(head.frame + 1, self._n_frames)
        # By steps, or a single frame would be read with every one that is shown.
        near = way[: max(0, reach - step)]
        at = next((at for at, frame in enumerate(near) if not self.holds(frame)), None)
        if at is None or way[at] in self._doubtful:
            return None
        if head.back:
            return self.toward(standing, way[at], step)
        last = way[at]
        for frame in way[at : at + step]:
            if frame in self._doubtful:
                break
            last = frame
        return self.toward(standing, last, last - way[at] + 1)

    def holds(self, frame: int) -> bool:
        """Whether a frame is there, as the page shows frames."""
        return self.head is not None and (frame, self.head.view) in self._cache

    def is_left(self, frame: int) -> bool:
        """Whether the page has left a frame behind that was read on the way to another."""
        head = self.head
        if head is None or not head.playing:
            return head is not None and abs(head.frame - frame) > FAR_FRAMES
        return frame > head.frame if head.back else frame < head.frame
