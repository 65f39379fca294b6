"""Trials on a dask cluster: bounded submission, lost workers, several GPUs of one machine.

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
from typing import Any, Literal

import dask

import soupxr
from soupxr.errors import ArgumentError, InferenceError, expected
from soupxr.inference.deferred import Deferred
from soupxr.inference.task import Outcome, Task
from soupxr.inference.trial import forget_models, process, record_failure
from soupxr.inference.versions import VersionMismatch, check_version

__all__ = ["active_client", "local_client", "on_cluster"]

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
#: Without any worker for so long, it is told (s).
LONELY_S = 60.0

#: Nobody else shall give our workers work: whoever can, runs what they like.
LOOPBACK = "127.0.0.1"

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


@contextlib.contextmanager
def local_client(
    workers: int | None = None, gpus: Literal["all"] | Sequence[int] | None = None
) -> Iterator[Any]:
    """Start worker processes for as long as the block lasts; see :func:`soupxr.local_client`."""
    try:
        import distributed
    except ImportError as error:
        raise ArgumentError(
            f"local_client: worker processes need distributed ({error}). Install it with "
            "pip install 'soupxr[distributed]', or call infer without a client."
        ) from None
    if workers is not None and gpus is not None:
        raise ArgumentError(expected("gpus", "no workers beside it", gpus, "Give one of the two."))
    numbers = None if gpus is None else _gpu_numbers(gpus)
    # Dask gives up a worker for good that it does not find a while after one of its deaths.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1000 days"}):
        cluster = _cpu_cluster(workers) if numbers is None else _gpu_cluster(numbers)
        with cluster, distributed.Client(cluster) as client:
            yield client


def _gpu_numbers(gpus: Literal["all"] | Sequence[int]) -> list[int]:
    import torch

    there = list(range(torch.cuda.device_count()))
    wanted = there if gpus == "all" else list(gpus)
    if not wanted or set(wanted) - set(there):
        had = f"numbers among {there}" if there else "a machine with a CUDA GPU"
        remedy = "Leave it out to work on the CPU."
        raise ArgumentError(expected("gpus", f'"all" or {had}', gpus, remedy))
    return [int(number) for number in wanted]


def _cpu_cluster(workers: int | None) -> Any:
    """Workers of one thread each: a trial keeps one busy, and memory is shared out evenly."""
    from distributed import LocalCluster

    dashboard = f"{LOOPBACK}:0"
    return LocalCluster(
        n_workers=workers, threads_per_worker=1, host=LOOPBACK, dashboard_address=dashboard
    )


def _gpu_cluster(numbers: Sequence[int]) -> Any:
    """A worker for each GPU, which sees no other."""
    from distributed import Nanny, Scheduler, SpecCluster

    workers = {
        number: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "resources": {"GPU": 1},
                "host": LOOPBACK,
                "env": {"CUDA_VISIBLE_DEVICES": str(number)},
            },
        }
        for number in numbers
    }
    dashboard = f"{LOOPBACK}:0"
    options = {"host": LOOPBACK, "port": 0, "dashboard_address": dashboard}
    scheduler = {"cls": Scheduler, "options": options}
    return SpecCluster(workers=workers, scheduler=scheduler)


def on_cluster(
    client: Any, tasks: Sequence[Task], waits: Callable[[str], object], work: Work = process
) -> Iterator[Outcome]:
    """Work on all trials, in no particular order.

    Parameters
    ----------
    client : distributed.Client
        Its workers do it; where some declare the resource ``GPU``, only those, a trial for each.
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


def _lost_errors() -> tuple[type[Exception], ...]:
    """What distributed raises when its scheduler cannot be reached."""
    from distributed.client import ClosedClientError
    from distributed.comm import CommClosedError

    return ClosedClientError, CommClosedError, TimeoutError


class _Run:
    """One run on a cluster."""

    def __init__(self, client: Any, work: Work, waits: Callable[[str], object]) -> None:
        self._client, self._work, self._waits = client, work, waits
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._flying: dict[str, tuple[Task, Any]] = {}
        self._losses: dict[str, int] = {}
        self._deferred = Deferred()
        self._size = _Size(client)

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
            self._client.run(forget_models, on_error="ignore")

    def _fill(self, coming: Iterator[Task]) -> bool:
        """Submit as much as may lie at the scheduler; False once nothing more comes."""
        for late in self._deferred.due():
            self._submit(late)
        for _ in range(self._size.window() - len(self._flying)):
            if (task := next(coming, None)) is None:
                return False
            self._submit(task)
        return True

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
            self._waits("the cluster has no workers")
        elif len(self._deferred) and not self._flying:
            self._waits(str(self._deferred))


class _Size:
    """How much a cluster can do at once, asked for now and then: it may grow and shrink."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked = float("-inf")
        self._places = 0
        self._last_worker = time.monotonic()
        self.has_gpus = False
        self.window()

    def window(self) -> int:
        """Trials that may be at the scheduler."""
        now = time.monotonic()
        if now - self._asked > LOOK_S:
            self._asked = now
            workers = self._client.scheduler_info(n_workers=-1).get("workers", {}).values()
            gpus = sum(int(worker["resources"].get("GPU", 0)) for worker in workers)
            self.has_gpus = gpus > 0
            self._places = gpus or sum(worker["nthreads"] for worker in workers)
            if workers:
                self._last_worker = now
        return max(LEAST, AHEAD * self._places)

    def lonely_for(self) -> float:
        """Time without any worker (s)."""
        return time.monotonic() - self._last_worker
