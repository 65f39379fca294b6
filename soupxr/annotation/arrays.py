"""Labels as people bring them, and the masks that they become.

Arrays are here, tables in ``bout_table``. Pure: what is wrong is collected, so that all
of it can be told at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.dataset import LEVELS
from soupxr.errors import expected
from soupxr.schema import trial_key
from soupxr.store import StoredTrial

__all__ = [
    "Labels",
    "as_typed",
    "behavior_name",
    "doubled",
    "from_array",
    "key_of",
    "shape_problem",
    "unknown_behaviors",
    "unknown_trials",
]

Mask = npt.NDArray[np.int8]

#: Names that other tools give to behaviors.
SYNONYMS = {"sup": "supinate"}
#: Python writes out no longer numbers.
MOST_BITS = 10_000
#: Of longer ones, no trial has the number.
MOST_DIGITS = 18
#: Rows that one message names.
MOST_ROWS = 20


@dataclass
class Labels:
    """What labels say.

    Parameters
    ----------
    masks : mapping of str to ndarray of int8, (n_frames, behavior)
        By key of the trial; 1 occurs, 0 does not, −1 unlabelled. Of use only without problems.
    problems : list of str
        Why they cannot be used.
    notes : list of str
        What the user should know although they can.
    """

    masks: dict[str, Mask] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# ------------------------------------------------------------------ arrays


def from_array(
    array: xr.DataArray, trials: Sequence[StoredTrial], behaviors: Sequence[str]
) -> Labels:
    """Masks of an array of labels.

    Parameters
    ----------
    array : DataArray, (frame, behavior) or (trial, frame, behavior), dims in any order
        1, 0 and −1 or NaN. Coordinates tell which trial, frame and behavior is meant; what they
        leave out is unlabelled. Without them, the order is that of the selection and the store.
    trials : sequence of StoredTrial
        Those that may be labelled.
    behaviors : sequence of str
        The store's.
    """
    found = Labels()
    if set(array.dims) not in ({"frame", "behavior"}, {"trial", "frame", "behavior"}):
        wanted = "the dimensions (frame, behavior) or (trial, frame, behavior)"
        found.problems.append(expected("labels", wanted, array.dims))
        return found
    keys = _keys_of_array(array, trials, found.problems)
    columns = _columns_of_array(array, behaviors, trials, found.problems)
    frames = _frames_of_array(array, trials, found.problems)
    if found.problems:
        return found
    known = {trial.key: trial for trial in trials}
    order = array.transpose(..., "frame", "behavior")
    for place, key in enumerate(keys):
        values = (order.isel(trial=place) if "trial" in array.dims else order).values
        mask = _to_int8(values, key, found.problems)
        if mask is not None:
            _place(mask, frames, columns, known[key], len(behaviors), found)
    return found


def _keys_of_array(
    array: xr.DataArray, trials: Sequence[StoredTrial], problems: list[str]
) -> list[str]:
    """Keys along ``trial``, or the one key there is."""
    n_trials = array.sizes.get("trial", 1)
    known = [trial.key for trial in trials]
    there = [level for level in LEVELS if level in array.coords]
    if not there:
        if n_trials == len(known):
            return known
        remedy = "Select the trials that are labelled, or give it the coordinates of trials."
        problems.append(expected("labels", f"{len(known)} trial(s), as selected", n_trials, remedy))
        return []
    if len(there) < len(LEVELS):
        problems.append(expected("labels", "the coordinates animal, session and trial_id", there))
        return []
    columns = [np.broadcast_to(array[level].values, n_trials) for level in LEVELS]
    keys = [key_of(*row) for row in zip(*columns, strict=True)]
    problems += unknown_trials({key: [] for key in set(keys) - set(known)}, trials)
    problems += [f"labels: the trial {key} is there twice." for key in doubled(keys)]
    return keys


def _columns_of_array(
    array: xr.DataArray,
    behaviors: Sequence[str],
    trials: Sequence[StoredTrial],
    problems: list[str],
) -> list[int]:
    """Place of each of the array's behaviors among the store's."""
    if "behavior" not in array.coords:
        if array.sizes["behavior"] != len(behaviors):
            problems.append(shape_problem(array.shape, trials, behaviors))
        return list(range(len(behaviors)))
    names = [behavior_name(name, behaviors) for name in np.atleast_1d(array["behavior"].values)]
    problems += unknown_behaviors({name: [] for name in names if name not in behaviors}, behaviors)
    problems += [f"labels: the behavior {name!r} is there twice." for name in doubled(names)]
    return [behaviors.index(name) for name in names if name in behaviors]


def _frames_of_array(
    array: xr.DataArray, trials: Sequence[StoredTrial], problems: list[str]
) -> npt.NDArray[np.int64] | None:
    """The frame coordinate; None where frames are counted from 0."""
    if "frame" not in array.coords:
        return None
    frames = np.atleast_1d(array["frame"].values)
    if frames.dtype.kind not in "iu" or len(np.unique(frames)) < len(frames):
        problems.append(expected("labels", "whole numbers as frames, each once", frames))
    return frames.astype(np.int64) if frames.dtype.kind in "iuf" else None


def _to_int8(values: npt.NDArray[Any], key: str, problems: list[str]) -> Mask | None:
    if values.dtype.kind not in "biuf":
        problems.append(f"{key}: expected numbers 1, 0 and -1, but got {values.dtype}.")
        return None
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), -1, values)
    wrong = ~np.isin(values, (-1, 0, 1))
    if wrong.any():
        frame, behavior = np.argwhere(wrong)[0].tolist()
        problems.append(
            f"{key}: expected 1, 0, -1 or NaN, but got {values[frame, behavior]} at "
            f"[{frame}, {behavior}] ({wrong.sum()} such value(s))."
        )
        return None
    return values.astype(np.int8)


def _place(
    mask: Mask,
    frames: npt.NDArray[np.int64] | None,
    columns: Sequence[int],
    trial: StoredTrial,
    n_behaviors: int,
    found: Labels,
) -> None:
    """Put an array's part into the mask of a whole trial."""
    if frames is None:
        if len(mask) < trial.n_frames:
            wanted = f"{trial.n_frames} frames"
            found.problems.append(f"{trial.key}: expected {wanted}, but got {len(mask)}.")
            return
        frames = np.arange(len(mask))
    inside = (frames >= 0) & (frames < trial.n_frames)
    beyond = frames[~inside][(mask[~inside] != -1).any(axis=1)]
    if beyond.size:
        found.problems.append(
            f"{trial.key}: expected labels within its {trial.n_frames} frames, but frame "
            f"{beyond[0]} is labelled too (-1 or NaN there is fine)."
        )
        return
    whole = np.full((trial.n_frames, n_behaviors), -1, dtype=np.int8)
    whole[np.ix_(frames[inside], np.asarray(columns))] = mask[inside]
    found.masks[trial.key] = whole


