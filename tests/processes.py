"""Processes of a test: real ones, forked from one that has imported what they need.

Python, torch and the rest take seconds to import, which every process would spend anew.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext

__all__ = ["PROCESSES"]

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
