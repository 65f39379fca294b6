"""How well predicted bouts agree with labelled ones.

*Matching.* A labelled and a predicted bout may be matched where the intersection of their frames
is at least ``overlap`` of their union (IoU). The matching is one to one and the best there is: as
many pairs as possible and, among the ways to have that many, the one with the largest sum of
IoU. Above an overlap of 0.5 there is no choice, for no bout can then reach the overlap with two
others; at 0.5 and below, taking the best pair first could leave others without a partner.

*What is unknown.* A bout is cut where it touches frames that are unknown to either mask. What
remains counts as a bout like any other, for it does occur, is missed or is falsely claimed in
frames that are known; pieces on both sides of a gap count one by one. But where such a
bout begins or ends is not known, so a cut edge has no onset or offset error. The same goes for the
ends of a recording.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soupxr.bouts import mask_to_bouts
from soupxr.errors import ArgumentError, expected

__all__ = ["BoutTally", "check_overlap", "iou_matches", "tally_bouts"]

Bouts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoutTally:
    """Bouts of one class in one recording or several.

    Parameters
    ----------
    n_labelled, n_predicted, n_matched : int
        Bouts.
    onset, offset : ndarray, (n,)
        Errors of the matched bouts whose edge is known, positive where the prediction is late;
        frames, or whatever unit :func:`tally_bouts` was told to count in.
    """

    n_labelled: int
    n_predicted: int
    n_matched: int
    onset: Floats
    offset: Floats

    @classmethod
    def sum(cls, tallies: Iterable[BoutTally]) -> BoutTally:
        """Tally of several recordings together."""
        each = list(tallies)
        return cls(
            n_labelled=sum(tally.n_labelled for tally in each),
            n_predicted=sum(tally.n_predicted for tally in each),
            n_matched=sum(tally.n_matched for tally in each),
            onset=np.concatenate([np.zeros(0), *(tally.onset for tally in each)]),
            offset=np.concatenate([np.zeros(0), *(tally.offset for tally in each)]),
        )

    def in_units(self, frame: float) -> BoutTally:
        """The same with errors in another unit, of which a frame has so many."""
        counts = (self.n_labelled, self.n_predicted, self.n_matched)
        return BoutTally(*counts, self.onset * frame, self.offset * frame)

    @property
    def precision(self) -> float:
        """Share of the predicted bouts that are matched; NaN where there are none."""
        return _share(self.n_matched, self.n_predicted)

    @property
    def recall(self) -> float:
        """Share of the labelled bouts that are matched; NaN where there are none."""
        return _share(self.n_matched, self.n_labelled)

    @property
    def f1(self) -> float:
        """Share of all bouts that are matched; NaN where there are none."""
        return _share(2 * self.n_matched, self.n_labelled + self.n_predicted)


def tally_bouts(label: ArrayLike, prediction: ArrayLike, overlap: float = 0.5) -> BoutTally:
    """Compare the bouts of one class in one recording.

    Parameters
    ----------
    label, prediction : array_like of int, (T,)
        1 occurs, 0 does not, −1 unknown.
    overlap : float, default 0.5
        Smallest intersection over union of a match, above 0 and at most 1.

    Returns
    -------
    BoutTally
        Errors in frames.
    """
    labels, predictions = np.asarray(label), np.asarray(prediction)
    if labels.ndim != 1 or labels.shape != predictions.shape:
        shapes = (labels.shape, predictions.shape)
        raise ArgumentError(expected("label, prediction", "both (frame,)", shapes))
    known = (labels >= 0) & (predictions >= 0)
    labelled = mask_to_bouts((labels == 1) & known)
    predicted = mask_to_bouts((predictions == 1) & known)
    pairs = iou_matches(labelled, predicted, overlap)
    ours, theirs = predicted[pairs[:, 1]], labelled[pairs[:, 0]]
    # Whether the frames just outside an edge are known; those outside a recording are not.
    around = np.concatenate([[False], known, [False]])
    onset_known = around[ours[:, 0]] & around[theirs[:, 0]]
    offset_known = around[ours[:, 1] + 1] & around[theirs[:, 1] + 1]
    late = (ours - theirs).astype(float)
    return BoutTally(
        n_labelled=len(labelled),
        n_predicted=len(predicted),
        n_matched=len(pairs),
        onset=late[onset_known, 0],
        offset=late[offset_known, 1],
    )


def iou_matches(labelled: Bouts, predicted: Bouts, overlap: float) -> NDArray[np.int64]:
    """Match bouts one to one: the most pairs, then the largest sum of IoU.

    Parameters
    ----------
    labelled, predicted : ndarray of int, (n, 2) and (m, 2)
        Start and stop, half-open, sorted, apart.
    overlap : float
        Smallest IoU of a pair.

    Returns
    -------
    ndarray of int64, (p, 2)
        Rows of ``labelled`` and ``predicted``, both rising.
    """
    check_overlap(overlap)
    first, second = _meeting(labelled, predicted)
    starts = np.maximum(labelled[first, 0], predicted[second, 0])
    stops = np.minimum(labelled[first, 1], predicted[second, 1])
    shared = stops - starts
    union = np.diff(labelled)[first, 0] + np.diff(predicted)[second, 0] - shared
    iou = shared / union
    near = iou >= overlap
    first, second, iou = first[near], second[near], iou[near]
    chosen = _best_chain(first, second, iou)
    return np.stack([first[chosen], second[chosen]], axis=1).astype(np.int64)


def check_overlap(overlap: float) -> None:
    """Refuse an overlap that no two bouts, or any two, would reach."""
    number = isinstance(overlap, (int, float, np.number)) and not isinstance(overlap, bool)
    if not number or not 0 < overlap <= 1:
        raise ArgumentError(expected("overlap", "a number above 0 and at most 1", overlap))


def _meeting(labelled: Bouts, predicted: Bouts) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs that share a frame; along the list neither index ever falls."""
    begin = np.searchsorted(predicted[:, 1], labelled[:, 0], side="right")
    end = np.searchsorted(predicted[:, 0], labelled[:, 1], side="left")
    counts = np.maximum(end - begin, 0)
    first = np.repeat(np.arange(len(labelled)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, np.repeat(begin, counts) + within


def _best_chain(first: NDArray[np.intp], second: NDArray[np.intp], iou: Floats) -> list[int]:
    """Choose pairs that share no bout, by dynamic programming over the list of pairs.

    Bouts of one kind lie apart, so neither index falls along the list; hence the earlier pairs
    that leave a pair free are all those before some place.
    """
    # One pair more outweighs any sum of IoU, each of which is at most 1.
    weight = iou + len(iou) + 1
    free = np.minimum(np.searchsorted(first, first), np.searchsorted(second, second))
    best = [0.0]
    for pair in range(len(iou)):
        best.append(max(best[-1], best[free[pair]] + weight[pair]))
    chosen: list[int] = []
    place = len(iou)
    while place:
        if best[place] == best[place - 1]:
            place -= 1
        else:
            chosen.append(place - 1)
            place = int(free[place - 1])
    return chosen[::-1]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
