"""Tables of bouts and frames, from cells to spans and masks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from soupxr.annotation.arrays import key_of
from soupxr.annotation.bout_table import to_frames
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, FormatError
from soupxr.io._tables_header import Table
from soupxr.io.gather import Gathering
from soupxr.io.sheet import Row, is_empty, to_number, to_whole
from soupxr.io.spans import Rest, Span
from soupxr.store import StoredTrial

__all__ = ["BoutTable", "FrameTable"]


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
        if "trial_id" in given:
            given["trial_id"] = to_whole(given["trial_id"])
        filled = self._sole | given
        names = [self.table.text(row, "trial")]
        if given and len(filled) == len(LEVELS):
            names.insert(0, key_of(*(filled[level] for level in LEVELS)))
        if not any(names) and not given and len(self._sole) == len(LEVELS):
            names = [key_of(*(self._sole[level] for level in LEVELS))]
        if len(given) == 1:
            # A table may have no column for trials but an animal's, which names a video.
            names += map(str, given.values())
        return tuple(name for name in names if name)

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
        if self.unit == "second" and (first_frame or inclusive):
            told = "first_frame" if first_frame else "inclusive"
            raise ArgumentError(f"{told}: is of frames, but the table is in seconds. Leave it out.")
        if inclusive and "stop" not in table.columns:
            raise ArgumentError("inclusive: is of stop, but the table has durations. Leave it out.")

    def take(self, rest: Rest) -> None:
        """Put all bouts into the gathering."""
        spans: dict[tuple[str, str], list[Span]] = defaultdict(list)
        for row in self.table.rows:
            for who, key, span in self._span(row):
                spans[who, key] += [span] if span else []
        for (who, key), of_trial in spans.items():
            unlabelled = self._unlabelled(key)
            if unlabelled:
                self.gathering.note(
                    f"{key}: {sum(span.stop - span.start for span in unlabelled)} frames of "
                    f"{len({span.behavior for span in unlabelled})} behavior(s) are unlabelled, as "
                    f"the provenance of {self.table.path.name} says"
                )
            of_trial += unlabelled
            name, untold = self.table.path.name, self.gathering.untold(None)
            self.gathering.paint(who, key, of_trial, name, rest, untold=untold)
        for key in sorted(set(self.table.record.get("trials", ())) & set(self.gathering.trials)):
            if key not in {taken for _, taken in spans}:
                self.gathering.leave(
                    f"{key}: was exported, too, but has no bout in the table, which so does not "
                    "say whose labels it has; a table of frames does"
                )

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
            end = "duration" if by_duration else "stop"
            lacking = "start" if not np.isfinite(start) else end
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
        told: dict[tuple[str, str], Any] = {}
        for row in self.table.rows:
            trial = self.trials.trial(row)
            if trial is not None:
                whose = self.trials.who(row), trial.key
                if whose not in masks:
                    masks[whose] = np.full((trial.n_frames, len(self.gathering.behaviors)), -1)
                    told[whose] = np.zeros(trial.n_frames, dtype=bool)
                problem = self._put(row, masks[whose], told[whose], columns)
                if problem:
                    self.gathering.problems.append(f"{self.table.where(row)}: {problem}")
        for (who, key), mask in masks.items():
            lacking = int((~told[who, key]).sum())
            if lacking:
                self.gathering.note(
                    f"{key}: {lacking} of its {len(mask)} frames are not in the table, and are "
                    "unlabelled"
                )
            self.gathering.label(who, key, mask.astype(np.int8), self.table.path.name)

    def _put(self, row: Row, mask: Any, told: Any, columns: Mapping[int, int]) -> str:
        frame = to_number(self.table.cell(row, "frame")) - self.first_frame
        if not 0 <= frame < len(mask) or frame % 1:
            return f"frame {self.table.cell(row, 'frame')!r}: the trial has {len(mask)} frames"
        if told[int(frame)]:
            return f"frame {self.table.cell(row, 'frame')!r}: is there twice"
        told[int(frame)] = True
        for place, column in columns.items():
            cell = row.cells[place] if place < len(row.cells) else None
            value = to_number(cell)
            if np.isnan(value) and (is_empty(cell) or str(cell).strip().lower() in ("na", "nan")):
                value = -1
            if value not in (-1, 0, 1):
                return f"{self.table.header[place]}: expected 1, 0, -1 or nothing, but got {cell!r}"
            mask[int(frame), column] = value
        return ""
