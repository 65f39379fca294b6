"""Where a store is, and the lock that lets one process at a time change which trials it has."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from filelock import FileLock, Timeout

from soupxr.errors import ArgumentError, StoreError, expected
from soupxr.store.leases import waiting_for
from soupxr.store.objects import is_object_store

LOCK_TIMEOUT_S = 600.0


def store_address(path: str | os.PathLike[str]) -> str:
    """Absolute path of a local store, or the URL as it is."""
    text = os.fspath(path)
    if not isinstance(text, str) or not text:
        raise ArgumentError(expected("path", "a path or URL of a Zarr store", path))
    if text.startswith("file://"):
        text = url2pathname(urlparse(text).path)
    return text if is_url(text) else str(Path(text).expanduser().resolve())


def is_url(address: str) -> bool:
    """Whether this names a store that is not on a local disk."""
    return "://" in address


#: Makes sure that the right to change which trials there are was not lost meanwhile.
Check = Callable[[], None]


@contextmanager
def exclusive(address: str) -> Iterator[Check]:
    """Let one process at a time change which trials there are.

    Yields
    ------
    callable
        To be called before the write that makes the change count.
    """
    if is_object_store(address):
        with waiting_for(address, "adding or removing trials", LOCK_TIMEOUT_S) as lease:
            yield lease.check
    else:
        with _locked(address):
            yield lambda: None


@contextmanager
def _locked(address: str) -> Iterator[None]:
    """Hold a lock of the operating system; of one machine only, for a URL."""
    path = lock_path(address)
    # The operating system drops this lock when its process ends, however it ends.
    lock = FileLock(path, timeout=LOCK_TIMEOUT_S, mode=0o666)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"{address}: another process has been adding or removing trials for "
            f"{LOCK_TIMEOUT_S / 60:.0f} minutes (lock {path}). Wait until it is done, or end it."
        ) from None
    except OSError as error:
        raise StoreError(
            f"{path}: the store's lock cannot be taken ({error}). "
            "Check your permission to write there."
        ) from None
    try:
        yield
    finally:
        lock.release()


def lock_path(address: str) -> Path:
    """Where the lock of a store lies."""
    # Beside the store: Zarr warns of files inside it that it does not know.
    if is_url(address):
        name = "".join(c if c.isalnum() else "-" for c in address)
        return Path(tempfile.gettempdir()) / f"{name}.lock"
    path = Path(address)
    return path.with_name(f".{path.name}.lock")
