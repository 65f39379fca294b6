"""The exceptions that soupxr raises for its users.

Every message names the argument or the file, says what was expected and what came, and ends
with what to do. Catch :class:`SoupError` to catch them all.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import ClassVar

__all__ = [
    "ArgumentError",
    "CheckpointError",
    "DownloadError",
    "FormatError",
    "InferenceError",
    "IngestError",
    "SoupError",
    "SoupWarning",
    "StoreError",
    "TrainingError",
    "VideoError",
    "expected",
    "listed",
    "one_of",
]


#: Characters of a value that a message shows.
LONGEST_SHOWN = 5000


class SoupError(Exception):
    """Anything that went wrong and that the user can do something about.

    Attributes
    ----------
    page : str
        Where the documentation tells more of errors of this kind; a traceback ends with it.
    """

    page: ClassVar[str] = "troubleshooting.md"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.add_note(f"More on this: {_docs()}{self.page}")


@cache
def _docs() -> str:
    """Where the pages of the documentation lie: in the package as installed, or beside it."""
    here = Path(__file__).resolve().parent
    folders = (here / "docs", here.parent / "docs")
    found = [folder for folder in folders if (folder / "troubleshooting.md").is_file()]
    return f"{found[0]}{os.sep}" if found else "docs/"


class ArgumentError(SoupError, ValueError):
    """An argument has a value that the call cannot use."""


class StoreError(SoupError):
    """A store is missing, damaged, locked, or not one of ours."""

    page = "troubleshooting.md#stores"


class IngestError(SoupError):
    """Videos on disk do not make the trials that were asked for; nothing was added."""

    page = "troubleshooting.md#adding-videos"


class VideoError(SoupError):
    """A video cannot be read as promised."""

    page = "troubleshooting.md#videos"


class CheckpointError(SoupError):
    """A checkpoint cannot be read, or holds another model than the one needed."""

    page = "troubleshooting.md#inference"


class FormatError(SoupError):
    """A file of another program cannot be read, or does not fit; nothing was written."""

    page = "troubleshooting.md#files-of-other-programs"


class DownloadError(SoupError):
    """Weights or data could not be fetched."""

    page = "troubleshooting.md#inference"


class InferenceError(SoupError):
    """Some trials could not be inferred; the others were, and are in the store."""

    page = "troubleshooting.md#inference"


class TrainingError(SoupError):
    """Training cannot start or go on; what was learnt before is kept."""

    page = "troubleshooting.md#training"


class SoupWarning(UserWarning):
    """Something the user should know about; the call went on."""


def expected(argument: str, expectation: str, came: object, remedy: str = "") -> str:
    """Word an error message in the house's one form.

    Parameters
    ----------
    argument : str
        Name of the argument, as the user typed it.
    expectation : str
        What it should have been.
    came : object
        What it was; shown by its ``repr``.
    remedy : str, optional
        What to do about it, as a full sentence.

    Returns
    -------
    str
        ``"<argument>: expected <expectation>, but got <came>. <remedy>"``
    """
    message = f"{argument}: expected {expectation}, but got {_shown(came)}."
    return f"{message} {remedy}" if remedy else message


def _shown(came: object) -> str:
    try:
        text = repr(came)
    except ValueError:  # a whole number of more digits than Python writes out
        return f"another {type(came).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def listed(problems: Iterable[object]) -> str:
    """One problem a line, as the tail of a message that reports several at once."""
    return "".join(f"\n  - {problem}" for problem in problems)


def one_of(argument: str, value: object, choices: Collection[object]) -> None:
    """Refuse a value that is none of those there are.

    Raises
    ------
    ArgumentError
        If it is none of them.
    """
    if value not in choices:
        raise ArgumentError(expected(argument, f"one of {', '.join(map(repr, choices))}", value))
