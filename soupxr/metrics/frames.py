"""How well probabilities agree with labels; pure NumPy.

The definitions are DeepEthogram's, so that numbers can be compared with published ones. Everything
here counts frames: rows are frames (of any number of trials, one after the other), columns are
classes, and column 0 is the background, which occurs exactly where nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soupxr.errors import ArgumentError, expected

__all__ = [
    "EpochMetrics",
    "ThresholdCurves",
    "default_thresholds",
    "epoch_metrics",
    "fbeta",
    "optimum_thresholds",
    "predict",
    "threshold_curves",
]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Score = Literal["f1", "informedness"]

#: Smallest denominator of precision, recall and F, in single precision as in the reference.
FLOOR = float(np.float32(1e-7))
#: Added to the denominators of the ROC curve's rates.
RATE_FLOOR = 1e-9
LOWEST_THRESHOLD = 0.01
FALLBACK_THRESHOLD = 0.5
#: A class whose best score is below this has learnt nothing; its optimum means nothing.
USELESS_SCORE = 0.05


@dataclass(frozen=True)
class ThresholdCurves:
    """Scores of every class at every threshold.

    Parameters
    ----------
    thresholds : ndarray, (S,)
        Rising.
    confusion : ndarray of int, (2, 2, S, K)
        Frames by [label][prediction].
    accuracy, precision, recall, f1, f2, informedness : ndarray, (S, K)
        Informedness is recall + specificity − 1.
    true_positive_rate, false_positive_rate : ndarray, (S, K)
        The ROC curve.
    auroc, average_precision : ndarray, (K,)
        Areas under (false-positive rate, true-positive rate) and under (recall, precision) by the
        trapezoid rule over these very points. Parts of a curve beyond them do not count, and
        precision is 0 where nothing is predicted: the average precision of a perfect classifier
        is below 1, and 0.5 if its probabilities take two values only.
    """

    thresholds: Floats
    confusion: Counts
    accuracy: Floats
    precision: Floats
    recall: Floats
    f1: Floats
    f2: Floats
    informedness: Floats
    true_positive_rate: Floats
    false_positive_rate: Floats
    auroc: Floats
    average_precision: Floats


@dataclass(frozen=True)
class EpochMetrics:
    """Scores at one threshold a class.

    Parameters
    ----------
    thresholds : ndarray, (K,)
        Thresholds that were used.
    confusion : ndarray of int, (K, 2, 2)
        Frames by [class][label][prediction].
    accuracy, f1 : ndarray, (K,)
        By class.
    accuracy_overall, f1_overall : float
        From the counts summed over classes.
    f1_mean, f1_mean_without_background : float
        Means over classes; NaN where there is no class but the background.
    auroc, average_precision : ndarray, (K,)
        As in :class:`ThresholdCurves`; independent of the thresholds used.
    """

    thresholds: Floats
    confusion: Counts
    accuracy: Floats
    f1: Floats
    accuracy_overall: float
    f1_overall: float
    f1_mean: float
    f1_mean_without_background: float
    auroc: Floats
    average_precision: Floats

    @property
    def auroc_mean(self) -> float:
        """Mean area under the ROC curve over classes."""
        return float(self.auroc.mean())

    @property
    def average_precision_mean(self) -> float:
        """Mean average precision (mAP) over classes."""
        return float(self.average_precision.mean())


def default_thresholds() -> Floats:
    """Return the 200 thresholds that are tried: evenly from 1e-4 to 1."""
    return np.linspace(1e-4, 1.0, 200)


def threshold_curves(
    probability: ArrayLike, label: ArrayLike, thresholds: ArrayLike | None = None
) -> ThresholdCurves:
    """Score every class at every threshold.

    Parameters
    ----------
    probability : array_like, (T, K)
        Probabilities in [0, 1]; a class is predicted where its probability is **above** the
        threshold.
    label : array_like of int, (T, K)
        1 occurs, 0 does not, −1 unlabelled; frames with any −1 are left out.
    thresholds : array_like, (S,), optional
        Rising. Default: :func:`default_thresholds`.

    Returns
    -------
    ThresholdCurves

    Raises
    ------
    ArgumentError
        If shapes or values are of no use, or no frame is labelled.
    """
    probability, label = _labelled_frames(probability, label)
    tried = default_thresholds() if thresholds is None else np.asarray(thresholds, np.float64)
    if tried.ndim != 1 or not tried.size or np.any(np.diff(tried) < 0):
        raise ArgumentError(expected("thresholds", "one row of rising numbers", thresholds))
    confusion = confusion_by_threshold(probability, label, tried)
    (tn, fp), (fn, tp) = confusion
    precision, recall = _over(tp, tp + fp), _over(tp, tp + fn)
    hit_rate, false_alarm_rate = tp / (tp + fn + RATE_FLOOR), fp / (fp + tn + RATE_FLOOR)
    return ThresholdCurves(
        thresholds=tried,
        confusion=confusion,
        accuracy=(tp + tn) / len(label),
        precision=precision,
        recall=recall,
        f1=fbeta(precision, recall, 1.0),
        f2=fbeta(precision, recall, 2.0),
        informedness=recall + _over(tn, tn + fp) - 1.0,
        true_positive_rate=hit_rate,
        false_positive_rate=false_alarm_rate,
        auroc=_area(false_alarm_rate, hit_rate),
        average_precision=_area(recall, precision),
    )


def fbeta(precision: Floats, recall: Floats, beta: float) -> Floats:
    """F score in which recall counts ``beta`` times as much as precision; 0 where both are 0."""
    return _over((1 + beta**2) * precision * recall, beta**2 * precision + recall)


def optimum_thresholds(curves: ThresholdCurves, score: Score = "f1") -> Floats:
    """Find each class's best threshold.

    The first maximum of the score; at least 0.01; and 0.5 for a class whose best score is below
    0.05.

    Parameters
    ----------
    curves : ThresholdCurves
        Scores at the thresholds to choose from.
    score : {"f1", "informedness"}
        What to maximise.

    Returns
    -------
    ndarray, (K,)
    """
    if score not in ("f1", "informedness"):
        raise ArgumentError(expected("score", "'f1' or 'informedness'", score))
    values: Floats = getattr(curves, score)
    best = np.maximum(curves.thresholds[values.argmax(axis=0)], LOWEST_THRESHOLD)
    return np.where(values.max(axis=0) < USELESS_SCORE, FALLBACK_THRESHOLD, best)


def predict(probability: ArrayLike, thresholds: ArrayLike) -> NDArray[np.bool_]:
    """Say which classes occur, background where no other does.

    Parameters
    ----------
    probability : array_like, (T, K)
        Background in column 0; its own probability does not matter.
    thresholds : array_like, (K,)
        Strict: equal is not above.

    Returns
    -------
    ndarray of bool, (T, K)
    """
    occurs = np.asarray(probability) > np.asarray(thresholds)
    occurs[:, 0] = ~occurs[:, 1:].any(axis=1)
    return occurs


def epoch_metrics(
    probability: ArrayLike, label: ArrayLike, thresholds: ArrayLike | None = None
) -> EpochMetrics:
    """Score predictions at one threshold a class, background by the rule, no bout filter.

    Parameters
    ----------
    probability : array_like, (T, K)
        Probabilities in [0, 1], background in column 0.
    label : array_like of int, (T, K)
        1 occurs, 0 does not, −1 unlabelled; frames with any −1 are left out.
    thresholds : array_like, (K,), optional
        Default: the best by F1 **on these very frames**, as DeepEthogram reports; such scores
        flatter, so give thresholds fitted on other trials where that matters.

    Returns
    -------
    EpochMetrics

    Raises
    ------
    ArgumentError
        If shapes or values are of no use, or no frame is labelled.
    """
    probability, label = _labelled_frames(probability, label)
    curves = threshold_curves(probability, label)
    chosen = optimum_thresholds(curves) if thresholds is None else np.asarray(thresholds, float)
    n_classes = label.shape[1]
    if chosen.shape != (n_classes,):
        raise ArgumentError(expected("thresholds", f"{n_classes} numbers, one a class", thresholds))
    confusion = _confusion(predict(probability, chosen), label)
    f1, accuracy = _f1_and_accuracy(confusion)
    f1_overall, accuracy_overall = _f1_and_accuracy(confusion.sum(axis=0))
    return EpochMetrics(
        thresholds=chosen,
        confusion=confusion,
        accuracy=accuracy,
        f1=f1,
        accuracy_overall=float(accuracy_overall),
        f1_overall=float(f1_overall),
        f1_mean=float(f1.mean()),
        f1_mean_without_background=float(f1[1:].mean()) if n_classes > 1 else float("nan"),
        auroc=curves.auroc,
        average_precision=curves.average_precision,
    )


# ---------------------------------------------------------------------------- counting
def _labelled_frames(
    probability: ArrayLike, label: ArrayLike
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Check both and drop the frames that lack a label."""
    probabilities, labels = np.asarray(probability), np.asarray(label)
    if probabilities.ndim != 2 or probabilities.shape != labels.shape:
        shapes = (probabilities.shape, labels.shape)
        raise ArgumentError(expected("probability, label", "both (frame, class)", shapes))
    if not np.isin(labels, (-1, 0, 1)).all():
        others = np.setdiff1d(labels, (-1, 0, 1))[:5].tolist()
        raise ArgumentError(expected("label", "-1, 0 and 1 only", others))
    labelled = (labels >= 0).all(axis=1)
    if not labelled.any():
        remedy = "Label every behavior of some frames."
        raise ArgumentError(expected("label", "frames without any -1", "none", remedy))
    probabilities = probabilities[labelled]
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        remedy = "Apply the sigmoid to logits; leave out frames that were not inferred."
        span = (float(probabilities.min()), float(probabilities.max()))
        raise ArgumentError(expected("probability", "numbers in [0, 1]", span, remedy))
    return probabilities, labels[labelled] == 1


