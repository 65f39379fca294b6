"""Windows of stored features, as the sequence model learns from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from soupxr.models.tgmj import WINDOW

__all__ = ["FeatureBatch", "Recording", "window_batches", "window_places"]

FloatArray = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


class FeatureReader(Protocol):
    """Reads features of one trial."""

    def read(self, start: int, stop: int) -> FloatArray:
        """Frames ``[start, stop)``: float32 (frame, 1024), spatial then flow."""


@dataclass(frozen=True)
class Recording:
    """A trial as the sequence model sees it.

    Parameters
    ----------
    key : str
        Which trial.
    reader : FeatureReader
        Where its features come from.
    labels : ndarray of int8, (frame, class)
        Background first; −1 unlabelled.
    """

    key: str
    reader: FeatureReader
    labels: npt.NDArray[np.int8]

    @property
    def n_frames(self) -> int:
        """Its length."""
        return len(self.labels)


@dataclass(frozen=True)
class FeatureBatch:
    """Windows of recordings.

    Parameters
    ----------
    features : Tensor, (N, 1024, 180)
        Zeros where a window reaches beyond its recording.
    labels : Tensor of int8, (N, K, 180)
        −1 there.
    places : tuple of (str, int)
        Trial and first frame of each.
    """

    features: Tensor
    labels: Tensor
    places: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.places)

    def to(self, device: torch.device) -> FeatureBatch:
        """The same on a device."""
        return FeatureBatch(self.features.to(device), self.labels.to(device), self.places)

    def told(self) -> str:
        """Which frames these are, for a message."""
        return ", ".join(f"{key} [{start}, {start + WINDOW})" for key, start in self.places)


def window_places(recordings: Sequence[Recording], phases: Sequence[int]) -> Places:
    """Windows that cover every labelled frame once.

    Parameters
    ----------
    recordings : sequence of Recording
        All of them.
    phases : sequence of int
        How many frames before its start each recording's first window begins, 0 to 179.

    Returns
    -------
    ndarray of int, (M, 2)
        Recording and first frame, which may be negative.
    """
    places = [
        (index, start)
        for index, (recording, phase) in enumerate(zip(recordings, phases, strict=True))
        for start in range(-phase, recording.n_frames, WINDOW)
        if (recording.labels[max(start, 0) : start + WINDOW] >= 0).any()
    ]
    return np.array(places, dtype=np.int64).reshape(-1, 2)


def window_batches(
    recordings: Sequence[Recording], batches: Sequence[Places]
) -> Iterator[FeatureBatch]:
    """Read batches of windows.

    Parameters
    ----------
    batches : sequence of ndarray of int, (n, 2)
        Recording and first frame, from :func:`window_places`.
    """
    for batch in batches:
        windows = [_window(recordings[index], start) for index, start in batch.tolist()]
        yield FeatureBatch(
            torch.from_numpy(np.stack([features for features, _ in windows])),
            torch.from_numpy(np.stack([labels for _, labels in windows])),
            tuple((recordings[index].key, start) for index, start in batch.tolist()),
        )


def _window(recording: Recording, start: int) -> tuple[FloatArray, npt.NDArray[np.int8]]:
    """Features (1024, 180) and labels (K, 180) from a frame on."""
    first, last = max(start, 0), min(start + WINDOW, recording.n_frames)
    values = recording.reader.read(first, last)
    features = np.zeros((values.shape[1], WINDOW), np.float32)
    labels = np.full((recording.labels.shape[1], WINDOW), -1, np.int8)
    inside = slice(first - start, last - start)
    features[:, inside] = values.T
    labels[:, inside] = recording.labels[first:last].T
    return features, labels
