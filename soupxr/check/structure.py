"""Is it a store of our schema, and do its tables agree with one another?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from soupxr.check.found import Finding, many, reason
from soupxr.errors import ArgumentError
from soupxr.ingest import resolve_video
from soupxr.schema import (
    INDEXES,
    VARIABLES,
    Variable,
    feature_variables,
    frame_cache_variables,
    out_of_fold_variables,
    trial_key,
)
from soupxr.store import Store
from soupxr.store.zarrs import Array, DamagedStore, dims_of

__all__ = ["structure_findings", "unreadable_columns"]

COLUMNS = tuple(
    name for name, v in VARIABLES.items() if v.dims and set(v.dims) <= {"trial", "view"}
)
LABELS = ("view", "behavior", "mode", "annotator")


def unreadable_columns(store: Store) -> list[Finding]:
    """Columns and labels that cannot be read; without them nothing can be said of any trial."""
    remedy = "Put the store back from a backup."
    try:
        arrays = store.arrays
    except DamagedStore as error:  # any other error: it is no store, or none of this version
        problem = f"the description of an array cannot be read ({reason(error)})"
        return [Finding("error", "schema", f"{problem}. {remedy}")]
    found = []
    for name in dict.fromkeys((*LABELS, *COLUMNS)):
        try:
            np.asarray(arrays[name][...])
        except Exception as error:  # whatever a codec makes of damaged bytes
            problem = f"the table's column {name!r} cannot be read ({reason(error)})"
            found.append(Finding("error", "schema", f"{problem}. {remedy}"))
    return found


def structure_findings(store: Store) -> Iterator[Finding]:
    """Everything in which arrays and tables differ from what the schema says."""
    for array, variable in _arrays(store):
        yield from (Finding("error", "schema", told) for told in _differences(array, variable))
    yield from _lengths(store)
    yield from _keys(store)


def _arrays(store: Store) -> Iterator[tuple[Array, Variable]]:
    for name, variable in VARIABLES.items():
        yield store.arrays[name], variable
    for mode in store.modes:
        for name, array in store.features(mode).items():
            yield array, feature_variables()[name]
    for path in store.optional_groups():
        known = frame_cache_variables() if path.startswith("frames") else out_of_fold_variables()
        for name, array in store.optional(path).items():
            if name in known:
                yield array, known[name]


def _differences(array: Array, variable: Variable) -> Iterator[str]:
    name = array.path
    if dims_of(array) != variable.dims:
        yield f"{name}: expected the dimensions {variable.dims}, but got {dims_of(array)}"
        return
    dtype = "str" if array.dtype.kind in "TUO" else str(array.dtype)
    if dtype != variable.dtype:
        yield f"{name}: expected values of {variable.dtype}, but got {dtype}"
    if not _same(array.fill_value, variable.fill):
        yield f"{name}: expected {variable.fill!r} where nothing is written, but got " + repr(
            array.fill_value
        )
    shared = [
        dim
        for dim, length in zip(variable.dims, array.chunks, strict=True)
        if (variable.chunks or {}).get(dim) == 1 and length != 1
    ]
    if shared:
        yield (
            f"{name}: expected chunks of one {' and one '.join(shared)} each, but several share "
            "one. Processes that write at the same time would lose each other's results."
        )


def _same(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other))  # NaN differs from itself


def _lengths(store: Store) -> Iterator[Finding]:
    sizes = {dim: store.arrays[name].shape[0] for dim, name in INDEXES.items()}
    slots = list(store.slot_of_each_key().values())
    n_frames = store.column("n_frames", slots)
    sizes["frame"] = int(n_frames.max()) if len(slots) else 0
    for dim, size in sizes.items():
        short = [
            array.path
            for array in store.arrays_along(dim)
            if array.shape[dims_of(array).index(dim)] < size
        ]
        if short:
            problem = f"{many(short)}: shorter along {dim} than the {size} that the store has"
            yield Finding("error", "schema", problem)


def _keys(store: Store) -> Iterator[Finding]:
    column = np.asarray(store.arrays["trial"][...]).astype(object)
    twice = [key for key, count in Counter(column).items() if key and count > 1]
    if twice:
        yield Finding("error", "schema", f"{many(twice)}: in the store more than once")
    root = Path("videos")
    for trial in store.told_of(store.keys()):
        named = (trial.animal, trial.session, trial.trial_id)
        problems = []
        if trial_key(*named) != trial.key:
            problems.append(f"its key is {trial.key!r}, but its columns say {trial_key(*named)!r}")
        if trial.n_frames < 1 or not trial.fps > 0:
            problems.append(f"has {trial.n_frames} frames at {trial.fps:g} Hz")
        for path in trial.video_paths:
            try:
                resolve_video(root, path)
            except ArgumentError as error:
                problems.append(str(error))
        for problem in problems:
            yield Finding("error", "schema", problem, named)
