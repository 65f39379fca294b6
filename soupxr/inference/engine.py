"""From a stream of frames to a stream of features, on one device.

Each frame is brought to the device once and preprocessed once; windows are formed there, as they
are needed. What is held at a time is one block of decoded frames and one batch of windows, so
memory does not grow with a video's length.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Generator, Iterable
from contextlib import closing

import numpy as np
import numpy.typing as npt
import torch

from soupxr.errors import ArgumentError, SoupWarning, expected
from soupxr.inference.between import Features, fill_between
from soupxr.inference.network import FeatureNetwork
from soupxr.inference.preprocess import Preprocessing
from soupxr.models.two_stream import HiddenTwoStream

__all__ = ["FeatureEngine", "choose_device"]

#: ``batch_size="auto"``: on a CPU larger batches gain nothing; a GPU is asked what it has free.
AUTO_BATCH = {"cuda": 256, "mps": 16, "cpu": 16}
#: Part of a GPU's free memory that a batch may take.
MEMORY_SHARE = 0.7
#: Windows of the trial run from which the memory of others is inferred.
TRIAL_WINDOWS = 4


def choose_device(name: str) -> torch.device:
    """Device of this name; ``"auto"`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    ArgumentError
        If there is no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ArgumentError(
            expected("device", f"a device of this machine ({error})", name, 'Try device="auto".')
        ) from None
    return device


class FeatureEngine:
    """The feature extractor at work.

    Parameters
    ----------
    model : HiddenTwoStream
        Copied; it stays as it is.
    device : torch.device
        Where it runs.
    precision : {"float32", "bfloat16"}
        Number format of the networks. float32 means it: TF32 is switched off meanwhile.
    batch_size : int or "auto"
        Windows at once; halved, with one warning, whenever memory does not suffice. ``"auto"``
        takes on a GPU as many as fit into what is free.
    """

    def __init__(
        self,
        model: HiddenTwoStream,
        device: torch.device,
        precision: str = "float32",
        batch_size: int | str = "auto",
    ) -> None:
        self.network = FeatureNetwork(model, device, precision)
        self.device = device
        self.precision = precision
        self.batch_size = AUTO_BATCH[device.type] if batch_size == "auto" else int(batch_size)
        self._too_large = 0
        self._is_measured = batch_size != "auto" or device.type != "cuda"
        # Trials that dask runs in several threads share the device, one batch at a time.
        self._lock = threading.Lock()

    def extract(
        self,
        blocks: Iterable[npt.NDArray[np.uint8]],
        preprocessing: Preprocessing,
        every: int = 1,
    ) -> Generator[Features, None, None]:
        """Features of every frame of a recording, in order.

        Parameters
        ----------
        blocks : iterable of ndarray
            uint8 (frame, y, x, channel); consecutive pieces of the recording, of any length.
        preprocessing : Preprocessing
            How frames become the networks' input.
        every : int, default 1
            The networks look at each so manyth frame, and at the last one; what lies between is
            interpolated. Windows are of consecutive frames all the same.

        Yields
        ------
        Features
            Of consecutive frames.
        """
        with closing(self._looked_at(blocks, preprocessing, every)) as looked_at:
            yield from fill_between(looked_at)

    def _looked_at(
        self, blocks: Iterable[npt.NDArray[np.uint8]], preprocessing: Preprocessing, every: int
    ) -> Generator[tuple[Features, int], None, None]:
        """Features of the frames that are looked at, and how far each is behind the last."""
        window = self.network.window
        before = window // 2
        pending = preprocessing.edge_frames(before, self.device)
        for block in blocks:
            with self._lock:
                frames = preprocessing(self._brought(block))
            pending = torch.cat([pending, frames])
            self._measure(pending)
            while len(pending) >= self._needed(every):
                size = self.batch_size
                yield self._run(pending[: (size - 1) * every + window], every), every
                pending = pending[size * every :]
        after = preprocessing.edge_frames(window - 1 - before, self.device)
        pending = torch.cat([pending, after])
        while (left := len(pending) - window + 1) > 0:
            size = min(-(-left // every), self.batch_size)
            yield self._run(pending[: (size - 1) * every + window], every), every
            rest = (left - 1) % every
            if size * every >= left and rest:
                yield self._run(pending[-window:], 1), rest
            pending = pending[size * every :]

    def _brought(self, block: npt.NDArray[np.uint8]) -> torch.Tensor:
        """The block on the device."""
        frames = torch.from_numpy(block)
        if self.device.type == "cuda":
            return frames.pin_memory().to(self.device, non_blocking=True)
        return frames.to(self.device)

    def _measure(self, frames: torch.Tensor) -> None:
        """Find, once, how many windows at a time a GPU has room for."""
        window = self.network.window
        with self._lock:
            if self._is_measured or len(frames) < window + TRIAL_WINDOWS:
                return
            self._is_measured = True
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            self.network(frames[: window + TRIAL_WINDOWS - 1])
            used = torch.cuda.max_memory_allocated(self.device) - before
            free, _ = torch.cuda.mem_get_info(self.device)
            self.batch_size = affordable(self.batch_size, free, used / TRIAL_WINDOWS)

    def _needed(self, every: int) -> int:
        """Frames for a whole batch of windows, and up to the next one's first."""
        return (self.batch_size - 1) * every + max(self.network.window, every)

    def _run(self, frames: torch.Tensor, every: int) -> Features:
        """Features of the windows in these frames, in pieces where memory runs out."""
        window = self.network.window
        count = (len(frames) - window) // every + 1
        if count <= self.batch_size:
            try:
                return self._forward(frames, every)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error) or count == 1:
                    raise
                self._too_large = max(count, self._too_large)
                self.batch_size = min(self.batch_size, count // 2)
            # Outside the except clause, whose traceback keeps the failed batch alive.
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        size = self.batch_size
        starts = range(0, count, size)
        pieces = (frames[i * every : (i + size - 1) * every + window] for i in starts)
        return Features.join([self._run(piece, every) for piece in pieces])

    def _forward(self, frames: torch.Tensor, every: int) -> Features:
        with self._lock:
            features = Features(*(part.cpu().numpy() for part in self.network(frames, every)))
        self._tell_of_smaller_batches()
        return features

    def _tell_of_smaller_batches(self) -> None:
        """Warn, once it is known which batch fits, that a larger one did not."""
        if self._too_large:
            warnings.warn(
                f"{self.device} has too little memory for {self._too_large} windows at once; "
                f"going on with batch_size={self.batch_size}. Pass it to infer to save the failed "
                "attempts.",
                SoupWarning,
                stacklevel=2,
            )
            self._too_large = 0


def affordable(most: int, free: float, each: float) -> int:
    """Windows that fit into the share of free bytes that they may take, at least one."""
    return max(1, min(most, int(MEMORY_SHARE * free / each)))


def _out_of_memory(error: BaseException) -> bool:
    """Whether a device, or this process, ran out of memory; the CPU has no error type for it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    told = str(error).lower()
    signs = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")
    return any(sign in told for sign in signs)
