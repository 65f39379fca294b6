"""Kill -9 at any change of a file: before the so manyth, or in the middle of writing one.

A victim is rehearsed once, to learn how many changes it makes; then it is killed at some of them,
drawn from a seed. Python itself tells of each change before it is made.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from processes import PROCESSES

__all__ = ["KILLED", "Point", "draw_points", "rehearse", "run_and_kill", "run_to_the_end"]

KILLED = -signal.SIGKILL
#: A victim that takes longer hangs, however busy the machine is.
SECONDS = 600
#: How often a victim is aimed at that outlived its point, having made fewer changes this time.
AIMS = 5
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}

Victim = Callable[..., object]


@dataclass(frozen=True)
class Point:
    """Where a victim dies.

    Parameters
    ----------
    number : int
        Before so many changes, from 0, or in the middle of so manyth piece of data.
    torn : bool
        In the middle of writing: half of the data are on disk.
    """

    number: int
    torn: bool = False

    def within(self, counts: tuple[int, int]) -> Point:
        """This point, or the last one of a victim that made so many changes."""
        return replace(self, number=min(self.number, counts[self.torn] - 1))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # whatever thread this is, it goes no further


class _Watch:
    """Counts changes below a folder, and dies at one of them."""

    def __init__(self, folder: Path, point: Point | None) -> None:
        self.folder, self.point = str(folder), point
        self.changes = self.writes = 0
        self._counting = threading.RLock()

    def begin(self) -> None:
        sys.addaudithook(self._hear)
        from zarr.storage import _local

        put = _local._put

        def torn_put(path: Path, value: Any, exclusive: bool = False) -> int:
            with self._counting:
                number, self.writes = self.writes, self.writes + 1
            if self.point == Point(number, torn=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                data = np.asarray(value.as_numpy_array()).tobytes()
                path.with_suffix(".torn.partial").write_bytes(data[: len(data) // 2])
                _die()
            return put(path, value, exclusive)

        _local._put = torn_put

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not flags & WRITING:
                return
        elif event in CHANGES:
            path = arguments[0]
        else:
            return
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.fsdecode(path)
        # A name alone is of a folder that is being emptied.
        if os.path.isabs(name) and not name.startswith(self.folder):
            return
        # Threads that try to make one folder at once all ask for it; one of them makes it.
        if event == "os.mkdir" and (
            os.path.exists(name) or not os.path.exists(os.path.dirname(name))
        ):
            return
        with self._counting:
            number, self.changes = self.changes, self.changes + 1
        if self.point == Point(number):
            _die()


def _live(folder: Path, point: Point | None, told: Any, victim: Victim, arguments: Any) -> None:
    import soupxr as sx

    sx.set_options(progress=False)
    os.environ.pop("SOUPXR_DATA_ROOT", None)
    watch = _Watch(folder, point)
    watch.begin()
    victim(*arguments)
    told.send((watch.changes, watch.writes))


def _run(folder: Path, point: Point | None, victim: Victim, arguments: Any) -> tuple[int, Any]:
    told, its_end = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_live, args=(folder, point, its_end, victim, arguments))
    process.start()
    its_end.close()
    process.join(SECONDS)
    status = process.exitcode
    assert status is not None, "the victim hangs"
    counts = told.recv() if status == 0 else None
    told.close()
    process.close()
    return status, counts


def run_to_the_end(folder: Path, victim: Victim, *arguments: Any) -> None:
    """Let a call go through, in a process of its own as its user would make it."""
    status, _ = _run(folder, None, victim, arguments)
    assert status == 0, f"it ended with status {status}"


def rehearse(folder: Path, victim: Victim, *arguments: Any) -> tuple[int, int]:
    """Let a victim live; return how many changes it makes, and pieces of data it writes."""
    status, counts = _run(folder, None, victim, arguments)
    assert status == 0, "the victim does not even live"
    return counts


def draw_points(counts: tuple[int, int], n_points: int, seed: int) -> list[Point]:
    """So many points, spread over all changes; one in three is in the middle of writing."""
    draw = random.Random(seed)
    changes, writes = counts
    n_torn = min(n_points // 3, writes)
    torn = [Point(number, torn=True) for number in draw.sample(range(writes), n_torn)]
    n_plain = n_points - n_torn
    # One from each stretch of equal length: what is drawn freely leaves gaps.
    edges = [changes * k // n_plain for k in range(n_plain + 1)]
    plain = [Point(draw.randrange(low, max(low + 1, high))) for low, high in pairwise(edges)]
    return [*plain, *torn]


def run_and_kill(template: Path, folder: Path, point: Point, victim: Victim, *more: Any) -> None:
    """Copy a folder, and let a victim die over the copy.

    Threads and the clock decide how many changes a call makes. Where it made too few to come to
    its point, another victim dies at the last of so many.
    """
    for _ in range(AIMS):
        shutil.copytree(template, folder)
        status, counts = _run(folder, point, victim, (folder, *more))
        if status == KILLED:
            return
        assert status == 0, f"at {point}, it ended by itself with status {status}"
        shutil.rmtree(folder)
        point = point.within(counts)
    raise AssertionError(f"{AIMS} victims outlived their points, the last one {point}")
