"""The trials that this process is at, so that they can be given back before it is ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from soupxr.store.leases import Lease

__all__ = ["let_go", "under_way"]

_UNDER_WAY: set[Lease] = set()


@contextmanager
def under_way(lease: Lease) -> Iterator[None]:
    """Work on the trial of a lease, and give that back at the end."""
    _UNDER_WAY.add(lease)
    try:
        with lease:
            yield
    finally:
        _UNDER_WAY.discard(lease)


def let_go() -> None:
    """Give back whatever this process is at, for it is about to be ended on purpose.

    Else it would count as one that died over the trial, of which three give a trial up.
    """
    for lease in list(_UNDER_WAY):
        lease.release()
