"""Tables of bouts as people bring them, and the masks that they become. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from soupxr.annotation.arrays import (
    Labels,
    as_typed,
    behavior_name,
    doubled,
    key_of,
    unknown_behaviors,
    unknown_trials,
)
from soupxr.dataset import LEVELS
from soupxr.errors import expected
from soupxr.store import StoredTrial

__all__ = ["ROW", "Rest", "Unit", "Which", "from_table", "to_frames"]

Unit = Literal["frame", "second"]
Rest = Literal["absent", "unlabelled"]
Which = Literal["listed", "selected"]
#: Name of an index that holds the rows' numbers in the file that they come from.
ROW = "row"


def from_table(
    table: pd.DataFrame,
    trials: Sequence[StoredTrial],
    behaviors: Sequence[str],
    unit: Unit = "frame",
    rest: Rest = "absent",
    which: Which = "listed",
) -> Labels:
    """Masks of a table of bouts.

    Parameters
    ----------
    table : DataFrame
        Columns animal, session, trial_id, behavior, start, stop (half-open); others are ignored.
        An index called :data:`ROW` holds the numbers by which messages name the rows.
        Each of the first three may be absent where ``trials`` have one value of it.
    trials : sequence of StoredTrial
        Those that may be labelled.
    behaviors : sequence of str
        The store's.
    unit : {"frame", "second"}
        Of start and stop; see :func:`to_frames`.
    rest : {"absent", "unlabelled"}
        What a frame is that no bout covers.
    which : {"listed", "selected"}
        Whether trials without a row are labelled too, with ``rest`` everywhere.
    """
    found = Labels(problems=list(_lacking_columns(table, trials)))
    if found.problems:
        return found
    rows = _Rows(table, trials, behaviors, unit)
    found.problems += rows.problems()
    if found.problems:
        return found
    chosen = set(rows.keys) if which == "listed" else {trial.key for trial in trials}
    if not chosen:
        remedy = 'Pass trials="selected" to label every selected trial as without bouts.'
        found.problems.append(expected("labels", "one row or more", "an empty table", remedy))
    fill = {"absent": 0, "unlabelled": -1}[rest]
    for trial in trials:
        if trial.key in chosen:
            found.masks[trial.key] = np.full((trial.n_frames, len(behaviors)), fill, np.int8)
    for key, name, start, stop in zip(
        rows.keys, rows.behaviors, rows.first.astype(int), rows.last.astype(int), strict=True
    ):
        found.masks[key][start:stop, behaviors.index(name)] = 1
    found.notes += rows.overlaps()
    return found


def to_frames(
    start: npt.ArrayLike, stop: npt.ArrayLike, fps: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Frames of bouts given in seconds.

    Frame ``k`` lasts from ``k / fps`` to ``(k + 1) / fps``. Each end goes to the nearest edge
    between two frames, one in the middle to the even one. A bout too short to reach from one edge
    to another is not lost: it is the one frame in which it begins.

    Parameters
    ----------
    start, stop : array_like of float
        Seconds.
    fps : array_like of float
        Hz.

    Returns
    -------
    start, stop : ndarray of float
        Whole numbers, half-open.
    """
    # In binary, 1.003 s × 500 Hz falls short of the middle, 501.5, where the rule counts on it.
    with np.errstate(over="ignore"):  # what is too large for a number is out of every trial
        begin, end = (
            np.round(np.asarray(time, dtype=float) * np.asarray(fps), 6) for time in (start, stop)
        )
    first, last = np.rint(begin), np.rint(end)
    vanished = (first == last) & (begin < end)
    # 0.58 s × 50 Hz is 28.999999999999996: the frame that begins there is 29.
    first = np.where(vanished, np.floor(begin + 1e-6), first)
    return first, np.where(vanished, first + 1, last)


