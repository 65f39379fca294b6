"""Writing a person's labels: all of them or, if anything is wrong with them, none."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from soupxr.annotation.arrays import Labels, from_array, shape_problem
from soupxr.annotation.bout_table import Rest, Unit, Which, from_table
from soupxr.dataset import keys_of, reopen, store_of
from soupxr.errors import ArgumentError, SoupWarning, expected, listed
from soupxr.labels import annotator_problem
from soupxr.store import StoredTrial, labelled_trials, write_annotations

__all__ = ["annotate"]

CHOICES: Mapping[str, tuple[str, ...]] = {
    "unit": ("frame", "second"),
    "rest": ("absent", "unlabelled"),
    "trials": ("listed", "selected"),
}
#: Notes that a warning tells one by one.
MOST_NOTES = 20


def annotate(
    ds: xr.Dataset,
    labels: object,
    *,
    annotator: str,
    unit: Unit = "frame",
    rest: Rest = "absent",
    trials: Which = "listed",
    overwrite: bool = False,
) -> xr.Dataset:
    """Write labels; see ``ds.soup.annotate``."""
    store = store_of(ds)
    given = {"unit": unit, "rest": rest, "trials": trials}
    problem = annotator_problem(store, annotator)
    _refuse([*([problem] if problem else []), *_wrong_choices(given)])
    selected = store.trials(list(dict.fromkeys(keys_of(ds))))
    if not selected:
        raise ArgumentError(expected("annotate", "a selection of trials", "none"))
    found = _read(labels, selected, store.labels("behavior"), unit, rest, trials)
    if not overwrite and annotator in store.labels("annotator"):
        there = labelled_trials(store, annotator, [t for t in selected if t.key in found.masks])
        found.problems += [
            f"{key}: {annotator!r} has labelled this trial already. "
            "Pass overwrite=True to replace these labels."
            for key in there
        ]
    _refuse(found.problems)
    _warn(found.notes)
    write_annotations(store.address, annotator, found.masks, overwrite=overwrite)
    return reopen(ds)


def _read(
    labels: object,
    selected: Sequence[StoredTrial],
    behaviors: Sequence[str],
    unit: Unit,
    rest: Rest,
    trials: Which,
) -> Labels:
    if isinstance(labels, pd.DataFrame):
        return from_table(labels, selected, behaviors, unit, rest, trials)
    if (unit, rest, trials) != ("frame", "absent", "listed"):
        return Labels(problems=["unit, rest, trials: these go with a table of bouts only."])
    if isinstance(labels, np.ndarray):
        if labels.ndim != 2:
            return Labels(problems=[shape_problem(labels.shape, selected, behaviors)])
        labels = xr.DataArray(labels, dims=("frame", "behavior"))
    if isinstance(labels, xr.DataArray):
        return from_array(labels, selected, behaviors)
    came = type(labels).__name__
    return Labels(
        problems=[expected("labels", "a DataArray, a NumPy array or a table of bouts", came)]
    )


def _warn(notes: Sequence[str]) -> None:
    """Tell of bouts that were joined. Before anything is written: warnings may be errors."""
    if notes:
        more = [f"and {len(notes) - MOST_NOTES} more"] if len(notes) > MOST_NOTES else []
        told = listed([*notes[:MOST_NOTES], *more])
        message = f"labels: some bouts of one behavior overlap, and count as one:{told}"
        warnings.warn(message, SoupWarning, stacklevel=4)


def _refuse(problems: Sequence[str]) -> None:
    if len(problems) == 1:
        raise ArgumentError(problems[0])
    if problems:
        raise ArgumentError(
            f"annotate: nothing was written, for {len(problems)} problems:{listed(problems)}"
        )


def _wrong_choices(given: Mapping[str, str]) -> Iterator[str]:
    for name, value in given.items():
        if not isinstance(value, str) or value not in CHOICES[name]:
            yield expected(name, " or ".join(map(repr, CHOICES[name])), value)
