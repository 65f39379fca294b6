"""A store as its users see it: one labelled Dataset, and what a selection of it means.

``open_dataset`` puts labels on the store's arrays. The other functions go the other way: from any
selection of such a Dataset back to the store and the keys of the trials that it means, whatever
``sel``, ``isel`` or ``unstack`` made of the ``trial`` dimension.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

# xarray imports it with the first Dataset; here, so that the first open is as quick as the others.
import dask.array  # noqa: F401
import numpy as np
import pandas as pd
import xarray as xr

from soupxr.errors import ArgumentError, StoreError, expected
from soupxr.lazy import lazy_variable
from soupxr.options import get_option
from soupxr.schema import VARIABLES, feature_variables, trial_key
from soupxr.store import Store
from soupxr.video.remote import as_root, is_remote

__all__ = ["data_root", "keys_of", "one_key", "open_dataset", "open_features", "reopen", "store_of"]

STORE_ATTR = "soupxr_store"
LEVELS = ("animal", "session", "trial_id")
LABELS = ("view", "behavior", "mode", "annotator")


# ------------------------------------------------------------------ store → Dataset


def open_dataset(address: str, chunks: Any = None) -> xr.Dataset:
    """Open a store as a labelled Dataset; see :func:`soupxr.open`."""
    store = Store(address)
    sizes = _whole(store.arrays)
    raw = xr.Dataset(
        {
            name: lazy_variable(store.arrays[name], variable.dims, sizes)
            for name, variable in VARIABLES.items()
            if name not in (*LABELS, "trial", *LEVELS)
        },
        # An attribute without a value could not be written to a netCDF file.
        attrs={name: value for name, value in store.attrs.items() if value is not None}
        | {STORE_ATTR: address},
    )
    raw = raw.assign_coords(
        {name: np.array(store.labels(name)[: sizes[name]], dtype=str) for name in LABELS}
        | {"frame": ("frame", np.arange(sizes["frame"]), {"description": "from 0"})}
    )
    keys = store.column("trial", np.arange(sizes["trial"]))
    there = np.flatnonzero(keys != "")
    levels = [store.column(level, there) for level in LEVELS]
    ds = _index_trials(raw if len(there) == len(keys) else raw.isel(trial=there), levels)
    return ds if chunks is None else ds.chunk(chunks, token=f"{address}-{uuid4().hex}")


def _whole(arrays: Mapping[str, Any]) -> dict[str, int]:
    """How far each dimension is valid, should another process be lengthening arrays."""
    sizes: dict[str, int] = {}
    for name, variable in VARIABLES.items():
        for dim, size in zip(variable.dims, arrays[name].shape, strict=True):
            sizes[dim] = min(size, sizes.get(dim, size))
    return sizes


def _index_trials(ds: xr.Dataset, levels: Sequence[Any]) -> xr.Dataset:
    """Label the ``trial`` dimension by animal, session and trial_id."""
    index = pd.MultiIndex.from_arrays(levels, names=list(LEVELS))
    return ds.assign_coords(xr.Coordinates.from_pandas_multiindex(index, "trial"))


def open_features(ds: xr.Dataset, mode: str) -> xr.Dataset:
    """Stored features of a selection's trials; see ``ds.soup.features``."""
    store = store_of(ds)
    arrays = store.features(mode)
    logit = arrays["logit"].shape
    sizes = {"trial": logit[0], "frame": logit[1], "class": logit[2]}
    sizes["feature"] = arrays["spatial"].shape[2]
    raw = xr.Dataset(
        {
            name: lazy_variable(arrays[name], variable.dims, sizes)
            for name, variable in feature_variables().items()
        },
        coords={"class": ["background", *store.labels("behavior")]},
        attrs={STORE_ATTR: store.address, "mode": mode},
    )
    slots = store.slots(keys_of(ds))
    levels = [store.column(level, slots) for level in LEVELS]
    return _index_trials(raw.isel(trial=slots), levels)


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
    return any(level in ds.dims for level in LEVELS)


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


# ------------------------------------------------------------------ where the videos are


def data_root(store: Store, option: str | None = None) -> Path:
    """Folder of the videos on this machine.

    Asked in this order: the option ``data_root``, the environment variable ``SOUPXR_DATA_ROOT``,
    the store.

    Parameters
    ----------
    option : str, optional
        The option as it is where the work was given out.
    """
    given = option or get_option("data_root") or os.environ.get("SOUPXR_DATA_ROOT")
    if given:
        return as_root(given) if is_remote(given) else Path(given).expanduser().resolve()
    told = str(store.attrs.get("data_root"))
    if "\0" in told:
        raise StoreError(f"{store.address}: the store is damaged: its data_root is no path.")
    if is_remote(told):
        return as_root(told)
    own = Path(told)
    if own.is_absolute() or "://" in store.address:
        return own
    return (Path(store.address).parent / own).resolve()
