"""HDF5 files of others, opened with every message that their state deserves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.errors import FormatError, SoupError
from soupxr.io.arrays import Misfit
from soupxr.io.sheet import read_bytes

__all__ = ["array", "open_file", "texts"]

#: What h5py raises where a file is not what it says.
DAMAGED = (
    *(OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError),
    *(MemoryError, NotImplementedError, SystemError),
)
#: Links of a file, each to a group or a dataset; MATLAB makes one for every cell.
MOST_LINKS = 1_000_000
#: Largest dataset that is read: a million frames of 60 behaviors. A small file may promise any.
MOST_BYTES = 256 << 20


@contextmanager
def open_file(path: Path) -> Iterator[Any]:
    """An HDF5 file, to be read.

    Raises
    ------
    FormatError
        If it is missing, none, or damaged, now or while it is read; or leads to other files.
    """
    import h5py

    if not path.is_file():
        read_bytes(path)  # which says so
    try:
        with h5py.File(path, "r") as file:
            _check_links(file, path)
            yield file
    except (SoupError, Misfit):
        raise
    except DAMAGED as error:
        raise FormatError(
            f"{path}: this is not an HDF5 file, or it is damaged or in use ({error})."
        ) from error


def _check_links(file: Any, path: Path) -> None:
    from h5py import h5l

    count = 0

    def look(name: bytes, info: Any) -> None:
        nonlocal count
        count += 1
        told = name.decode(errors="replace")
        if info.type not in (h5l.TYPE_HARD, h5l.TYPE_SOFT):
            raise FormatError(f"{path}: {told!r} is in another file. Copy it into this one.")
        if count > MOST_LINKS:
            raise FormatError(f"{path}: holds more than {MOST_LINKS:,} entries. Is it damaged?")

    file.id.links.visit(look, info=True)


def array(dataset: Any) -> npt.NDArray[Any]:
    """Values of a dataset.

    Raises
    ------
    Misfit
        If it is no dataset, larger than any that is meant, or its values are in other files.
    """
    name, shape = getattr(dataset, "name", "it"), getattr(dataset, "shape", None)
    if shape is None:
        raise Misfit(f"{name}: expected an array, but it is a group or empty")
    if dataset.external or dataset.is_virtual:
        raise Misfit(f"{name}: its values are in other files. Copy them into this one")
    size = math.prod(shape) * max(dataset.dtype.itemsize, 1)
    if size > MOST_BYTES:
        raise Misfit(
            f"{name}: expected up to {MOST_BYTES >> 20} MiB, but shape {shape} takes "
            f"{size >> 20:,} MiB. Is it damaged?"
        )
    return np.asarray(dataset)


def texts(dataset: Any) -> list[str]:
    """Strings of a dataset, however they are kept."""
    return [
        one.decode("utf-8", errors="replace") if isinstance(one, bytes) else str(one)
        for one in array(dataset).ravel().tolist()
    ]
