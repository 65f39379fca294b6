"""How good a model is on the validation part: best thresholds, and F1 at them. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soupxr.metrics import ThresholdCurves, optimum_thresholds, predict, threshold_curves
from soupxr.metrics.frames import LOWEST_THRESHOLD, USELESS_SCORE

__all__ = ["ValidationScores", "validation_scores"]


#: Part of the best F1 that is as good as it.
NEARLY = 0.9


@dataclass(frozen=True)
class ValidationScores:
    """Scores of every class, background first.

    Parameters
    ----------
    thresholds : ndarray, (K,)
        In the middle of those at which each class has nearly its best F1 on these frames; 0.5
        where it was not labelled, or has learnt nothing.
    f1 : ndarray, (K,)
        At these thresholds; NaN for a class that occurs on none of these frames.
    """

    thresholds: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean F1 over the classes that occur, background included; 0 where none does."""
        return _mean(self.f1)

    @property
    def mean_without_background(self) -> float:
        """Mean F1 over the behaviors that occur; 0 where none does."""
        return _mean(self.f1[1:])


def validation_scores(
    probability: npt.NDArray[np.floating], label: npt.NDArray[np.int8]
) -> ValidationScores:
    """Score predictions at thresholds that are good on these very frames.

    F1 as DeepEthogram reports it for its epochs, but for two things. Of frames of which some
    classes are unlabelled, the labelled classes count; a class without an occurrence has no F1. And
    where a validation part has few bouts, F1 hardly changes over a wide range of thresholds, and
    its very maximum, which DeepEthogram takes, lies anywhere in it: the middle of the range in
    which F1 is within a tenth of the best carries over to other animals more often.

    Parameters
    ----------
    probability : ndarray, (T, K)
        Background in column 0.
    label : ndarray of int8, (T, K)
        1 occurs, 0 does not, −1 unlabelled.
    """
    n_classes = label.shape[1]
    thresholds = np.full(n_classes, 0.5)
    for k in range(n_classes):
        known = label[:, k] >= 0
        if known.any():
            curves = threshold_curves(probability[known, k, None], label[known, k, None])
            thresholds[k] = _middle(curves)
    predicted = predict(probability, thresholds)
    f1 = np.full(n_classes, np.nan)
    for k in range(n_classes):
        known = label[:, k] >= 0
        truth, guess = label[known, k] == 1, predicted[known, k]
        if truth.any():
            f1[k] = 2 * float((truth & guess).sum()) / float(truth.sum() + guess.sum())
    return ValidationScores(thresholds, f1)


def _middle(curves: ThresholdCurves) -> float:
    """The middle of the thresholds around the best at which a class is about as good."""
    f1 = curves.f1[:, 0]
    top = int(f1.argmax())
    if f1[top] < USELESS_SCORE:
        return float(optimum_thresholds(curves)[0])
    good = f1 >= NEARLY * f1[top]
    below = np.flatnonzero(~good[:top])
    above = np.flatnonzero(~good[top:])
    first = below[-1] + 1 if below.size else 0
    last = top + above[0] - 1 if above.size else len(f1) - 1
    return float(max(curves.thresholds[(first + last) // 2], LOWEST_THRESHOLD))


def _mean(f1: npt.NDArray[np.float64]) -> float:
    there = f1[np.isfinite(f1)]
    return float(there.mean()) if there.size else 0.0
