"""Processes of a test: real ones, forked from one that has imported what they need.

Python, torch and the rest take seconds to import, which every process would spend anew.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.context import BaseContext
from types import ModuleType

__all__ = ["PROCESSES", "kill_after"]

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


def kill_after(module: ModuleType, writes: int, delay: float) -> None:
    """Let this process kill itself, ``delay`` seconds after a module's so manyth ``write``."""
    write, left = module.write, [writes]

    def die() -> None:
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    def counting(*arguments: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            threading.Thread(target=die, daemon=True).start()
        write(*arguments)

    module.write = counting  # type: ignore[attr-defined]
