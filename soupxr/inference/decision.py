"""How probabilities become an ethogram. Without torch, for who only judges or decides anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soupxr import bouts

__all__ = ["DEFAULT_MINIMUM_BOUT", "DEFAULT_THRESHOLD", "Decision"]

DEFAULT_THRESHOLD = 0.5
#: Minimum bout of the published models, in frames.
DEFAULT_MINIMUM_BOUT = 3


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

    def __call__(self, probability: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
        """Ethogram (frame, behavior) from probabilities (frame, class); background is dropped."""
        decided = bouts.postprocess(
            probability, np.asarray(self.thresholds), minimum_bout=self.minimum_bout
        )
        return np.ascontiguousarray(decided[:, 1:], dtype=np.int8)
