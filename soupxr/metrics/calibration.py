"""Whether probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soupxr.errors import ArgumentError, expected

__all__ = ["expected_calibration_error", "fit_temperature", "temperature_scaled"]

Floats = NDArray[np.float64]

#: Equal-width bins of the expected calibration error.
BINS = 15
#: Temperatures outside are not looked for: where labels are separated without error, likelihood
#: would drive it to 0, and to infinity where probabilities say nothing or the opposite.
TEMPERATURES = (0.05, 20.0)
#: Probabilities are kept this far from 0 and 1, whose logits are infinite.
MARGIN = 1e-7
TOLERANCE = 1e-9
STEPS = 200
#: Frames that are worked on at once, so that they stay in the processor's cache.
BLOCK = 16_384


def expected_calibration_error(label: ArrayLike, probability: ArrayLike, bins: int = BINS) -> float:
    """How far probabilities of one class are from the frequency with which it occurs.

    Frames are put into bins of equal width by their probability; the distance between mean
    probability and share of positives is averaged over bins, weighted by their frames.

    Parameters
    ----------
    label : array_like, (T,)
        True where the class occurs.
    probability : array_like, (T,)
        In [0, 1].
    bins : int, default 15
        The last one includes 1.

    Returns
    -------
    float
        0 is perfect; NaN without frames.
    """
    labels, probabilities = _pair(label, probability)
    if not len(labels):
        return float("nan")
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    surplus = np.bincount(place, weights=probabilities - labels, minlength=bins)
    return float(np.abs(surplus).sum() / len(labels))


def fit_temperature(label: ArrayLike, probability: ArrayLike) -> float:
    """Temperature that makes one class's labels likeliest, where logits are divided by it.

    The negative log-likelihood is convex in the inverse of the temperature; its minimum is found
    by Newton's method, kept within a shrinking bracket.

    Parameters
    ----------
    label, probability : array_like, (T,)
        As in :func:`expected_calibration_error`.

    Returns
    -------
    float
        Above 1: the probabilities were too sure. Within [0.05, 20]; NaN where the class always or
        never occurs, for then nothing is to be learnt from it.
    """
    labels, probabilities = _pair(label, probability)
    if not len(labels) or labels.min() == labels.max():
        return float("nan")
    logits = _logits(probabilities)
    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if _slope(logits, labels, low)[0] >= 0:
        return TEMPERATURES[1]
    if _slope(logits, labels, high)[0] <= 0:
        return TEMPERATURES[0]
    inverse = 1.0
    for _ in range(STEPS):
        slope, curvature = _slope(logits, labels, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        step = slope / curvature if curvature > 0 else np.inf
        proposed = inverse - step
        if not low < proposed < high:
            proposed = np.sqrt(low * high)
        if abs(proposed - inverse) <= TOLERANCE * inverse:
            break
        inverse = float(proposed)
    return float(1 / inverse)


def temperature_scaled(probability: ArrayLike, temperature: ArrayLike) -> Floats:
    """Probabilities whose logits are divided by a temperature; NaN leaves them NaN."""
    logits = _logits(np.asarray(probability, float))
    return _sigmoid(logits / np.asarray(temperature, float))


def _slope(logits: Floats, labels: Floats, inverse: float) -> tuple[float, float]:
    """First and second derivative of the negative log-likelihood by the inverse temperature."""
    slope = curvature = 0.0
    for start in range(0, len(logits), BLOCK):
        block = slice(start, start + BLOCK)
        probability = _sigmoid(logits[block] * inverse)
        slope += float(np.dot(logits[block], probability - labels[block]))
        curvature += float(np.dot(logits[block] ** 2, probability * (1 - probability)))
    return slope, curvature


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def _logits(probability: Floats) -> Floats:
    inside = np.clip(probability, MARGIN, 1 - MARGIN)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _pair(label: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    labels, probabilities = np.asarray(label, float), np.asarray(probability, float)
    if labels.ndim != 1 or labels.shape != probabilities.shape:
        shapes = (labels.shape, probabilities.shape)
        raise ArgumentError(expected("label, probability", "both (frame,)", shapes))
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        remedy = "Apply the sigmoid to logits; leave out frames that were not inferred."
        raise ArgumentError(expected("probability", "numbers in [0, 1]", probabilities, remedy))
    return labels, probabilities
