"""Arrays of other programs, fitted to the frames of a trial and the behaviors of a store. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Misfit", "digest", "ethogram_of", "fitted", "spread"]

Array = npt.NDArray[Any]
#: Programs count a video's frames in different ways; this many may be missing or too many.
LENIENCE = 2


class Misfit(ValueError):
    """An array does not fit; the message says how, without naming it."""


def fitted(values: Array, n_frames: int, fill: float, notes: list[str]) -> Array:
    """Values (frame, class) of exactly so many frames.

    Up to two frames too many are cut off, and up to two that lack get ``fill``; ``notes`` tells.

    Raises
    ------
    Misfit
        If the array belongs to a video of another length.
    """
    if values.ndim != 2:
        raise Misfit(f"expected two dimensions, (frame, class), but got shape {values.shape}")
    lacking = n_frames - len(values)
    if abs(lacking) > LENIENCE:
        raise Misfit(f"has {len(values)} frames, but the video has {n_frames}")
    if lacking:
        notes.append(f"has {len(values)} frames for the video's {n_frames}")
    if lacking > 0:
        return np.pad(values, ((0, lacking), (0, 0)), constant_values=fill)
    return values[:n_frames]


def spread(values: Array, columns: Mapping[int, int], n_behaviors: int, fill: Any) -> Array:
    """Columns of theirs in the places of ours; ``fill`` where they have none."""
    whole = np.full((len(values), n_behaviors), fill, values.dtype)
    for theirs, ours in columns.items():
        whole[:, ours] = values[:, theirs]
    return whole


def ethogram_of(values: Array) -> npt.NDArray[np.int8]:
    """Labels as int8, where they are 1, 0, −1 and nothing else.

    Raises
    ------
    Misfit
        If they are anything else; names the frame.
    """
    numbers = np.asarray(values, dtype=float)
    numbers = np.where(np.isnan(numbers), -1, numbers)
    wrong = ~np.isin(numbers, (-1, 0, 1))
    if wrong.any():
        frame, column = np.argwhere(wrong)[0].tolist()
        came = numbers[frame, column]
        raise Misfit(f"frame {frame}, column {column}: expected 1, 0 or -1, but got {came:g}")
    return numbers.astype(np.int8)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
