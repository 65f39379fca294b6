"""Which column of a table is what."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from soupxr.errors import ArgumentError, FormatError, expected
from soupxr.io.sheet import EXCEL, Row, is_empty, read_rows

__all__ = ["Table", "header_of", "open_table"]

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
