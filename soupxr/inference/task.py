"""What travels to whoever works on a trial, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from soupxr.inference.plan import Plan
from soupxr.inference.roles import Role
from soupxr.store.leases import Held

__all__ = ["Outcome", "Report", "Task"]

#: Is told how many more frames are done.
Report = Callable[[int], object]


@dataclass(frozen=True)
class Task:
    """What is to be done with one trial.

    Parameters
    ----------
    data_root : str or None
        The option of this name, where the task was made. Without it, each machine finds the
        videos by its own environment or by the store.
    version : str
        Of soupxr, where the task was made; another one refuses it.
    redo : bool
        Work on the trial although it is done; ``redo_features`` says the same of its features.
    feature_role, sequence_role : str
        What part the trial had in training the plan's models.
    dead : str or None
        Text of a lease whose holder is known to be dead.
    """

    address: str
    data_root: str | None
    key: str
    plan: Plan
    version: str
    redo: bool
    redo_features: bool
    feature_role: Role
    sequence_role: Role
    dead: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How it went.

    Parameters
    ----------
    n_frames : int
        Frames that were worked on.
    seconds : float
        Time it took.
    error : str or None
        Why the trial failed.
    notes : tuple of str
        What the user should know although it did not fail.
    held : Held or None
        Who else is at work on the trial; then nothing was done.
    worker : str
        Who did it: host and process.
    """

    key: str
    n_frames: int
    seconds: float
    error: str | None = None
    notes: tuple[str, ...] = ()
    held: Held | None = None
    worker: str = field(default="")
