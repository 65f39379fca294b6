"""Making an empty store."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from soupxr import schema
from soupxr.errors import ArgumentError, StoreError, expected
from soupxr.ingest import compile_pattern
from soupxr.modes import BEHAVIORS, MODES
from soupxr.store.address import is_url, store_address
from soupxr.store.objects import claim, is_object_store, telling_of_objects, zarr_store
from soupxr.store.zarrs import array_of, make_array, open_group, telling_of_disk, write
from soupxr.video.remote import as_root, is_remote, telling_of_remote


def create(
    path: str | os.PathLike[str],
    data_root: str | os.PathLike[str],
    *,
    behaviors: Sequence[str] = BEHAVIORS,
    views: Sequence[str] = ("side", "front"),
    join: str = "equal",
    pattern: str | None = None,
) -> str:
    """Make an empty store and return its address; see :func:`soupxr.create`."""
    address = store_address(path)
    labels = {
        "behavior": schema.check_labels("behaviors", behaviors),
        "view": schema.check_labels("views", views),
        "mode": tuple(MODES),
    }
    if join not in schema.JOINS:
        raise ArgumentError(expected("join", " or ".join(map(repr, schema.JOINS)), join))
    compile_pattern(pattern)
    root = as_root(data_root)
    if not is_remote(data_root):
        root = root.expanduser().resolve()
    with telling_of_remote(root):
        is_there = root.is_dir()
    if not is_there:
        raise ArgumentError(expected("data_root", "an existing folder with videos", data_root))
    attrs = {
        "soupxr_schema": schema.SCHEMA_VERSION,
        "data_root": _portable_root(address, root),
        "join": join,
        "pattern": pattern,
    }
    if is_url(address):
        _create_in_place(address, labels, attrs)
    else:
        _create_whole(Path(address), labels, attrs)
    return address


def _portable_root(address: str, root: Path) -> str:
    """``data_root`` relative to the store's folder, so that both can move together."""
    if is_remote(root):
        return str(root)
    if is_url(address):
        return root.as_posix()
    try:
        return Path(os.path.relpath(root, Path(address).parent)).as_posix()
    except ValueError:  # another drive of a Windows machine: there is no relative path
        return root.as_posix()


def _create_whole(path: Path, labels: Mapping[str, Sequence[str]], attrs: dict[str, Any]) -> None:
    """Make the store elsewhere and rename it, so that a half-made one never has its name."""
    if path.exists():
        raise StoreError(
            f"{path}: expected no file or folder of this name, but there is one. "
            "Open it with soupxr.open(...), or choose another name."
        )
    with telling_of_disk(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            unfinished = workplace / path.name
            _fill(zarr.open_group(unfinished, mode="w-", zarr_format=3, attributes=attrs), labels)
            try:
                os.rename(unfinished, path)
            except OSError:
                raise StoreError(f"{path}: another process made a store here meanwhile.") from None
        finally:
            shutil.rmtree(workplace, ignore_errors=True)


def _create_in_place(
    address: str, labels: Mapping[str, Sequence[str]], attrs: dict[str, Any]
) -> None:
    """Make the store where nothing can be renamed; a half-made one is none of ours."""
    try:
        with telling_of_objects(address):
            if is_object_store(address):
                claim(address)
                group = open_group(address)
            else:
                group = zarr.open_group(zarr_store(address), mode="w-", zarr_format=3)
            _fill(group, labels)
            group.attrs.put(attrs)
    except FileExistsError:
        raise StoreError(
            f"{address}: expected nothing there, but there is one or a part of one. "
            "Open it with soupxr.open(...), or delete it, or choose another name."
        ) from None


def _fill(group: zarr.Group, labels: Mapping[str, Sequence[str]]) -> None:
    """Make the arrays of a new store."""
    sizes = {name: len(names) for name, names in labels.items()}
    sizes |= {"trial": 0, "annotator": 0, "frame": 0}
    for name, variable in schema.VARIABLES.items():
        make_array(group, name, variable, sizes)
    for name, names in labels.items():
        write(array_of(group, name), ..., np.array(names, dtype=object))
    sizes |= {"feature": schema.N_FEATURES, "class": 1 + sizes["behavior"]}
    for mode in labels["mode"]:
        child = group.require_group(f"features/{mode}")
        for name, variable in schema.feature_variables().items():
            make_array(child, name, variable, sizes)
