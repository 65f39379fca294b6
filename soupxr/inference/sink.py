"""Features on their way into the store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from numcodecs import BitRound

from soupxr.inference.between import Features
from soupxr.inference.stream import Behind
from soupxr.schema import FEATURE_CHUNK
from soupxr.store import TrialResults

__all__ = ["FeatureSink", "rounded"]

#: Mantissa bits of float16.
HALF_PRECISION_BITS = 10


class FeatureSink:
    """Writes features in whole chunks of the store, one while the next is filled."""

    def __init__(self, results: TrialResults, behind: Behind) -> None:
        self._results, self._behind = results, behind
        # Filled again and again, for the reason that ``rechunk`` tells.
        self._chunk: dict[str, npt.NDArray[np.float32]] = {}
        self._other: dict[str, npt.NDArray[np.float32]] = {}
        self._start = self._filled = 0

    def add(self, features: Features) -> None:
        """Take in features of the next frames."""
        while len(features):
            room = FEATURE_CHUNK - self._filled
            self._fill(features[:room])
            features = features[room:]
            if self._filled == FEATURE_CHUNK:
                self._write()

    def close(self) -> None:
        """Write what is left."""
        if self._filled:
            self._write()

    def _fill(self, features: Features) -> None:
        until = self._filled + len(features)
        for name, values in vars(features).items():
            if name not in self._chunk:
                self._chunk[name] = np.empty((FEATURE_CHUNK, values.shape[1]), values.dtype)
            self._chunk[name][self._filled : until] = values
        self._filled = until

    def _write(self) -> None:
        chunk = {name: values[: self._filled] for name, values in self._chunk.items()}
        # Returns once the chunk before is written, whose place is filled next.
        self._behind.call(self._results.write_features, self._start, chunk)
        self._chunk, self._other = self._other, self._chunk
        self._start += self._filled
        self._filled = 0


def rounded(features: Features) -> Features:
    """Features with the mantissa of float16 but the range of float32: they compress to half."""
    codec = BitRound(keepbits=HALF_PRECISION_BITS)

    def half(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(codec.decode(codec.encode(values))).reshape(values.shape)

    return replace(features, spatial=half(features.spatial), flow=half(features.flow))
