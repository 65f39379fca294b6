"""Exact scores of frames, as scikit-learn defines them, where labels may have gaps.

Masks are int8 (frame, class): 1 occurs, 0 does not, −1 unknown. A frame counts for a class where
both masks know it; what is unknown of one class takes nothing away from the others. A score
that its definition leaves open (no frame in a denominator) is NaN, never 0 or 1 by convention.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soupxr.errors import ArgumentError, expected
from soupxr.metrics.frames import confusion_by_threshold

__all__ = [
    "FrameScores",
    "auroc",
    "average_precision",
    "confusion_counts",
    "mean_known",
    "precision_recall_curve",
    "predicted_counts",
    "predicted_share",
    "rank_scores",
    "scores_from",
    "share_from",
]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class FrameScores:
    """What follows from counts of frames, by class.

    Parameters
    ----------
    precision : ndarray, (K,)
        NaN where nothing is predicted.
    recall : ndarray, (K,)
        NaN where nothing occurs.
    f1 : ndarray, (K,)
        2 TP / (2 TP + FP + FN); NaN where nothing occurs nor is predicted.
    kappa : ndarray, (K,)
        Cohen's; NaN where both masks have one and the same value throughout.
    support, n_frames : ndarray of int, (K,)
        Frames in which the class occurs, and all that count.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    kappa: Floats
    support: Counts
    n_frames: Counts


def confusion_counts(label: ArrayLike, prediction: ArrayLike) -> Counts:
    """Count frames by [class][label][prediction].

    Parameters
    ----------
    label, prediction : array_like of int, (T, K)
        1 occurs, 0 does not, −1 unknown; a frame unknown to either does not count for that class.

    Returns
    -------
    ndarray of int64, (K, 2, 2)

    Raises
    ------
    ArgumentError
        If the masks differ in shape.
    """
    labels, predictions = _masks(label, prediction)
    n_classes = labels.shape[1]
    known = (labels >= 0) & (predictions >= 0)
    flat = (np.arange(n_classes) * 4 + (labels > 0) * 2 + (predictions > 0))[known]
    return np.bincount(flat, minlength=4 * n_classes).reshape(n_classes, 2, 2).astype(np.int64)


def scores_from(confusion: Counts) -> FrameScores:
    """Score classes by their counts (K, [label] 2, [prediction] 2)."""
    tn, fp, fn, tp = (confusion[..., i, j] for i in (0, 1) for j in (0, 1))
    n_frames = tn + fp + fn + tp
    agreed = _ratio(tp + tn, n_frames)
    by_chance = _ratio(
        (tp + fn).astype(float) * (tp + fp) + (tn + fp).astype(float) * (tn + fn),
        n_frames.astype(float) ** 2,
    )
    return FrameScores(
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        kappa=_ratio(agreed - by_chance, 1 - by_chance),
        support=tp + fn,
        n_frames=n_frames,
    )


def average_precision(label: ArrayLike, probability: ArrayLike) -> float:
    """Average precision of one class.

    Sum of precision times gain of recall over all distinct probabilities, without interpolation.
    A perfect classifier reaches 1, one that knows nothing the share of frames that are positive.

    Parameters
    ----------
    label : array_like, (T,)
        True where the class occurs.
    probability : array_like, (T,)
        Any number that is higher where the class is thought more likely.

    Returns
    -------
    float
        NaN where the class never occurs.
    """
    return rank_scores(label, probability)[0]


def auroc(label: ArrayLike, probability: ArrayLike) -> float:
    """Area under the ROC curve of one class: how often a positive outranks a negative.

    Parameters and ties as in :func:`average_precision`; a tie counts half.

    Returns
    -------
    float
        NaN where the class always or never occurs.
    """
    return rank_scores(label, probability)[1]


def rank_scores(label: ArrayLike, probability: ArrayLike) -> tuple[float, float]:
    """:func:`average_precision` and :func:`auroc` of one class; frames are sorted once for both."""
    hits, alarms = _cumulative(label, probability)
    precision = area = float("nan")
    if len(hits) and hits[-1] > 0:
        gains = np.diff(hits, prepend=0) / hits[-1]
        precision = float(np.sum(gains * hits / (hits + alarms)))
        if alarms[-1] > 0:
            x, y = np.concatenate([[0], alarms]), np.concatenate([[0], hits])
            area = float(np.trapezoid(y / y[-1], x / x[-1]))
    return precision, area


