"""What ``ds.soup`` says of trials and does with them, short of inference.

Adds and removes trials, lists them, shows their video, features and bouts: each a few lines on
top of ``ingest``, ``store``, ``video`` and ``bouts``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from soupxr import bouts, ingest
from soupxr.dataset import (
    LEVELS,
    data_root,
    keys_of,
    one_key,
    open_dataset,
    open_features,
    store_of,
)
from soupxr.errors import ArgumentError, expected
from soupxr.labels import label_source, labelled, read_labels
from soupxr.modes import get_mode
from soupxr.options import get_option
from soupxr.origin import in_brief, origin_of
from soupxr.schema import Status, check_name, is_storable, is_whole
from soupxr.store import Store, StoredTrial, add_trials, remove_trials
from soupxr.video import as_dataarray

__all__ = [
    "add_item",
    "bouts_table",
    "features",
    "find_item",
    "remove_item",
    "trials_table",
    "video",
]


def add_item(
    ds: xr.Dataset,
    animal: str,
    session: str | None,
    trial_id: int | None,
    experiment: str | None,
    *,
    pattern: str | None = None,
    new_only: bool = False,
    progress: bool | None = None,
) -> xr.Dataset:
    """Add trials; see ``ds.soup.add_item``."""
    if experiment is not None and not is_storable(experiment):
        raise ArgumentError(expected("experiment", "a text", experiment))
    store = store_of(ds)
    rows = _survey(store, animal, session, trial_id, pattern, new_only, progress)
    if rows:
        add_trials(store.address, rows, experiment or "")
    return open_dataset(store.address)


def find_item(
    ds: xr.Dataset,
    animal: str,
    session: str | None,
    trial_id: int | None,
    *,
    pattern: str | None = None,
    new_only: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """List trials that could be added; see ``ds.soup.find_item``."""
    rows = _survey(store_of(ds), animal, session, trial_id, pattern, new_only, progress)
    columns = (*LEVELS, "n_frames", "fps")
    return pd.DataFrame(
        [[getattr(row, name) for name in columns] for row in rows], columns=list(columns)
    )


def _survey(
    store: Store,
    animal: str,
    session: str | None,
    trial_id: int | None,
    pattern: str | None,
    new_only: bool,
    progress: bool | None,
) -> list[ingest.TrialRow]:
    attrs = store.attrs
    return ingest.survey(
        data_root(store),
        store.labels("view"),
        animal,
        session,
        trial_id,
        pattern=attrs["pattern"] if pattern is None else pattern,
        join=attrs["join"],
        existing=set(store.keys()),
        new_only=new_only,
        progress=get_option("progress") if progress is None else progress,
    )


def remove_item(
    ds: xr.Dataset, animal: str, session: str | None, trial_id: int | None
) -> xr.Dataset:
    """Remove trials; see ``ds.soup.remove_item``."""
    check_name("animal", animal)
    if session is not None:
        check_name("session", session)
    if trial_id is not None and not is_whole(trial_id):
        raise ArgumentError(expected("trial_id", "a whole number", trial_id))
    if session is None and trial_id is not None:
        raise ArgumentError(expected("session", "the session of trial_id", session))
    store = store_of(ds)
    wanted = {"animal": animal, "session": session, "trial_id": trial_id}
    # Looked up once: others add and remove trials meanwhile.
    known = store.slot_of_each_key()
    keys, slots = list(known), list(known.values())
    chosen = np.ones(len(keys), dtype=bool)
    for level, value in wanted.items():
        if value is not None:
            chosen &= store.column(level, slots) == value
    if not chosen.any():
        name = "/".join(str(value) for value in wanted.values() if value is not None)
        raise ArgumentError(
            expected(
                "remove_item",
                f"trials of {store.address}",
                name,
                "ds.soup.trials lists those there are.",
            )
        )
    remove_trials(store.address, (key for key, out in zip(keys, chosen, strict=True) if out))
    return open_dataset(store.address)


def trials_table(ds: xr.Dataset) -> pd.DataFrame:
    """List trials; see ``ds.soup.trials``."""
    store = store_of(ds)
    slots = store.slots(keys_of(ds))
    columns: dict[str, Any] = {
        name: store.column(name, slots) for name in (*LEVELS, "n_frames", "fps", "experiment")
    }
    names = np.array([status.name.lower() for status in Status], dtype=object)
    for mode in store.modes:
        columns[mode] = names[store.statuses(mode, slots)]
    columns["notes"] = store.column("notes", slots)
    return pd.DataFrame(columns)


def video(ds: xr.Dataset, view: str | None = None) -> xr.DataArray:
    """Show one trial's frames; see ``ds.soup.video``."""
    store = store_of(ds)
    trial = store.trial(one_key(ds, "video"))
    views = store.labels("view")
    if view is not None and view not in views:
        raise ArgumentError(expected("view", f"one of {views}", view))
    root = data_root(store)
    chosen = views if view is None else [view]
    paths = [ingest.resolve_video(root, trial.video_paths[views.index(name)]) for name in chosen]
    frames = as_dataarray(
        paths, trial.n_frames, fps=trial.fps, views=chosen, join=store.attrs["join"]
    )
    return frames.assign_coords(animal=trial.animal, session=trial.session, trial_id=trial.trial_id)


def features(ds: xr.Dataset, mode: str) -> xr.Dataset:
    """Show stored features; see ``ds.soup.features``."""
    return open_features(ds, get_mode(mode).name)


def bouts_table(
    ds: xr.Dataset, *, mode: str | None = None, annotator: str | None = None
) -> pd.DataFrame:
    """List bouts; see ``ds.soup.bouts``."""
    store = store_of(ds)
    source = label_source(store, annotator=annotator, mode=mode, caller="bouts")
    trials = labelled(store, source, store.trials(keys_of(ds)))
    behaviors = store.labels("behavior")
    rows = [
        row
        for trial, mask in read_labels(store, source, trials)
        for row in _bouts_of(trial, mask, behaviors)
    ]
    table = pd.DataFrame(rows, columns=[*LEVELS, "behavior", "start", "stop", "duration_s"])
    table.attrs["provenance"] = in_brief(origin_of(store, source, trials))
    return table


def _bouts_of(
    trial: StoredTrial, mask: npt.NDArray[np.int8], behaviors: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    for behavior, name in enumerate(behaviors):
        for start, stop in bouts.mask_to_bouts(mask[:, behavior] == 1):
            yield (
                trial.animal,
                trial.session,
                trial.trial_id,
                name,
                int(start),
                int(stop),
                (stop - start) / trial.fps,
            )