def confusion_by_threshold(
    probability: NDArray[np.floating], label: NDArray[np.bool_], thresholds: Floats
) -> Counts:
    """Count frames by [label][prediction][threshold][class], from one histogram a class.

    A frame whose probability exceeds exactly b of the rising thresholds is predicted at the first
    b of them, so a cumulative histogram of b holds the counts at all thresholds.
    """
    n_classes, n_bins = label.shape[1], len(thresholds) + 1
    exceeded = np.searchsorted(thresholds, probability, side="left")
    flat = (label * n_classes + np.arange(n_classes)) * n_bins + exceeded
    histogram = np.bincount(flat.ravel(), minlength=2 * n_classes * n_bins)
    below = histogram.reshape(2, n_classes, n_bins).cumsum(axis=2)
    negative = below[..., :-1]
    positive = below[..., -1:] - negative
    return np.stack([negative, positive], axis=1).swapaxes(2, 3).astype(np.int64, copy=False)


def _confusion(prediction: NDArray[np.bool_], label: NDArray[np.bool_]) -> Counts:
    """Count frames by [class][label][prediction]."""
    n_classes = label.shape[1]
    flat = np.arange(n_classes) * 4 + label * 2 + prediction
    return np.bincount(flat.ravel(), minlength=4 * n_classes).reshape(n_classes, 2, 2)


def _f1_and_accuracy(confusion: Counts) -> tuple[Floats, Floats]:
    tn, fp, fn, tp = (confusion[..., i, j] for i in (0, 1) for j in (0, 1))
    f1 = fbeta(_over(tp, tp + fp), _over(tp, tp + fn), 1.0)
    return f1, (tp + tn) / (tn + fp + fn + tp)


def _over(numerator: Floats | Counts, denominator: Floats | Counts) -> Floats:
    return np.asarray(numerator / np.maximum(denominator, FLOOR))


def _area(x: Floats, y: Floats) -> Floats:
    """Trapezoid rule along axis 0 for a falling ``x``."""
    return np.asarray(np.trapezoid(y[::-1], x[::-1], axis=0))
