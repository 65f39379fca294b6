"""Which file it is that lies at a path: what was made of one that has not changed is still good.

Zarr never changes a file: it writes another one and gives that the name. So inode, size and time
of writing tell two of them apart; only two changes of a store within one tick of the clock of its
file system (some milliseconds) could be mistaken, and each takes longer than that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from functools import lru_cache, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

__all__ = ["Newest", "Stamp", "newest", "stamp"]

Stamp = tuple[int, int, int, int]
What = TypeVar("What", bound=Hashable)
Version = ParamSpec("Version")
Made = TypeVar("Made")


def stamp(path: str) -> Stamp | None:
    """What tells a file from all others that had this name; None where there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def newest(
    most: int,
) -> Callable[[Callable[Concatenate[What, Version], Made]], Newest[What, Version, Made]]:
    """Have a function keep what it made last of each of so many things.

    The function's first argument names the thing, all others tell its version.
    """
    return lambda make: Newest(make, most)


class Newest(Generic[What, Version, Made]):
    """A function that keeps of each thing what it made last of it: one version, the newest.

    A store that is written to all day has thousands of versions; an ``lru_cache`` would keep as
    many of them as it keeps things.
    """

    def __init__(self, make: Callable[Concatenate[What, Version], Made], most: int) -> None:
        update_wrapper(self, make)
        self._make = make
        self._place_of = lru_cache(maxsize=most)(_place)

    def __call__(self, what: What, /, *args: Version.args, **named: Version.kwargs) -> Made:
        """Give what is kept of this version, or make it."""
        place, version = self._place_of(what), (args, named)
        # Taken out and put back at a stroke: threads need no lock.
        kept = place[0]
        if kept is None or kept[0] != version:
            kept = place[0] = version, self._make(what, *args, **named)
        made: Made = kept[1]
        return made

    def cache_clear(self) -> None:
        """Forget everything."""
        self._place_of.cache_clear()


def _place(_what: Hashable) -> list[tuple[Any, Any] | None]:
    return [None]
