"""Tables of bouts and frames, from cells to spans and masks."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from soupxr.annotation.arrays import key_of
from soupxr.annotation.bout_table import to_frames
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, FormatError, expected
from soupxr.io.gather import Gathering
from soupxr.io.sheet import EXCEL, Row, is_empty, read_rows, to_number
from soupxr.io.spans import Rest, Span
from soupxr.store import StoredTrial

__all__ = ["BoutTable", "FrameTable", "Table", "header_of", "open_table"]

#: Headers that need no mapping, the likeliest first.
USUAL: Mapping[str, tuple[str, ...]] = {
    "animal": ("animal", "animal_id", "mouse", "subject"),
    "session": ("session", "session_id"),
    "trial_id": ("trial_id", "trial_number", "trial_no"),
    "trial": ("trial", "video", "video_file", "media_file_name", "file", "filename"),
    "behavior": ("behavior", "behaviour", "type", "label", "event"),
    "start": ("start", "from", "onset", "begin", "start_time", "from_time"),
    "stop": ("stop", "to", "end", "offset", "stop_time", "end_time"),
    "duration": ("duration",),
    "annotator": ("annotator", "rater", "observer", "experimenter", "scorer", "coder"),
    "frame": ("frame", "frame_number", "frame_id"),
}
UNITS = {"s": "second", "sec": "second", "second": "second", "seconds": "second"} | {
    "frame": "frame",
    "frames": "frame",
}
#: Columns of a table of frames that are no behaviors.
FACTS = frozenset(["time", "index", "unnamed:_0", ""])


@dataclass(frozen=True)
class Table:
    """A table whose columns are known.

    Parameters
    ----------
    columns : mapping of str to int
        Place of each column that has a meaning.
    unit : str or None
        Of start and stop, where the header says.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[Row]
    columns: Mapping[str, int]
    unit: str | None
    unlabelled: Mapping[str, Mapping[str, Sequence[Sequence[int]]]]

    @property
    def is_of_frames(self) -> bool:
        """Whether it has a row for each frame."""
        return "frame" in self.columns and "start" not in self.columns

    def where(self, row: Row) -> str:
        """Name of a row, for messages."""
        return f"{self.path.name}, row {row.number}"

    def cell(self, row: Row, name: str) -> Any:
        """What a row says in a column that has a meaning; None where there is no such column."""
        place = self.columns.get(name)
        return None if place is None or place >= len(row.cells) else row.cells[place]

    def text(self, row: Row, name: str) -> str:
        """The same, as text."""
        cell = self.cell(row, name)
        return "" if is_empty(cell) else str(cell).strip()

    @cached_property
    def behavior_columns(self) -> dict[str, int]:
        """Of a table of frames: place of each behavior."""
        taken = set(self.columns.values())
        return {
            name: place
            for place, name in enumerate(self.header)
            if place not in taken and _split(name)[0] not in FACTS
        }

    def behaviors(self) -> list[str]:
        """Names of behaviors, in the order in which they come."""
        if self.is_of_frames:
            return list(self.behavior_columns)
        return list(
            dict.fromkeys(name for row in self.rows if (name := self.text(row, "behavior")))
        )


def header_of(path: Path, sheet: str | int | None = None) -> list[str]:
    """Headers of a table."""
    return _header(read_rows(path, sheet)[:1], path)


def _header(rows: Sequence[Row], path: Path) -> list[str]:
    if not rows:
        raise FormatError(f"{path}: expected a table with a header, but the file is empty.")
    return ["" if cell is None else str(cell).strip() for cell in rows[0].cells]


def open_table(
    path: Path, columns: Mapping[str, str], sheet: str | int | None, delimiter: str | None
) -> Table:
    """Read a table and find its columns.

    Raises
    ------
    FormatError
        If it cannot be read, or lacks a column.
    ArgumentError
        If ``columns`` names one that it does not have.
    """
    rows = read_rows(path, sheet, delimiter)
    header = _header(rows, path)
    places, unit = _find_columns(header, columns)
    table = Table(path, header, rows[1:], places, unit, _unlabelled(path))
    if table.is_of_frames:
        return table
    lacking = [name for name in ("behavior", "start") if name not in places]
    if "stop" not in places and "duration" not in places:
        lacking.append("stop")
    if lacking:
        raise FormatError(
            f"{path}: expected columns for {', '.join(lacking)}, but the header has {header}. "
            f"Say which they are: columns={{{lacking[0]!r}: ...}}."
        )
    return table


