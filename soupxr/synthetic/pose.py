"""From joint angles to rods and balls in space, and from there to the pictures of two cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soupxr.synthetic import anatomy
from soupxr.synthetic.anatomy import Look
from soupxr.synthetic.arrays import FloatArray, f32
from soupxr.synthetic.motion import FALLING, HELD, ON_POST, Motion

__all__ = ["Camera", "Limb", "limb", "pellet_path"]


DIGITS, JOINTS = 4, 2
#: How far (radians) digits fan out when the hand is open, and bend when it is closed.
FAN, CURL = 0.62, 1.75


@dataclass(frozen=True, eq=False)
class Limb:
    """The reaching arm as rods, from shoulder to fingertips, painted in this order.

    Parameters
    ----------
    ends : float32 array (frame, rod, 2, 3)
        Both ends of every rod, in world pixels.
    radii : float32 array (rod, 2)
        In world pixels.
    hand : tuple of array
        Unit vectors (frame, 3) along the hand and out of its palm.
    grip : float32 array (frame, 3)
        Where a held pellet sits.
    """

    ends: FloatArray
    radii: FloatArray
    hand: tuple[FloatArray, FloatArray]
    grip: FloatArray


@dataclass(frozen=True)
class Camera:
    """Projects the world into the picture of one view.

    Parameters
    ----------
    view : {"side", "front"}
        From the side of the reaching paw, or from where the animal looks.
    height, width : int
        Size of the picture; the world fills it as far as it fits, in its middle.
    zoom : float
        Magnification.
    shift : tuple of float
        What is in the middle, (x, y) in world pixels beside the world's middle.
    """

    view: str
    height: int
    width: int
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def scale(self) -> float:
        """Picture pixels per world pixel."""
        fit = min(self.height / anatomy.WORLD_HEIGHT, self.width / anatomy.WORLD_WIDTH)
        return fit * self.zoom

    def project(self, points: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Positions (…, 2) as x and y in the picture, and the scale (…) at that depth."""
        points = np.asarray(points, np.float32)
        if self.view == "side":
            across, depth = points[..., 0] - anatomy.WORLD_WIDTH / 2, points[..., 2]
        else:
            across, depth = -points[..., 2], points[..., 0] - 70.0
        scale = self.scale / (1 - depth / 520.0)
        down = points[..., 1] - anatomy.WORLD_HEIGHT / 2
        x = (across - self.shift[0]) * scale + (self.width - 1) / 2
        y = (down - self.shift[1]) * scale + (self.height - 1) / 2
        return np.stack([x, y], axis=-1).astype(np.float32), scale.astype(np.float32)

    def towards(self) -> npt.NDArray[np.float64]:
        """Unit vector from the scene to the camera."""
        return np.array([0.0, 0.0, 1.0] if self.view == "side" else [1.0, 0.0, 0.0])


def limb(motion: Motion, look: Look) -> Limb:
    """Pose the arm in every frame."""
    forward, palm = _hand_axes(motion.pitch, motion.roll)
    elbow = _elbow(motion.wrist)
    shoulder = np.broadcast_to(f32(anatomy.SHOULDER), motion.wrist.shape)
    knuckle = motion.wrist + anatomy.PALM * forward
    rods = [(shoulder, elbow), (elbow, motion.wrist), (motion.wrist, knuckle)]
    rods += _digits(motion, forward, palm, knuckle)
    radii = [(12.5, 9.0), (8.5, 5.0), (5.4, 6.2)] + [(2.7, 2.3), (2.3, 1.8)] * DIGITS
    return Limb(
        ends=np.stack([np.stack(rod, axis=1) for rod in rods], axis=1).astype(np.float32),
        radii=np.array(radii, np.float32) * look.build,
        hand=(forward, palm),
        grip=(knuckle + 3.5 * forward + 4.5 * palm).astype(np.float32),
    )


def pellet_path(motion: Motion, arm: Limb) -> FloatArray:
    """Where the pellet is, (frame, 3) in world pixels; NaN where there is none."""
    path = np.full(motion.wrist.shape, np.nan, np.float32)
    path[motion.pellet == ON_POST] = anatomy.PELLET
    path[motion.pellet == HELD] = arm.grip[motion.pellet == HELD]
    falling = motion.pellet == FALLING
    time = motion.fallen[falling, None]
    path[falling] = anatomy.PELLET + time * f32([90, -40, 30]) + time**2 * [0, 2400, 0]
    return path


def _hand_axes(pitch: FloatArray, roll: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit vectors along the hand and out of its palm; the right hand turns palm to the midline."""
    cos, sin, nil = np.cos(pitch), np.sin(pitch), np.zeros_like(pitch)
    forward = np.stack([cos, sin, nil], axis=1)
    down = np.stack([-sin, cos, nil], axis=1)
    lateral = np.array([0.0, 0.0, 1.0], np.float32)
    palm = np.cos(roll)[:, None] * down - np.sin(roll)[:, None] * lateral
    return forward.astype(np.float32), palm.astype(np.float32)


def _elbow(wrist: FloatArray) -> FloatArray:
    """Where the elbow must be for the wrist to be there; it points back and outwards."""
    shoulder = f32(anatomy.SHOULDER)
    span = wrist - shoulder
    longest = 0.99 * (anatomy.UPPER_ARM + anatomy.FOREARM)
    length = np.minimum(np.linalg.norm(span, axis=1, keepdims=True), longest)
    axis = span / np.maximum(np.linalg.norm(span, axis=1, keepdims=True), 1e-6)
    along = (anatomy.UPPER_ARM**2 - anatomy.FOREARM**2 + length**2) / (2 * length)
    aside = np.sqrt(np.maximum(anatomy.UPPER_ARM**2 - along**2, 0.0))
    pole = f32([-0.75, 0.55, 0.35])
    pole = pole - (axis @ pole)[:, None] * axis
    pole /= np.maximum(np.linalg.norm(pole, axis=1, keepdims=True), 1e-6)
    elbow: FloatArray = shoulder + along * axis + aside * pole
    return elbow


def _digits(
    motion: Motion, forward: FloatArray, palm: FloatArray, knuckle: FloatArray
) -> list[tuple[FloatArray, FloatArray]]:
    """Two rods for each digit, which fan out and bend as the hand opens and closes."""
    lateral = np.cross(forward, palm)
    rods = []
    for digit in range(DIGITS):
        side = digit - (DIGITS - 1) / 2
        fan = (0.25 + motion.aperture) * FAN / 1.5 * side
        outward = np.cos(fan)[:, None] * forward + np.sin(fan)[:, None] * lateral
        start = knuckle + anatomy.KNUCKLES * side * lateral
        for joint in range(JOINTS):
            bend = ((1 - motion.aperture) * CURL * (0.4 + 0.8 * joint))[:, None]
            stop = start + anatomy.PHALANX * (np.cos(bend) * outward + np.sin(bend) * palm)
            rods.append((start, stop))
            start = stop
    return rods
