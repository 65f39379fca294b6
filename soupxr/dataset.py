"""A store as its users see it: one labelled Dataset, and what a selection of it means.

``open_dataset`` puts labels on the store's arrays. The other functions go the other way: from any
selection of such a Dataset back to the store and the keys of the trials that it means, whatever
``sel``, ``isel`` or ``unstack`` made of the ``trial`` dimension.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from zarr.errors import ZarrUserWarning

from soupxr.errors import ArgumentError, StoreError, expected
from soupxr.options import get_option
from soupxr.schema import VARIABLES, trial_key
from soupxr.store import Store

__all__ = ["data_root", "keys_of", "one_key", "open_dataset", "open_features", "reopen", "store_of"]

STORE_ATTR = "soupxr_store"
LEVELS = ("animal", "session", "trial_id")
COORDINATES = ("view", "behavior", "mode", "annotator")


# ------------------------------------------------------------------ store → Dataset


def open_dataset(address: str, chunks: Any = None) -> xr.Dataset:
    """Open a store as a labelled Dataset; see :func:`soupxr.open`."""
    store = Store(address)
    sizes = {name: array.shape for name, array in store.arrays.items()}
    raw = _open_lazily(address, chunks, sizes)
    keys = raw["trial"].values.astype(object)
    there = np.flatnonzero(keys != "")
    if len(there) < len(keys):
        raw = raw.isel(trial=there)
    index = pd.MultiIndex.from_arrays(
        [_plain(raw[level].values) for level in LEVELS], names=list(LEVELS)
    )
    ds = raw[[name for name in VARIABLES if name not in ("trial", *LEVELS)]].drop_vars("trial")
    ds = ds.assign_coords({name: (name, _plain(raw[name].values)) for name in COORDINATES})
    ds = ds.assign_coords(xr.Coordinates.from_pandas_multiindex(index, "trial"))
    ds = ds.assign_coords(frame=np.arange(ds.sizes["frame"]))
    ds["frame"].attrs["description"] = "frame of the trial, from 0"
    return ds.assign_attrs({STORE_ATTR: address})


def _open_lazily(address: str, chunks: Any, sizes: dict[str, tuple[int, ...]]) -> xr.Dataset:
    """Let xarray open the arrays, cut to what is whole where another process is adding."""
    options: dict[str, Any] = {
        "engine": "zarr",
        "consolidated": False,
        "chunks": chunks,
        # Results that infer writes later must be seen by a Dataset that was opened before.
        "cache": False,
    }
    lengths: dict[str, set[int]] = {}
    for name, variable in VARIABLES.items():
        for dim, size in zip(variable.dims, sizes[name], strict=True):
            lengths.setdefault(dim, set()).add(size)
    if all(len(found) == 1 for found in lengths.values()):
        # An array may yet grow between our look and xarray's.
        with suppress(ValueError):
            return _open_quietly(address, **options)
    whole = {dim: min(found) for dim, found in lengths.items()}
    parts = []
    for name in VARIABLES:
        others = [other for other in VARIABLES if other != name]
        part = _open_quietly(address, drop_variables=others, **options)
        cut = {dim: slice(whole[str(dim)]) for dim in part.dims}
        parts.append(part.isel(cut))
    return xr.merge(parts, join="exact", compat="no_conflicts")


def _open_quietly(address: str, **options: Any) -> xr.Dataset:
    with warnings.catch_warnings():
        # xarray lists the folder, and Zarr warns of files it does not know, such as a .DS_Store.
        warnings.simplefilter("ignore", category=ZarrUserWarning)
        return xr.open_dataset(address, **options)


def _plain(labels: np.ndarray) -> np.ndarray:
    """Strings as NumPy's fixed-width ones, which every version of pandas takes for labels."""
    return labels if labels.dtype.kind in "if" else labels.astype(object).astype(str)


# ------------------------------------------------------------------ Dataset → store, trials


