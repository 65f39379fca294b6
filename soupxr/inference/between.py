"""Features of frames that the networks did not look at, from those on both sides.

At 500 Hz an animal moves little in two or three frames, and features less than pictures: they are
interpolated linearly. The sequence model then sees every frame, as it was trained to.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Features", "fill_between"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """What the feature extractor says of consecutive frames, on the host.

    Parameters
    ----------
    spatial, flow : ndarray
        float32 (frame, 512).
    logit : ndarray
        float32 (frame, class), background first.
    """

    spatial: FloatArray
    flow: FloatArray
    logit: FloatArray

    def __len__(self) -> int:
        return len(self.logit)

    def __getitem__(self, frames: slice) -> Features:
        return Features(self.spatial[frames], self.flow[frames], self.logit[frames])

    @classmethod
    def join(cls, parts: Iterable[Features]) -> Features:
        """Features of consecutive parts as one."""
        known = list(parts)
        return cls(
            np.concatenate([part.spatial for part in known]),
            np.concatenate([part.flow for part in known]),
            np.concatenate([part.logit for part in known]),
        )


def fill_between(
    looked_at: Iterable[tuple[Features, int]],
) -> Generator[Features, None, None]:
    """Features of every frame.

    Parameters
    ----------
    looked_at : iterable of (Features, int)
        Those that the networks made, in order; with each piece, how many frames every one of its
        rows lies behind the row before. The very first row is the recording's first frame.

    Yields
    ------
    Features
        Of consecutive frames, the first to the last that was looked at.
    """
    before: Features | None = None
    for piece, step in looked_at:
        if before is None:
            yield piece[:1]
            before, piece = piece[:1], piece[1:]
        if len(piece):
            yield piece if step == 1 else _between(Features.join([before, piece]), step)
            before = piece[-1:]


def _between(rows: Features, step: int) -> Features:
    """``step`` frames from each row to the next; the first row itself is left out."""
    parts = np.arange(1, step + 1, dtype=np.float32)[:, None] / np.float32(step)

    def fill(values: FloatArray) -> FloatArray:
        filled = values[:-1, None] + np.diff(values, axis=0)[:, None] * parts
        filled[:, -1] = values[1:]
        return filled.reshape(-1, values.shape[1])

    return Features(fill(rows.spatial), fill(rows.flow), fill(rows.logit))
