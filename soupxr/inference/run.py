"""All trials of a selection, through dask, and what is said at the end."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import dask
import dask.base
import dask.callbacks
import dask.local
import dask.threaded
import xarray as xr

from soupxr.dataset import data_root, keys_of, reopen, store_of
from soupxr.errors import InferenceError, SoupWarning, listed
from soupxr.inference.engine import choose_device
from soupxr.inference.plan import Plan, Planned, Request, make_plan
from soupxr.inference.provenance import Record, differences
from soupxr.inference.trial import Outcome, Report, Task, forget_models, process
from soupxr.modes import get_mode
from soupxr.progress import progress_bar
from soupxr.schema import Status
from soupxr.store import Store, StoredTrial, TrialResults

__all__ = ["Request", "infer"]

log = logging.getLogger(__name__)

#: Trials in one dask graph.
WAVE = 256
#: Trials that take turns on one GPU.
MOST_AT_ONCE = 8


def infer(ds: xr.Dataset, mode: str, request: Request) -> xr.Dataset:
    """Infer a selection's trials; see ``ds.soup.infer``."""
    store = store_of(ds)
    record = get_mode(mode)
    # Plans are made before any trial starts: a wrong checkpoint must not fail one by one.
    plan_for = cache(lambda experiment: make_plan(store, record, request, experiment))
    jobs = _Jobs(store, str(data_root(store)), record.name, request)
    trials = store.trials(list(dict.fromkeys(keys_of(ds))))
    marks = store.statuses(record.name, [trial.slot for trial in trials])
    for trial, mark in zip(trials, marks, strict=True):
        experiment = trial.experiment if _uses_defaults(request) else ""
        jobs.consider(trial, Status(int(mark)), plan_for(experiment))
    jobs.warn_of_changes()
    started = time.perf_counter()
    try:
        outcomes = _run(jobs, request.show_progress)
    finally:
        forget_models()
    _conclude(outcomes, jobs, time.perf_counter() - started, request.errors)
    return reopen(ds)


def _uses_defaults(request: Request) -> bool:
    """Whether a model is left to the trials' experiment."""
    return ("features" in request.stages and request.feature_model_in is None) or (
        "sequence" in request.stages and request.sequence_model_in is None
    )


# ------------------------------------------------------------------ what is to be done


class _Jobs:
    """Sorts trials into those to do and those to skip."""

    def __init__(self, store: Store, root: str, mode: str, request: Request) -> None:
        self.store, self.root, self.mode, self.request = store, root, mode, request
        self.tasks: list[Task] = []
        self.n_frames = 0
        self.skipped = 0
        self.changed: dict[str, list[str]] = {}

    def consider(self, trial: StoredTrial, status: Status, planned: Planned) -> None:
        """Put one trial into the place where it belongs."""
        plan = planned.plan
        stale = self._stale(trial, status, plan)
        if stale is None or self.request.overwrite:
            only_features = self.request.stages == ("features",)
            redo = self.request.overwrite and only_features
            self.tasks.append(
                Task(
                    self.store.address,
                    self.root,
                    trial.key,
                    plan,
                    redo,
                    feature_role=planned.feature_roles.of(trial.key),
                    sequence_role=planned.sequence_roles.of(trial.key),
                )
            )
            self.n_frames += trial.n_frames
            return
        self.skipped += 1
        if stale:
            self.changed[trial.key] = stale

    def _stale(self, trial: StoredTrial, status: Status, plan: Plan) -> list[str] | None:
        """None if there is no result; else what made it that is wanted otherwise now."""
        (text,) = self.store.provenances(self.mode, [trial.slot])
        made = Record.parse(text)
        if plan.sequence is None:
            return [] if made.vouches_for(plan.features_identity(), plan.keep) else None
        if status != Status.COMPLETE or made.sequence is None:
            return None
        if "imported" in made.sequence:
            return [f"imported from {made.sequence['imported'].get('format')}"]
        other = differences(made.sequence["identity"], plan.sequence_identity())
        if plan.feature is not None:
            other += differences(made.sequence["features"], plan.features_identity())
        elif made.features and made.sequence["features"] != made.features["identity"]:
            return None  # its features were made anew since
        return None if self.store.error(self.mode, trial.slot) else other

    def summary(self, outcomes: Sequence[Outcome]) -> str:
        """Counts of trials: how the call went, in a few words."""
        failed = sum(outcome.error is not None for outcome in outcomes)
        counts = {"done": len(outcomes) - failed, "skipped": self.skipped, "failed": failed}
        return ", ".join(f"{count} {word}" for word, count in counts.items()) + " (trials)"

    def warn_of_changes(self) -> None:
        """Tell, once, of trials whose results another request made."""
        if self.changed:
            what = sorted({name for names in self.changed.values() for name in names})
            warnings.warn(
                f"{len(self.changed)} complete trial(s) were skipped although they were made with "
                f"other settings than asked for now ({', '.join(what)}): "
                f"{_some(self.changed)}. Pass overwrite=True to redo them.",
                SoupWarning,
                stacklevel=4,
            )


