"""Soft-edged shapes on a grey picture, each computed in its own bounding box only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.synthetic.arrays import FloatArray, f32

__all__ = ["Canvas", "speckle"]


class Canvas:
    """A grey picture that shapes are laid on, the last on top.

    Parameters
    ----------
    pixels : float32 array (y, x)
        Brightness; drawn on in place.
    light : tuple of float
        Unit vector (x, y) towards the lamp.
    """

    def __init__(self, pixels: FloatArray, light: tuple[float, float]) -> None:
        self.pixels = pixels
        self.light = light
        height, width = pixels.shape
        self._y = np.arange(height, dtype=np.float32)[:, None]
        self._x = np.arange(width, dtype=np.float32)

    def _box(self, x0: float, x1: float, y0: float, y1: float) -> tuple[slice, slice] | None:
        height, width = self.pixels.shape
        left, right = max(0, math.floor(x0)), min(width, math.ceil(x1) + 1)
        top, bottom = max(0, math.floor(y0)), min(height, math.ceil(y1) + 1)
        if left >= right or top >= bottom:
            return None
        return slice(top, bottom), slice(left, right)

    def capsule(
        self,
        shape: Sequence[float],
        tone: float,
        *,
        soft: float = 1.0,
        round_off: float = 0.42,
        opacity: float = 1.0,
    ) -> None:
        """Lay down a limb: a rod from ``a`` to ``b`` whose radius changes evenly.

        Parameters
        ----------
        shape : sequence of float
            Ends and the radii there, in pixels: ax, ay, bx, by, a's radius, b's radius.
        tone : float
            Brightness in the middle.
        soft : float
            Width of the edge, in pixels; large for what is out of focus.
        round_off : float
            How much darker the rim is than the middle, 0 to 1.
        opacity : float
            0 to 1.
        """
        ax, ay, bx, by, a_radius, b_radius = shape
        if a_radius < 0.2 and b_radius < 0.2:
            return
        margin = 0.5 * soft + 0.5
        reach_a, reach_b = a_radius + margin, b_radius + margin
        box = self._box(
            min(ax - reach_a, bx - reach_b),
            max(ax + reach_a, bx + reach_b),
            min(ay - reach_a, by - reach_b),
            max(ay + reach_a, by + reach_b),
        )
        if box is None:
            return
        dx, dy = bx - ax, by - ay
        squared = max(dx * dx + dy * dy, 1e-6)
        qx, qy = self._x[box[1]] - ax, self._y[box[0]] - ay
        along = qx * (dx / squared) + qy * (dy / squared)
        np.maximum(along, 0.0, out=along)
        np.minimum(along, 1.0, out=along)
        radius = along * (b_radius - a_radius)
        radius += a_radius
        off_x, off_y = qx - along * dx, qy - along * dy
        self._lay(box, off_x, off_y, radius, tone, soft, round_off, opacity)

    def ellipse(
        self,
        x: float,
        y: float,
        x_radius: float,
        y_radius: float,
        tone: float,
        *,
        turn: float = 0.0,
        soft: float = 1.0,
        round_off: float = 0.42,
        opacity: float = 1.0,
    ) -> None:
        """Lay down an ellipse, turned by ``turn`` radians; other arguments as for a capsule."""
        reach = max(x_radius, y_radius) + 0.5 * soft + 1.0
        box = self._box(x - reach, x + reach, y - reach, y + reach)
        if box is None:
            return
        qx, qy = self._x[box[1]] - x, self._y[box[0]] - y
        cos, sin = math.cos(turn), math.sin(turn)
        mean = math.sqrt(x_radius * y_radius)
        off_x = (qx * cos + qy * sin) * (mean / x_radius)
        off_y = (qy * cos - qx * sin) * (mean / y_radius)
        radius = np.full(off_x.shape, mean, np.float32)
        self._lay(box, off_x, off_y, radius, tone, soft, round_off, opacity)

    def _lay(
        self,
        box: tuple[slice, slice],
        off_x: npt.NDArray[Any],
        off_y: npt.NDArray[Any],
        radius: npt.NDArray[Any],
        tone: float,
        soft: float,
        round_off: float,
        opacity: float,
    ) -> None:
        """Blend in a round thing, given each pixel's offset from its axis; lit from one side."""
        lit = off_x * self.light[0]
        lit += off_y * self.light[1]
        off_x *= off_x
        off_y *= off_y
        off_x += off_y
        distance = np.sqrt(off_x, out=off_x)
        cover = radius - distance
        if soft != 1.0:
            cover *= 1.0 / soft
        cover += 0.5
        np.maximum(cover, 0.0, out=cover)
        np.minimum(cover, opacity, out=cover)
        inverse = np.divide(1.0, radius, out=radius)
        distance *= inverse
        distance *= distance
        distance *= -round_off * tone
        lit *= inverse
        lit *= 0.3 * tone
        lit += distance
        lit += tone
        view = self.pixels[box]
        lit -= view
        lit *= cover
        view += lit

    def strokes(self, xy: FloatArray, strength: FloatArray | float) -> None:
        """Add light at points, shared among the four pixels around each.

        Parameters
        ----------
        xy : float32 array (point, 2)
            In pixels; points outside are left out.
        strength : float or float32 array (point,)
            Brightness to add.
        """
        height, width = self.pixels.shape
        x, y = xy[:, 0], xy[:, 1]
        inside = (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1)
        x, y = x[inside], y[inside]
        amount = np.broadcast_to(f32(strength), inside.shape)[inside]
        left, top = x.astype(np.intp), y.astype(np.intp)
        fx, fy = x - left, y - top
        corner = top * width + left
        flat = self.pixels.reshape(-1)
        np.add.at(flat, corner, amount * (1 - fx) * (1 - fy))
        np.add.at(flat, corner + 1, amount * fx * (1 - fy))
        np.add.at(flat, corner + width, amount * (1 - fx) * fy)
        np.add.at(flat, corner + width + 1, amount * fx * fy)


def speckle(rng: np.random.Generator, shape: tuple[int, int], grain: tuple[int, int]) -> FloatArray:
    """Smooth noise of mean 0 and deviation 1: fur, cloth, dust.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the noise comes from.
    shape : tuple of int
        (y, x).
    grain : tuple of int
        Length over which it is alike, in pixels (y, x).
    """
    noise = rng.standard_normal((shape[0] + grain[0], shape[1] + grain[1]), dtype=np.float32)
    for axis, length in enumerate(grain):
        noise = _lagged(np.cumsum(noise, axis=axis), length, axis)
    noise = noise[: shape[0], : shape[1]]
    return noise / max(float(noise.std()), 1e-6)


def _lagged(total: FloatArray, length: int, axis: int) -> FloatArray:
    """Moving sums of ``length`` along an axis, from running totals."""
    ahead = [slice(None)] * 2
    behind = [slice(None)] * 2
    ahead[axis], behind[axis] = slice(length, None), slice(None, -length)
    return total[tuple(ahead)] - total[tuple(behind)]
