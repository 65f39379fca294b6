"""Trials that other runs are at work on: when to look at them again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from soupxr.inference.task import Task
from soupxr.store.leases import PATIENCE_S, Held

__all__ = ["Deferred"]

#: Between two looks at the same trial.
LOOK_S = 2.0


@dataclass
class _Waiting:
    task: Task
    held: Held
    #: When this sign of life was first seen, and when to look again (s).
    since: float
    again: float


class Deferred:
    """Keeps such trials until it is time to try them again.

    A trial comes back every few seconds. Once its holder has given no sign of life for a minute,
    it comes with the holder's lease as :attr:`Task.dead`, so that it can be taken over.

    Parameters
    ----------
    clock : callable
        Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __str__(self) -> str:
        who = sorted({waiting.held.who for waiting in self._waiting.values()})
        return f"waiting for {len(self)} (trials) of {', '.join(who)}"

    def add(self, task: Task, held: Held) -> None:
        """Put a trial off."""
        now = self._clock()
        before = self._waiting.get(task.key)
        is_same = before is not None and before.held.text == held.text
        since = before.since if before is not None and is_same else now
        self._waiting[task.key] = _Waiting(task, held, since, now + LOOK_S)

    def done(self, key: str) -> None:
        """Forget a trial."""
        self._waiting.pop(key, None)

    def due(self) -> list[Task]:
        """Trials to try now; each until it is added again or done."""
        now = self._clock()
        tasks = []
        for waiting in self._waiting.values():
            if waiting.again <= now:
                waiting.again = float("inf")
                silent = now - waiting.since >= PATIENCE_S
                dead = waiting.held.text if silent else None
                tasks.append(replace(waiting.task, dead=dead))
        return tasks
