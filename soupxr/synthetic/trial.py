"""A rendered trial: its pictures when they are asked for, and the truth about every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import get_args

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, expected
from soupxr.schema import check_name
from soupxr.synthetic.anatomy import VIEWS, Look, get_look, stream
from soupxr.synthetic.film import Film
from soupxr.synthetic.motion import Motion, Outcome, perform
from soupxr.synthetic.pose import Camera

__all__ = ["Trial", "check_whole", "render_trial"]

SMALLEST = 32


@dataclass(frozen=True, eq=False)
class Trial:
    """One trial of an invented animal. Made by :func:`render_trial`.

    Pictures are taken when they are asked for: :meth:`frames` keeps none of them, :attr:`side`
    and :attr:`front` keep all frames of a view.

    Parameters
    ----------
    animal, session : str
        Who, and when.
    trial_id : int
        Which.
    fps : float
        Frames a second.
    height, width : int
        Size of each view, in pixels.
    motion : Motion
        Position of every moving part, frame by frame.
    """

    animal: str
    session: str
    trial_id: int
    fps: float
    height: int
    width: int
    motion: Motion = field(repr=False)
    _films: dict[str, Film] = field(repr=False)

    @property
    def n_frames(self) -> int:
        """Length of the trial."""
        return len(self.motion.truth)

    @property
    def truth(self) -> npt.NDArray[np.int8]:
        """1 where a behavior occurs, 0 where not: (frame, behavior), as ``modes.BEHAVIORS``."""
        return self.motion.truth

    @cached_property
    def side(self) -> npt.NDArray[np.uint8]:
        """All frames of the side view: (frame, y, x, 3)."""
        return self._stack("side")

    @cached_property
    def front(self) -> npt.NDArray[np.uint8]:
        """All frames of the front view: (frame, y, x, 3)."""
        return self._stack("front")

    def picture(self, view: str, frame: int) -> npt.NDArray[np.uint8]:
        """One frame of one view, grey: (y, x). The same at every call, in any order.

        Raises
        ------
        ArgumentError
            If there is no such view or frame.
        """
        if view not in self._films:
            raise ArgumentError(expected("view", "'side' or 'front'", view))
        if not 0 <= frame < self.n_frames:
            raise ArgumentError(expected("frame", f"0 to {self.n_frames - 1}", frame))
        return self._films[view].picture(frame)

    def frames(self, view: str) -> Iterator[npt.NDArray[np.uint8]]:
        """All frames of one view in turn, (y, x, 3) each; memory does not grow with the trial."""
        for frame in range(self.n_frames):
            yield self._in_color(view, frame, np.empty((self.height, self.width, 3), np.uint8))

    def _stack(self, view: str) -> npt.NDArray[np.uint8]:
        stack = np.empty((self.n_frames, self.height, self.width, 3), np.uint8)
        for frame in range(self.n_frames):
            self._in_color(view, frame, stack[frame])
        return stack

    def _in_color(self, view: str, frame: int, out: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        picture = self.picture(view, frame)
        for channel in range(3):  # plane by plane: ten times as fast as broadcasting
            out[..., channel] = picture
        return out


def render_trial(
    animal: str = "M1",
    *,
    seed: int = 0,
    session: str = "S1",
    trial_id: int = 1,
    n_frames: int = 300,
    height: int = 260,
    width: int = 176,
    fps: float = 500.0,
    difficulty: float = 0.5,
    outcome: Outcome | None = None,
) -> Trial:
    """Make up a reach-to-grab trial of a head-fixed mouse, filmed from the side and the front.

    The same arguments give the same pictures and the same truth.

    Parameters
    ----------
    animal : str
        Name of the animal; its coat, build, pace and rig follow from it.
    seed : int
        Chooses among all trials of this animal, session and number; not negative.
    session : str
        Name of the session; lamp and camera shift a little from one to the next.
    trial_id : int
        Number of the trial, not negative.
    n_frames : int
        Length in frames. At 500 Hz, 300 are enough for every behavior of a
        successful reach.
    height, width : int
        Size of *each* view in pixels, at least 32. The scene is 176 wide and 260 high (the
        default: side by side 352×260) and is fitted into other sizes without distortion.
    fps : float
        Frames a second.
    difficulty : float
        0 to 1: how many reaches fail, how much else moves, how often chewing pauses, how unlike
        animals are, noise, contrast, lost exposures and things that get in the way.
    outcome : {"success", "miss", "closed", "abort", "none"}, optional
        How the first attempt ends: pellet eaten; pellet not grasped; pushed with a closed hand;
        broken off in mid-air; no reach in the whole trial. By default, chance.

    Returns
    -------
    Trial
        With ``side``, ``front``, ``truth`` and ``motion``.

    Raises
    ------
    ArgumentError
        If an argument is of no use.

    Examples
    --------
    >>> trial = render_trial("M1", n_frames=4, height=64, width=48)
    >>> trial.side.shape, trial.truth.shape
    ((4, 64, 48, 3), (4, 6))
    """
    check_name("animal", animal)
    check_name("session", session)
    check_whole("seed", seed, 0)
    check_whole("trial_id", trial_id, 0)
    check_whole("n_frames", n_frames, 1)
    check_whole("height", height, SMALLEST)
    check_whole("width", width, SMALLEST)
    if not (np.isfinite(fps) and fps > 0):
        raise ArgumentError(expected("fps", "a frame rate above 0", fps))
    if not 0 <= difficulty <= 1:
        raise ArgumentError(expected("difficulty", "a number from 0 to 1", difficulty))
    if outcome is not None and outcome not in get_args(Outcome):
        names = ", ".join(repr(name) for name in get_args(Outcome))
        raise ArgumentError(expected("outcome", f"one of {names}, or None", outcome))
    look = get_look(animal, session, difficulty)
    keys = (seed, animal, session, trial_id)
    motion = perform(look, stream("motion", *keys), n_frames, fps, difficulty, outcome)
    return Trial(
        animal=animal,
        session=session,
        trial_id=trial_id,
        fps=fps,
        height=height,
        width=width,
        motion=motion,
        _films={
            view: _film(view, look, motion, height, width, keys, fps, difficulty) for view in VIEWS
        },
    )


def _film(
    view: str,
    look: Look,
    motion: Motion,
    height: int,
    width: int,
    keys: tuple[int | str, ...],
    fps: float,
    difficulty: float,
) -> Film:
    camera = Camera(view, height, width, look.zoom, look.shift)
    rng = stream("film", view, *keys)
    return Film(look, motion, camera, str(keys[1]), rng, fps, difficulty)


def check_whole(argument: str, value: object, least: int) -> None:
    """Refuse what is no whole number or less than ``least``."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        raise ArgumentError(expected(argument, f"a whole number, at least {least}", value))
