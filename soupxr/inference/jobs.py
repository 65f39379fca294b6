"""Which trials of a selection are to be worked on, and which are done."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import soupxr
from soupxr.errors import SoupWarning
from soupxr.inference.plan import Plan, Planned, Request
from soupxr.inference.provenance import REMEDY
from soupxr.inference.standing import made_otherwise
from soupxr.inference.task import Task
from soupxr.options import get_option
from soupxr.schema import Status
from soupxr.store import Store, StoredTrial
from soupxr.store.leases import of_trial, taken
from soupxr.store.zarrs import DamagedStore
from soupxr.video.remote import is_remote

__all__ = ["Jobs"]


class Jobs:
    """Sorts trials into those to do and those to skip.

    Attributes
    ----------
    tasks : list of Task
        Those to do.
    n_frames : int
        Frames that these have, all together.
    skipped : int
        Trials that are done.
    n_failed : int
        Of those to do, how many failed before.
    plans : list of Plan
        One for each experiment.
    """

    def __init__(self, store: Store, mode: str, request: Request) -> None:
        self.store, self.mode, self.request = store, mode, request
        self.tasks: list[Task] = []
        self.n_frames = 0
        self.skipped = 0
        self.n_failed = 0
        self.plans: list[Plan] = []
        self._changed: dict[str, list[str]] = {}
        self._damaged: list[str] = []

    def consider(self, trial: StoredTrial, status: Status, planned: Planned) -> None:
        """Put one trial into the place where it belongs."""
        if planned.plan not in self.plans:
            self.plans.append(planned.plan)
        try:
            other = made_otherwise(self.store, trial.slot, status, planned.plan)
        except DamagedStore:
            self.skipped += 1
            self._damaged.append(trial.key)
            return
        if other is None or self.request.overwrite:
            self.tasks.append(self._task(trial, planned))
            self.n_frames += trial.n_frames
            self.n_failed += status == Status.FAILED
            return
        self.skipped += 1
        if other:
            self._changed[trial.key] = other

    def _task(self, trial: StoredTrial, planned: Planned) -> Task:
        redo = self.request.overwrite
        return Task(
            address=self.store.address,
            data_root=_absolute(get_option("data_root")),
            key=trial.key,
            plan=planned.plan,
            version=soupxr.__version__,
            redo=redo,
            redo_features=redo and self.request.stages == ("features",),
            feature_role=planned.feature_roles.of(trial.key),
            sequence_role=planned.sequence_roles.of(trial.key),
        )

    def put_last_what_is_taken(self) -> None:
        """Begin with trials that nobody is at, and that nobody has died over.

        Others are most likely done by then. And where a trial is deadly, each run does all others
        before it.
        """
        work = {task.key: of_trial(self.mode, task.key) for task in self.tasks}
        late = taken(self.store.address, work.values())
        self.tasks.sort(key=lambda task: work[task.key] in late)

    def warn(self) -> None:
        """Tell, once, of trials that are skipped though they may not be what was asked for."""
        if self._damaged:
            warnings.warn(
                f"{len(self._damaged)} trial(s) were skipped, for what the store says of how their "
                f"results came about is damaged: {_some(self._damaged)}. {REMEDY}",
                SoupWarning,
                stacklevel=4,
            )
        if self._changed:
            what = sorted({name for names in self._changed.values() for name in names})
            warnings.warn(
                f"{len(self._changed)} complete trial(s) were skipped although they were made with "
                f"other settings than asked for now ({', '.join(what)}): "
                f"{_some(self._changed)}. Pass overwrite=True to redo them.",
                SoupWarning,
                stacklevel=4,
            )


def _absolute(root: Any) -> str | None:
    """The option as others understand it, whatever folder they work in."""
    return None if root is None else str(root if is_remote(root) else Path(root).resolve())


def _some(keys: Iterable[str], most: int = 5) -> str:
    names = list(keys)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
