"""What the animal does, frame by frame, and the truth about it.

A trial is a chain of attempts. Each phase of an attempt moves some part and marks its behavior
on exactly the frames in which it does so, so the truth is the cause of the picture and not a
reading of it:

========== =====================================================================
lift       the paw rises from the bar to where the animal aims
handopen   the digits spread, and stay spread until they close
grab       the digits close on (or beside) the pellet
supinate   the forearm turns the palm up
atmouth    the paw is held at the mouth
chew       the jaw swings, in bursts, until the pellet is eaten
========== =====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from soupxr.modes import BEHAVIORS
from soupxr.synthetic import anatomy
from soupxr.synthetic.anatomy import Look
from soupxr.synthetic.arrays import FloatArray
from soupxr.synthetic.distractors import (
    fidgets,
    jaw_drift,
    licks,
    rhythm,
)

__all__ = ["OUTCOMES", "Motion", "Outcome", "perform"]

IntArray = npt.NDArray[np.int8]

#: How an attempt ends: pellet eaten; grasped beside it, or pellet knocked off; pushed with a
#: closed hand; broken off in mid-air; not tried at all.
Outcome = Literal["success", "miss", "closed", "abort", "none"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)

#: Where the pellet is.
GONE, ON_POST, HELD, FALLING = 0, 1, 2, 3

CLOSED_HAND, OPEN_HAND, RESTING_HAND = 0.0, 1.0, 0.3


@dataclass(frozen=True, eq=False)
class Motion:
    """State of every moving part.

    Parameters
    ----------
    wrist : float32 array (frame, 3)
        In world pixels (see :mod:`soupxr.synthetic.anatomy`).
    pitch, roll : float32 array (frame,)
        Of the hand, in radians: downwards, and from palm down to palm up.
    aperture : float32 array (frame,)
        0 fist, 1 digits spread.
    jaw, tongue : float32 array (frame,)
        0 closed or inside, 1 wide open or out.
    whisk, breath : float32 array (frame,)
        -1 to 1.
    pellet : int8 array (frame,)
        0 gone, 1 on its post, 2 in the hand, 3 falling.
    fallen : float32 array (frame,)
        Seconds since the pellet fell.
    truth : int8 array (frame, behavior)
        1 where the behavior occurs, in the order of :data:`soupxr.modes.BEHAVIORS`.
    """

    wrist: FloatArray
    pitch: FloatArray
    roll: FloatArray
    aperture: FloatArray
    jaw: FloatArray
    tongue: FloatArray
    whisk: FloatArray
    breath: FloatArray
    pellet: IntArray
    fallen: FloatArray
    truth: IntArray


def perform(
    look: Look,
    rng: np.random.Generator,
    n_frames: int,
    fps: float,
    difficulty: float,
    outcome: Outcome | None = None,
) -> Motion:
    """Make up a trial.

    Parameters
    ----------
    look : Look
        Who performs.
    rng : numpy.random.Generator
        Source of all chance.
    n_frames : int
        Length of the trial, in frames.
    fps : float
        Frames a second.
    difficulty : float
        0 to 1: how many attempts fail and how much else moves.
    outcome : str, optional
        Of the first attempt; None leaves it to chance.
    """
    play = _Play(look, rng, n_frames, fps, difficulty)
    start = play.frames(0.03, 0.1)
    first = outcome or _draw_outcome(rng, difficulty, first=True)
    if first != "none":
        start = play.attempt(start, first)
        while start < n_frames:
            start += play.frames(0.06, 0.5)
            start = play.attempt(start, _draw_outcome(rng, difficulty, first=False))
    return play.finish(difficulty)


def _draw_outcome(rng: np.random.Generator, difficulty: float, *, first: bool) -> Outcome:
    """Harder trials fail more often; one trial in ten sees no reach."""
    if first and rng.random() < 0.1:
        return "none"
    success = 0.75 - 0.3 * difficulty
    odds = np.array([success, *np.array([0.4, 0.3, 0.3]) * (1 - success)])
    drawn: Outcome = ("success", "miss", "closed", "abort")[int(rng.choice(4, p=odds))]
    return drawn


class _Track:
    """A quantity that rests, and moves now and then with the least jerk."""

    def __init__(self, n_frames: int, rest: float | tuple[float, ...]) -> None:
        self.values = np.empty((n_frames, *np.shape(rest)), np.float32)
        self.values[:] = rest

    def move(self, start: int, stop: int, target: npt.ArrayLike, bow: npt.ArrayLike = 0.0) -> None:
        """Leave the present value in frame ``start``, be at the target in frame ``stop - 1``."""
        if start >= len(self.values):
            return
        origin = self.values[max(start - 1, 0)].astype(float)
        self.values[start:] = target
        share = np.arange(1, stop - start + 1) / (stop - start)
        ease = share**3 * (10 - 15 * share + 6 * share**2)
        room = min(stop, len(self.values)) - start
        path = origin + np.multiply.outer(ease, target - origin)
        path = path + np.multiply.outer(np.sin(np.pi * ease), bow)
        self.values[start : start + room] = path[:room]

    def follow(self, start: int, path: npt.NDArray[np.float64]) -> None:
        """Go along a path from frame ``start`` on, and stay at its end."""
        if start >= len(self.values):
            return
        self.values[start:] = path[-1]
        self.values[start : start + len(path)] = path[: len(self.values) - start]


def _jaw_at(turn: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """How far the mouth is open (0 to 1) at a point of the chewing cycle (in radians)."""
    return 0.5 + 0.42 * np.sin(turn)


class _Play:
    """The trial while it is made up: one track for each part, and the truth beside them."""

    def __init__(
        self, look: Look, rng: np.random.Generator, n_frames: int, fps: float, difficulty: float
    ) -> None:
        self.look, self.rng, self.fps = look, rng, fps
        self.difficulty = difficulty
        self.wrist = _Track(n_frames, anatomy.REST)
        self.pitch = _Track(n_frames, anatomy.PITCH_REST)
        self.roll = _Track(n_frames, anatomy.PRONE)
        self.aperture = _Track(n_frames, RESTING_HAND)
        self.jaw = _Track(n_frames, 0.0)
        self.pellet = np.full(n_frames, ON_POST, np.int8)
        self.fallen = np.zeros(n_frames, np.float32)
        self.busy = np.zeros(n_frames, bool)
        self.truth = np.zeros((n_frames, len(BEHAVIORS)), np.int8)

    def frames(self, shortest: float, longest: float) -> int:
        """A random duration between two durations in seconds, as frames of this animal."""
        seconds = self.rng.uniform(shortest, longest) / self.look.speed
        return max(1, round(seconds * self.fps))

    def mark(self, behavior: str, start: int, stop: int) -> None:
        self.truth[start:stop, BEHAVIORS.index(behavior)] = 1

    def near(self, place: tuple[float, ...], spread: float) -> npt.NDArray[np.float64]:
        return np.asarray(place) + self.rng.normal(0.0, spread, 3)

    # -------------------------------------------------------------- attempts

    def attempt(self, start: int, outcome: Outcome) -> int:
        """Add one attempt; returns the frame after it."""
        empty = start < len(self.pellet) and self.pellet[start] != ON_POST
        if empty and (outcome == "success" or self.rng.random() < 0.5):
            start = self._new_pellet(start)
        aimed = self._lift(start)
        if outcome == "abort":
            stop = self._hover(aimed)
        elif outcome == "closed":
            stop = self._push(aimed)
        else:
            stop = self._reach(start, aimed, outcome)
        self.busy[start:stop] = True
        return stop

    def _new_pellet(self, start: int) -> int:
        self.pellet[start:] = ON_POST
        return start + self.frames(0.04, 0.15)

    def _lift(self, start: int) -> int:
        stop = start + self.frames(0.045, 0.075)
        self.wrist.move(start, stop, self.near(anatomy.AIM, 2.5), bow=(-5.0, 0.0, 2.0))
        self.pitch.move(start, stop, anatomy.PITCH_AIM + self.rng.normal(0.0, 0.1))
        self._close(start, start + max(1, (stop - start) // 2))
        self.mark("lift", start, stop)
        return stop

    def _open(self, start: int, stop: int) -> None:
        """Spread the digits and keep them so until ``stop``."""
        spread = min(start + self.frames(0.014, 0.024), stop)
        self.aperture.move(start, spread, OPEN_HAND)
        self.mark("handopen", start, stop)

    def _close(self, start: int, stop: int) -> None:
        self.aperture.move(start, stop, CLOSED_HAND)

    def _hover(self, aimed: int) -> int:
        """Break off: the paw waits in the air, with the hand open or not, and goes back."""
        leave = aimed + self.frames(0.05, 0.2)
        if self.rng.random() < 0.5:
            close = aimed + (leave - aimed) * 3 // 4
            self._open(aimed, max(close, aimed + 1))
            self._close(close, max(leave, close + 1))
        return self._back(leave)

    def _push(self, aimed: int) -> int:
        """Go all the way with a closed hand; it looks like a reach but for the digits."""
        there = aimed + self.frames(0.04, 0.07)
        self.wrist.move(aimed, there, self.near(anatomy.TARGET, 2.0), bow=(0.0, -6.0, 0.0))
        self.pitch.move(aimed, there, anatomy.PITCH_TARGET)
        self._drop_pellet(there, chance=0.5)
        return self._back(there + self.frames(0.02, 0.12))

    def _reach(self, start: int, aimed: int, outcome: Outcome) -> int:
        hit = outcome == "success"
        there = aimed + self.frames(0.04, 0.07)
        close = there + self.frames(0.002, 0.02)
        held = close + self.frames(0.022, 0.04)
        target = self.near(anatomy.TARGET, 0.8 if hit else 4.0)
        self.wrist.move(aimed, there, target, bow=(0.0, -6.0, 0.0))
        self.pitch.move(aimed, there, anatomy.PITCH_TARGET)
        self._open(max(start, aimed - self.frames(0.0, 0.02)), close)
        self._close(close, held)
        self.mark("grab", close, held)
        if hit and held < len(self.pellet):
            self.pellet[held:] = HELD
        elif not hit:
            self._drop_pellet((close + held) // 2, chance=0.5)
            if self.rng.random() < 0.5:
                return self._back(held + self.frames(0.01, 0.05))
        return self._carry(held, hit)

    def _drop_pellet(self, frame: int, chance: float) -> None:
        if frame >= len(self.pellet) or self.rng.random() > chance:
            return
        if self.pellet[frame] == ON_POST:
            gone = frame + round(0.25 * self.fps)
            self.pellet[frame:gone], self.pellet[gone:] = FALLING, GONE
            rest = len(self.fallen) - frame
            self.fallen[frame:] = np.arange(rest, dtype=np.float32) / self.fps

    def _carry(self, held: int, hit: bool) -> int:
        """Turn the palm up and bring the hand to the mouth."""
        turn = held + self.frames(0.0, 0.012)
        turned = turn + self.frames(0.045, 0.07)
        mouth = turned + self.frames(0.004, 0.02)
        self.roll.move(turn, turned, anatomy.SUPINE)
        self.mark("supinate", turn, turned)
        self.wrist.move(held, mouth, self.near(anatomy.AT_MOUTH, 0.8), bow=(2.0, 9.0, 2.0))
        self.pitch.move(held, mouth, anatomy.PITCH_MOUTH)
        return self._eat(mouth, hit)

    def _eat(self, mouth: int, hit: bool) -> int:
        """Hold the hand at the mouth; with a pellet in it, chew, and chew on without it."""
        leave = mouth + self.frames(0.18, 0.32)
        self.mark("atmouth", mouth, leave)
        if hit:
            self.pellet[mouth + self.frames(0.0, 0.14) :] = GONE
        back = self._back(leave)
        start = mouth + self.frames(0.04, 0.12)
        done = leave + self.frames(0.15, 0.9)
        back = max(back, done) if hit else back
        turn = self.rng.uniform(0.0, 2 * np.pi)
        self._gape(mouth, min(mouth + self.frames(0.02, 0.04), start), turn)
        turn = self._chew(start, done, turn) if hit else turn
        self.jaw.move(back, back + self.frames(0.02, 0.06), 0.0)
        return back

    def _gape(self, start: int, stop: int, turn: float) -> None:
        """Open the mouth as far as chewing has it at this point of its cycle, and stay so."""
        self.jaw.move(start, stop, _jaw_at(turn))

    def _chew(self, start: int, stop: int, turn: float) -> float:
        """Bursts of chewing; in between the jaw rests wherever its cycle stopped.

        So one picture of a mouth says nothing of whether it chews: it is open as far, and as
        often as far, in a pause, or at a paw that brought nothing. The harder, the longer are the
        pauses, and the less does it help to know that the animal eats.
        """
        hz = self.look.chew_hz * self.rng.uniform(0.92, 1.08)
        while start < min(stop, len(self.truth)):
            pause = min(start + self.frames(0.12, 0.3), stop)
            turns = turn + 2 * np.pi * hz / self.fps * np.arange(1, pause - start + 1)
            self.jaw.follow(start, _jaw_at(turns))
            self.mark("chew", start, pause)
            turn = float(turns[-1])
            start = pause + round(2 * self.difficulty * self.frames(0.06, 0.18))
        return turn

    def _back(self, start: int) -> int:
        """Return to the bar: the way of a lift, the other way round, and no behavior."""
        stop = start + self.frames(0.07, 0.11)
        self.wrist.move(start, stop, self.near(anatomy.REST, 0.7), bow=(2.0, -3.0, 2.0))
        self.pitch.move(start, stop, anatomy.PITCH_REST)
        self.roll.move(start, stop, anatomy.PRONE)
        self.aperture.move(max(start, stop - self.frames(0.02, 0.04)), stop, RESTING_HAND)
        return stop

    # -------------------------------------------------------------- the rest of the animal

    def finish(self, difficulty: float) -> Motion:
        """Let the rest of the animal move, and hand over."""
        rng, fps, look = self.rng, self.fps, self.look
        n = len(self.pellet)
        tongue = licks(rng, ~self.busy, fps, look.lick_hz, difficulty)
        idle = jaw_drift(rng, n, fps, 0.12 + 0.25 * difficulty)
        jaw = np.maximum(self.jaw.values, idle)
        wrist = self.wrist.values + fidgets(rng, n, fps, 0.5 + 1.2 * difficulty)
        return Motion(
            wrist=wrist.astype(np.float32),
            pitch=self.pitch.values,
            roll=self.roll.values,
            aperture=self.aperture.values,
            jaw=np.maximum(jaw, 0.8 * tongue).astype(np.float32),
            tongue=tongue,
            whisk=rhythm(rng, n, fps, look.whisk_hz, bursts=0.6),
            breath=rhythm(rng, n, fps, look.breath_hz, bursts=None),
            pellet=self.pellet,
            fallen=self.fallen,
            truth=self.truth,
        )
