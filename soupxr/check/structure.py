"""Is it a store of our schema, and do its tables agree with one another?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from soupxr.check.found import Finding, many, reason
from soupxr.errors import ArgumentError, StoreError
from soupxr.ingest import resolve_video
from soupxr.schema import (
    INDEXES,
    OPTIONAL,
    VARIABLES,
    Variable,
    feature_variables,
    trial_key,
)
from soupxr.store import Store
from soupxr.store.zarrs import Array, DamagedStore, dims_of

__all__ = ["structure_findings", "unreadable_columns", "unreadable_groups"]

COLUMNS = tuple(
    name for name, v in VARIABLES.items() if v.dims and set(v.dims) <= {"trial", "view"}
)
FEATURES = "features"
LABELS = ("view", "behavior", "mode", "annotator")
BACKUP = "Put the store back from a backup."


def unreadable_columns(store: Store) -> list[Finding]:
    """Columns and labels that cannot be read; without them nothing can be said of any trial."""
    try:
        arrays = store.arrays
    except DamagedStore as error:  # any other error: it is no store, or none of this version
        problem = f"the description of an array cannot be read ({reason(error)})"
        return [Finding("error", "schema", f"{problem}. {BACKUP}")]
    found = []
    for name in dict.fromkeys((*LABELS, *COLUMNS)):
        try:
            np.asarray(store.modes if name == "mode" else arrays[name][...])
        except Exception as error:  # whatever a codec makes of damaged bytes
            problem = f"the table's column {name!r} cannot be read ({reason(error)})"
            found.append(Finding("error", "schema", f"{problem}. {BACKUP}"))
    return found


def unreadable_groups(store: Store) -> dict[str, Finding]:
    """Groups such as ``features/fast`` whose arrays cannot be opened, and what is told of each."""
    found = {}
    for path in _groups(store):
        try:
            _arrays_of(store, path)
        except StoreError as error:
            problem = f"{path} cannot be opened, and is not looked at ({reason(error)})"
            found[path] = Finding("error", "schema", f"{problem}. {BACKUP}")
    return found


def structure_findings(store: Store, without: Collection[str] = ()) -> Iterator[Finding]:
    """Everything in which arrays and tables differ from what the schema says.

    Parameters
    ----------
    without : collection of str
        Groups that cannot be opened.
    """
    # What is promised now holds for arrays that are opened afterwards, whoever lengthens them.
    promised = _sizes(store)
    arrays = list(_arrays(Store(store.address), without))
    for array, variable in arrays:
        yield from (Finding("error", "schema", told) for told in _differences(array, variable))
    yield from _lengths(promised, [array for array, _ in arrays])
    yield from _keys(store)


def _arrays(store: Store, without: Collection[str]) -> Iterator[tuple[Array, Variable]]:
    for name, variable in VARIABLES.items():
        yield store.arrays[name], variable
    for path in _groups(store):
        if path not in without:
            known = OPTIONAL.get(path.partition("/")[0], feature_variables())
            for name, array in _arrays_of(store, path).items():
                yield array, known[name]


def _groups(store: Store) -> list[str]:
    return [*(f"{FEATURES}/{mode}" for mode in store.modes), *store.optional_groups()]


def _arrays_of(store: Store, path: str) -> dict[str, Array]:
    parent, _, name = path.partition("/")
    return store.features(name) if parent == FEATURES else store.optional(path)


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


def _sizes(store: Store) -> dict[str, int]:
    """How long the store says that its dimensions are."""
    slots = list(store.slot_of_each_key().values())
    n_frames = store.column("n_frames", slots)
    sizes = {dim: store.arrays[name].shape[0] for dim, name in INDEXES.items()}
    return sizes | {"frame": int(n_frames.max()) if len(slots) else 0}


def _lengths(sizes: Mapping[str, int], arrays: Sequence[Array]) -> Iterator[Finding]:
    for dim, size in sizes.items():
        short = [
            array.path
            for array in arrays
            if dim in dims_of(array) and array.shape[dims_of(array).index(dim)] < size
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