def _find_columns(
    header: Sequence[str], given: Mapping[str, str]
) -> tuple[dict[str, int], str | None]:
    strange = sorted(set(given) - set(USUAL))
    if strange:
        raise ArgumentError(expected("columns", f"keys among {list(USUAL)}", strange))
    absent = sorted(name for name in given.values() if name not in header)
    if absent:
        raise ArgumentError(expected("columns", f"headers among {list(header)}", absent))
    places = {name: header.index(theirs) for name, theirs in given.items()}
    split = [_split(name) for name in header]
    for name, usual in USUAL.items():
        if name in places:
            continue
        found = [
            place
            for word in usual
            for place, (stem, _) in enumerate(split)
            if stem == word and place not in places.values()
        ]
        if found:
            # Where a table has both, frames are exact.
            in_frames = [place for place in found if split[place][1] == "frame"]
            places[name] = (in_frames or found)[0]
    units = {split[places[name]][1] for name in ("start", "stop") if name in places} - {None}
    return places, units.pop() if len(units) == 1 else None


def _split(header: str) -> tuple[str, str | None]:
    """A header's word and its unit: ``Start (s)`` and ``start_frame``."""
    words = re.findall(r"[^\W_]+|:", header.strip().lower())
    unit = UNITS.get(words[-1]) if len(words) > 1 else None
    return "_".join(words[:-1] if unit else words), unit


def _unlabelled(path: Path) -> Mapping[str, Mapping[str, Sequence[Sequence[int]]]]:
    """What the provenance of our own tables says was not looked at."""
    beside = path.with_name(f"{path.name}.provenance.json")
    if path.suffix.lower() in EXCEL:
        try:
            rows = read_rows(path, "provenance")
        except ArgumentError:
            return {}
        record = {row.cells[0]: "".join(str(c) for c in row.cells[1:] if c) for row in rows}
        return dict(json.loads(record.get("unlabelled", "{}")))
    if not beside.is_file():
        return {}
    try:
        return dict(json.loads(beside.read_text("utf-8")).get("unlabelled", {}))
    except (ValueError, AttributeError) as error:
        raise FormatError(f"{beside}: is damaged ({error}). Put it right, or delete it.") from error


class _Trials:
    """Which trial and annotator a row means."""

    def __init__(self, table: Table, gathering: Gathering, annotator: str | None) -> None:
        self.table, self.gathering, self.annotator = table, gathering, annotator
        self._known: dict[tuple[str, ...], StoredTrial | None] = {}
        self._sole = self._values_there_is_one_of()
        if len(self._sole) < len(LEVELS) and not {"trial", *LEVELS} & set(table.columns):
            raise FormatError(
                f"{table.path}: expected a column that tells the trial, but the header has "
                f"{list(table.header)}. Pass columns={{'trial': ...}}, or select one trial."
            )
        if annotator is not None and "annotator" in table.columns:
            gathering.note(f"all rows count as {annotator!r}, whoever the table names")
        if annotator is None and "annotator" not in table.columns:
            raise ArgumentError(
                "annotator: expected who labelled, for no column says so. Pass annotator= or "
                'columns={"annotator": ...}.'
            )

    def trial(self, row: Row) -> StoredTrial | None:
        """The trial that a row means."""
        names = self._names(row)
        where = self.table.where(row)
        found = self._known.get(names)
        if found is None:
            # Asked again, so that every row of an unknown trial is named.
            found = self._known[names] = self.gathering.trial(where, *names)
        return found

    def who(self, row: Row) -> str:
        """Who labelled."""
        return self.annotator or self.table.text(row, "annotator")

    def _names(self, row: Row) -> tuple[str, ...]:
        told = {level: self.table.cell(row, level) for level in LEVELS}
        given = {level: value for level, value in told.items() if not is_empty(value)}
        filled = self._sole | given
        names = [self.table.text(row, "trial")]
        if given and len(filled) == len(LEVELS):
            names.insert(0, key_of(*(filled[level] for level in LEVELS)))
        if not any(names) and not given and len(self._sole) == len(LEVELS):
            names = [key_of(*(self._sole[level] for level in LEVELS))]
        # A table may have no column for trials but an animal's, which names a video.
        return tuple(name for name in (*names, *(str(value) for value in given.values())) if name)

    def _values_there_is_one_of(self) -> dict[str, Any]:
        trials = list(self.gathering.trials.values())
        values = {level: {getattr(trial, level) for trial in trials} for level in LEVELS}
        return {level: next(iter(found)) for level, found in values.items() if len(found) == 1}