# ------------------------------------------------------------------ names


def key_of(animal: object, session: object, trial_id: object) -> str:
    """Key of a trial, as the store writes it if it knows it."""
    number = _text(trial_id)
    if number.isdecimal() and len(number) <= MOST_DIGITS:
        return trial_key(_text(animal), _text(session), int(number))
    return f"{_text(animal)}/{_text(session)}/{number}"


def _text(value: object) -> str:
    """A name as the store writes it: pandas makes 11 or 11.0 of the animal "11"."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return as_typed(value)


def as_typed(value: object) -> str:
    """A value as it stands in a table."""
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return "a number of thousands of digits"
    return str(value)


def behavior_name(name: object, known: Sequence[str]) -> str:
    """A behavior by the store's name, where it has one."""
    text = _text(name)
    return text if text in known else SYNONYMS.get(text, text)


def doubled(values: Iterable[Any]) -> list[Any]:
    """Values that are there more than once."""
    return [value for value, count in Counter(values).items() if count > 1]


def unknown_trials(
    rows: Mapping[str, Sequence[str]], trials: Sequence[StoredTrial]
) -> Iterator[str]:
    """Say which trials are not selected, given the rows (or none) that name them."""
    for key, names in sorted(rows.items()):
        told = _some([trial.key for trial in trials])
        yield f"{key}: not among the selected trials ({told}){_in_rows(names)}"


def unknown_behaviors(rows: Mapping[str, Sequence[str]], behaviors: Sequence[str]) -> Iterator[str]:
    """Say which behaviors the store does not have, given the rows (or none) that name them."""
    for name, names in sorted(rows.items()):
        yield f"behavior {name!r}: expected one of {list(behaviors)}{_in_rows(names)}"


def _in_rows(names: Sequence[str]) -> str:
    return f"; in {len(names)} row(s): {_some(names)}" if names else ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_ROWS} more" if len(names) > MOST_ROWS else ""
    return ", ".join(names[:MOST_ROWS]) + more


def shape_problem(
    came: tuple[int, ...], trials: Sequence[StoredTrial], behaviors: Sequence[str]
) -> str:
    """Say which shape labels should have."""
    frames = max(trial.n_frames for trial in trials)
    return expected("labels", f"shape {(frames, len(behaviors))}, (frame, behavior)", came)
