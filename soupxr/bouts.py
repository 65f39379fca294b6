"""From probabilities to an ethogram, and between masks and bouts. Pure NumPy.

A *mask* says for every frame whether something occurs (1) or not (0; −1 where nobody looked). A
*bout* is a half-open interval of frames ``[start, stop)``; bouts are an integer array (n, 2),
sorted, neither overlapping nor touching.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soupxr.errors import ArgumentError, expected

__all__ = [
    "MINIMUM_THRESHOLD",
    "apply_thresholds",
    "bout_length_percentile",
    "bouts_to_mask",
    "erase",
    "filter_bouts",
    "mask_to_bouts",
    "offsets",
    "onsets",
    "postprocess",
    "union",
]

#: Thresholds below this are raised to it: below, noise decides.
MINIMUM_THRESHOLD = 0.01

Mask = NDArray[np.int8]
Bouts = NDArray[np.int64]


def postprocess(
    probability: ArrayLike,
    thresholds: ArrayLike,
    minimum_bout: ArrayLike = 1,
    *,
    minimum_threshold: float = MINIMUM_THRESHOLD,
) -> Mask:
    """Turn a model's probabilities into an ethogram.

    Parameters
    ----------
    probability : array_like, (T, K)
        Per frame and class, background first.
    thresholds : array_like, () or (K,)
        Probability above which a class occurs.
    minimum_bout : array_like of int, () or (K,), default 1
        Frames. Shorter gaps and bouts, and those exactly as long, go (:func:`filter_bouts`); 0
        filters nothing.
    minimum_threshold : float, default 0.01
        See :func:`apply_thresholds`.

    Returns
    -------
    ndarray of int8, (T, K)
        1 where a class occurs. Column 0, the background, is 1 exactly where no behavior occurs;
        the ethogram proper is ``[:, 1:]``.
    """
    above = apply_thresholds(probability, thresholds, minimum_threshold=minimum_threshold)
    if above.ndim != 2 or above.shape[1] == 0:
        raise ArgumentError(expected("probability", "shape (T, K)", above.shape))
    mask = filter_bouts(above, minimum_bout)
    mask[:, 0] = ~mask[:, 1:].any(axis=1)
    return mask


def apply_thresholds(
    probability: ArrayLike, thresholds: ArrayLike, *, minimum_threshold: float = MINIMUM_THRESHOLD
) -> Mask:
    """Where a probability is above its threshold.

    Parameters
    ----------
    probability : array_like, (..., K)
        Without NaN.
    thresholds : array_like, () or (K,)
        A probability that equals its threshold is not above it: a quirk of the published models.
    minimum_threshold : float, default 0.01
        Lower thresholds are raised to this; 0 takes them as they are.

    Returns
    -------
    ndarray of int8, (..., K)
    """
    values = np.asarray(probability)
    if np.isnan(values).any():
        frame = int(np.argwhere(np.isnan(values))[0][0])
        raise ArgumentError(
            expected(
                "probability", "numbers", f"NaN at frame {frame}", "Cut it to the inferred frames."
            )
        )
    limits = np.maximum(_per_class("thresholds", thresholds, values), minimum_threshold)
    above: Mask = np.greater(values, limits).astype(np.int8)
    return above


def filter_bouts(mask: ArrayLike, minimum_bout: ArrayLike) -> Mask:
    """Close gaps and drop bouts of at most so many frames.

    For each length from 1 up, first all gaps of exactly that length are closed at once, then all
    bouts of exactly that length are dropped; the ends of a recording bound gaps and bouts too. So
    an alternating pattern becomes one bout.

    Parameters
    ----------
    mask : array_like, (T,) or (T, K)
        0 and 1.
    minimum_bout : array_like of int, () or (K,)
        Longest gap and bout to go, frames; one for all classes or one each.

    Returns
    -------
    ndarray of int8
        Shaped like ``mask``; a new array.
    """
    values = np.asarray(mask)
    if values.ndim not in (1, 2):
        raise ArgumentError(expected("mask", "shape (T,) or (T, K)", values.shape))
    columns = values[:, np.newaxis] if values.ndim == 1 else values
    longest = np.broadcast_to(_per_class("minimum_bout", minimum_bout, columns), columns.shape[1:])
    if columns.size == 0 or longest.max() < 1:
        return (values > 0).astype(np.int8)
    runs = _Runs(columns > 0)
    for length in range(1, int(longest.max()) + 1):
        runs.flip(0, length, longest)
        runs.flip(1, length, longest)
    return runs.mask().reshape(values.shape)


class _Runs:
    """The runs of equal values of each column, one column after the other."""

    def __init__(self, columns: NDArray[np.bool_]) -> None:
        self.shape = columns.shape
        n_frames = len(columns)
        flat = columns.T.ravel()
        starts = np.ones(flat.size, dtype=bool)
        np.not_equal(flat[1:], flat[:-1], out=starts[1:])
        starts[::n_frames] = True
        first = np.flatnonzero(starts)
        self.value = flat[first].astype(np.int8)
        self.length = np.diff(first, append=flat.size)
        self.column = first // n_frames

    def flip(self, value: int, length: int, longest: NDArray[np.int64]) -> None:
        """Flip all runs of a value and length, in the columns that want it; join what touches."""
        chosen = (self.value == value) & (self.length == length) & (longest[self.column] >= length)
        if not chosen.any():
            return
        self.value[chosen] = 1 - value
        starts = np.ones(len(self.value), dtype=bool)
        starts[1:] = (np.diff(self.value) != 0) | (np.diff(self.column) != 0)
        first = np.flatnonzero(starts)
        self.value, self.column = self.value[first], self.column[first]
        self.length = np.add.reduceat(self.length, first)

    def mask(self) -> Mask:
        n_frames, n_columns = self.shape
        flat: Mask = np.repeat(self.value, self.length)
        return np.ascontiguousarray(flat.reshape(n_columns, n_frames).T)


def mask_to_bouts(mask: ArrayLike) -> Bouts:
    """The bouts of a mask.

    Parameters
    ----------
    mask : array_like, (T,)
        A frame belongs to a bout where it is above 0.

    Returns
    -------
    ndarray of int64, (n, 2)
        Start and stop, half-open.
    """
    values = np.asarray(mask)
    if values.ndim != 1:
        raise ArgumentError(expected("mask", "shape (T,)", values.shape))
    padded = np.zeros(len(values) + 2, dtype=bool)
    padded[1:-1] = values > 0
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return edges.astype(np.int64).reshape(-1, 2)


def bouts_to_mask(bouts: ArrayLike, n_frames: int) -> Mask:
    """The mask of bouts; they may overlap and stand in any order.

    Parameters
    ----------
    bouts : array_like of int, (n, 2)
        Start and stop, half-open, within the recording.
    n_frames : int
        Frames of the recording.

    Returns
    -------
    ndarray of int8, (n_frames,)
    """
    intervals = _intervals(bouts)
    if intervals.size and intervals.max() > n_frames:
        raise ArgumentError(
            expected("bouts", f"frames up to {n_frames}", intervals[intervals[:, 1].argmax()])
        )
    depth = np.bincount(intervals[:, 0], minlength=n_frames + 1)
    depth -= np.bincount(intervals[:, 1], minlength=n_frames + 1)
    return (depth.cumsum()[:n_frames] > 0).astype(np.int8)


def union(bouts: ArrayLike, start: int, stop: int) -> Bouts:
    """Add the frames ``[start, stop)`` to bouts; what overlaps or touches becomes one.

    Parameters
    ----------
    bouts : array_like of int, (n, 2)
        Start and stop, half-open, sorted.
    start, stop : int
        Frames to add; none where both are equal.

    Returns
    -------
    ndarray of int64, (m, 2)
    """
    old, (new,) = _intervals(bouts), _intervals([(start, stop)])
    if start == stop:
        return old
    met = (old[:, 0] <= stop) & (old[:, 1] >= start)
    joined = np.vstack([old[met], new])
    whole = [[joined[:, 0].min(), joined[:, 1].max()]]
    return _sorted(np.vstack([old[~met], whole]))


def erase(bouts: ArrayLike, start: int, stop: int) -> Bouts:
    """Take the frames ``[start, stop)`` out of bouts; one that reaches beyond both is split.

    Parameters
    ----------
    bouts : array_like of int, (n, 2)
        Start and stop, half-open, sorted.
    start, stop : int
        Frames to erase; none where both are equal.

    Returns
    -------
    ndarray of int64, (m, 2)
    """
    old, _ = _intervals(bouts), _intervals([(start, stop)])
    if start == stop:
        return old
    before, after = old.copy(), old.copy()
    before[:, 1] = np.minimum(old[:, 1], start)
    after[:, 0] = np.maximum(old[:, 0], stop)
    parts = np.vstack([before, after])
    return _sorted(parts[parts[:, 0] < parts[:, 1]])


def onsets(mask: ArrayLike) -> NDArray[np.int64]:
    """First frame of every bout of a mask (T,)."""
    return mask_to_bouts(mask)[:, 0]


def offsets(mask: ArrayLike) -> NDArray[np.int64]:
    """Frame after the last of every bout of a mask (T,)."""
    return mask_to_bouts(mask)[:, 1]


def bout_length_percentile(
    labels: Iterable[ArrayLike], percentile: float = 1.0
) -> NDArray[np.int64]:
    """Minimum bout length of each class, as the labels themselves suggest it.

    Parameters
    ----------
    labels : iterable of array_like, each (T, K)
        0 and 1; recordings with a frame that nobody labelled (−1) are left out.
    percentile : float, default 1
        Percentile of the bout lengths, in [0, 100].

    Returns
    -------
    ndarray of int64, (K,)
        Frames, halves rounded to even; 1 for a class without bouts.
    """
    recordings = [np.asarray(label) for label in labels]
    if not recordings:
        raise ArgumentError(expected("labels", "at least one recording", recordings))
    complete = [label for label in recordings if not (label < 0).any()]
    longest = []
    for column in range(recordings[0].shape[1]):
        bouts = [mask_to_bouts(label[:, column]) for label in complete]
        lengths = np.diff(np.concatenate([*bouts, np.zeros((0, 2), dtype=np.int64)]), axis=1)
        longest.append(np.percentile(lengths, percentile) if lengths.size else 1)
    return np.round(longest).astype(np.int64)


def _per_class(
    argument: str, values: ArrayLike, classes: NDArray[np.generic]
) -> NDArray[np.generic]:
    """One value for all classes, or one each; the classes are the last axis."""
    array = np.asarray(values)
    if array.ndim > 1 or (array.ndim == 1 and array.shape != classes.shape[-1:]):
        raise ArgumentError(
            expected(argument, f"one value, or {classes.shape[-1]}, one per class", values)
        )
    return array


def _intervals(bouts: ArrayLike) -> Bouts:
    array = np.asarray(bouts)
    if array.size == 0:
        return np.zeros((0, 2), dtype=np.int64)
    if array.ndim != 2 or array.shape[1] != 2 or not np.issubdtype(array.dtype, np.integer):
        raise ArgumentError(expected("bouts", "pairs of frames (start, stop)", bouts))
    wrong = (array[:, 0] < 0) | (array[:, 0] > array[:, 1])
    if wrong.any():
        start, stop = array[wrong][0].tolist()
        raise ArgumentError(expected("bouts", "0 <= start <= stop", (start, stop)))
    return array.astype(np.int64)


def _sorted(bouts: Bouts) -> Bouts:
    return bouts[np.argsort(bouts[:, 0], kind="stable")]
