"""Streams of consecutive blocks: cut anew, computed one by one, fetched ahead of use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import dask
import numpy as np
import numpy.typing as npt
from dask.core import flatten
from dask.optimization import cull

__all__ = ["Behind", "blocks_of", "look_ahead", "rechunk"]

T = TypeVar("T")
Scalar = TypeVar("Scalar", bound=np.generic)


def blocks_of(array: Any) -> Iterator[npt.NDArray[Any]]:
    """Compute a dask array's blocks one after the other, holding one at a time.

    Parameters
    ----------
    array : dask.array.Array
        With one block along every axis but the first.
    """
    graph = dict(array.__dask_graph__())
    for key in flatten(array.__dask_keys__()):
        needed, _ = cull(graph, [key])
        yield dask.get(needed, key)


def look_ahead(stream: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Fetch up to ``depth`` items in a thread while the caller works on the one before.

    An error in the stream is raised here, in its place. Leaving early stops the thread.
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: T | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            try:
                waiting.put((item, error), timeout=0.1)
            except queue.Full:
                continue
            return

    def fetch() -> None:
        try:
            for item in stream:
                put(item, None)
                if stopped.is_set():
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(None, StopIteration())

    thread = threading.Thread(target=fetch, name="soupxr-look-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


class Behind:
    """Does one call at a time in a thread while the caller goes on.

    An error in a call is raised by what is asked for next. Leaving by an error does not wait for
    more than the call that is running.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "soupxr-behind")
        self._running: Future[object] | None = None

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Start a call, once the one before is over."""
        self.wait()
        self._running = self._pool.submit(function, *arguments)

    def wait(self) -> None:
        """Wait until nothing runs."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown()


def rechunk(blocks: Iterable[npt.NDArray[Scalar]], size: int) -> Iterator[npt.NDArray[Scalar]]:
    """Cut consecutive blocks anew along the first axis: ``size`` each, and a rest."""
    # Blocks are copied at once: kept waiting, small ones lie scattered between the large arrays
    # that come and go meanwhile, and the memory between them cannot be used again.
    piece: npt.NDArray[Scalar] | None = None
    filled = 0
    for block in blocks:
        while len(block):
            if piece is None:
                piece, filled = np.empty((size, *block.shape[1:]), block.dtype), 0
            part, block = block[: size - filled], block[size - filled :]
            piece[filled : filled + len(part)] = part
            filled += len(part)
            if filled == size:
                yield piece
                piece = None
    if piece is not None:
        yield piece[:filled]
