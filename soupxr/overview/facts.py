"""What a selection holds, and how far it has come.

Reads tables and status marks only, so that it is quick on a store of ten thousand trials.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.dataset import data_root, keys_of, store_of
from soupxr.downloads import PUBLISHED_WEIGHTS
from soupxr.modes import BEHAVIORS, MODES
from soupxr.schema import Status
from soupxr.store import Store, models

__all__ = ["Animal", "Overview", "overview"]


@dataclass(frozen=True)
class Animal:
    """One row of the page: an animal's trials.

    Parameters
    ----------
    name : str
        The animal.
    sessions, trials : int
        How many.
    statuses : mapping of str to Counter
        By mode: number of trials with each status.
    """

    name: str
    sessions: int
    trials: int
    statuses: Mapping[str, Counter[Status]]


@dataclass(frozen=True)
class Overview:
    """What is told of a selection.

    Parameters
    ----------
    address : str
        The store.
    root : str
        Folder of the videos.
    trials, all_trials : int
        Selected, and in the store.
    frames : int
        Of the selected trials.
    seconds : float
        How long they last together.
    behaviors, views : sequence of str
        Of the store.
    animals : sequence of Animal
        Of the selected trials.
    statuses : mapping of str to Counter
        By mode: number of selected trials with each status.
    labelled : mapping of str to int
        By annotator: number of selected trials that are labelled.
    judges : mapping of str to sequence of str
        By mode: annotators of selected trials that are complete.
    models : mapping of str to set of str
        By mode: kinds of models that were trained on the store.
    published : sequence of str
        Modes for which models are published that tell the store's behaviors apart.
    key : tuple of (str, str, int) or None
        The trial, where there is only one.
    """

    address: str
    root: str
    trials: int
    all_trials: int
    frames: int
    seconds: float
    behaviors: Sequence[str]
    views: Sequence[str]
    animals: Sequence[Animal]
    statuses: Mapping[str, Counter[Status]]
    labelled: Mapping[str, int]
    judges: Mapping[str, Sequence[str]]
    models: Mapping[str, Set[str]]
    published: Sequence[str]
    key: tuple[str, str, int] | None


def overview(ds: xr.Dataset) -> Overview:
    """Gather it.

    Raises
    ------
    SoupError
        If the Dataset does not know its store, or the store cannot be read.
    """
    store = store_of(ds)
    keys = keys_of(ds)
    slots = store.slots(keys)
    columns = {name: store.column(name, slots) for name in ("animal", "session", "trial_id")}
    n_frames, fps = store.column("n_frames", slots), store.column("fps", slots)
    codes = {mode: store.statuses(mode, slots) for mode in store.modes}
    labelled = {
        name: np.asarray(store.labelled([name], slots)) for name in store.labels("annotator")
    }
    behaviors = store.labels("behavior")
    animals = []
    for name in dict.fromkeys(columns["animal"].tolist()):
        chosen = columns["animal"] == name
        animals.append(
            Animal(
                str(name),
                len(set(columns["session"][chosen].tolist())),
                int(chosen.sum()),
                {mode: _counted(values[chosen]) for mode, values in codes.items()},
            )
        )
    is_one = len(keys) == 1
    return Overview(
        address=store.address,
        root=str(data_root(store)),
        trials=len(keys),
        all_trials=len(store.keys()),
        frames=int(n_frames.sum()),
        seconds=float((n_frames / np.where(fps > 0, fps, np.inf)).sum()),
        behaviors=behaviors,
        views=store.labels("view"),
        animals=animals,
        statuses={mode: _counted(values) for mode, values in codes.items()},
        labelled={name: int(has.sum()) for name, has in labelled.items()},
        judges={
            mode: [who for who, has in labelled.items() if (has & (marks == Status.COMPLETE)).any()]
            for mode, marks in codes.items()
        },
        models=_trained(store),
        published=_published(behaviors, store.column("experiment", slots)),
        key=tuple(values.tolist()[0] for values in columns.values()) if is_one else None,
    )


def _trained(store: Store) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {mode: set() for mode in store.modes}
    for record in models(store):
        if os.path.exists(record.path):
            found.setdefault(record.mode, set()).add(record.kind)
    return found


def _published(behaviors: Sequence[str], experiments: npt.NDArray[Any]) -> list[str]:
    fits = tuple(behaviors) == BEHAVIORS and set(experiments.tolist()) <= PUBLISHED_WEIGHTS.keys()
    return list(MODES) if fits else []


def _counted(codes: np.ndarray) -> Counter[Status]:
    return Counter(Status(int(code)) for code in codes)
