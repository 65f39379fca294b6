"""Short clips of trials, as training reads them: at random, ahead of use, and in order.

A clip is the window of frames around a classified one. It comes from the store's decoded-frame
cache where the trial is in it, else from the trial's videos; either way it is resized and rounded
to 8 bits, so a run learns the same from both.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, cycle, islice
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from soupxr.errors import SoupError, SoupWarning, TrainingError
from soupxr.inference.preprocess import Preprocessing
from soupxr.video.frames import FrameSource

__all__ = ["ClipBatch", "ClipReader", "Clips", "VideoClips", "in_order", "random_batches"]

Frames = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int8]
_Read = tuple[Frames, tuple[int, int]]
#: Batches that are read ahead of use.
LOOK_AHEAD = 3


class ClipReader(Protocol):
    """Reads frames of one trial at the networks' size."""

    def read(self, start: int, stop: int) -> Frames:
        """Frames ``[start, stop)``: uint8 (frame, y, x, 3)."""


class VideoClips:
    """Reads a trial's videos and resizes what it reads.

    Parameters
    ----------
    source : FrameSource
        The trial's views, joined.
    preprocessing : Preprocessing
        Size and style; the normalisation plays no part.
    """

    def __init__(self, source: FrameSource, preprocessing: Preprocessing) -> None:
        self.source, self.preprocessing = source, preprocessing

    def read(self, start: int, stop: int) -> Frames:
        """Frames ``[start, stop)``: uint8 (frame, y, x, 3)."""
        with torch.inference_mode():
            values = self.preprocessing.resize(torch.from_numpy(self.source.read(start, stop)))
            rounded = values.mul(255).round_().clamp_(0, 255).to(torch.uint8)
            return rounded.permute(0, 2, 3, 1).contiguous().numpy()


