"""Chunks straight from their files.

Zarr takes most of a millisecond to look at one small chunk. A page that saves labels many times a
minute, an evaluation of a thousand trials and the opening of ten thousand wait for nothing else:
the keys of all trials take 7 ms through Zarr and 0.5 ms so, the labels of a trial of 2,500 frames
0.7 ms and 0.1 ms. For stores behind a URL, or of other codecs than ``create`` chooses, everything
here goes through Zarr.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt

from soupxr.store.address import is_url
from soupxr.store.zarrs import Array

__all__ = ["chunk_path", "slots_with_labels", "text_at", "texts", "trial_rows"]


def texts(address: str, array: Array) -> npt.NDArray[Any]:
    """All texts of a coordinate or a column.

    Returns
    -------
    ndarray of object
        Shaped like the array.
    """
    in_one_chunk = array.shape[0] <= array.chunks[0] and array.shape[1:] == array.chunks[1:]
    if not in_one_chunk or not _plain(address, array, "vlen-utf8"):
        return np.asarray(array[...]).astype(object)
    data = _data(address, array, (0,) * array.ndim)
    if data is None:
        return np.full(array.shape, array.fill_value, dtype=object)
    # The chunk begins with how many texts it holds, most of them empty; only these are wanted.
    wanted = struct.pack("<I", array.size) + bytes(data)[4:]
    found: npt.NDArray[Any] = numcodecs.VLenUTF8().decode(wanted)
    return found.reshape(array.shape)


def text_at(address: str, array: Array, index: tuple[int, ...]) -> str:
    """One text of an array of which each has a chunk of its own."""
    if set(array.chunks) != {1} or not _plain(address, array, "vlen-utf8"):
        return str(array[index])
    data = _data(address, array, index)
    return str(array.fill_value if data is None else numcodecs.VLenUTF8().decode(data)[0])


def trial_rows(
    address: str, array: Array, index: tuple[int, ...], n_frames: int | None = None
) -> npt.NDArray[Any]:
    """What an array says of the frames of one trial.

    Parameters
    ----------
    array : zarr.Array
        Its last dimensions are frame and behavior.
    index : tuple of int
        Place along the dimensions before those.
    n_frames : int, optional
        How many frames; default: all, padding included.

    Returns
    -------
    ndarray, (frame, behavior)
    """
    *ones, length, n_behaviors = array.chunks
    size = array.shape[-2] if n_frames is None else n_frames
    a_trial_each = set(ones) == {1} and n_behaviors == array.shape[-1]
    if not a_trial_each or not _plain(address, array, "bytes"):
        frames: Any = (*index, slice(0, size))
        return np.asarray(array[frames])
    values = np.full((-(-size // length), length, n_behaviors), array.fill_value, array.dtype)
    for block, part in enumerate(values):
        data = _data(address, array, (*index, block, 0))
        if data is not None:
            part[...] = np.frombuffer(data, array.dtype.newbyteorder("=")).reshape(part.shape)
    return values.reshape(-1, n_behaviors)[:size]


def slots_with_labels(address: str, array: Array, row: int) -> list[int]:
    """Places of the trials of which anything of an annotator's is on disk."""
    if is_url(address):
        return list(range(array.shape[1]))
    # A chunk that was never written is absent.
    folder = Path(chunk_path(address, array, (row, 0, 0, 0))).parents[2]
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal() and int(name) < array.shape[1])


def _plain(address: str, array: Array, first: str) -> bool:
    """Whether the array's chunks are files that this module can read."""
    if is_url(address):
        return False
    codecs = [codec.to_dict() for codec in array.metadata.codecs]  # type: ignore[union-attr]
    configured: Any = codecs[0].get("configuration", {})
    is_native = configured.get("endian", sys.byteorder) == sys.byteorder
    return is_native and [codec["name"] for codec in codecs] == [first, "zstd"]


def _data(address: str, array: Array, index: tuple[int, ...]) -> Any:
    """Bytes of a chunk; None where it holds nothing but fill values, and so is not on disk."""
    try:
        with open(chunk_path(address, array, index), "rb", buffering=0) as file:
            packed = file.read()
    except FileNotFoundError:
        return None
    return numcodecs.Zstd().decode(packed)


def chunk_path(address: str, array: Array, index: tuple[int, ...]) -> str:
    """File of a chunk, whether it is there or not."""
    # As text: making a Path takes as long as reading the file.
    return os.path.join(address, array.path, array.metadata.encode_chunk_key(index))
