"""Files that are there whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_unfinished", "whole_file"]

ENDING = ".unfinished"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write beside ``path`` that takes its name when it is done, and is gone if it fails.

    Until then, what was there before stays.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}{ENDING}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def is_unfinished(path: Path) -> bool:
    """Whether this is what a process that was killed left of a file."""
    return path.name.startswith(".") and path.name.endswith(ENDING)