# ------------------------------------------------------------------ doing it


def _run(jobs: _Jobs, progress: bool) -> list[Outcome]:
    """Process trials on the active dask scheduler, showing progress over frames."""
    with progress_bar(jobs.n_frames, jobs.mode, "frame", enabled=progress) as bar:
        client = _active_client()
        if client is not None:
            outcomes = list(_on_cluster(client, jobs.tasks, bar.update))
        else:
            for device in {task.plan.device for task in jobs.tasks}:
                choose_device(device)  # an error here, once, and not one for each trial
            outcomes = _on_this_machine(jobs.tasks, bar.update)
        bar.set_postfix_str(jobs.summary(outcomes))
    return outcomes


def _active_client() -> Any:
    """The distributed client in use, or None."""
    if "distributed" not in sys.modules or dask.config.get("scheduler", None) is not None:
        return None
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None


def _on_cluster(client: Any, tasks: list[Task], report: Report) -> Iterator[Outcome]:
    from distributed import as_completed

    task_of = {client.submit(process, task, pure=False): task for task in tasks}
    for future in as_completed(task_of):
        task = task_of[future]
        if future.status == "finished":
            outcome = future.result()
        else:
            reason = f"its worker was lost or failed ({future.exception()})"
            outcome = Outcome(task.key, 0, 0.0, reason)
            TrialResults(Store(task.address), task.plan.mode.name, task.key).fail(reason)
        report(outcome.n_frames)
        yield outcome


def _on_this_machine(tasks: list[Task], report: Report) -> list[Outcome]:
    """Use the scheduler that dask is set to; where it is not, what suits the device.

    On a CPU one trial after the other: it keeps all cores busy, and more at once would only need
    more memory. A GPU is faster than one decoder; several trials then take turns on it.
    """
    at_once = trials_at_once(tasks)
    scheduler, threads = dask.base.get_scheduler(), {}
    if scheduler is None and at_once > 1:
        scheduler, threads = dask.threaded.get, {"num_workers": at_once}
    scheduler = scheduler or dask.local.get_sync
    in_process = scheduler in (dask.local.get_sync, dask.threaded.get)
    job = dask.delayed(_Reporting(report) if in_process else process)

    def finished(_key: object, result: object, *_: object) -> None:
        if not in_process and isinstance(result, Outcome):
            report(result.n_frames)

    outcomes: list[Outcome] = []
    with dask.callbacks.Callback(posttask=finished):
        # A graph of all trials at once would take dask longer than some of them.
        for start in range(0, len(tasks), WAVE):
            wave = [job(task) for task in tasks[start : start + WAVE]]
            outcomes += dask.compute(*wave, scheduler=scheduler, **threads)
    return outcomes


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


# ------------------------------------------------------------------ what is said at the end


def _conclude(outcomes: list[Outcome], jobs: _Jobs, seconds: float, errors: str) -> None:
    """Sum up; warn of notes; raise or warn of failures."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    frames = sum(outcome.n_frames for outcome in outcomes if outcome.error is None)
    log.info(
        "mode %s: %s; %d frames, %.1f frames/s",
        jobs.mode,
        jobs.summary(outcomes),
        frames,
        frames / max(seconds, 1e-9),
    )
    notes = [note for outcome in outcomes for note in outcome.notes]
    if notes:
        warnings.warn("about some trials:" + listed(notes), SoupWarning, stacklevel=4)
    if not failed:
        return
    message = (
        f"{len(failed)} of {len(outcomes)} trial(s) failed in mode {jobs.mode}; "
        f"{len(outcomes) - len(failed)} are done and in the store. Put these right and call "
        f"infer again, it goes on with them:"
        + listed(f"{outcome.key}: {outcome.error}" for outcome in failed)
    )
    if errors == "raise":
        raise InferenceError(message)
    warnings.warn(message, SoupWarning, stacklevel=4)


def _some(keys: Iterable[str], most: int = 5) -> str:
    names = list(keys)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
