"""Takes the pictures of one view: stage, moving parts, lamp and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soupxr.synthetic import anatomy
from soupxr.synthetic.anatomy import Look
from soupxr.synthetic.arrays import FloatArray, f32
from soupxr.synthetic.distractors import wander
from soupxr.synthetic.draw import Canvas
from soupxr.synthetic.motion import HELD, Motion
from soupxr.synthetic.pose import DIGITS, JOINTS, Camera, limb, pellet_path
from soupxr.synthetic.stage import head_cover, stage

__all__ = ["Film"]


#: Shifts of the sensor's noise pattern from frame to frame, in pixels.
NOISE_SHIFTS = 64
#: Rods of the arm before the digits: upper arm, forearm, palm.
HAND_RODS = 3
ALL = slice(None)


@dataclass(frozen=True, eq=False)
class _Rods:
    """Rods as one camera sees them.

    Parameters
    ----------
    shapes : float32 array (frame, rod, 6)
        ax, ay, bx, by and both radii, in picture pixels.
    tones : float32 array (frame, rod)
        Brightness.
    order : intp array (frame, rod)
        Which to paint first.
    """

    shapes: FloatArray
    tones: FloatArray
    order: npt.NDArray[np.intp]


class Film:
    """One view of a trial; any frame can be taken at any time, and always looks the same.

    Parameters
    ----------
    look : Look
        Whom to film.
    motion : Motion
        What it does.
    camera : Camera
        From where.
    animal : str
        Name, from which fur and dust follow.
    rng : numpy.random.Generator
        Source of noise and accidents.
    fps : float
        Frames a second.
    difficulty : float
        0 to 1: noise, poor contrast, lost exposures, things that cross the picture.
    """

    def __init__(
        self,
        look: Look,
        motion: Motion,
        camera: Camera,
        animal: str,
        rng: np.random.Generator,
        fps: float,
        difficulty: float,
    ) -> None:
        n_frames = len(motion.breath)
        self.look, self.motion, self.camera = look, motion, camera
        self._out = stage(look, camera, animal, -1.0)
        self._swell = (stage(look, camera, animal, 1.0) - self._out) / 2
        self._skin = look.skin + 0.3 * difficulty * (look.fur - look.skin)
        box, cover = head_cover(look, camera)
        self._head = box, cover, self._out[box].copy()
        arm = limb(motion, look)
        self._arm = self._arm_rods(arm.ends, arm.radii, arm.hand[1])
        self._mouth = self._mouth_rods()
        self._pellet, self._pellet_scale = camera.project(pellet_path(motion, arm))
        self._whiskers = _whiskers(camera.scale)
        self._exposure = _exposure(rng, n_frames, fps, difficulty) * f32(look.gain)
        shape = (camera.height + NOISE_SHIFTS, camera.width + NOISE_SHIFTS)
        self._noise = (1.5 + 6.0 * difficulty) * rng.standard_normal(shape, dtype=np.float32)
        self._shifts = rng.integers(NOISE_SHIFTS, size=(n_frames, 2))
        self._passer = _passer(rng, n_frames, fps, difficulty)

    def picture(self, frame: int) -> npt.NDArray[np.uint8]:
        """Grey picture (y, x) of one frame."""
        pixels = self._swell * (1 + self.motion.breath[frame])
        pixels += self._out
        canvas = Canvas(pixels, self.look.light)
        self._paint(canvas, self._mouth, frame)
        self._relay_head(pixels)
        self._paint_whiskers(canvas, frame)
        self._paint_arm(canvas, frame)
        self._paint_passer(canvas, frame)
        pixels *= self._exposure[frame]
        top, left = self._shifts[frame]
        pixels += self._noise[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        exposed: npt.NDArray[np.uint8] = np.clip(pixels, 0.0, 255.0, out=pixels).astype(np.uint8)
        return exposed

    # -------------------------------------------------------------- painting

    def _paint(self, canvas: Canvas, rods: _Rods, frame: int, part: slice = ALL) -> None:
        shapes, tones = rods.shapes[frame].tolist(), rods.tones[frame].tolist()
        for rod in rods.order[frame, part].tolist():
            canvas.capsule(shapes[rod], tones[rod])

    def _relay_head(self, pixels: FloatArray) -> None:
        """Put the head back on top: the mouth opens below it."""
        box, cover, head = self._head
        pixels[box] += cover * (head - pixels[box])

    def _paint_arm(self, canvas: Canvas, frame: int) -> None:
        held = self.motion.pellet[frame] == HELD
        if not held:
            self._paint_pellet(canvas, frame)
        self._paint(canvas, self._arm, frame, slice(HAND_RODS))
        if held:
            self._paint_pellet(canvas, frame)
        self._paint(canvas, self._arm, frame, slice(HAND_RODS, None))

    def _paint_pellet(self, canvas: Canvas, frame: int) -> None:
        x, y = self._pellet[frame].tolist()
        if x == x:  # NaN where there is no pellet
            radius = anatomy.PELLET_RADIUS * float(self._pellet_scale[frame])
            canvas.ellipse(x, y, radius, radius, 215.0, round_off=0.25)

    def _paint_whiskers(self, canvas: Canvas, frame: int) -> None:
        base, sideways, length = self._whiskers
        yaw = 0.85 - 0.35 * float(self.motion.whisk[frame])
        points = base + length * f32([np.cos(yaw), 1.0, np.sin(yaw)]) * sideways
        xy, _ = self.camera.project(points.reshape(-1, 3))
        fade = np.broadcast_to(26.0 * (1 - 0.8 * length), (*points.shape[:2], 1))
        canvas.strokes(xy, fade.reshape(-1))

    def _paint_passer(self, canvas: Canvas, frame: int) -> None:
        if self._passer is None:
            return
        when, height, size = self._passer
        share = float(when[frame])
        if 0 <= share <= 1:
            x, y = (1.4 * share - 0.2) * self.camera.width, height * self.camera.height
            size *= self.camera.height
            shape = (x, y, x + size, y + 3 * size, size, size)
            canvas.capsule(shape, 30.0, soft=0.8 * size, opacity=0.85)

    # -------------------------------------------------------------- what to paint

    def _arm_rods(self, ends: FloatArray, radii: FloatArray, palm: FloatArray) -> _Rods:
        """Fur on the arm, skin on the hand: brighter on the palm; the nearest digit on top."""
        fur, skin = self.look.fur, self._skin
        towards = self.camera.towards()
        facing = (palm @ towards).astype(np.float32)
        rods = ends.shape[1]
        tones = np.empty((len(ends), rods), np.float32)
        tones[:, 0], tones[:, 1] = 1.12 * fur, 0.65 * fur + 0.42 * skin
        tones[:, 2:] = (skin * (0.92 + 0.18 * facing))[:, None]
        tones[:, HAND_RODS::JOINTS] *= 1.04
        depth = ends[:, HAND_RODS::JOINTS, 0] @ towards
        digits = np.argsort(depth, axis=1, kind="stable")
        order = np.empty((len(ends), rods), np.intp)
        order[:, :HAND_RODS] = np.arange(HAND_RODS)
        for place in range(DIGITS):
            for joint in range(JOINTS):
                column = HAND_RODS + place * JOINTS + joint
                order[:, column] = HAND_RODS + digits[:, place] * JOINTS + joint
        return _Rods(self._shapes(ends, radii), tones, order)

    def _mouth_rods(self) -> _Rods:
        """The gap of the mouth, the tongue in it and the jaw below."""
        jaw, tongue = self.motion.jaw[:, None], self.motion.tongue[:, None]
        turn = anatomy.GAPE * jaw
        hinge, closed = f32(anatomy.JAW_HINGE), f32(anatomy.JAW_TIP)
        reach = closed - hinge
        x = reach[0] * np.cos(turn) - reach[1] * np.sin(turn)
        y = reach[0] * np.sin(turn) + reach[1] * np.cos(turn)
        tip = hinge + np.concatenate([x, y, np.zeros_like(x)], axis=1)
        lip = f32([114.0, 109.0, 0.0])
        gap = 0.5 * (tip + lip)
        licking = gap + tongue * f32([17.0, 4.0, 0.0])
        ends = np.stack(
            [
                np.stack([gap - [12.0, 2.0, 0.0], gap], axis=1),
                np.stack([gap - [4.0, 0.0, 0.0], licking], axis=1),
                np.stack([np.broadcast_to(hinge, tip.shape), tip], axis=1),
            ],
            axis=1,
        ).astype(np.float32)
        radii = np.tile(f32([[2.0, 3.0], [3.6, 3.2], [12.5, 7.0]]), (len(ends), 1, 1))
        radii[:, 0] += 2.2 * jaw
        radii[:, 1] *= np.minimum(1.0, 4 * tongue)
        tones = f32([14.0, 1.05 * self.look.skin, 1.1 * self.look.fur])
        order = np.tile(np.arange(3), (len(ends), 1))
        return _Rods(self._shapes(ends, radii), np.tile(tones, (len(ends), 1)), order)

    def _shapes(self, ends: FloatArray, radii: FloatArray) -> FloatArray:
        xy, scale = self.camera.project(ends)
        return np.concatenate([xy.reshape(*xy.shape[:2], 4), radii * scale], axis=2)


def _whiskers(scale: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Roots (1, 3), directions (whisker, 1, 3) and shares of the length (1, point, 1)."""
    slopes = np.linspace(-0.35, 0.6, 5)
    ways = [
        [50 * np.cos(slope), 44 * np.sin(slope), 46 * side * np.cos(slope)]
        for slope in slopes
        for side in (-1.0, 1.0)
    ]
    share = np.linspace(0.15, 1.0, max(8, int(42 * scale)), dtype=np.float32)[None, :, None]
    return f32([[118.0, 103.0, 0.0]]), f32(ways)[:, None], share


def _exposure(rng: np.random.Generator, n_frames: int, fps: float, difficulty: float) -> FloatArray:
    """Flicker of the lamp; now and then a frame for which it hardly fired."""
    gain = 1 + 0.015 * wander(rng, n_frames, fps, 0.1)[:, 0]
    gain[rng.random(n_frames) < 0.008 * difficulty] *= 0.35
    return gain.astype(np.float32)


def _passer(
    rng: np.random.Generator, n_frames: int, fps: float, difficulty: float
) -> tuple[FloatArray, float, float] | None:
    """Something dark and out of focus that crosses the picture: when, at what height, how big."""
    start, seconds = rng.uniform(0, n_frames / fps), rng.uniform(0.08, 0.2)
    height, size = rng.uniform(0.25, 0.8), rng.uniform(0.05, 0.09)
    if rng.random() > 0.5 * difficulty:
        return None
    when = (np.arange(n_frames, dtype=np.float32) / fps - start) / seconds
    return when, height, size
