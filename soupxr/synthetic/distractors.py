"""What moves although it is no behavior: whiskers, tongue, chest, idle jaw, restless paw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soupxr.synthetic.arrays import FloatArray, f32

__all__ = ["fidgets", "jaw_drift", "licks", "rhythm", "wander"]


def wander(
    rng: np.random.Generator, n_frames: int, fps: float, seconds: float, width: int = 1
) -> FloatArray:
    """Smooth random curves of about unit size that change within ``seconds``: (frame, width)."""
    step = max(1.0, seconds * fps)
    knots = rng.standard_normal((int(n_frames / step) + 3, width))
    place = np.arange(n_frames) / step
    left = place.astype(int)
    share = (1 - np.cos(np.pi * (place - left)))[:, None] / 2
    curve: FloatArray = ((1 - share) * knots[left] + share * knots[left + 1]).astype(np.float32)
    return curve


def rhythm(
    rng: np.random.Generator, n_frames: int, fps: float, hz: float, *, bursts: float | None
) -> FloatArray:
    """An oscillation that speeds up and slows down a little: (frame,), -1 to 1.

    ``bursts`` gives the seconds within which it swells and dies away; None keeps it going.
    """
    rate = hz * (1 + 0.12 * wander(rng, n_frames, fps, 0.4)[:, 0])
    swing = np.sin(2 * np.pi * (np.cumsum(rate) / fps + rng.random()))
    if bursts is not None:
        swing = swing * np.clip(0.5 + 0.7 * wander(rng, n_frames, fps, bursts)[:, 0], 0.0, 1.0)
    return swing.astype(np.float32)


def licks(
    rng: np.random.Generator,
    free: npt.NDArray[np.bool_],
    fps: float,
    hz: float,
    difficulty: float,
) -> FloatArray:
    """Bouts of licking while the animal is ``free``: (frame,), 0 inside to 1 out.

    The jaw moves as in chewing; that the tongue shows is the difference.
    """
    n_frames = len(free)
    tongue = np.zeros(n_frames, np.float32)
    period = max(2, round(fps / hz))
    for _ in range(rng.poisson((0.4 + 1.4 * difficulty) * n_frames / fps)):
        start = int(rng.integers(n_frames))
        stop = start + period * int(rng.integers(1, 5))
        if free[start:stop].all():
            phase = np.arange(min(stop, n_frames) - start) / period
            tongue[start:stop] = np.sin(np.pi * (phase % 1.0)) ** 2
    return tongue


def jaw_drift(rng: np.random.Generator, n_frames: int, fps: float, amount: float) -> FloatArray:
    """A jaw that hangs now more, now less open: (frame,), never below 0."""
    return f32(np.maximum(0.0, amount * wander(rng, n_frames, fps, 0.5)[:, 0]))


def fidgets(rng: np.random.Generator, n_frames: int, fps: float, amount: float) -> FloatArray:
    """Small shifts of the paw at all times, larger now and then: (frame, 3), in world pixels."""
    tremble = wander(rng, n_frames, fps, 0.05, 3)
    restless = np.clip(wander(rng, n_frames, fps, 0.3), 0.0, 1.2) ** 2
    return f32(amount * (0.4 + restless) * tremble)
