"""Labels as a store has them: an annotator's, or a mode's ethograms.

What training learns from, and what evaluation compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, expected
from soupxr.modes import get_mode
from soupxr.schema import Status
from soupxr.store import Store, StoredTrial

__all__ = [
    "LabelSource",
    "annotator_problem",
    "check_annotator",
    "label_source",
    "labelled",
    "read_labels",
    "sole_annotator",
    "with_background",
]

Mask = npt.NDArray[np.int8]


@dataclass(frozen=True)
class LabelSource:
    """Which labels are meant.

    Parameters
    ----------
    variable : {"annotation", "ethogram"}
        What a person says, or what a model says.
    name : str
        The annotator, or the mode.
    """

    variable: Literal["annotation", "ethogram"]
    name: str


def label_source(
    store: Store, *, annotator: str | None = None, mode: str | None = None, caller: str = "labels"
) -> LabelSource:
    """Find the labels that a call means.

    Raises
    ------
    ArgumentError
        If not exactly one of ``annotator`` and ``mode`` is given, or there is no such one.
    """
    if (mode is None) == (annotator is None):
        raise ArgumentError(expected(caller, "either mode= or annotator=", (mode, annotator)))
    if mode is not None:
        return LabelSource("ethogram", get_mode(mode).name)
    known = store.labels("annotator")
    if annotator not in known:
        remedy = "ds.soup.annotate(…, annotator=…) adds one."
        raise ArgumentError(expected("annotator", f"one of {known}", annotator, remedy))
    return LabelSource("annotation", str(annotator))


def annotator_problem(store: Store, name: object) -> str | None:
    """Say why labels cannot be saved under a name; None where they can."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return expected("annotator", "a name", name)
    if name != name.strip():
        return expected("annotator", "a name without spaces around it", name)
    if name in store.modes:
        return expected("annotator", f"another name than a mode's ({', '.join(store.modes)})", name)
    return None


def check_annotator(store: Store, name: object) -> str:
    """Refuse a name under which labels cannot be saved.

    Raises
    ------
    ArgumentError
        If it is no name, or a mode's.
    """
    problem = annotator_problem(store, name)
    if problem is not None:
        raise ArgumentError(problem)
    return str(name)


def sole_annotator(store: Store) -> str:
    """The annotator where there is one only.

    Raises
    ------
    ArgumentError
        If there is none, or more than one.
    """
    known = store.labels("annotator")
    if len(known) == 1:
        return known[0]
    if not known:
        raise ArgumentError(
            "annotator: nobody has labelled anything in this store. "
            "Add labels with ds.soup.annotate(…, annotator=…)."
        )
    raise ArgumentError(
        expected("annotator", f"one of {known}", None, "Say whose labels are the truth.")
    )


def labelled(store: Store, source: LabelSource, trials: Sequence[StoredTrial]) -> list[StoredTrial]:
    """Those trials that have any of these labels."""
    slots = [trial.slot for trial in trials]
    if source.variable == "ethogram":
        has_any = store.statuses(source.name, slots) == Status.COMPLETE
    else:
        has_any = store.labelled([source.name], slots)
    return [trial for trial, has in zip(trials, has_any, strict=True) if has]


def read_labels(
    store: Store, source: LabelSource, trials: Sequence[StoredTrial]
) -> Iterator[tuple[StoredTrial, Mask]]:
    """Go through trials and their labels.

    Yields
    ------
    (StoredTrial, ndarray of int8 (n_frames, behavior))
        1 occurs, 0 does not, −1 unlabelled (of an ethogram: not inferred, or not committed).
    """
    is_ethogram = source.variable == "ethogram"
    row = store.labels("mode" if is_ethogram else "annotator").index(source.name)
    n_behaviors = len(store.labels("behavior"))
    slots = [trial.slot for trial in trials]
    marks = store.statuses(source.name, slots) if is_ethogram else [Status.COMPLETE] * len(slots)
    for trial, mark in zip(trials, marks, strict=True):
        if mark == Status.COMPLETE:
            yield trial, store.rows(source.variable, row, trial)
        else:
            yield trial, np.full((trial.n_frames, n_behaviors), -1, dtype=np.int8)


def with_background(labels: Mask) -> Mask:
    """Put the background in front, as the models count classes.

    Parameters
    ----------
    labels : ndarray of int8, (frame, behavior)
        −1 unlabelled.

    Returns
    -------
    ndarray of int8, (frame, class)
        Background is 1 where every behavior is absent, 0 where any occurs, and −1 where nothing
        is known to occur but something is unlabelled.
    """
    background = np.where((labels == 1).any(axis=1), 0, np.where((labels == 0).all(axis=1), 1, -1))
    return np.concatenate([background[:, None].astype(np.int8), labels], axis=1)
