"""PyTorch files, opened without running anything that stands in them.

A pickle is a little program, and a checkpoint from a colleague, a paper or a forum can make an
ordinary reader execute whatever it likes. :func:`load` therefore has it followed by
:class:`~soupxr.models.inert.Interpreter`, which can run nothing. torch's own weights-only reader
would not do: it refuses files of PyTorch Lightning with a project's configuration in them, unpacks
what is packed however large it becomes, and in some versions believes what a file says of sizes.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from soupxr.errors import CheckpointError
from soupxr.models.inert import PROGRAM_BYTES, Interpreter, Name, Storage

__all__ = ["load"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

_DAMAGED = (
    ValueError,  # UnicodeDecodeError, and what pickletools says to broken opcodes
    TypeError,
    LookupError,
    RuntimeError,  # torch's, and RecursionError
    EOFError,
    OverflowError,
    AttributeError,
    struct.error,
    zipfile.BadZipFile,
    NotImplementedError,
    OSError,  # a place in the file that is before its start
    MemoryError,
)


def load(path: Path) -> Any:
    """What a PyTorch file holds, tensors in main memory.

    Parameters
    ----------
    path : Path
        File of :func:`torch.save`, in today's format or the one before torch 1.6.

    Returns
    -------
    object
        Numbers, strings, containers, tensors; :class:`Foreign` for everything else.

    Raises
    ------
    CheckpointError
        If there is no such file, it is something else, or it is damaged.
    """
    _check_kind_of_file(path)
    try:
        return _load_zip(path) if _is_zip(path) else _load_legacy(path)
    except _DAMAGED as error:
        raise CheckpointError(
            f"{path}: the file is damaged ({error}). It may have been cut off while it was copied "
            "or downloaded; fetch it again."
        ) from error


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # it says so of one whose end speaks of several disks
        return False


def _check_kind_of_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file. Check the path.") from None
    except OSError as error:
        raise CheckpointError(f"{path}: the file cannot be read ({error.strerror}).") from error
    if not head:
        raise CheckpointError(f"{path}: the file is empty. Copy or download it again.")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path}: this is a Git LFS pointer, a few lines of text that stand for the weights. "
            "Run `git lfs pull` in that repository, or download the file itself."
        )
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise CheckpointError(
            f"{path}: this is a web page, not weights; the download was answered by a page. "
            "Open the link in a browser and save the file itself."
        )
    if head.startswith(b"PK\x03\x04") and not _is_zip(path):
        raise CheckpointError(
            f"{path}: the file ends too early, as after a broken copy or download. Fetch it again."
        )
    if not head.startswith((b"PK\x03\x04", b"\x80")):
        raise CheckpointError(
            f"{path}: this is not a PyTorch file (it starts with {head[:16]!r}). "
            "Give a .pt, .pth or .ckpt file."
        )


# ------------------------------------------------------------------------------------- containers
def _load_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        _check_stored(archive, path.stat().st_size)
        programs = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        if len(programs) != 1:
            raise ValueError("a zip file without PyTorch's data.pkl")
        folder = programs[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and (
            archive.read(f"{folder}byteorder") != b"little"
        ):
            raise ValueError("written on a big-endian machine")
        storages: dict[str, Storage] = {}

        def storage(identifier: Any) -> Storage:
            key, dtype = _key(identifier[2]), _dtype(identifier[1])
            if key not in storages:
                content = archive.read(f"{folder}data/{key}")
                storages[key] = Storage(_from_bytes(content, dtype))
            return storages[key]

        program = _Program(io.BytesIO(archive.read(programs[0])))
        return Interpreter(storage).run(program)


def _check_stored(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse what is packed, or there several times under different names: it may be endless."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("compressed content, which PyTorch never writes")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("more content than its size allows")


def _load_legacy(path: Path) -> Any:
    size = path.stat().st_size
    storages: dict[str, Storage] = {}

    def storage(identifier: Any) -> Storage:
        key, dtype, length = _key(identifier[2]), _dtype(identifier[1]), int(identifier[4])
        if key not in storages:
            told = sum(one.values.nbytes for one in storages.values())
            if not 0 <= length * dtype.itemsize <= size - told:
                raise ValueError(f"a tensor of {length} values in a file of {size} bytes")
            storages[key] = Storage(torch.zeros(length, dtype=dtype))
        return storages[key]

    with path.open("rb") as file:
        if Interpreter(storage).run(_Program(file)) != _LEGACY_MAGIC:
            raise ValueError("a pickle, but not one of PyTorch's")
        _protocol, _machine, content = (Interpreter(storage).run(_Program(file)) for _ in range(3))
        for key in Interpreter(storage).run(_Program(file)):
            values = storages[_key(key)].values
            (length,) = struct.unpack("<q", file.read(8))
            if length != len(values):
                raise ValueError(f"tensor memory {key} has another length than announced")
            values.copy_(_from_bytes(file.read(length * values.itemsize), values.dtype))
    return content


class _Program:
    """A pickle within a file: as much of it as a program may be long."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, PROGRAM_BYTES

    def read(self, size: int) -> bytes:
        """Read, never setting aside more than there can be."""
        return self._read(self._file.read(min(size, self._left + 1)))

    def readline(self) -> bytes:
        """Read on to the end of a line."""
        return self._read(self._file.readline(self._left + 1))

    def _read(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("a program that is too long")
        return data


def _key(name: Any) -> str:
    if not isinstance(name, str | int):
        raise ValueError("tensor memory without a name")
    return str(name)


def _from_bytes(data: bytes, dtype: torch.dtype) -> Tensor:
    # torch.frombuffer refuses an empty buffer, and wants one that it may write to.
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.zeros(0, dtype=dtype)


_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def _dtype(storage: Any) -> torch.dtype:
    if not isinstance(storage, Name) or not storage.name.startswith("torch "):
        raise ValueError("tensor memory of an unknown kind")
    return _DTYPES[storage.name.removeprefix("torch ")]
