"""Trials on this machine, through the scheduler that dask is set to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dask
import dask.base
import dask.callbacks
import dask.local
import dask.threaded

from soupxr.inference.deferred import Deferred
from soupxr.inference.engine import choose_device
from soupxr.inference.task import Outcome, Report, Task
from soupxr.inference.trial import process

__all__ = ["on_this_machine"]

#: Trials in one dask graph.
WAVE = 256
#: Trials that take turns on one GPU.
MOST_AT_ONCE = 8
#: Between two looks at trials that other runs are at work on (s).
PAUSE_S = 0.5


def on_this_machine(
    tasks: Sequence[Task], report: Report, waits: Callable[[str], object]
) -> Iterator[Outcome]:
    """Work on all trials; those of other runs last, once these are done with them or dead.

    Parameters
    ----------
    report : callable
        Told of frames.
    waits : callable
        Told, in words, when there is nothing left but trials of others.
    """
    for device in {task.plan.device for task in tasks}:
        choose_device(device)  # an error here, once, and not one for each trial
    deferred, pending = Deferred(), list(tasks)
    while pending or len(deferred):
        for task, outcome in zip(pending, _waves(pending, report), strict=True):
            if outcome.held is not None:
                deferred.add(task, outcome.held)
            else:
                deferred.done(task.key)
                yield outcome
        pending = deferred.due()
        if len(deferred) and not pending:
            waits(str(deferred))
            time.sleep(PAUSE_S)


def _waves(tasks: Sequence[Task], report: Report) -> Iterator[Outcome]:
    """Use the scheduler that dask is set to; where it is not, what suits the device.

    On a CPU one trial after the other: it keeps all cores busy, and more at once would only need
    more memory. A GPU is faster than one decoder; several trials then take turns on it.
    """
    at_once = trials_at_once(tasks)
    options: dict[str, Any] = {}
    scheduler = dask.base.get_scheduler()
    if scheduler is None and at_once > 1:
        scheduler, options = dask.threaded.get, {"num_workers": at_once}
    scheduler = scheduler or dask.local.get_sync
    in_process = scheduler in (dask.local.get_sync, dask.threaded.get)
    job = dask.delayed(_Reporting(report) if in_process else process)

    def finished(_key: object, result: object, *_: object) -> None:
        if not in_process and isinstance(result, Outcome):
            report(result.n_frames)

    # A graph of all trials at once would take dask longer than some of them.
    for start in range(0, len(tasks), WAVE):
        wave = [job(task) for task in tasks[start : start + WAVE]]
        with dask.callbacks.Callback(posttask=finished):
            outcomes = dask.compute(*wave, scheduler=scheduler, **options)
        yield from outcomes


def trials_at_once(tasks: Sequence[Task]) -> int:
    """Trials that are worked on at the same time in this process."""
    on_gpu = any(choose_device(task.plan.device).type == "cuda" for task in tasks[:1])
    return min(MOST_AT_ONCE, max(1, (os.cpu_count() or 1) // 2)) if on_gpu else 1


@dataclass(frozen=True)
class _Reporting:
    """:func:`process`, telling its progress to a bar of this process."""

    report: Report

    def __call__(self, task: Task) -> Outcome:
        return process(task, self.report)
