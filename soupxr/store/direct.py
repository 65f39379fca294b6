"""Chunks straight from their files.

A page saves labels many times a minute. Through Zarr, the keys of all trials take 7 ms to read and
the labels of a trial of 100,000 frames 30 ms; so, 0.3 ms and 3 ms. For stores behind a URL, or of
other codecs than ``create`` chooses, everything here goes through Zarr.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt

from soupxr.store.address import is_url
from soupxr.store.zarrs import Array

__all__ = ["label_row", "slots_with_labels", "text_column"]

Mask = npt.NDArray[np.int8]


def text_column(address: str, array: Array) -> list[str]:
    """All labels of a coordinate."""
    (size,) = array.shape
    if not _plain(address, array, "vlen-utf8") or size > array.chunks[0]:
        return [str(label) for label in np.asarray(array[...])]
    data = _data(address, array, (0,))
    if data is None:
        return [array.fill_value] * size
    # The chunk begins with how many texts it holds, most of them empty; only these are wanted.
    wanted = struct.pack("<I", size) + bytes(data)[4:]
    column: list[str] = numcodecs.VLenUTF8().decode(wanted).tolist()
    return column


def label_row(address: str, array: Array, row: int, slot: int) -> Mask:
    """What an annotator says of a trial, padding included.

    Returns
    -------
    ndarray of int8, (frame, behavior)
        As many frames as the store's longest trial has.
    """
    _, _, length, n_behaviors = array.chunks
    size = array.shape[2]
    if not _plain(address, array, "bytes") or array.chunks != (1, 1, length, array.shape[3]):
        return np.asarray(array[row, slot], dtype=np.int8)
    labels = np.full((-(-size // length), length, n_behaviors), array.fill_value, dtype=np.int8)
    for block, part in enumerate(labels):
        data = _data(address, array, (row, slot, block, 0))
        if data is not None:
            part[...] = np.frombuffer(data, dtype=np.int8).reshape(length, n_behaviors)
    return labels.reshape(-1, n_behaviors)[:size]


def slots_with_labels(address: str, array: Array, row: int) -> list[int]:
    """Places of the trials of which anything of an annotator's is on disk."""
    if is_url(address):
        return list(range(array.shape[1]))
    # A chunk that was never written is absent.
    folder = _path(address, array, (row, 0, 0, 0)).parents[2]
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal() and int(name) < array.shape[1])


def _plain(address: str, array: Array, first: str) -> bool:
    """Whether the array's chunks are files that this module can read."""
    codecs = [codec.to_dict()["name"] for codec in array.metadata.codecs]  # type: ignore[union-attr]
    return not is_url(address) and codecs == [first, "zstd"]


def _data(address: str, array: Array, index: tuple[int, ...]) -> Any:
    """Bytes of a chunk; None where it holds nothing but fill values, and so is not on disk."""
    try:
        packed = _path(address, array, index).read_bytes()
    except FileNotFoundError:
        return None
    return numcodecs.Zstd().decode(packed)


def _path(address: str, array: Array, index: tuple[int, ...]) -> Path:
    return Path(address, array.path, array.metadata.encode_chunk_key(index))
