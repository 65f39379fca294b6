"""How long and how fast a stage learns, and which frames it sees in which epoch. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Schedule", "epoch_batches", "evenly_spaced", "oversampling_weights"]

StopMethod = Literal["learning_rate", "num_epochs"]
Places = npt.NDArray[np.int64]

#: The learning rate ends here; training stops when it has come so far.
LOWEST_LR = 5e-7
#: What comparing learning rates forgives.
LR_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Schedule:
    """How a stage is trained.

    Parameters
    ----------
    batch_size : int
        Samples in a step.
    initial_lr : float
        Learning rate of the first epochs; divided by 10 whenever the metric stands still.
    stop_method : {"learning_rate", "num_epochs"}
        Stop when the learning rate has reached 5e-7, at the latest after ``max_epochs``; or after
        ``max_epochs``.
    max_epochs : int
        Most epochs.
    patience : int
        Epochs without improvement that lower the learning rate.
    training_steps, validation_steps : int
        Most batches of an epoch.
    seed : int
        Of all chance: the split, the order of the data, augmentation, dropout, first weights.
    """

    batch_size: int
    initial_lr: float
    stop_method: StopMethod
    max_epochs: int
    patience: int
    training_steps: int = 1000
    validation_steps: int = 1000
    seed: int = 0

    def is_over(self, epoch: int, lr: Any) -> bool:
        """Whether training stops after ``epoch`` (from 0), which left this learning rate."""
        lowest = float(lr) < LOWEST_LR + LR_TOLERANCE
        return self.stop_method == "learning_rate" and epoch >= 1 and lowest


def epoch_batches(
    places: Places,
    schedule: Schedule,
    epoch: int,
    weights: npt.NDArray[np.float64] | None = None,
) -> list[Places]:
    """Batches of one epoch: a matter of the seed and the epoch alone.

    Parameters
    ----------
    places : ndarray of int, (M, 2)
        Trial and frame of every sample there is.
    weights : ndarray, (M,), optional
        How often each is drawn, in proportion, with repetition; by default each once.

    Returns
    -------
    list of ndarray of int, (batch_size, 2)
        At most ``schedule.training_steps``. The last, incomplete batch is left out, unless there
        is no other.
    """
    rng = np.random.default_rng((schedule.seed, epoch))
    size = min(schedule.batch_size, len(places))
    steps = min(schedule.training_steps, len(places) // size)
    if weights is None:
        chosen = rng.permutation(len(places))[: steps * size]
    else:
        chosen = rng.choice(len(places), steps * size, p=weights / weights.sum())
    return list(places[chosen].reshape(steps, size, 2))


def evenly_spaced(places: Places, most: int) -> Places:
    """At most so many of the places, evenly chosen, in their order."""
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).round().astype(np.int64)]


def oversampling_weights(
    labels: npt.NDArray[np.int8], exponent: float
) -> npt.NDArray[np.float64] | None:
    """How often frames are drawn so that rare classes come more often.

    Parameters
    ----------
    labels : ndarray of int8, (M, K)
        1 occurs, 0 does not, −1 unlabelled.
    exponent : float
        A class weighs (its part of the frames)^−exponent; 0 draws all frames alike.

    Returns
    -------
    ndarray, (M,), or None
        Sum of the weights of the classes that occur in each frame; None for exponent 0. Frames of
        which no class is known to occur weigh as little as those of the commonest class.
    """
    if exponent == 0:
        return None
    occurs = labels == 1
    fraction = occurs.sum(axis=0) / len(labels)
    weight = np.where(fraction > 0, np.maximum(fraction, 1e-12), 1.0) ** -exponent
    total = occurs @ weight
    commonest = weight[fraction.argmax()]
    return np.asarray(np.where(total > 0, total, commonest))
