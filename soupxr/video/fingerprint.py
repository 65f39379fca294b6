"""What tells a video from another that took its place."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from soupxr.video.patience import in_time
from soupxr.video.remote import local_copy

__all__ = ["fingerprint"]

PIECES = 10
PIECE_BYTES = 65_536


def fingerprint(path: str | os.PathLike[str]) -> str:
    """SHA-256 over a file's size and pieces of it, first and last included.

    Two recordings differ everywhere, so a few hundred kilobytes tell them apart; a copy has the
    same fingerprint wherever it lies and whenever it was made.

    Raises
    ------
    OSError
        If the file cannot be read, or is none.
    VideoError
        If its drive does not answer, or it is behind a URL and cannot be fetched.
    """
    name = os.fspath(local_copy(path))
    return in_time(name, lambda: _fingerprint(name))


def _fingerprint(path: str) -> str:
    if not stat.S_ISREG(os.stat(path).st_mode):
        # To open a pipe would wait for somebody to write into it.
        raise OSError(errno.EINVAL, "not a plain file", path)
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        digest.update(str(size).encode())
        last = max(0, size - PIECE_BYTES)
        for piece in range(PIECES):
            file.seek(last * piece // (PIECES - 1))
            digest.update(file.read(PIECE_BYTES))
    return digest.hexdigest()
