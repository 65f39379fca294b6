"""Trials on a dask cluster: bounded submission, lost workers, a trial for each GPU.

What travels through the scheduler is a :class:`Task` of some kilobytes there and an
:class:`Outcome` of some hundred bytes back. Workers read videos, weights and store themselves, and
write results straight into the store.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dask

import soupxr
from soupxr.errors import InferenceError
from soupxr.inference.deferred import Deferred
from soupxr.inference.task import Outcome, Task
from soupxr.inference.trial import forget_models, process, record_failure
from soupxr.inference.versions import VersionMismatch, check_version

__all__ = ["active_client", "ask_workers", "on_cluster"]

log = logging.getLogger(__name__)

#: Trials at the scheduler, for each place at which one can be worked on; at least so many in all.
#: More would only lie there: the scheduler's memory must not grow with the number of trials.
AHEAD = 3
LEAST = 64
#: Times that dask may lose a trial with its worker. Most are lost because another trial killed the
#: worker that they shared; who kills three is found by the deaths that its lease counts.
MOST_LOSSES = 10
#: Between two looks at the cluster's size and at trials of other runs (s).
LOOK_S = 2.0
#: A worker that is stuck, or was stopped, never answers: none is waited for longer (s).
ANSWER_S = 5.0
#: Without any worker for so long, it is told (s).
LONELY_S = 60.0

GONE = (
    "the dask cluster has gone, or somebody cancelled this run there. What is done is in the "
    "store; start the cluster again and call infer again, it goes on from there."
)

#: What is done with one trial.
Work = Callable[[Task], Outcome]


def active_client() -> Any:
    """The distributed client in use, or None."""
    if "distributed" not in sys.modules or dask.config.get("scheduler", None) is not None:
        return None
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None


def on_cluster(
    client: Any, tasks: Sequence[Task], waits: Callable[[str], object], work: Work = process
) -> Iterator[Outcome]:
    """Work on all trials, in no particular order.

    Parameters
    ----------
    client : distributed.Client
        Its workers do it; once some declare the resource ``GPU``, only those, a trial for each.
        Where there are none yet, they are waited for.
    tasks : sequence of Task
        As many as there are; some are at the scheduler at a time.
    waits : callable
        Told, in words, what keeps things from going on.
    work : callable
        What is done with each.

    Raises
    ------
    VersionMismatch
        If a worker has another version of soupxr.
    InferenceError
        If the cluster is gone.
    """
    run = _Run(client, work, waits)
    try:
        run.check_versions()
        yield from run.outcomes(tasks)
    except _lost_errors() as error:
        raise InferenceError(GONE) from error
    finally:
        run.stop()


def ask_workers(client: Any, what: Callable[[], object], within: float) -> None:
    """Have all workers do something; those that do not answer in time (s) are not waited for."""

    async def ask() -> None:
        await client.run(what, on_error="ignore")

    with contextlib.suppress(TimeoutError):
        client.sync(ask, callback_timeout=within)


def _lost_errors() -> tuple[type[Exception], ...]:
    """What distributed raises when its scheduler cannot be reached."""
    from distributed import client
    from distributed.comm import CommClosedError

    # Older ones raise a plain error of what the scheduler's connection says.
    closed = getattr(client, "ClosedClientError", CommClosedError)
    return closed, CommClosedError, TimeoutError


class _Run:
    """One run on a cluster."""

    def __init__(self, client: Any, work: Work, waits: Callable[[str], object]) -> None:
        self._client, self._work, self._waits = client, work, waits
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._flying: dict[str, tuple[Task, Any]] = {}
        self._losses: dict[str, int] = {}
        self._deferred = Deferred()
        self._size = _Size(client)
        self._call: Any = None

    def check_versions(self) -> None:
        """Refuse workers of another version before anything is done."""
        # By what every Python has: another version may not have the function that we would name.
        found = self._client.run(eval, "__import__('soupxr').__version__", on_error="return")
        for worker, version in found.items():
            if isinstance(version, ImportError):
                raise InferenceError(
                    f"{worker}: expected a worker with soupxr {soupxr.__version__}, but it cannot "
                    f"be imported there ({version}). Install it in the workers' environment."
                )
            # One that cannot answer now, because it is just dying, is judged by the next.
            if isinstance(version, str):
                check_version(soupxr.__version__, version, worker)

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Keep the cluster busy until all is done."""
        coming = iter(tasks)
        left = True
        while left or self._flying or len(self._deferred):
            left = left and self._fill(coming)
            if (outcome := self._next()) is not None:
                yield outcome

    def stop(self) -> None:
        """Take back what has not begun, and free the workers' memory."""
        with contextlib.suppress(*_lost_errors(), OSError, ValueError):
            self._client.cancel([future for _, future in self._flying.values()])
            self._client.cancel([] if self._call is None else [self._call])
            ask_workers(self._client, forget_models, within=ANSWER_S)

    def _fill(self, coming: Iterator[Task]) -> bool:
        """Submit as much as may lie at the scheduler; False once nothing more comes."""
        window = self._size.window()
        if not window:
            self._call_for_workers()
        for late in self._deferred.due() if window else ():
            self._submit(late)
        for _ in range(window - len(self._flying)):
            if (task := next(coming, None)) is None:
                return False
            self._submit(task)
        return True

    def _call_for_workers(self) -> None:
        """Give the scheduler something, for adaptive clusters start workers for nothing else."""
        if not self._flying and (self._call is None or self._call.done()):
            key = f"soupxr-call-{uuid.uuid4().hex}"
            self._call = self._client.submit(bool, key=key, pure=False)

    def _submit(self, task: Task) -> None:
        key = f"infer-{task.plan.mode.name}-{uuid.uuid4().hex}"
        needs = {"GPU": 1} if self._size.has_gpus else None
        future = self._client.submit(self._work, task, key=key, pure=False, resources=needs)
        self._flying[key] = task, future
        # The callback must not keep the future: the cluster forgets what nobody refers to.
        future.add_done_callback(lambda done: self._done.put(done.key))

    def _next(self) -> Outcome | None:
        """The next outcome; None where it is time to look around, or it is no end."""
        try:
            key = self._done.get(timeout=LOOK_S)
        except queue.Empty:
            self._look_around()
            return None
        task, future = self._flying.pop(key)
        if future.status == "finished":
            return self._sorted(task, future.result())
        if future.status == "error":
            return self._lost(task, future.exception())
        raise InferenceError(GONE)

    def _sorted(self, task: Task, outcome: Outcome) -> Outcome | None:
        if outcome.held is not None:
            self._deferred.add(task, outcome.held)
            return None
        self._deferred.done(task.key)
        return outcome

    def _lost(self, task: Task, error: BaseException) -> Outcome | None:
        """A trial that came to no end, for its worker died or could not even begin."""
        from distributed import KilledWorker

        if isinstance(error, VersionMismatch):
            raise error
        losses = self._losses[task.key] = self._losses.get(task.key, 0) + 1
        if isinstance(error, KilledWorker) and losses < MOST_LOSSES:
            self._submit(task)
            return None
        self._deferred.done(task.key)
        reason = f"its worker was lost or failed ({type(error).__name__}: {error})"
        return Outcome(task.key, 0, 0.0, record_failure(task, reason))

    def _look_around(self) -> None:
        """Say what is waited for."""
        if self._size.lonely_for() > LONELY_S:
            self._waits(f"the cluster has no workers{' with a GPU' * self._size.has_gpus}")
        elif len(self._deferred) and not self._flying:
            self._waits(str(self._deferred))


class _Size:
    """How much a cluster can do at once, asked for now and then: it may grow and shrink."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked = float("-inf")
        self._places = 0
        self._last_worker = time.monotonic()
        #: Whether there ever was a worker with a GPU. It stays so while such workers are started
        #: anew: what is handed out meanwhile may run on one of them.
        self.has_gpus = False
        self.window()

    def window(self) -> int:
        """Trials that may be at the scheduler; none while nobody could work on them.

        Of a worker that is yet to come, nobody knows whether it takes one at a time.
        """
        now = time.monotonic()
        if now - self._asked > LOOK_S:
            self._asked = now
            workers = self._client.scheduler_info(n_workers=-1).get("workers", {}).values()
            gpus = sum(int(worker["resources"].get("GPU", 0)) for worker in workers)
            self.has_gpus = self.has_gpus or gpus > 0
            threads = sum(worker["nthreads"] for worker in workers)
            self._places = gpus if self.has_gpus else threads
            if self._places:
                self._last_worker = now
        return max(LEAST, AHEAD * self._places) if self._places else 0

    def lonely_for(self) -> float:
        """Time without any worker (s)."""
        return time.monotonic() - self._last_worker
