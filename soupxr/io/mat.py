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

from soupxr.errors import FormatError
from soupxr.io.hdf5 import open_file
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
)
SIGNATURE_HDF5 = b"\x89HDF\r\n\x1a\n"
#: MATLAB writes its own 512 bytes before those of HDF5.
OFFSET_HDF5 = 512


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
            return {
                name: _from_hdf5(entry, file)
                for name, entry in file.items()
                if not name.startswith("#")
            }
    try:
        from scipy.io import loadmat
    except ImportError:
        raise FormatError(
            f"{path}: files of MATLAB need scipy. Install it with pip install 'soupxr[matlab]', or "
            "save the file in MATLAB with -v7.3."
        ) from None
    try:
        with warnings.catch_warnings():
            # Of variables that scipy leaves out, such as objects of classes.
            warnings.simplefilter("ignore")
            found = loadmat(path, squeeze_me=False, struct_as_record=True)
    except Exception as error:
        if not isinstance(error, DAMAGED) and not type(error).__module__.startswith("scipy"):
            raise
        raise FormatError(f"{path}: this is not a MATLAB file, or damaged ({error}).") from error
    return {name: _from_mat(value) for name, value in found.items() if not name.startswith("__")}


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


def _from_hdf5(entry: Any, file: Any) -> Any:
    if hasattr(entry, "items"):
        return {name: _from_hdf5(one, file) for name, one in entry.items()}
    kind = entry.attrs.get("MATLAB_class", b"")
    values = np.asarray(entry)
    if entry.attrs.get("MATLAB_empty", 0):
        return "" if kind == b"char" else ([] if kind == b"cell" else np.empty((0, 0)))
    if values.dtype.kind == "O":
        return [_from_hdf5(file[reference], file) for reference in values.T.ravel()]
    if kind == b"char":
        return "".join(chr(code) for code in values.T.ravel())
    return values.T
