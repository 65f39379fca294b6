"""The ethogram of one trial while it is edited: mask, region, current behavior, undo. Pure.

Pages draw what is here and keep no mask of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soupxr.bouts import mask_to_bouts
from soupxr.dashboard.history import Changed, History, Mask, Stretch
from soupxr.errors import ArgumentError, expected

__all__ = ["Edit", "Stretch"]

VALUES = (1, 0, -1)

T = TypeVar("T", bound=np.generic)


class Edit:
    """A trial's ethogram and what is being done to it.

    What changes the mask returns the indices of the behaviors that it changed. What changes
    nothing makes neither a step for :meth:`undo` nor a new version. Behaviors are given by index
    or by name. Not for several threads at once.

    Parameters
    ----------
    mask : array_like, (n_frames, n_behaviors)
        1 occurs, 0 does not, −1 unlabelled; copied. What :meth:`reset` goes back to.
    behaviors : sequence of str
        Names, in the order of the mask.
    seen : array_like of bool, (n_frames,), optional
        Frames that were looked at before; copied. Default: none.

    Raises
    ------
    ArgumentError
        If shapes, values or names do not fit.
    """

    def __init__(
        self, mask: ArrayLike, behaviors: Sequence[str], *, seen: ArrayLike | None = None
    ) -> None:
        self._behaviors = _checked_names(behaviors)
        values = _checked_mask(mask, len(self._behaviors))
        self._n_frames = len(values)
        # One row a behavior in memory: edits, undo and bouts go along frames.
        self._rows = np.ascontiguousarray(values.T)
        self._opened = _read_only(self._rows.copy())
        self._history = History(self._rows)
        self._seen = _checked_seen(seen, self._n_frames)
        self._current = 0
        self._region: Stretch | None = None

    # ---------------------------------------------------------------- what there is

    @property
    def mask(self) -> Mask:
        """The ethogram now, (n_frames, n_behaviors): a read-only view that follows the edits."""
        return _read_only(self._rows.T)

    @property
    def original(self) -> Mask:
        """The ethogram when the trial was opened, (n_frames, n_behaviors), read-only."""
        return self._opened.T

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Frames that were looked at, (n_frames,): a read-only view that follows."""
        return _read_only(self._seen)

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Names, in the order of the mask."""
        return self._behaviors

    @property
    def n_frames(self) -> int:
        """Frames of the trial."""
        return self._n_frames

    @property
    def current(self) -> int:
        """Index of the behavior that is edited."""
        return self._current

    @property
    def region(self) -> Stretch | None:
        """Frames that are edited, at least one; None where none are selected."""
        return self._region

    @property
    def version(self) -> int:
        """Counts the changes of the mask, undo and redo among them."""
        return self._history.version

    @property
    def is_changed(self) -> bool:
        """Whether the mask differs from what it was when the trial was opened."""
        return not np.array_equal(self._rows, self._opened)

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._history.undone_by)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to make again."""
        return bool(self._history.redone_by)

    def bouts(self, behavior: int | str, value: int = 1) -> list[int]:
        """Stretches of a behavior that have a value, flat: ``[start, stop, start, stop, …]``."""
        return _flat(self._rows[self._index(behavior)] == _checked_value(value))

    # ---------------------------------------------------------------- what is selected

    def select(self, behavior: int | str) -> None:
        """Make a behavior the current one."""
        self._current = self._index(behavior)

    def cycle(self, step: int) -> None:
        """Go so many behaviors down, or up where negative, around the ends."""
        self._current = (self._current + step) % len(self._behaviors)

    def set_region(self, start: float, stop: float) -> None:
        """Select frames, as a drag gives them.

        Parameters
        ----------
        start, stop : float
            Frame boundaries in any order. They are clipped to the trial and rounded; where no
            frame is left, the one under their middle is taken. A trial without frames has no
            region.
        """
        low, high = sorted((self._inside("start", start), self._inside("stop", stop)))
        first, last = _rounded(low), _rounded(high)
        if first == last:
            first = min(math.floor((low + high) / 2), self._n_frames - 1)
            last = first + 1
        self._region = Stretch(first, last) if self._n_frames else None

    def clear_region(self) -> None:
        """Select no frames."""
        self._region = None

    def region_edge(self, which: Literal["start", "stop"], frame: float) -> None:
        """Let the region start with a frame, or stop after it.

        Without a region, one is made from the frame to the trial's end, or from the trial's start
        up to and with the frame. Where the other edge leaves nothing, the region is the frame.
        """
        if which not in ("start", "stop"):
            raise ArgumentError(expected("which", "'start' or 'stop'", which))
        at = _rounded(self._inside("frame", frame))
        start, stop = self._region or (0, self._n_frames)
        if which == "start":
            self.set_region(at, max(stop, at + 1))
        else:
            self.set_region(min(start, at), at + 1)

    def select_bout(self, behavior: int | str, frame: float) -> bool:
        """Make the bout at a frame the region and its behavior the current one.

        Returns
        -------
        bool
            False where the behavior does not occur; then nothing is selected anew.
        """
        index = self._index(behavior)
        starts, stops = mask_to_bouts(self._rows[index]).T
        place = int(np.searchsorted(starts, frame, side="right")) - 1
        if place < 0 or frame >= stops[place]:
            return False
        self._current, self._region = index, Stretch(int(starts[place]), int(stops[place]))
        return True

    def next_edge(self, frame: float, step: int = 1) -> int | None:
        """Frame at which an edge of the current behavior's bouts is seen.

        Each bout has two such frames: its first and its last. A bout of one frame has one.

        Parameters
        ----------
        frame : float
            Where to look from; an edge there does not count.
        step : int, default 1
            How many edges further, or back where negative.

        Returns
        -------
        int or None
            None where there are not so many.
        """
        if step == 0:
            raise ArgumentError(expected("step", "a number other than 0", step))
        edges = np.unique(mask_to_bouts(self._rows[self._current]) - (0, 1))
        if step > 0:
            place = int(np.searchsorted(edges, frame, side="right")) + step - 1
        else:
            place = int(np.searchsorted(edges, frame, side="left")) + step
        return int(edges[place]) if 0 <= place < len(edges) else None

    # ---------------------------------------------------------------- edits

    def mark(self, value: int) -> Changed:
        """Set the region of the current behavior to 1, 0 or −1; without a region, nothing."""
        wanted = np.int8(_checked_value(value))
        if self._region is None:
            return ()
        return self._history.write([(self._current, self._region, wanted)])

    def assign(self, mask: ArrayLike) -> Changed:
        """Take a whole mask (n_frames, n_behaviors) of 1, 0 and −1, in one step.

        Raises
        ------
        ArgumentError
            If it has another shape or other values; nothing is changed then.
        """
        values = _checked_mask(mask, len(self._behaviors), self._n_frames)
        return self._edit_all(values.T)

    def move_edge(self, behavior: int | str, edge: int, to: float) -> Changed:
        """Drag an edge of a bout to another frame boundary.

        A bout that grows takes the frames up to there, unlabelled ones and other bouts on the way
        included, and joins a bout that it touches. One that shrinks leaves 0, absent, behind. One
        whose edge is dragged to its other edge or past it goes; nothing beyond is touched.

        Parameters
        ----------
        behavior : int or str
            Whose bout.
        edge : int
            Frame at which a bout starts or stops, the latter being the one after its last.
        to : float
            Where that edge shall be; rounded, clipped to the trial.

        Raises
        ------
        ArgumentError
            If no bout starts or stops there.
        """
        index = self._index(behavior)
        bouts = mask_to_bouts(self._rows[index])
        # Bouts do not touch, so that an edge belongs to one of them.
        met = bouts[(bouts == edge).any(axis=1)]
        if not len(met):
            wanted = f"a frame where a bout of {self._behaviors[index]!r} starts or stops"
            raise ArgumentError(expected("edge", wanted, edge, "The ethogram may have changed."))
        start, stop = met[0].tolist()
        target = _rounded(self._inside("to", to))
        grows = (target < edge) == (edge == start)
        low, high = sorted((int(edge), target))
        if not grows:
            low, high = max(low, start), min(high, stop)
        return self._history.write([(index, Stretch(low, high), np.int8(grows))])

    def fill_absent(self, behavior: int | str | None = None) -> Changed:
        """Set what is unlabelled to 0 in all frames that were looked at, in one step.

        Parameters
        ----------
        behavior : int or str, optional
            Default: all of them.
        """
        filled = np.where(self._seen & (self._rows < 0), np.int8(0), self._rows)
        return self._edit_all(filled, behavior)

    def reset(self, behavior: int | str | None = None) -> Changed:
        """Go back to the mask when the trial was opened, in one step that can be undone.

        Parameters
        ----------
        behavior : int or str, optional
            Default: all of them.
        """
        return self._edit_all(self._opened, behavior)

    def undo(self) -> Changed:
        """Take the last change back; any number of times, across resets."""
        return self._history.undo()

    def redo(self) -> Changed:
        """Make again what was undone last; an edit since then leaves nothing to make again."""
        return self._history.redo()

    # ---------------------------------------------------------------- what was looked at

    def watch(self, start: int, stop: int) -> bool:
        """Remember that frames ``[start, stop)``, clipped to the trial, were looked at.

        Returns
        -------
        bool
            Whether any of them was not before.
        """
        frames = self._seen[max(start, 0) : max(stop, 0)]
        is_news = not frames.all()
        frames[:] = True
        return is_news

    def seen_stretches(self) -> list[int]:
        """Stretches that were looked at, flat: ``[start, stop, start, stop, …]``."""
        return _flat(self._seen)

    # ---------------------------------------------------------------- what the methods share

    def _edit_all(self, rows: Mask, behavior: int | str | None = None) -> Changed:
        """Take whole rows of the mask, or one."""
        every = range(len(rows)) if behavior is None else [self._index(behavior)]
        whole = Stretch(0, self._n_frames)
        return self._history.write([(index, whole, rows[index]) for index in every])

    def _index(self, behavior: int | str) -> int:
        if isinstance(behavior, str):
            if behavior in self._behaviors:
                return self._behaviors.index(behavior)
        elif isinstance(behavior, int | np.integer) and 0 <= behavior < len(self._behaviors):
            return int(behavior)
        known = f"one of {list(self._behaviors)}, or its index"
        raise ArgumentError(expected("behavior", known, behavior))

    def _inside(self, argument: str, boundary: float) -> float:
        """A frame boundary, clipped to the trial."""
        if math.isnan(boundary):
            raise ArgumentError(expected(argument, "a frame", boundary))
        return min(max(boundary, 0), self._n_frames)