def store_of(ds: xr.Dataset) -> Store:
    """The store that a Dataset came from.

    Raises
    ------
    StoreError
        If the Dataset does not say.
    """
    address = ds.attrs.get(STORE_ATTR)
    if not isinstance(address, str):
        raise StoreError(
            f"this Dataset does not know its store: expected the attribute {STORE_ATTR!r}, "
            "which soupxr.open(...) sets and arithmetic drops. Use .soup on what open returned, "
            "or on a selection of it."
        )
    return Store(address)


def keys_of(ds: xr.Dataset) -> list[str]:
    """Keys of the trials in a selection, in its order.

    Raises
    ------
    ArgumentError
        If the coordinates animal, session and trial_id are not all there.
    """
    lacking = [level for level in LEVELS if level not in ds.coords]
    if lacking:
        raise ArgumentError(
            expected(
                "dataset",
                "the coordinates animal, session and trial_id",
                sorted(map(str, ds.coords)),
                "Select with sel or isel from what soupxr.open(...) returned.",
            )
        )
    levels = xr.broadcast(*(ds[level].reset_coords(drop=True) for level in LEVELS))
    columns = [np.atleast_1d(level.values).ravel() for level in levels]
    keys = [trial_key(str(a), str(s), int(t)) for a, s, t in zip(*columns, strict=True)]
    if _is_cube(ds):
        # A full cube has cells for trials that never were.
        there = set(store_of(ds).keys())
        keys = [key for key in keys if key in there]
    return keys


def _is_cube(ds: xr.Dataset) -> bool:
    return sum(level in ds.dims for level in LEVELS) > 1


def one_key(ds: xr.Dataset, what: str) -> str:
    """The key of the only trial in a selection.

    Raises
    ------
    ArgumentError
        If there is not exactly one.
    """
    keys = keys_of(ds)
    if len(keys) != 1:
        raise ArgumentError(
            expected(
                what,
                "a selection of one trial",
                f"{len(keys)} trials",
                "Select one: ds.sel(animal=..., session=..., trial_id=...).",
            )
        )
    return keys[0]


def reopen(ds: xr.Dataset) -> xr.Dataset:
    """The same trials, as the store has them now."""
    store = store_of(ds)
    fresh = open_dataset(store.address)
    place = {key: i for i, key in enumerate(keys_of(fresh))}
    keys = keys_of(ds)
    if keys == list(place):
        return fresh
    return fresh.isel(trial=[place[key] for key in keys if key in place])


def open_features(ds: xr.Dataset, mode: str) -> xr.Dataset:
    """Stored features of a selection's trials; see ``ds.soup.features``."""
    store = store_of(ds)
    raw = _open_quietly(
        store.address,
        engine="zarr",
        group=f"features/{mode}",
        consolidated=False,
        chunks=None,
        cache=False,
    )
    keys = keys_of(ds)
    animals, sessions, numbers = zip(*(_split(key) for key in keys), strict=True)
    index = pd.MultiIndex.from_arrays([animals, sessions, numbers], names=list(LEVELS))
    return (
        raw.isel(trial=store.slots(keys))
        .assign_coords(xr.Coordinates.from_pandas_multiindex(index, "trial"))
        .assign_coords({"class": ["background", *store.labels("behavior")]})
        .assign_attrs({STORE_ATTR: store.address, "mode": mode})
    )


def _split(key: str) -> tuple[str, str, int]:
    animal, session, trial_id = key.split("/")
    return animal, session, int(trial_id)


# ------------------------------------------------------------------ where the videos are


def data_root(store: Store) -> Path:
    """Folder of the videos on this machine.

    Asked in this order: the option ``data_root``, the environment variable ``SOUPXR_DATA_ROOT``,
    the store.
    """
    given = get_option("data_root") or os.environ.get("SOUPXR_DATA_ROOT")
    if given:
        return Path(given).expanduser().resolve()
    own = Path(str(store.attrs["data_root"]))
    if own.is_absolute() or "://" in store.address:
        return own
    return (Path(store.address).parent / own).resolve()
