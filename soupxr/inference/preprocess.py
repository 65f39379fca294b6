"""From decoded frames to the networks' input, on any device.

Two styles, named in the checkpoint, for a network must see what it was trained on:

``"antialias"``
    Pixels as floats in [0, 1], then an antialiased bilinear resize (animal-soup).
``"plain"``
    Bilinear resize of the 8-bit picture without antialiasing, as OpenCV's ``INTER_LINEAR``
    computes it bit by bit, then floats in [0, 1] (DeepEthogram).

Both resize the joined views without keeping the aspect, then normalise each colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from soupxr.errors import ArgumentError, expected

__all__ = ["Preprocessing", "Statistics", "Style", "frame_windows"]

Style = Literal["antialias", "plain"]
STYLES: tuple[str, ...] = get_args(Style)

#: OpenCV's fixed point: coefficients have 11 fractional bits.
COEFFICIENT_BITS = 11


@dataclass(frozen=True)
class Preprocessing:
    """Everything between a decoded frame and the networks.

    Parameters
    ----------
    size : (height, width)
        Of the networks' input, in pixels.
    style : {"antialias", "plain"}
        How frames are resized.
    mean, std : tuple of three float
        Per colour, of pixel values in [0, 1].
    crop : (height, width), optional
        Cut the centre out of each frame before it is resized.
    """

    size: tuple[int, int]
    style: Style
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise ArgumentError(
                expected("preprocessing", " or ".join(map(repr, STYLES)), self.style)
            )

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """Resize and normalise frames.

        Parameters
        ----------
        frames : Tensor
            uint8 (frame, y, x, channel).

        Returns
        -------
        Tensor
            float32 (frame, channel, height, width), on the same device.
        """
        return self.normalize(self.resize(frames))

    def resize(self, frames: torch.Tensor) -> torch.Tensor:
        """Pixel values in [0, 1] at the networks' size, float32 (frame, channel, height, width)."""
        if self.crop is not None:
            frames = center_crop(frames, self.crop)
        if self.style == "plain":
            return resize_like_opencv(frames, self.size).permute(0, 3, 1, 2).float().div_(255)
        values = frames.permute(0, 3, 1, 2).float().div_(255)
        return interpolate(values, self.size, mode="bilinear", antialias=True, align_corners=False)

    def normalize(self, values: torch.Tensor) -> torch.Tensor:
        """Subtract the mean and divide by the standard deviation, per colour (axis 1)."""
        mean, std = (
            torch.tensor(v, dtype=values.dtype, device=values.device).view(3, 1, 1)
            for v in (self.mean, self.std)
        )
        return (values - mean) / std

    @cached_property
    def edge_color(self) -> npt.NDArray[np.uint8]:
        """Colour of the frames before the first and after the last: the truncated mean."""
        # Truncated, not rounded, as the published models were trained.
        color: npt.NDArray[np.uint8] = np.clip(255 * np.asarray(self.mean), 0, 255).astype("uint8")
        return color

    def edge_frames(self, count: int, device: torch.device) -> torch.Tensor:
        """``count`` flat frames of :attr:`edge_color`, as the networks see them."""
        color = torch.from_numpy(self.edge_color).to(device).float().div(255).view(1, 3, 1, 1)
        return self.normalize(color).expand(count, 3, *self.size)


