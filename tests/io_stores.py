"""What tests of files of others share."""

from __future__ import annotations

import numpy as np

from soupxr import store


def mask_of(ds, key: str, annotator: str) -> np.ndarray:
    """Labels (frame, behavior) of a trial as they are in the store."""
    return store.read_annotation(ds.attrs["soupxr_store"], annotator, key)


def random_mask(n_frames: int, n_behaviors: int, seed: int, unlabelled: bool = False) -> np.ndarray:
    """Bouts of all lengths, int8 (frame, behavior)."""
    random = np.random.default_rng(seed)
    mask = np.zeros((n_frames, n_behaviors), np.int8)
    for column in range(n_behaviors):
        at = 0
        while at < n_frames:
            length = int(random.geometric(0.12))
            values = [0, 1, -1] if unlabelled else [0, 1]
            mask[at : at + length, column] = random.choice(values)
            at += length
    return mask