def _rounded(boundary: float) -> int:
    # Not round(): halves go to the even number there, and a drag would jump by two.
    return math.floor(boundary + 0.5)


def _flat(flags: NDArray[np.bool_]) -> list[int]:
    stretches: list[int] = mask_to_bouts(flags).ravel().tolist()
    return stretches


def _read_only(array: NDArray[T]) -> NDArray[T]:
    view = array.view()
    view.flags.writeable = False
    return view


def _checked_value(value: int) -> int:
    if value not in VALUES:
        raise ArgumentError(expected("value", "1, 0 or -1", value))
    return value


def _checked_names(behaviors: Sequence[str]) -> tuple[str, ...]:
    names = () if isinstance(behaviors, str) else tuple(behaviors)
    if not names or len(set(names)) < len(names):
        raise ArgumentError(expected("behaviors", "a list of different names", behaviors))
    return names


def _checked_mask(mask: ArrayLike, n_behaviors: int, n_frames: int | None = None) -> Mask:
    """A copy, for the mask may be a view of the one that it replaces."""
    values = np.asarray(mask)
    is_long = values.ndim == 2 and n_frames in (None, len(values))
    if not is_long or values.shape[1] != n_behaviors:
        wanted = f"shape ({'n_frames' if n_frames is None else n_frames}, {n_behaviors})"
        raise ArgumentError(expected("mask", wanted, values.shape))
    strange = values[~np.isin(values, VALUES)]
    if strange.size:
        raise ArgumentError(expected("mask", "1, 0 and -1 only", strange[0].item()))
    return values.astype(np.int8)


def _checked_seen(seen: ArrayLike | None, n_frames: int) -> NDArray[np.bool_]:
    if seen is None:
        return np.zeros(n_frames, dtype=bool)
    flags = np.array(seen)
    if flags.shape != (n_frames,) or flags.dtype != bool:
        wanted = f"{n_frames} truth values, one a frame"
        raise ArgumentError(expected("seen", wanted, (flags.dtype.name, flags.shape)))
    return flags