@dataclass
class Clips:
    """A trial as training sees it.

    Parameters
    ----------
    key : str
        Which trial.
    n_frames : int
        Its length.
    size : (height, width)
        Of its frames as they are read, in pixels.
    reader : ClipReader
        Where they come from.
    labels : ndarray of int8 (frame, class), optional
        Background first; −1 unlabelled. None where labels play no part.
    """

    key: str
    n_frames: int
    size: tuple[int, int]
    reader: ClipReader
    labels: Labels | None = None
    #: Why its video could not be read, once that was seen; such a trial is left out.
    fault: str | None = field(default=None, compare=False)

    def window(self, center: int, window: int, edge: npt.NDArray[np.uint8]) -> Frames:
        """The frames around ``center``, with flat ones of colour ``edge`` beyond either end."""
        return self.span(center - window // 2, center - window // 2 + window, edge)

    def span(self, start: int, stop: int, edge: npt.NDArray[np.uint8]) -> Frames:
        """Frames ``[start, stop)``, which may lie beyond either end."""
        first, last = max(start, 0), min(stop, self.n_frames)
        if (first, last) == (start, stop):
            return self.reader.read(start, stop)
        frames = np.empty((stop - start, *self.size, 3), np.uint8)
        frames[:] = edge
        if first < last:
            frames[first - start : last - start] = self.reader.read(first, last)
        return frames


@dataclass(frozen=True)
class ClipBatch:
    """Some clips, or consecutive frames, as they leave the reader.

    Parameters
    ----------
    frames : Tensor of uint8
        Clips (N, window, y, x, 3); or consecutive frames (N + window − 1, y, x, 3).
    labels : Tensor of int8, (N, K), or None
        Background first.
    places : tuple of (str, int)
        Trial and frame of each.
    """

    frames: Tensor
    labels: Tensor | None
    places: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.places)

    def to(self, device: torch.device) -> ClipBatch:
        """The same on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return ClipBatch(self.frames.to(device), labels, self.places)

    def told(self) -> str:
        """Which frames these are, for a message."""
        frames: dict[str, list[int]] = {}
        for key, frame in self.places:
            frames.setdefault(key, []).append(frame)
        return "; ".join(f"{key} frames {sorted(at)}" for key, at in frames.items())


# -------------------------------------------------------------------- at random


def random_batches(
    trials: Sequence[Clips],
    batches: Sequence[npt.NDArray[np.int64]],
    window: int,
    edge: npt.NDArray[np.uint8],
    n_threads: int,
) -> Iterator[ClipBatch]:
    """Read batches of clips ahead of use, in their order.

    Parameters
    ----------
    trials : sequence of Clips
        Those with a ``fault`` are passed over; a trial that fails now gets one, with a warning.
    batches : sequence of ndarray of int, (n, 2)
        Which clips make each batch: index of the trial, centre frame.
    n_threads : int
        Clips that are read at once.

    Yields
    ------
    ClipBatch
        One for each of ``batches``, each of full size: where clips could not be read, others of the
        same batch stand in, and the batch before for one that has none left; for the first ones,
        the one after.

    Raises
    ------
    TrainingError
        If nothing can be read.
    """
    guard = _Guard()
    before: list[_Read] = []
    with ThreadPoolExecutor(n_threads, thread_name_prefix="soupxr-clips") as pool:

        def submit(batch: npt.NDArray[np.int64]) -> list[Future[_Read | None]]:
            return [pool.submit(_read_clip, trials, place, window, edge, guard) for place in batch]

        waiting: deque[list[Future[_Read | None]]] = deque()
        todo = iter(batches)
        owed: list[int] = []
        try:
            while True:
                waiting.extend(submit(batch) for batch in islice(todo, LOOK_AHEAD - len(waiting)))
                if not waiting:
                    break
                futures = waiting.popleft()
                owed.append(len(futures))
                before = [clip for future in futures if (clip := future.result())] or before
                guard.tell()
                while before and owed:
                    yield _stack(trials, list(islice(cycle(before), owed.pop(0))))
            if owed:
                raise TrainingError(
                    "none of the videos can be read; the warnings say why. "
                    "Put them right, or remove these trials."
                )
        finally:
            for future in chain.from_iterable(waiting):
                future.cancel()


def _read_clip(
    trials: Sequence[Clips],
    place: npt.NDArray[np.int64],
    window: int,
    edge: npt.NDArray[np.uint8],
    guard: _Guard,
) -> _Read | None:
    index, frame = int(place[0]), int(place[1])
    trial = trials[index]
    frames = guard.read(trial, lambda: trial.window(frame, window, edge))
    return None if frames is None else (frames, (index, frame))


def _stack(trials: Sequence[Clips], clips: Sequence[_Read]) -> ClipBatch:
    places = [place for _, place in clips]
    rows = [
        labels[frame] for trial, frame in places if (labels := trials[trial].labels) is not None
    ]
    return ClipBatch(
        torch.from_numpy(np.stack([frames for frames, _ in clips])),
        torch.from_numpy(np.stack(rows)) if rows else None,
        tuple((trials[trial].key, frame) for trial, frame in places),
    )


class _Guard:
    """Keeps a bad video from ending a run: the trial is left out from then on, with a warning."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news: list[str] = []

    def read(self, trial: Clips, work: Any) -> Frames | None:
        if trial.fault is not None:
            return None
        try:
            frames: Frames = work()
        except (SoupError, OSError) as failure:
            with self._lock:
                if trial.fault is None:
                    trial.fault = str(failure)
                    self._news.append(f"{trial.key}: {failure}")
            return None
        return frames

    def tell(self) -> None:
        """Warn of what was found, in the thread of the caller."""
        with self._lock:
            news, self._news = self._news, []
        for fault in news:
            warnings.warn(
                f"{fault}\nTraining goes on without this trial.", SoupWarning, stacklevel=4
            )


# -------------------------------------------------------------------- in order


def in_order(
    trials: Sequence[Clips], size: int, window: int, edge: npt.NDArray[np.uint8]
) -> Iterator[ClipBatch]:
    """Go through whole trials, each frame read once.

    Yields
    ------
    ClipBatch
        ``frames`` are consecutive, ``size`` of them or fewer and the halo that windows need.
    """
    guard = _Guard()
    for trial in trials:
        yield from _blocks_of(trial, size, window, edge, guard)


def _blocks_of(
    trial: Clips, size: int, window: int, edge: npt.NDArray[np.uint8], guard: _Guard
) -> Iterator[ClipBatch]:
    """One trial's frames, of which each block but the first takes its halo from the one before."""
    frames = np.empty((0, *trial.size, 3), np.uint8)
    read_until = -(window // 2)
    for start in range(0, trial.n_frames, size):
        stop = min(start + size, trial.n_frames)
        wanted = range(read_until, stop - window // 2 + window - 1)
        fresh = guard.read(trial, partial(trial.span, wanted.start, wanted.stop, edge))
        guard.tell()
        if fresh is None:
            return
        halo = frames[len(frames) - (window - 1) :] if start else frames
        frames, read_until = np.concatenate([halo, fresh]), wanted.stop
        labels = None if trial.labels is None else torch.from_numpy(trial.labels[start:stop])
        places = tuple((trial.key, frame) for frame in range(start, stop))
        yield ClipBatch(torch.from_numpy(frames), labels, places)
