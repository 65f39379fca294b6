"""Chunks straight from their files.

Zarr takes most of a millisecond to look at one small chunk. A page that saves labels many times a
minute, an evaluation of a thousand trials and the opening of ten thousand wait for nothing else:
the keys of all trials take 7 ms through Zarr and 0.5 ms so, the labels of a trial of 2,500 frames
0.7 ms and 0.1 ms. For stores behind a URL, or of other codecs than ``create`` chooses, everything
here goes through Zarr.
"""

from __future__ import annotations

import math
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt

from soupxr.store.address import is_url
from soupxr.store.objects import is_object_store, numbered_below
from soupxr.store.unchanged import Stamp, newest, stamp
from soupxr.store.zarrs import Array, telling_of_damage

#: Largest chunk that is unpacked (bytes): texts of 65,536 trials of some thousand characters.
MOST_BYTES = 1 << 28

__all__ = [
    "chunk_path",
    "numbers",
    "places",
    "slots_with_labels",
    "text_at",
    "texts",
    "trial_rows",
]


def texts(address: str, array: Array) -> npt.NDArray[Any]:
    """All texts of a coordinate or a column; decoded once for as long as they stay as they are.

    Returns
    -------
    ndarray of object
        Shaped like the array; not to be written to.
    """
    if not _is_whole_text(address, array):
        with telling_of_damage(f"{address}/{array.path}"):
            return np.asarray(array[...]).astype(object)
    path = chunk_path(address, array, (0,) * array.ndim)
    with telling_of_damage(path):
        return _texts_of(path, stamp(path), array.shape, str(array.fill_value))


def places(address: str, array: Array) -> Mapping[str, int]:
    """Place of each text of a column that is not empty."""
    if not _is_whole_text(address, array):
        with telling_of_damage(f"{address}/{array.path}"):
            return _places(np.asarray(array[...]).astype(object))
    path = chunk_path(address, array, (0,) * array.ndim)
    with telling_of_damage(path):
        return _places_of(path, stamp(path), array.shape, str(array.fill_value))


def numbers(address: str, array: Array) -> npt.NDArray[Any]:
    """All numbers of a column; read once for as long as they stay as they are.

    Returns
    -------
    ndarray
        Shaped like the array; not to be written to.
    """
    if not _in_one_chunk(array) or not _plain(address, array, "bytes"):
        with telling_of_damage(f"{address}/{array.path}"):
            return np.asarray(array[...])
    path = chunk_path(address, array, (0,) * array.ndim)
    with telling_of_damage(path):
        return _numbers_of(path, stamp(path), array.shape, array.dtype, array.fill_value)


def _in_one_chunk(array: Array) -> bool:
    return array.shape[0] <= array.chunks[0] and array.shape[1:] == array.chunks[1:]


def _is_whole_text(address: str, array: Array) -> bool:
    return _in_one_chunk(array) and _plain(address, array, "vlen-utf8")


@newest(64)
def _texts_of(
    path: str, _stamp: Stamp | None, shape: tuple[int, ...], fill: str
) -> npt.NDArray[Any]:
    data = _unpacked(path)
    if data is None:
        found = np.full(shape, fill, dtype=object)
    else:
        # The chunk begins with how many texts it holds, most of them empty; only these are wanted.
        wanted = struct.pack("<I", math.prod(shape)) + bytes(data)[4:]
        found = numcodecs.VLenUTF8().decode(wanted).reshape(shape)
    found.flags.writeable = False
    return found


@newest(16)
def _places_of(
    path: str, stamp: Stamp | None, shape: tuple[int, ...], fill: str
) -> Mapping[str, int]:
    return _places(_texts_of(path, stamp, shape, fill))


def _places(column: npt.NDArray[Any]) -> Mapping[str, int]:
    return MappingProxyType({text: place for place, text in enumerate(column) if text})


@newest(64)
def _numbers_of(
    path: str, _stamp: Stamp | None, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Any
) -> npt.NDArray[Any]:
    data = _unpacked(path)
    if data is None:
        found = np.full(shape, fill, dtype)
    else:
        found = np.frombuffer(data, dtype.newbyteorder("="), math.prod(shape)).reshape(shape)
        found = found.copy()  # without the rest of the chunk, which has room for 65,536 trials
    found.flags.writeable = False
    return found


def text_at(address: str, array: Array, index: tuple[int, ...]) -> str:
    """One text of an array of which each has a chunk of its own."""
    with telling_of_damage(f"{address}/{array.path}"):
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
    with telling_of_damage(f"{address}/{array.path}"):
        return _trial_rows(address, array, index, n_frames)


def _trial_rows(
    address: str, array: Array, index: tuple[int, ...], n_frames: int | None
) -> npt.NDArray[Any]:
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
    if is_object_store(address):
        there = numbered_below(address, f"{array.path}/c/{row}")
        return sorted(slot for slot in there if slot < array.shape[1])
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
    return _unpacked(chunk_path(address, array, index))


def _unpacked(path: str) -> Any:
    try:
        with open(path, "rb", buffering=0) as file:
            packed = file.read()
    except FileNotFoundError:
        return None
    if unpacked_size(packed) > MOST_BYTES:
        raise ValueError(f"it says that it unpacks to more than {MOST_BYTES >> 20} MiB")
    return numcodecs.Zstd().decode(packed)


def unpacked_size(packed: bytes) -> int:
    """How large a frame of Zstandard says it will be (RFC 8878, 3.1.1.1); 0 if it does not say."""
    if len(packed) < 14 or packed[:4] != b"\x28\xb5\x2f\xfd":
        return 0
    described = packed[4]
    is_single = described >> 5 & 1
    at = 5 + (1 - is_single) + (0, 1, 2, 4)[described & 3]
    length = (is_single, 2, 4, 8)[described >> 6]
    return int.from_bytes(packed[at : at + length], "little") + (256 if length == 2 else 0)


def chunk_path(address: str, array: Array, index: tuple[int, ...]) -> str:
    """File of a chunk, whether it is there or not."""
    # As text: making a Path takes as long as reading the file.
    return os.path.join(address, array.path, array.metadata.encode_chunk_key(index))