class _Rows:
    """The rows of a table, and what is wrong with each."""

    def __init__(
        self,
        table: pd.DataFrame,
        trials: Sequence[StoredTrial],
        behaviors: Sequence[str],
        unit: Unit,
    ) -> None:
        self.table, self.trials, self.known, self.unit = table, trials, behaviors, unit
        self.labels = table.index
        columns = (
            table[level] if level in table else [getattr(trials[0], level)] * len(table)
            for level in LEVELS
        )
        self.keys = [key_of(*row) for row in zip(*columns, strict=True)]
        self.behaviors = [behavior_name(name, behaviors) for name in table["behavior"]]
        self.start, self.stop = (_numbers(table[name]) for name in ("start", "stop"))
        trial_of = {trial.key: trial for trial in trials}
        self.trial = [trial_of.get(key) for key in self.keys]
        fps = np.array([np.nan if trial is None else trial.fps for trial in self.trial])
        if unit == "second":
            self.first, self.last = to_frames(self.start, self.stop, fps)
        else:
            self.first, self.last = self.start, self.stop

    def problems(self) -> Iterator[str]:
        """All that is wrong, with the rows."""
        known = {trial.key for trial in self.trials}
        yield from unknown_trials(self._rows_of(self.keys, known), self.trials)
        yield from unknown_behaviors(self._rows_of(self.behaviors, set(self.known)), self.known)
        for place in range(len(self.keys)):
            wrong = list(self._wrong_times(place))
            if wrong:
                yield f"{self._describe(place)}: {'; '.join(wrong)}"

    def overlaps(self) -> Iterator[str]:
        """Pairs of rows whose bouts of one behavior overlap, exact doubles included."""
        order = np.lexsort((self.start, np.array(self.behaviors), np.array(self.keys)))
        before: int | None = None
        for place in order.tolist():
            same = before is not None and (
                (self.keys[place], self.behaviors[place])
                == (self.keys[before], self.behaviors[before])
            )
            if before is not None and same and self.start[place] < self.stop[before]:
                yield f"{self._describe(before)} and {self._name(place)}, {self._span(place)}"
            if before is None or not same or self.stop[place] > self.stop[before]:
                before = place

    def _wrong_times(self, place: int) -> Iterator[str]:
        ends = {"start": self.start[place], "stop": self.stop[place]}
        no_numbers = [name for name, value in ends.items() if not np.isfinite(value)]
        if no_numbers:
            yield f"{' and '.join(no_numbers)}: not a number"
            return
        parts = [name for name, value in ends.items() if value % 1]
        if self.unit == "frame" and parts:
            yield f'{" and ".join(parts)}: no whole frame (for seconds, pass unit="second")'
        if ends["start"] < 0:
            yield "start is negative"
        if ends["start"] >= ends["stop"]:
            yield "start is not before stop"
        trial = self.trial[place]
        if trial is not None and self.last[place] > trial.n_frames:
            length = f"{trial.n_frames} frames ({trial.n_frames / trial.fps:g} s)"
            yield f"stop is beyond the end of the trial, which has {length}"

    def _rows_of(self, values: Iterable[str], known: set[str]) -> dict[str, list[str]]:
        """Values that are not known, and the names of their rows."""
        rows: dict[str, list[str]] = {}
        for place, value in enumerate(values):
            if value not in known:
                rows.setdefault(value, []).append(self._name(place))
        return rows

    def _name(self, place: int) -> str:
        label = self.labels[place]
        if self.labels.name == ROW:
            return f"row {label}"
        return f"row {place}" if label == place else f"row {place} (index {label!r})"

    def _span(self, place: int) -> str:
        row = self.table.iloc[place]
        return f"start={as_typed(row['start'])}, stop={as_typed(row['stop'])}"

    def _describe(self, place: int) -> str:
        row = self.table.iloc[place]
        told = [
            f"{name}={as_typed(row[name])}" for name in (*LEVELS, "behavior") if name in self.table
        ]
        return f"{self._name(place)}, {', '.join(told)}, {self._span(place)}"


def _numbers(column: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """Numbers of a column; NaN for whatever is none."""
    try:
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.dtype.kind != "c":
            return numbers.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError, OverflowError):
        pass  # One value spoils the column: each is looked at by itself.
    return np.array([_number(value) for value in column], dtype=float)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return np.nan


def _lacking_columns(table: pd.DataFrame, trials: Sequence[StoredTrial]) -> Iterator[str]:
    there = list(table.columns)
    for name in ("behavior", "start", "stop"):
        if name not in there:
            yield expected("labels", f"a column {name!r}", there)
    for level in LEVELS:
        n_values = len({getattr(trial, level) for trial in trials})
        if level not in there and n_values > 1:
            remedy = (
                f"It may be absent only where one {level} is selected; now there are {n_values}."
            )
            yield expected("labels", f"a column {level!r}", there, remedy)
    for name in doubled(there):
        yield f"labels: the column {name!r} is there twice."
