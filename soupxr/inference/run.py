"""All trials of a selection, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Generator, Iterator
from functools import cache
from typing import Any

import xarray as xr

from soupxr.dataset import keys_of, reopen, store_of
from soupxr.inference.cluster import active_client, on_cluster
from soupxr.inference.here import on_this_machine
from soupxr.inference.jobs import Jobs
from soupxr.inference.plan import Request, make_plan
from soupxr.inference.tally import RunLog, Tally
from soupxr.inference.task import Outcome
from soupxr.inference.trial import forget_models
from soupxr.modes import get_mode
from soupxr.progress import progress_bar
from soupxr.schema import Status

__all__ = ["Request", "infer", "prospect"]


def infer(ds: xr.Dataset, mode: str, request: Request) -> xr.Dataset:
    """Infer a selection's trials; see ``ds.soup.infer``."""
    jobs = _jobs(ds, mode, request)
    jobs.warn()
    tally = Tally(jobs.mode, jobs.skipped)
    with RunLog(request.log) as run_log, contextlib.closing(_outcomes(jobs, tally)) as outcomes:
        run_log.start(tally, jobs.store.address, len(jobs.tasks))
        for outcome in outcomes:
            run_log.trial(outcome)
        run_log.end(tally)
    tally.conclude(request.errors)
    return reopen(ds)


def prospect(ds: xr.Dataset, mode: str, request: Request) -> Jobs:
    """Find out what :func:`infer` would do; nothing is written or fetched.

    Raises
    ------
    CheckpointError, ArgumentError
        As :func:`infer` does, but for published models that are not on this machine yet.
    """
    jobs = _jobs(ds, mode, dataclasses.replace(request, fetch=False))
    if all(plan.is_fetched for plan in jobs.plans):
        jobs.warn()
    return jobs


def _jobs(ds: xr.Dataset, mode: str, request: Request) -> Jobs:
    """Sort the trials, each with the plan of its experiment."""
    store = store_of(ds)
    record = get_mode(mode)
    # Plans are made before any trial starts: a wrong checkpoint must not fail one by one.
    plan_for = cache(lambda experiment: make_plan(store, record, request, experiment))
    jobs = Jobs(store, record.name, request)
    trials = store.trials(list(dict.fromkeys(keys_of(ds))))
    marks = store.statuses(record.name, [trial.slot for trial in trials])
    for trial, mark in zip(trials, marks, strict=True):
        experiment = trial.experiment if _uses_defaults(request) else ""
        jobs.consider(trial, Status(int(mark)), plan_for(experiment))
    if jobs.tasks:
        jobs.put_last_what_is_taken()
    return jobs


def _uses_defaults(request: Request) -> bool:
    """Whether a model is left to the trials' experiment."""
    return ("features" in request.stages and request.feature_model_in is None) or (
        "sequence" in request.stages and request.sequence_model_in is None
    )


def _outcomes(jobs: Jobs, tally: Tally) -> Generator[Outcome, None, None]:
    """Work on the trials and count them, showing progress over frames."""
    client = jobs.request.client or active_client()
    enabled = jobs.request.show_progress and bool(jobs.tasks)
    with progress_bar(jobs.n_frames, jobs.mode, "frame", enabled=enabled) as bar:
        for outcome in _work(jobs, client, bar):
            tally.add(outcome)
            if client is not None:
                bar.update(outcome.n_frames)
            bar.set_postfix_str(str(tally), refresh=False)
            yield outcome
        bar.set_postfix_str(str(tally))


def _work(jobs: Jobs, client: Any, bar: Any) -> Iterator[Outcome]:
    if not jobs.tasks:
        return
    if client is None:
        try:
            yield from on_this_machine(jobs.tasks, bar.update, bar.set_postfix_str)
        finally:
            forget_models()
    else:
        if not bar.disable:
            bar.write(f"dask dashboard: {client.dashboard_link}", file=sys.stderr)
        yield from on_cluster(client, jobs.tasks, bar.set_postfix_str)
