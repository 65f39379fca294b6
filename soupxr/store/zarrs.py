"""How arrays are opened, made and written.

Values reach the disk through :func:`write`, shapes through :func:`resize`; what else changes a
store does so inside :func:`telling_of_disk`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.errors import NodeTypeValidationError
from zarr.storage import LocalStore

from soupxr.errors import SoupError, StoreError
from soupxr.schema import VARIABLES, Variable
from soupxr.store.objects import telling_of_objects, zarr_store
from soupxr.store.unchanged import Stamp, newest, stamp

Array = zarr.Array[Any]

#: Name of the file that says what a group or an array is.
METADATA = "zarr.json"

#: The one format that is read: arrays of the one before may be packed by codecs that run programs.
FORMAT: Literal[3] = 3

#: What Zarr, its codecs and NumPy say to metadata and chunks that are not as they should be.
DAMAGED = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
)

#: Chosen by ``benchmarks/codecs.py``.
CODECS: dict[str | None, Any] = {
    None: "auto",
    "features": BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
    # Not Blosc's Zstd, which cuts blocks so short that it misses how alike two frames are: of real
    # ones at 224x224 this leaves 8 to 25 % and is read in half the time, that 28 to 65 %.
    "frames": ZstdCodec(level=3),
    "raw": None,
}


class DamagedStore(StoreError):
    """Something in a store cannot be read."""


@contextmanager
def telling_of_damage(what: str) -> Iterator[None]:
    """Turn what is said to damaged metadata or chunks into a DamagedStore.

    What is not there stays a FileNotFoundError.
    """
    try:
        yield
    except DAMAGED as error:
        if isinstance(error, SoupError | FileNotFoundError | NodeTypeValidationError):
            raise
        raise DamagedStore(
            f"{what}: the store is damaged here ({str(error) or type(error).__name__:.500}). "
            "Take it from a backup."
        ) from error


def open_group(address: str) -> zarr.Group:
    """Open a store's group, with every message that its absence deserves."""
    try:
        if "://" not in address:
            return _group_at(address, stamp(os.path.join(address, METADATA)))
        with telling_of_objects(address), telling_of_damage(address):
            return zarr.open_group(zarr_store(address), mode="r+", zarr_format=FORMAT)
    except FileNotFoundError:
        raise StoreError(
            f"{address}: expected a soupxr store, but there is none. "
            "Check the path, or make one with soupxr.create(...)."
        ) from None


@newest(16)
def _group_at(address: str, _stamp: Stamp | None) -> zarr.Group:
    with telling_of_damage(address):
        return zarr.open_group(address, mode="r+", zarr_format=FORMAT)


def array_of(group: zarr.Group, name: str) -> Array:
    """The array of this name; opened once for as long as it stays as long as it is."""
    array = find_array(group, name)
    if array is None:
        raise StoreError(
            f"{group.store_path}: the store is damaged: it lacks the array {name!r}. "
            "Take it from a backup."
        )
    return array


def find_array(group: zarr.Group, name: str) -> Array | None:
    """The array of this name, or None where there is none."""
    store = group.store
    if not isinstance(store, LocalStore):
        with telling_of_damage(f"{group.store_path}/{name}"):
            found = group.get(name)
        return found if isinstance(found, zarr.Array) else None
    path = f"{group.path}/{name}" if group.path else name
    address = str(store.root)
    return _array_at((address, path), stamp(os.path.join(address, path, METADATA)))


@newest(512)
def _array_at(where: tuple[str, str], stamped: Stamp | None) -> Array | None:
    if stamped is None:
        return None
    address, path = where
    try:
        with telling_of_damage(f"{address}/{path}"):
            return zarr.open_array(address, path=path, mode="r+", zarr_format=FORMAT)
    except (FileNotFoundError, NodeTypeValidationError):
        return None


def groups_below(group: zarr.Group, parent: str) -> list[str]:
    """Names of the groups right below one of this name; none where it is not there."""
    store = group.store
    if isinstance(store, LocalStore):
        # Zarr warns of folders that a process that died has not made groups yet.
        folder = Path(store.root, group.path, parent)
        return sorted(path.parent.name for path in folder.glob(f"*/{METADATA}"))
    found = group.get(parent)
    return sorted(found.group_keys()) if isinstance(found, zarr.Group) else []


def make_array(group: zarr.Group, name: str, variable: Variable, sizes: Mapping[str, int]) -> None:
    """Make one array of the schema, empty."""
    attributes: dict[str, Any] = {"description": variable.about}
    if variable.units is not None:
        attributes["units"] = variable.units
    group.create_array(
        name,
        shape=tuple(sizes[dim] for dim in variable.dims),
        chunks=variable.chunk_shape(sizes),
        dtype=str if variable.dtype == "str" else variable.dtype,
        fill_value=variable.fill,
        dimension_names=variable.dims,
        compressors=CODECS[variable.codec],
        attributes=attributes,
    )


def write(array: Array, index: Any, values: Any) -> None:
    """The one assignment through which every value reaches the disk.

    Raises
    ------
    StoreError
        If the disk does not take it, the array is not there any more, or what is in its place
        cannot be read.
    """
    where = str(array.store_path)
    with telling_of_disk(where), telling_of_objects(where):
        _check_there(array)
        try:
            array[index] = values
        except DAMAGED:
            # To write a part of a chunk is to read the rest of it: is it that which fails?
            with telling_of_damage(where):
                np.asarray(array[index])
            raise


def padded(array: Array, values: npt.NDArray[Any] | Sequence[Any]) -> npt.NDArray[Any]:
    """A trial's full row (frame, behavior): a shorter one must leave no tail of a longer one."""
    row = np.full(array.shape[-2:], array.fill_value, dtype=array.dtype)
    if len(values):
        row[: len(values)] = values
    return row


def resize(array: Array, shape: tuple[int, ...]) -> None:
    """Give an array another shape at a stroke; raises as :func:`write`."""
    where = str(array.store_path)
    with telling_of_disk(where), telling_of_objects(where):
        _check_there(array)
        array.resize(shape)


def _check_there(array: Array) -> None:
    """Zarr makes the folders that it writes to, and so half a store where one was moved away."""
    store = array.store_path.store
    if isinstance(store, LocalStore):
        os.stat(os.path.join(store.root, array.path, METADATA))


@contextmanager
def telling_of_disk(where: str) -> Iterator[None]:
    """Turn what the operating system says to a writer into a StoreError.

    Raises
    ------
    StoreError
        In place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(where, error) from error


def unwritable(where: str, error: OSError) -> StoreError:
    """What a writer tells of what the operating system said."""
    if isinstance(error, FileNotFoundError):
        return StoreError(
            f"{where}: cannot be written, it is not there any more ({error}). "
            "Was the store moved or deleted meanwhile? Put it back, or open it where it is now."
        )
    return StoreError(
        f"{where}: cannot be written ({error}). "
        "Check the disk's free space and your permission to write there."
    )


def as_column(name: str, values: Sequence[Any]) -> npt.NDArray[Any]:
    """Values of a per-trial column, in the type in which it is written."""
    dtype = VARIABLES[name].dtype
    return np.array(values, dtype=object if dtype == "str" else dtype)


def dims_of(array: Array) -> tuple[str, ...]:
    """Names of an array's dimensions."""
    return tuple(str(name) for name in array.metadata.dimension_names or ())  # type: ignore[union-attr]


def axis_of(array: Array, dim: str) -> int:
    """Place of a dimension in an array."""
    return dims_of(array).index(dim)