def precision_recall_curve(
    label: ArrayLike, probability: ArrayLike, thresholds: ArrayLike
) -> tuple[Floats, Floats]:
    """Precision and recall of one class where it is predicted above each threshold.

    Parameters
    ----------
    label, probability : array_like, (T,)
        As in :func:`average_precision`.
    thresholds : array_like, (S,)
        Rising.

    Returns
    -------
    precision, recall : ndarray, (S,)
        NaN where nothing is predicted, and where nothing occurs.
    """
    labels, probabilities = np.asarray(label, bool), np.asarray(probability)
    confusion = confusion_by_threshold(
        probabilities[:, None], labels[:, None], np.asarray(thresholds, float)
    )
    (_, fp), (fn, tp) = confusion[..., 0]
    return _ratio(tp, tp + fp), _ratio(tp, tp + fn)


def predicted_share(label: ArrayLike, prediction: ArrayLike) -> Floats:
    """Which classes are predicted where a class occurs: a confusion matrix for many labels.

    Classes may occur together, so a row may add up to more than 1.

    Parameters
    ----------
    label, prediction : array_like of int, (T, K)
        1 occurs, 0 does not, −1 unknown.

    Returns
    -------
    ndarray, (K, K)
        ``[i, j]``: of the frames in which class i occurs, and in which both masks know class j,
        the share in which j is predicted. NaN where there are none. The diagonal is the recall.
    """
    return share_from(predicted_counts(label, prediction))


def predicted_counts(label: ArrayLike, prediction: ArrayLike) -> Counts:
    """Count the frames of :func:`predicted_share`; those of several recordings add up.

    Returns
    -------
    ndarray of int64, (2, K, K)
        ``[:, i, j]``: the frames in which class i occurs, and in which both masks know class j;
        of these, the frames in which j is predicted.
    """
    labels, predictions = _masks(label, prediction)
    known = (labels >= 0) & (predictions >= 0)
    # In double precision: integer matrices are multiplied without BLAS, a hundred times slower.
    occurs = ((labels == 1) & (predictions >= 0)).astype(float)
    counts = [occurs.T @ known, occurs.T @ (known & (predictions == 1))]
    return np.stack(counts).astype(np.int64)


def share_from(counts: Counts) -> Floats:
    """The shares of :func:`predicted_share` by their counts (2, K, K)."""
    return _ratio(counts[1], counts[0])


def mean_known(values: Floats, axis: int = -1) -> tuple[Floats, Counts]:
    """Mean over what is not NaN, and how many that are; NaN where there are none."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    return _ratio(np.where(known, values, 0.0).sum(axis=axis), count), count


def _cumulative(label: ArrayLike, probability: ArrayLike) -> tuple[Counts, Counts]:
    """True and false positives where the threshold falls below each distinct probability."""
    labels, probabilities = np.asarray(label, bool), np.asarray(probability)
    if labels.ndim != 1 or labels.shape != probabilities.shape:
        shapes = (labels.shape, probabilities.shape)
        raise ArgumentError(expected("label, probability", "both (frame,)", shapes))
    # In any order among equals, which are counted together.
    order = np.argsort(probabilities)[::-1]
    ranked = probabilities[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)])
    hits = np.cumsum(labels[order], dtype=np.int64)[last]
    return hits, last + 1 - hits


def _masks(label: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    labels, predictions = np.asarray(label), np.asarray(prediction)
    if labels.ndim != 2 or labels.shape != predictions.shape:
        shapes = (labels.shape, predictions.shape)
        raise ArgumentError(expected("label, prediction", "both (frame, class)", shapes))
    return labels, predictions


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    top, bottom = np.asarray(numerator, float), np.asarray(denominator, float)
    out = np.full(bottom.shape, np.nan)
    return np.asarray(np.divide(top, bottom, out=out, where=bottom != 0))
