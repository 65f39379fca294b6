"""Cuts the values around events out of the trials: at once, or lazily by dask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.analysis.recorded import Recorded
from soupxr.errors import ArgumentError, expected

__all__ = ["cut_out"]

Values = npt.NDArray[Any]


def cut_out(
    read: Recorded,
    trial: npt.NDArray[np.int64],
    frame: npt.NDArray[np.int64],
    time: npt.NDArray[np.float64],
) -> xr.Variable:
    """Values (event, time, …) of frames around events.

    Parameters
    ----------
    read : Recorded
        What to cut them out of.
    trial, frame : ndarray of int64, (event,)
        Place of each event's trial, never decreasing, and the number of the frame at time 0.
    time : ndarray of float64, (time,)
        Seconds after the event.
    """
    array = read.array
    dtype, missing = _filling(array.dtype)
    scissors = _Scissors(
        trial, frame - read.first_frame, time, read.fps, _ends(read), dtype, missing
    )
    rest = array.dims[1 if read.dim is None else 2 :]
    cut = _at_once if array.chunks is None else _lazily
    return xr.Variable(("event", "time", *rest), cut(read, scissors))


@dataclass(frozen=True, eq=False)
class _Scissors:
    """Which frames are around the events, and how to fill where there are none."""

    trial: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    fps: npt.NDArray[np.float64]
    ends: npt.NDArray[np.int64]
    dtype: np.dtype[Any]
    missing: float | int

    def cut(
        self, start: int, stop: int, rest: tuple[int, ...], get: Callable[[int, int, int], Values]
    ) -> Values:
        """Around some of the events, (event, time, …); ``get`` a trial's frames from and to."""
        picked = np.full((stop - start, len(self.time), *rest), self.missing, dtype=self.dtype)
        edges = np.flatnonzero(np.diff(self.trial[start:stop], prepend=-1)) + start
        for first, last in pairwise([*edges.tolist(), stop]):
            trial = int(self.trial[first])
            frame, inside = self._frames(trial, slice(first, last))
            if inside.any():
                low, high = int(frame[inside].min()), int(frame[inside].max()) + 1
                # A view: what is assigned to it stands in the whole.
                piece = picked[first - start : last - start]
                piece[inside] = get(trial, low, high)[frame[inside] - low]
        return picked

    def _frames(
        self, trial: int, events: slice
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        # Rounded to a millionth of a frame, so that halves are told from what is nearly one.
        steps = np.rint(np.round(self.time * self.fps[trial], 6)).astype(np.int64)
        frame = self.frame[events, np.newaxis] + steps
        return frame, (frame >= 0) & (frame < self.ends[trial])


def _at_once(read: Recorded, scissors: _Scissors) -> Values:
    """Trial by trial, and of each no more than the frames around its events."""
    variable = read.array.variable
    rest = variable.shape[1 if read.dim is None else 2 :]

    def get(trial: int, low: int, high: int) -> Values:
        place: dict[str, Any] = {} if read.dim is None else {read.dim: trial}
        values: Values = variable.isel(place | {"frame": slice(low, high)}).values
        return values

    return scissors.cut(0, len(scissors.trial), rest, get)


def _lazily(read: Recorded, scissors: _Scissors) -> Any:
    """A chunk of events for each chunk of trials."""
    import dask.array as da

    source = read.array.data if read.dim is not None else read.array.data[np.newaxis]
    source = source.rechunk({1: -1})
    trials = np.cumsum([0, *source.chunks[0]])
    events = np.searchsorted(scissors.trial, trials)

    def cut(block: Values, block_id: tuple[int, ...]) -> Values:
        number = block_id[0]
        begins = int(trials[number])

        def get(trial: int, low: int, high: int) -> Values:
            values: Values = block[trial - begins, low:high]
            return values

        start, stop = int(events[number]), int(events[number + 1])
        return scissors.cut(start, stop, block.shape[2:], get)

    return da.map_blocks(
        cut,
        source,
        chunks=(tuple(np.diff(events).tolist()), (len(scissors.time),), *source.chunks[2:]),
        dtype=scissors.dtype,
        meta=np.empty((0,) * source.ndim, dtype=scissors.dtype),
    )


def _ends(read: Recorded) -> npt.NDArray[np.int64]:
    """Frames that each trial has: padding has none, where the length of trials is known."""
    length = np.full(read.n_trials, read.array.sizes["frame"], dtype=np.int64)
    if "n_frames" in read.about.variables:
        known: npt.NDArray[np.int64] = np.asarray(read.about_trials("n_frames"), dtype=np.int64)
        length = np.minimum(length, known - read.first_frame)
    return np.where(read.whole, length, 0)


def _filling(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], float | int]:
    """What values become that may be missing, and what stands for missing."""
    if dtype in (np.dtype(np.int8), np.dtype(bool)):
        return np.dtype(np.int8), -1
    if dtype.kind in "fc":
        return dtype, np.nan
    if dtype.kind in "iu":
        return np.dtype(np.float64), np.nan
    raise ArgumentError(expected("values", "numbers", dtype))
