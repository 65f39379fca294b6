"""The one kind of array that is drawn with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "f32"]

FloatArray = npt.NDArray[np.float32]


def f32(values: npt.ArrayLike) -> FloatArray:
    """The values as float32."""
    return np.asarray(values, np.float32)
