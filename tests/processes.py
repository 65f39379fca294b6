"""Processes of a test: real ones, forked from one that has imported what they need.

Python, torch and the rest take seconds to import, which every process would spend anew.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import BaseContext
from types import ModuleType

import psutil

__all__ = ["NOBODY", "PROCESSES", "at_write", "ffmpegs", "kill_after", "somebody"]

#: A user who owns nothing.
NOBODY = 65534

#: What the first of them imports. None of it starts a thread, which a fork would lose.
IMPORTED_ONCE = [
    "pytest",
    "soupxr.store",
    "soupxr.training.request",
    "soupxr.inference.run",
    "soupxr.inference.trial",
]


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_ONCE)
    return context


#: As ``multiprocessing`` itself: ``PROCESSES.Process(target=…, args=…)``.
PROCESSES = _context()


def ffmpegs() -> list[psutil.Process]:
    """Those below this process that are at work."""
    found = []
    for child in psutil.Process().children(recursive=True):
        # It may end between two questions.
        with suppress(psutil.NoSuchProcess):
            if "ffmpeg" in child.name() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def at_write(module: ModuleType, number: int, act: Callable[[], object]) -> Callable[..., None]:
    """A module's ``write`` that lets another act before the so manyth."""
    write, left = module.write, [number]

    def acting(*arguments: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()
        write(*arguments)

    return acting


def kill_after(module: ModuleType, writes: int, delay: float) -> None:
    """Let this process kill itself, ``delay`` seconds after a module's so manyth ``write``."""

    def die() -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    begin = threading.Thread(target=die, daemon=True).start
    module.write = at_write(module, writes, begin)  # type: ignore[attr-defined]


@contextmanager
def somebody() -> Iterator[None]:
    """With the rights of an ordinary user: root may write where nobody may."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
