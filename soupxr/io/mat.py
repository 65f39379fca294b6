"""MATLAB files, of version 7.3 (HDF5) and older ones, as plain Python values.

A struct is a dict, a cell array a list, text a string, everything else a NumPy array of at least
two dimensions, as MATLAB has it.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from soupxr.errors import FormatError, SoupError
from soupxr.io.hdf5 import MOST_BYTES, array, open_file
from soupxr.io.sheet import read_bytes

__all__ = ["load"]

DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OSError,
    EOFError,
    struct.error,
    zlib.error,
    NotImplementedError,
    AttributeError,
    OverflowError,
    RecursionError,
    MemoryError,
)
SIGNATURE_HDF5 = b"\x89HDF\r\n\x1a\n"
#: MATLAB writes its own 512 bytes before those of HDF5.
OFFSET_HDF5 = 512
#: Of a file of an older version: what tells that a variable is compressed.
COMPRESSED = 15
PIECE = 1 << 20
#: Of version 7.3: cells and fields in each other, and in all.
DEEPEST, MOST_VALUES = 50, 50_000


def load(path: Path) -> dict[str, Any]:
    """Variables of a file.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    head = read_bytes(path)[: OFFSET_HDF5 + 8]
    if head.startswith(SIGNATURE_HDF5) or head[OFFSET_HDF5:] == SIGNATURE_HDF5:
        with open_file(path) as file:
            return _Hdf5(file).variables()
    try:
        from scipy.io import loadmat
    except ImportError:
        raise FormatError(
            f"{path}: files of MATLAB need scipy. Install it with pip install scipy, or "
            "save the file in MATLAB with -v7.3."
        ) from None
    try:
        _check_size(path)
        with warnings.catch_warnings():
            # Of variables that scipy leaves out, such as objects of classes.
            warnings.simplefilter("ignore")
            found = loadmat(path, squeeze_me=False, struct_as_record=True)
        own = {name: value for name, value in found.items() if not name.startswith("__")}
        return {name: _from_mat(value) for name, value in own.items()}
    except SoupError:
        raise
    except Exception as error:
        if not isinstance(error, DAMAGED) and not type(error).__module__.startswith("scipy"):
            raise
        raise FormatError(f"{path}: this is not a MATLAB file, or damaged ({error}).") from error


def _check_size(path: Path) -> None:
    """Refuse what would take far more memory than the file: variables are compressed."""
    with path.open("rb") as file:
        order = "<" if file.read(128)[126:] == b"IM" else ">"
        left = MOST_BYTES
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}2I", tag)
            if kind != COMPRESSED:
                file.seek(size, 1)
                continue
            end, unpacked = file.tell() + size, zlib.decompressobj()
            while not unpacked.eof and (packed := file.read(min(PIECE, end - file.tell()))):
                while packed and left >= 0:
                    left -= len(unpacked.decompress(packed, PIECE))
                    packed = unpacked.unconsumed_tail
                if left < 0:
                    raise FormatError(
                        f"{path}: expected up to {MOST_BYTES >> 20} MiB of variables, but there "
                        "is more. Save only what is meant."
                    )
            file.seek(end)


def _from_mat(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.names:
        if value.size != 1:
            return [_from_mat(np.array([[one]])) for one in value.ravel()]
        return {name: _from_mat(value[name].item()) for name in value.dtype.names}
    if value.dtype.kind == "O":
        return [_from_mat(one) for one in value.ravel()]
    if value.dtype.kind in "US":
        return str(value.ravel()[0]) if value.size == 1 else [str(one) for one in value.ravel()]
    return value


class _Hdf5:
    """Variables of a file of version 7.3, each followed once from where it stands.

    Groups may hold each other, and cells themselves, so what is followed is counted.
    """

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MOST_VALUES

    def variables(self) -> dict[str, Any]:
        """All of them; MATLAB's own are left out."""
        return {
            name: self._value(entry, DEEPEST)
            for name, entry in self._file.items()
            if not name.startswith("#")
        }

    def _value(self, entry: Any, depth: int) -> Any:
        self._left -= 1
        if depth == 0 or self._left < 0:
            raise ValueError("cells or structs in each other without end")
        if hasattr(entry, "items"):
            return {name: self._value(one, depth - 1) for name, one in entry.items()}
        kind = entry.attrs.get("MATLAB_class", b"")
        if entry.attrs.get("MATLAB_empty", 0):
            return "" if kind == b"char" else ([] if kind == b"cell" else np.empty((0, 0)))
        values = array(entry)
        if values.dtype.kind == "O":
            return [self._value(self._file[one], depth - 1) for one in values.T.ravel()]
        if kind == b"char":
            return "".join(chr(code) for code in values.T.ravel())
        return values.T
