"""From features to probabilities and an ethogram."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from soupxr import bouts
from soupxr.inference.numbers import strict_float32
from soupxr.inference.stream import rechunk
from soupxr.models.tgmj import TGMJ, WINDOW, block_logits

__all__ = ["Decision", "class_probabilities"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Decision:
    """How probabilities become an ethogram.

    Parameters
    ----------
    thresholds : tuple of float
        One per class, background first. A behavior occurs where its probability is above.
    minimum_bout : int or tuple of int
        Shortest bout and gap in frames, of all classes or of each.
    """

    thresholds: tuple[float, ...]
    minimum_bout: int | tuple[int, ...]

    def __call__(self, probability: FloatArray) -> npt.NDArray[np.int8]:
        """Ethogram (frame, behavior) from probabilities (frame, class); background is dropped."""
        decided = bouts.postprocess(
            probability, np.asarray(self.thresholds), minimum_bout=self.minimum_bout
        )
        return np.ascontiguousarray(decided[:, 1:], dtype=np.int8)


def class_probabilities(model: TGMJ, features: Iterable[FloatArray]) -> FloatArray:
    """Probabilities over a whole recording.

    The model sees consecutive windows of 180 frames, each by itself.

    Parameters
    ----------
    model : TGMJ
        In eval mode.
    features : iterable of ndarray
        Consecutive blocks, float32 (frame, 1024): spatial, then flow.

    Returns
    -------
    ndarray
        float32 (frame, class), background first.
    """
    device = next(model.parameters()).device
    parts = []
    for block in rechunk(features, WINDOW):
        with strict_float32(device):
            logits = block_logits(model, torch.from_numpy(block))
            parts.append(torch.sigmoid(logits).float().cpu().numpy())
    return np.concatenate(parts)
