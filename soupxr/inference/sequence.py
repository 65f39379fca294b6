"""From features to probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch

from soupxr.inference.numbers import strict_float32
from soupxr.inference.stream import rechunk
from soupxr.models.tgmj import TGMJ, WINDOW, block_logits

__all__ = ["class_probabilities"]

FloatArray = npt.NDArray[np.float32]


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