def center_crop(frames: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Cut ``size`` (height, width) out of the middle of frames (frame, y, x, channel); a view."""
    top, left = (
        round((have - want) / 2) for have, want in zip(frames.shape[1:3], size, strict=True)
    )
    return frames[:, top : top + size[0], left : left + size[1]]


def frame_windows(frames: torch.Tensor, window: int, layout: str, every: int = 1) -> torch.Tensor:
    """Form windows of consecutive frames, on the frames' device.

    Parameters
    ----------
    frames : Tensor
        (frame, 3, height, width); ``(n - 1)·every + window`` of them.
    window : int
        Frames in a window.
    layout : {"stacked", "volume"}
        See :class:`soupxr.modes.Mode`.
    every : int, default 1
        Frames from one window's first to the next one's.

    Returns
    -------
    Tensor
        (n, 3·window, height, width), channel = 3·frame + colour, or (n, 3, window, height, width).
    """
    strided = frames.unfold(0, window, every)  # (n, colour, y, x, window), a view
    if layout == "volume":
        return strided.permute(0, 1, 4, 2, 3).contiguous()
    # Channels side by side in memory, as convolutions want them.
    return strided.permute(0, 2, 3, 4, 1).flatten(3, 4).permute(0, 3, 1, 2)


# ------------------------------------------------------------------ OpenCV's bilinear resize


def resize_like_opencv(frames: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear resize in OpenCV's 8-bit fixed-point arithmetic.

    Parameters
    ----------
    frames : Tensor
        uint8 (frame, y, x, channel).
    size : (height, width)
        Wanted, in pixels.

    Returns
    -------
    Tensor
        uint8 (frame, height, width, channel), equal to ``cv2.resize(..., INTER_LINEAR)``.
    """
    height, width = size
    if frames.shape[1:3] == (height, width):
        return frames
    top, bottom, upper, lower = _taps(frames.shape[1], height, frames.device, "clamp")
    left, right, before, behind = _taps(frames.shape[2], width, frames.device, "nearest")

    def horizontally(rows: torch.Tensor) -> torch.Tensor:
        lines = frames.index_select(1, rows).int()
        return lines.index_select(2, left) * before.view(-1, 1) + lines.index_select(
            2, right
        ) * behind.view(-1, 1)

    # The shifts are OpenCV's: they keep the products of two 11-bit coefficients in 32 bits.
    above = ((horizontally(top) >> 4) * upper.view(-1, 1, 1)) >> 16
    below = ((horizontally(bottom) >> 4) * lower.view(-1, 1, 1)) >> 16
    return ((above + below + 2) >> 2).clamp_(0, 255).to(torch.uint8)


def _taps(
    source: int, target: int, device: torch.device, border: Literal["nearest", "clamp"]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Both neighbours of every target pixel along one axis, and their integer weights.

    Beyond the border OpenCV takes the nearest column as it is, but blends the nearest row with
    itself, which rounds differently.
    """
    scale = source / target
    place = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    fraction = place - first.astype(np.float32)
    if border == "nearest":
        fraction[(first < 0) | (first >= source - 1)] = 0
    second = (first + 1).clip(0, source - 1)
    first = first.clip(0, source - 1)
    one = np.float32(1 << COEFFICIENT_BITS)
    weights = (np.float32(1) - fraction) * one, fraction * one
    arrays = (
        first,
        second,
        *(np.rint(weight).astype(np.int32) for weight in weights),
    )
    a, b, c, d = (torch.from_numpy(array).to(device) for array in arrays)
    return a, b, c, d


# ------------------------------------------------------------------ statistics of a video


class Statistics:
    """Exact mean and standard deviation of pixel values, per colour, over any number of frames.

    Keeps a histogram of the 256 values a pixel can have, so nothing is lost to rounding.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((3, 256), dtype=np.int64)

    def add(self, frames: npt.NDArray[np.uint8]) -> None:
        """Take in frames, uint8 (frame, y, x, channel)."""
        for color in range(3):
            self._counts[color] += np.bincount(frames[..., color].ravel(), minlength=256)

    def add_black(self, pixels: int) -> None:
        """Take in so many black pixels, as those that pad a shorter view."""
        self._counts[:, 0] += pixels

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean of pixel values in [0, 1]."""
        return self._average(np.arange(256) / 255)

    @property
    def std(self) -> tuple[float, float, float]:
        """Population standard deviation of pixel values in [0, 1]."""
        deviations = np.arange(256) / 255 - np.asarray(self.mean)[:, None]
        r, g, b = np.sqrt(self._average(deviations**2))
        return float(r), float(g), float(b)

    def _average(self, values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
        r, g, b = (self._counts * values).sum(axis=1) / self._counts.sum(axis=1)
        return float(r), float(g), float(b)
