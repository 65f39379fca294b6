"""One version of soupxr for all processes of a run: others may store something else."""

from __future__ import annotations

import socket

import soupxr
from soupxr.errors import InferenceError

__all__ = ["VersionMismatch", "check_version"]


class VersionMismatch(InferenceError):
    """A worker has another version of soupxr than the process that gives it work."""

    page = "troubleshooting.md#clusters"


def check_version(wanted: str, found: str | None = None, where: str | None = None) -> None:
    """Refuse another version.

    Parameters
    ----------
    wanted : str
        Version of the process that gives the work.
    found : str, optional
        Version of the worker. Default: of this process.
    where : str, optional
        The worker's address. Default: this machine's name.

    Raises
    ------
    VersionMismatch
        If they differ.
    """
    found = soupxr.__version__ if found is None else found
    if found != wanted:
        raise VersionMismatch(
            f"{where or socket.gethostname()}: expected soupxr {wanted}, as where infer was "
            f"called, but this worker has soupxr {found}. Install the same version on all workers "
            "and call infer again; it goes on with what is not done."
        )
