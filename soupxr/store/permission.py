"""Stores that can be read but not written: how that is known, and how it is told."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soupxr.errors import StoreError
from soupxr.store.address import is_url, lock_path

__all__ = ["ReadOnly", "os_error", "telling_of_permission", "why_read_only"]

#: What the operating system answers where a file may be read and not written.
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


class ReadOnly(StoreError):
    """The store can be read but not written."""


def why_read_only(address: str) -> str | None:
    """Say up front why labels cannot be saved in a store; None where nothing speaks against it.

    Looks at permissions only. Of a store behind a URL nothing is known before the first write.
    """
    if is_url(address) or not Path(address).is_dir():
        return None
    lock = lock_path(address)
    needed = [lock if lock.exists() else lock.parent]
    needed += [Path(address, name) for name in ("annotation", "annotator")]
    shut = next((place for place in needed if not _can_write(place)), None)
    return None if shut is None else _told(address, f"{shut} is protected")


def os_error(error: BaseException | None) -> OSError | None:
    """What the operating system said that led to this exception."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def telling_of_permission(address: str) -> Iterator[None]:
    """Turn whatever the operating system says to a writer into a StoreError.

    Raises
    ------
    ReadOnly
        If what lies in this block failed for want of permission.
    """
    try:
        yield
    except (StoreError, OSError) as error:
        cause = os_error(error)
        # A class of its own says more than that something could not be written.
        own = isinstance(error, StoreError) and type(error) is not StoreError
        if not own and cause is not None and cause.errno in FORBIDDEN:
            raise ReadOnly(_told(address, str(cause))) from cause
        if isinstance(error, OSError):
            raise StoreError(f"{address}: labels cannot be written ({error}).") from error
        raise


def _told(address: str, why: str) -> str:
    return (
        f"{address}: this store can be read but not written ({why}), so no labels can be saved. "
        "Ask for permission to write there, or work on a copy."
    )


def _can_write(place: Path) -> bool:
    # A program that runs with another user's rights is judged by those.
    return os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
