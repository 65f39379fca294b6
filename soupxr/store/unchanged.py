"""Which file it is that lies at a path: what was made of one that has not changed is still good.

Zarr never changes a file: it writes another one and gives that the name. So inode, size and time
of writing tell two of them apart; only two changes of a store within one tick of the clock of its
file system (some milliseconds) could be mistaken, and each takes longer than that.
"""

from __future__ import annotations

import os

__all__ = ["Stamp", "stamp"]

Stamp = tuple[int, int, int, int]


def stamp(path: str) -> Stamp | None:
    """What tells a file from all others that had this name; None where there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
