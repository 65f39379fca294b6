"""Dataframes that pandas wrote to HDF5, read without running anything that stands in them.

pandas keeps columns of text and objects as pickles, and a pickle is a little program. Those are
followed by :class:`~soupxr.models.inert.Interpreter`, which can run nothing; of what they describe,
text, numbers, containers, paths and NumPy arrays are rebuilt here, and nothing else.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from soupxr.errors import FormatError
from soupxr.io.hdf5 import array, open_file, texts
from soupxr.models.inert import Foreign, Interpreter

__all__ = ["read_columns"]

DAMAGED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    OverflowError,
    RecursionError,
    MemoryError,
    struct.error,
    pickle.UnpicklingError,
)
#: Kinds of NumPy arrays that hold plain data.
PLAIN_DTYPE = re.compile(r"[<>|=]?[biufcSU]\d+|[<>|=]?\?")
DEEPEST = 20
MOST_VALUES = 1_000_000


def read_columns(path: Path, key: str) -> dict[str, list[Any]]:
    """Columns of a dataframe.

    Parameters
    ----------
    key : str
        Under which pandas wrote it, in its "fixed" format.

    Returns
    -------
    dict of str to list
        Text, numbers, containers, ``pathlib``'s paths as text, NumPy arrays;
        :class:`~soupxr.models.inert.Foreign` for everything else.

    Raises
    ------
    FormatError
        If there is no such dataframe, or it is damaged.
    """
    with open_file(path) as file:
        if key not in file:
            raise FormatError(
                f"{path}: expected a dataframe under the key {key!r}, but the file has "
                f"{sorted(file)}."
            )
        group = file[key]
        kind = _text(group.attrs.get("pandas_type", ""))
        if kind != "frame":
            raise FormatError(
                f"{path}: expected a dataframe as DataFrame.to_hdf writes it, but {key!r} is "
                f"{kind or 'none'}."
            )
        try:
            return _columns(group)
        except DAMAGED as error:
            raise FormatError(f"{path}: the dataframe {key!r} is damaged ({error}).") from error


def _columns(group: Any) -> dict[str, list[Any]]:
    n_rows = len(group["axis1"])
    columns: dict[str, list[Any]] = {}
    for block in range(int(group.attrs["nblocks"])):
        names = _items(group[f"block{block}_items"])
        values = _values(group[f"block{block}_values"], len(names), n_rows)
        columns |= {name: values[place] for place, name in enumerate(names)}
    order = _items(group["axis0"])
    return {name: columns[name] for name in order}


def _items(dataset: Any) -> list[str]:
    if dataset.dtype.kind == "O":
        return [str(name) for name in np.ravel(_unpickled(dataset))]
    return texts(dataset)


def _values(dataset: Any, n_columns: int, n_rows: int) -> list[list[Any]]:
    """Values of a block, a list for each of its columns."""
    is_pickled = dataset.dtype.kind == "O"
    values = _unpickled(dataset) if is_pickled else array(dataset)
    if not isinstance(values, np.ndarray):
        raise ValueError(f"a block of {type(values).__name__}")
    if values.ndim == 1:
        values = values[:, None]
    # Written with rows first, unless pandas says otherwise.
    if not dataset.attrs.get("transposed", True):
        values = values.T
    if values.shape != (n_rows, n_columns):
        raise ValueError(f"a block of shape {values.shape} for {n_rows} rows")
    return [[values[row, column] for row in range(n_rows)] for column in range(n_columns)]


def _unpickled(dataset: Any) -> Any:
    if len(dataset) == 0:
        return np.empty((0,), dtype=object)
    program = bytes(np.asarray(dataset[0], dtype=np.uint8))
    return _rebuilt(Interpreter(_no_tensor).run(io.BytesIO(program)), DEEPEST)


def _no_tensor(_identifier: object) -> NoReturn:
    raise ValueError("a tensor in a dataframe")


def _rebuilt(value: Any, depth: int) -> Any:
    return _Rebuilding().value(value, depth)


class _Rebuilding:
    """What a pickle describes, made anew; parts that stand in many places are counted in each."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def value(self, value: Any, depth: int) -> Any:
        """Plain data and arrays in the place of what the pickle says of them."""
        self._left -= 1
        if depth == 0 or self._left < 0:
            raise ValueError("containers in containers without end")
        if isinstance(value, dict):
            return {self.value(k, depth - 1): self.value(v, depth - 1) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(one, depth - 1) for one in value]
        if isinstance(value, tuple):
            return tuple(self.value(one, depth - 1) for one in value)
        return self._made(value, depth) if isinstance(value, Foreign) else value

    def _made(self, value: Foreign, depth: int) -> Any:
        module, _, name = value.name.partition(" ")
        arguments = value.arguments
        if module.startswith("pathlib") and name.endswith("Path"):
            # The first part of an absolute path is its root.
            return str(Path(*map(_said, arguments)).as_posix())
        if module == "_codecs" and name == "encode":
            return _said(arguments[0]).encode("latin1")
        if module.split(".")[0] != "numpy":
            return value
        if name == "_reconstruct" and isinstance(value.state, tuple):
            _, shape, dtype, is_fortran, data = value.state
            return self._array(data, dtype, shape, "F" if is_fortran else "C", depth)
        if name == "_frombuffer":
            buffer, dtype, shape, order = arguments
            return self._array(buffer, dtype, shape, order, depth)
        if name == "scalar":
            dtype, data = arguments
            return self._array(data, dtype, (), "C", depth).item()
        return value

    def _array(self, data: Any, dtype: Any, shape: Any, order: Any, depth: int) -> npt.NDArray[Any]:
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("an array without a shape")
        size = math.prod(shape)
        code = _dtype_code(dtype)
        if code == "O":
            if not isinstance(data, list) or len(data) != size:
                raise ValueError("an array of objects without them")
            flat = np.empty(size, dtype=object)
            for place, one in enumerate(data):
                flat[place] = self.value(one, depth - 1)
            # NumPy lists objects in this order, however they lie in memory.
            return flat.reshape(shape)
        data = self.value(data, depth - 1)
        if isinstance(data, list):  # of a size that NumPy leaves to its elements
            return np.array(data, dtype=code).reshape(shape)
        kind = np.dtype(code)
        if not isinstance(data, (bytes, bytearray)) or len(data) != size * kind.itemsize:
            raise ValueError(f"an array of shape {shape} with other data")
        return np.frombuffer(bytes(data), kind).reshape(shape, order=order)


def _said(value: Any) -> str:
    # Written out, a container of containers may have no end.
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} in place of a text")
    return value


def _dtype_code(dtype: Any) -> str:
    if not isinstance(dtype, Foreign) or dtype.name != "numpy dtype":
        raise ValueError("an array of no kind")
    code = _said(dtype.arguments[0])
    if code in ("O", "O8"):
        return "O"
    if isinstance(dtype.state, tuple) and len(dtype.state) > 1 and dtype.state[1] in ("<", ">"):
        code = dtype.state[1] + code.lstrip("<>|=")
    if not PLAIN_DTYPE.fullmatch(code):
        raise ValueError(f"an array of kind {code!r}")
    return code


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
