"""Questions to a file system that may never answer.

A network drive that hangs keeps whoever asks it waiting, for ever and beyond the reach of signals.
So it is asked in a thread, which is left behind where no answer comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from soupxr.video import faults, ffmpeg

__all__ = ["in_time"]

T = TypeVar("T")


def in_time(path: str, look: Callable[[], T]) -> T:
    """Look at a file, no longer than an ffmpeg may be silent.

    Parameters
    ----------
    path : str
        The file; named in errors.
    look : callable
        What is done; what it returns or raises comes out here.

    Raises
    ------
    VideoError
        If there is no answer for ``ffmpeg.STALL_SECONDS``.
    """
    answer: Future[T] = Future()

    def ask() -> None:
        try:
            answer.set_result(look())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="soupxr-look", daemon=True).start()
    # Not by the result's own limit: what comes out of a look may be a TimeoutError, too.
    if not wait([answer], ffmpeg.STALL_SECONDS).done:
        raise faults.stalled(path, ffmpeg.STALL_SECONDS)
    return answer.result()
