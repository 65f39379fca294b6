"""How good a model is on the validation part: best thresholds, and F1 at them. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soupxr.metrics import optimum_thresholds, predict, threshold_curves

__all__ = ["ValidationScores", "validation_scores"]


@dataclass(frozen=True)
class ValidationScores:
    """Scores of every class, background first.

    Parameters
    ----------
    thresholds : ndarray, (K,)
        At which each class has its best F1 on these frames; 0.5 where it was not labelled.
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
    """Score predictions at the thresholds that are best on these very frames.

    As DeepEthogram reports its epochs, but for frames of which some classes are unlabelled: there
    the labelled classes count. A class without an occurrence has no F1.

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
            thresholds[k] = optimum_thresholds(curves)[0]
    predicted = predict(probability, thresholds)
    f1 = np.full(n_classes, np.nan)
    for k in range(n_classes):
        known = label[:, k] >= 0
        truth, guess = label[known, k] == 1, predicted[known, k]
        if truth.any():
            f1[k] = 2 * float((truth & guess).sum()) / float(truth.sum() + guess.sum())
    return ValidationScores(thresholds, f1)


def _mean(f1: npt.NDArray[np.float64]) -> float:
    there = f1[np.isfinite(f1)]
    return float(there.mean()) if there.size else 0.0