class BoutTable:
    """A table with a row for each bout."""

    def __init__(
        self,
        table: Table,
        gathering: Gathering,
        annotator: str | None,
        unit: Literal["frame", "second"] | None,
        first_frame: int,
        inclusive: bool,
    ) -> None:
        self.table, self.gathering = table, gathering
        self.trials = _Trials(table, gathering, annotator)
        self.unit = unit or table.unit
        self.first_frame, self.inclusive = first_frame, inclusive
        if self.unit is None:
            raise ArgumentError(
                f"unit: expected 'second' or 'frame', for the header of {table.path} does not say."
            )

    def take(self, rest: Rest) -> None:
        """Put all bouts into the gathering."""
        spans: dict[tuple[str, str], list[Span]] = defaultdict(list)
        for row in self.table.rows:
            for who, key, span in self._span(row):
                spans[who, key] += [span] if span else []
        for (who, key), of_trial in spans.items():
            of_trial += self._unlabelled(key)
            self.gathering.paint(who, key, of_trial, self.table.path.name, rest)

    def _span(self, row: Row) -> Iterator[tuple[str, str, Span | None]]:
        where = self.table.where(row)
        trial = self.trials.trial(row)
        theirs, who = self.table.text(row, "behavior"), self.trials.who(row)
        if not theirs or not who:
            lacking = "behavior" if not theirs else "annotator"
            self.gathering.problems.append(f"{where}: {lacking}: expected a name, but got nothing.")
            return
        ours = self.gathering.behavior(theirs, where)
        if trial is None:
            return
        if ours is None:
            # The trial was looked at, if for another behavior.
            yield who, trial.key, None
            return
        frames = self._frames(row, trial.fps)
        if isinstance(frames, str):
            self.gathering.problems.append(f"{where}: {frames}")
        else:
            yield who, trial.key, Span(ours, *frames, where)

    def _frames(self, row: Row, fps: float) -> tuple[int, int] | str:
        """Start and stop, half-open; or what is wrong with them."""
        start = to_number(self.table.cell(row, "start"))
        by_duration = "stop" not in self.table.columns
        stop = to_number(self.table.cell(row, "duration" if by_duration else "stop"))
        if by_duration:
            stop += start
        if not (np.isfinite(start) and np.isfinite(stop)):
            lacking = "start" if not np.isfinite(start) else "stop"
            told = self.table.cell(row, lacking)
            return f"{lacking}: expected a number, but got {told!r}"
        if self.unit == "second":
            if start >= stop:
                return f"start {start:g} s is not before stop {stop:g} s"
            first, last = to_frames(start, stop, fps)
            return int(first), int(last)
        if start % 1 or stop % 1:
            return f'frames {start:g} to {stop:g} are no whole numbers. For seconds, unit="second"'
        return int(start) - self.first_frame, int(stop) - self.first_frame + self.inclusive

    def _unlabelled(self, key: str) -> list[Span]:
        return [
            Span(name, int(start), int(stop), f"{self.table.path.name}'s provenance", value=-1)
            for name, stretches in self.table.unlabelled.get(key, {}).items()
            if name in self.gathering.behaviors
            for start, stop in stretches
        ]


class FrameTable:
    """A table with a row for each frame."""

    def __init__(
        self, table: Table, gathering: Gathering, annotator: str | None, first_frame: int
    ) -> None:
        self.table, self.gathering, self.first_frame = table, gathering, first_frame
        self.trials = _Trials(table, gathering, annotator)

    def take(self) -> None:
        """Put all labels into the gathering."""
        columns = {
            place: self.gathering.behaviors.index(ours)
            for name, place in self.table.behavior_columns.items()
            if (ours := self.gathering.behavior(name, f"{self.table.path.name}, header"))
        }
        masks: dict[tuple[str, str], Any] = {}
        for row in self.table.rows:
            trial = self.trials.trial(row)
            if trial is not None:
                shape = (trial.n_frames, len(self.gathering.behaviors))
                mask = masks.setdefault((self.trials.who(row), trial.key), np.full(shape, -1))
                problem = self._put(row, mask, columns)
                if problem:
                    self.gathering.problems.append(f"{self.table.where(row)}: {problem}")
        for (who, key), mask in masks.items():
            self.gathering.label(who, key, mask.astype(np.int8), self.table.path.name)

    def _put(self, row: Row, mask: Any, columns: Mapping[int, int]) -> str:
        frame = to_number(self.table.cell(row, "frame")) - self.first_frame
        if not 0 <= frame < len(mask) or frame % 1:
            return f"frame {self.table.cell(row, 'frame')!r}: the trial has {len(mask)} frames"
        for place, column in columns.items():
            cell = row.cells[place] if place < len(row.cells) else None
            value = to_number(cell)
            if np.isnan(value) and (is_empty(cell) or str(cell).strip().lower() in ("na", "nan")):
                value = -1
            if value not in (-1, 0, 1):
                return f"{self.table.header[place]}: expected 1, 0, -1 or nothing, but got {cell!r}"
            mask[int(frame), column] = value
        return ""
