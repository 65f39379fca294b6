"""HDF5 files of others, opened with every message that their state deserves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from soupxr.errors import FormatError
from soupxr.io.sheet import read_bytes

__all__ = ["open_file", "texts"]


@contextmanager
def open_file(path: Path) -> Iterator[Any]:
    """An HDF5 file, to be read.

    Raises
    ------
    FormatError
        If it is missing, none, or damaged, now or while it is read.
    """
    import h5py

    if not path.is_file():
        read_bytes(path)  # which says so
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise FormatError(
            f"{path}: this is not an HDF5 file, or it is damaged or in use ({error})."
        ) from error


def texts(dataset: Any) -> list[str]:
    """Strings of a dataset, however they are kept."""
    return [
        one.decode("utf-8", errors="replace") if isinstance(one, bytes) else str(one)
        for one in np.asarray(dataset).ravel().tolist()
    ]
