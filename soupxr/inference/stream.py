"""Streams of consecutive blocks: cut anew, computed one by one, fetched ahead of use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any, TypeVar

import dask
import numpy as np
import numpy.typing as npt
from dask.core import flatten
from dask.optimization import cull

__all__ = ["blocks_of", "look_ahead", "rechunk"]

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
