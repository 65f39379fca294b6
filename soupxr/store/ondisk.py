"""What a store has on disk that no reader sees: listed, never read.

A store behind a URL is not listed; of it everything here is empty.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from soupxr.store.address import is_url
from soupxr.store.direct import chunk_path
from soupxr.store.lookup import Store
from soupxr.store.notes import GROUP as NOTES
from soupxr.store.notes import LOCK
from soupxr.store.zarrs import Array, axis_of

__all__ = [
    "abandoned",
    "has_chunks",
    "is_old",
    "labelled_rows",
    "missing_blocks",
    "slots_on_disk",
    "unfinished_neighbours",
]

#: Younger ones may belong to a writer that is at work.
ABANDONED_AFTER_S = 3600.0
#: What Zarr calls a file before it is whole.
UNFINISHED = ".partial"
#: Blosc says in bytes 12 to 16 of a block how long it is.
BLOSC_HEADER, BLOSC_LENGTH = 16, 12


def slots_on_disk(address: str, array: Array, but: Collection[int] = ()) -> set[int]:
    """Places along ``trial`` of which an array has chunks on disk; for chunks of one trial."""
    if is_url(address):
        return set()
    folders = [os.path.join(address, array.path, "c")]
    for _ in range(axis_of(array, "trial")):
        folders = [entry.path for folder in folders for entry in _entries(folder)]
    return {
        slot
        for folder in folders
        for entry in _entries(folder)
        if entry.name.isdecimal()
        and (slot := int(entry.name)) not in but
        and (entry.is_file() or has_chunks(entry.path))
    }


def has_chunks(folder: str) -> bool:
    """Whether there is a chunk somewhere below; folders of chunks that are gone may be left."""
    return any(
        has_chunks(entry.path) if entry.is_dir() else not entry.name.endswith(UNFINISHED)
        for entry in _entries(folder)
    )


def labelled_rows(address: str, array: Array) -> list[int]:
    """Rows of annotators of which labels are on disk."""
    if is_url(address):
        return []
    rows = _entries(os.path.join(address, array.path, "c"))
    return sorted(int(row.name) for row in rows if row.name.isdecimal() and has_chunks(row.path))


def missing_blocks(address: str, array: Array, slot: int, n_frames: int) -> list[int]:
    """First frames of those blocks of a trial's features that are not on disk, or cut short.

    Only looks at how long files are, so it is quick and does not notice other damage.
    """
    length = array.chunks[1]
    codecs = [codec.to_dict()["name"] for codec in array.metadata.codecs]  # type: ignore[union-attr]
    whole = _is_whole_blosc if codecs[-1] == "blosc" else _has_bytes
    return [
        block * length
        for block in range(-(-n_frames // length))
        if not whole(chunk_path(address, array, (slot, block, 0)))
    ]


def abandoned(store: Store) -> Iterator[tuple[str, list[int]]]:
    """Arrays that still hold data at places where no trial is (any more), and these places."""
    there = set(store.slot_of_each_key().values())
    for array in store.arrays_along("trial"):
        if array.chunks[axis_of(array, "trial")] == 1:
            slots = sorted(slots_on_disk(store.address, array, there))
            if slots:
                yield array.path, slots


def unfinished_neighbours(address: str) -> list[Path]:
    """Folders and files of writers that were killed: beside the store, and inside it."""
    if is_url(address):
        return []
    store = Path(address)
    beside = [
        Path(entry.path)
        for entry in _entries(str(store.parent))
        if entry.name.startswith(f".{store.name}.") and entry.is_dir()
    ]
    inside = [
        Path(folder, name)
        for folder, _, names in os.walk(store)
        for name in names
        if name.endswith(UNFINISHED)
    ]
    notes = [
        Path(entry.path)
        for entry in _entries(str(store / NOTES))
        if entry.name.startswith(".") and entry.name != LOCK
    ]
    return [place for place in (*beside, *inside, *notes) if is_old(str(place))]


def is_old(place: str) -> bool:
    """Whether nothing in this file or folder is so young that its writer may still be at work."""
    try:
        young = time.time() - os.stat(place).st_mtime < ABANDONED_AFTER_S
    except FileNotFoundError:  # its writer was at work after all
        return False
    return not young and all(is_old(entry.path) for entry in _entries(place))


def _is_whole_blosc(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            header = file.read(BLOSC_HEADER)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return False
    return len(header) == BLOSC_HEADER and struct.unpack_from("<I", header, BLOSC_LENGTH)[0] == size


def _has_bytes(path: str) -> bool:
    return os.path.exists(path) and os.path.getsize(path) > 0


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
