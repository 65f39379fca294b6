"""What a page is told of its saves, in words for somebody who came to look at animals."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from soupxr.errors import SoupError
from soupxr.store import ReadOnly, os_error

__all__ = ["Report", "State", "conflict", "failed", "saved", "saving"]

State = Literal["saving", "saved", "failed", "conflict", "read-only"]

READ_ONLY = "this store can be read but not written"
NO_ANSWER = "the network drive does not answer"
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
WHY: dict[int, str] = {
    **dict.fromkeys(FORBIDDEN, READ_ONLY),
    **dict.fromkeys((errno.ESTALE, errno.EHOSTDOWN, errno.ENOTCONN, errno.ETIMEDOUT), NO_ANSWER),
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is used up",
    errno.EIO: "the disk reports an error",
}


@dataclass(frozen=True)
class Report:
    """How a save goes.

    Parameters
    ----------
    state : {"saving", "saved", "failed", "conflict", "read-only"}
        ``"saved"`` means on disk. After ``"failed"`` and ``"read-only"`` it is tried again.
    key : str
        The trial.
    version : int
        Which of its labels, as the page counts them.
    time : datetime or None
        When they were saved, in local time.
    text : str
        For the reader of the page.
    """

    state: State
    key: str
    version: int
    time: datetime | None
    text: str


def saving(key: str, version: int) -> Report:
    """It has begun."""
    return Report("saving", key, version, None, "Saving…")


def saved(key: str, version: int, annotator: str | None = None) -> Report:
    """It is on disk; ``annotator`` is given where it is not the page's own."""
    now = datetime.now()
    under = "" if annotator is None else f" as {annotator}"
    return Report("saved", key, version, now, f"Saved{under} {now:%H:%M:%S}")


def failed(key: str, version: int, error: Exception, pause: float) -> Report:
    """It is not on disk, and is tried again after so many seconds."""
    cause = os_error(error)
    code = None if cause is None else cause.errno
    forbidden = isinstance(error, ReadOnly) or code in FORBIDDEN
    text = f"Not saved: {_why(error, cause)}. Trying again in {pause:g} s."
    return Report("read-only" if forbidden else "failed", key, version, None, text)


def conflict(key: str, version: int, annotator: str, former: str | None) -> Report:
    """Other labels are there than the page knows.

    Parameters
    ----------
    annotator : str
        Whose labels they are.
    former : str or None
        Whose labels the page shows, where it wanted to save them as another annotator's.
    """
    if former is None:
        text = (
            f"{annotator} has saved other labels of {key} since you opened it. Yours are not "
            "saved: reload to see those on disk, or save yours as another annotator."
        )
    else:
        text = (
            f"{annotator} has labelled {key} already. Yours are not saved: choose another name, "
            f"or reload to see the labels of {former}."
        )
    return Report("conflict", key, version, None, text)


def _why(error: Exception, cause: OSError | None) -> str:
    if cause is not None and cause.errno in WHY:
        return f"{WHY[cause.errno]} ({cause.strerror})"
    if isinstance(error, (SoupError, OSError)):
        return str(error).rstrip(".")
    return f"{type(error).__name__}: {error}".rstrip(".")
