"""Undo: the one way to change a mask, which remembers the way back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Changed", "History", "Mask", "Patch", "Stretch"]

Mask = NDArray[np.int8]
#: Behaviors, in ascending order, that an edit changed; empty where it changed nothing.
Changed = tuple[int, ...]


class Stretch(NamedTuple):
    """Frames ``[start, stop)``."""

    start: int
    stop: int


class History:
    """The one way to change the rows (behavior, frame) of a mask, and the way back."""

    def __init__(self, rows: Mask) -> None:
        self.version = 0
        self.undone_by: list[list[Patch]] = []
        self.redone_by: list[list[Patch]] = []
        self._rows = rows

    def write(self, pieces: Iterable[tuple[int, Stretch, np.int8 | Mask]]) -> Changed:
        """Put values into stretches of different behaviors, as one step."""
        step = []
        for behavior, (start, stop), values in pieces:
            frames = self._rows[behavior, start:stop]
            differing = np.flatnonzero(frames != values)
            if differing.size:
                first, last = int(differing[0]), int(differing[-1])
                step.append(Patch.of(behavior, start + first, frames[first : last + 1]))
                frames[...] = values
        if step:
            self.undone_by.append(step)
            self.redone_by.clear()
            self.version += 1
        return tuple(patch.behavior for patch in step)

    def undo(self) -> Changed:
        """Take the last step back."""
        return self._swap(self.undone_by, self.redone_by)

    def redo(self) -> Changed:
        """Take the step again that was taken back last."""
        return self._swap(self.redone_by, self.undone_by)

    def _swap(self, taken: list[list[Patch]], given: list[list[Patch]]) -> Changed:
        """Apply the last step of one stack, and put its inverse on the other."""
        if not taken:
            return ()
        step = taken.pop()
        given.append([patch.swap(self._rows) for patch in step])
        self.version += 1
        return tuple(patch.behavior for patch in step)


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Values of one behavior from a frame on, as runs: a step of undo costs what it changed."""

    behavior: int
    start: int
    values: Mask
    lengths: NDArray[np.int32] | int

    @classmethod
    def of(cls, behavior: int, start: int, frames: Mask) -> Patch:
        """Remember frames, of which there is at least one."""
        bounds = np.flatnonzero(frames[1:] != frames[:-1]) + 1
        first = np.concatenate([[0], bounds])
        lengths = np.diff(first, append=len(frames)).astype(np.int32)
        if lengths.nbytes + len(lengths) > frames.nbytes:
            return cls(behavior, start, frames.copy(), 1)
        return cls(behavior, start, frames[first], lengths)

    def swap(self, rows: Mask) -> Patch:
        """Put the values into the mask's rows, and remember those that were there."""
        values = np.repeat(self.values, self.lengths)
        frames = rows[self.behavior, self.start : self.start + len(values)]
        inverse = Patch.of(self.behavior, self.start, frames)
        frames[...] = values
        return inverse
