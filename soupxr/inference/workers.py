"""Worker processes of this machine, for as long as a block lasts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import dask

from soupxr.errors import ArgumentError, expected
from soupxr.inference.cluster import ask_workers
from soupxr.inference.underway import let_go

__all__ = ["local_client"]

#: Nobody else shall give our workers work: whoever can, runs what they like.
LOOPBACK = "127.0.0.1"
#: Of what dask says, only what a person has to know.
TOLD = logging.WARNING
#: After Ctrl+C, a worker has so long to end by itself (s).
AT_ONCE_S = 1.0


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
            "pip install distributed, or call infer without a client."
        ) from None
    if workers is not None and gpus is not None:
        raise ArgumentError(expected("gpus", "no workers beside it", gpus, "Give one of the two."))
    numbers = None if gpus is None else _gpu_numbers(gpus)
    # Dask gives up a worker for good that it does not find a while after one of its deaths.
    patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "1000 days"})
    with patient, _loop_deaf_to_ctrl_c() as loop:
        with _deferring_ctrl_c() as hear_it:
            cluster = (
                _cpu_cluster(workers, loop) if numbers is None else _gpu_cluster(numbers, loop)
            )
        with cluster:
            # Not by its own block: closed within that, it stays the scheduler of dask's options.
            client = distributed.Client(cluster)
            try:
                hear_it()
                yield client
            except KeyboardInterrupt:
                _end_at_once(client, cluster)
                raise
            finally:
                client.close()


def _gpu_numbers(gpus: Literal["all"] | Sequence[int]) -> list[int]:
    import torch

    there = list(range(torch.cuda.device_count()))
    remedy = "Leave it out to work on the CPU."
    if not there:
        raise ArgumentError(f"gpus: this machine has no CUDA GPU that torch can use. {remedy}")
    wanted = there if gpus == "all" else list(gpus)
    if not wanted or set(wanted) - set(there):
        raise ArgumentError(expected("gpus", f'"all" or numbers among {there}', gpus, remedy))
    return [int(number) for number in wanted]


def _cpu_cluster(workers: int | None, loop: Any) -> Any:
    """Workers of one thread each: a trial keeps one busy, and memory is shared out evenly."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host=LOOPBACK,
        dashboard_address=f"{LOOPBACK}:0",
        silence_logs=TOLD,
        loop=loop,
    )


def _gpu_cluster(numbers: Sequence[int], loop: Any) -> Any:
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
                "silence_logs": TOLD,
            },
        }
        for number in numbers
    }
    dashboard = f"{LOOPBACK}:0"
    options = {"host": LOOPBACK, "port": 0, "dashboard_address": dashboard}
    scheduler = {"cls": Scheduler, "options": options}
    return SpecCluster(workers=workers, scheduler=scheduler, silence_logs=TOLD, loop=loop)


# ------------------------------------------------------------------ Ctrl+C


@contextlib.contextmanager
def _loop_deaf_to_ctrl_c() -> Iterator[Any]:
    """The loop of a cluster whose workers do not hear Ctrl+C.

    A terminal sends it to all processes. Workers that hear it end in the middle of something, each
    with a traceback; it is for this process to end them. They inherit what the thread that starts
    them blocks, and so are deaf from their first moment.
    """
    from multiprocessing import resource_tracker

    from distributed.utils import LoopRunner

    runner = LoopRunner()
    if hasattr(signal, "pthread_sigmask"):
        # Started later, by the loop's thread, it would unblock the signal there.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            runner.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        runner.start()
    try:
        yield runner.loop
    finally:
        runner.stop()


@contextlib.contextmanager
def _deferring_ctrl_c() -> Iterator[Callable[[], None]]:
    """Keep Ctrl+C for the call that is given: a cluster that is half started cannot be ended."""
    pressed: list[int] = []

    def hear_it() -> None:
        if pressed:
            signal.raise_signal(signal.SIGINT)

    if threading.current_thread() is not threading.main_thread():
        yield hear_it  # Others do not hear it.
        return
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield hear_it
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)


def _end_at_once(client: Any, cluster: Any) -> None:
    """Let no worker finish what it is at: a person waits at the keyboard."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        ask_workers(client, _expect_the_end, within=AT_ONCE_S)
        cluster.sync(_close, cluster.workers.values())
        client.close()
        cluster.close()
    finally:
        logging.disable(before)


def _expect_the_end() -> None:
    """In a worker: nobody wants to know what the end interrupts."""
    logging.disable()
    let_go()


async def _close(nannies: Iterable[Any]) -> None:
    closing = [nanny.close(timeout=AT_ONCE_S) for nanny in nannies]
    await asyncio.gather(*closing, return_exceptions=True)
