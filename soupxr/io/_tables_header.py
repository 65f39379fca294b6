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
from soupxr.io.sheet import EXCEL, Row, is_empty, read_rows, to_number
from soupxr.schema import is_whole

__all__ = ["Table", "header_of", "open_table", "record_beside"]

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
#: How our own tables of frames begin; behaviors follow.
OWN_FRAMES = ["animal", "session", "trial_id", "frame", "time_s"]
#: Columns of a table of frames that are no behaviors.
FACTS = frozenset(["time", "index", "unnamed:_0", ""])
#: What only a row of a bout tells; in a table of frames, a behavior may be called so.
OF_BOUTS = frozenset(["behavior", "start", "stop", "duration"])


@dataclass(frozen=True)
class Table:
    """A table whose columns are known.

    Parameters
    ----------
    columns : mapping of str to int
        Place of each column that has a meaning.
    unit : str or None
        Of start and stop, where the header says.
    record : mapping
        Provenance of our own tables.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[Row]
    columns: Mapping[str, int]
    unit: str | None
    record: Mapping[str, Any]

    @property
    def is_of_frames(self) -> bool:
        """Whether it has a row for each frame."""
        return "frame" in self.columns

    @property
    def unlabelled(self) -> Mapping[str, Mapping[str, Sequence[Sequence[int]]]]:
        """Stretches of each trial and behavior that were not looked at, as the record says."""
        return dict(self.record.get("unlabelled", {}))

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
        is_own = self.record.get("form") == "frames"
        first = len(OWN_FRAMES) if is_own else 0
        return {
            name: place
            for place, name in enumerate(self.header)
            if place not in taken and place >= first and (is_own or _split(name)[0] not in FACTS)
        }

    def unused(self) -> list[str]:
        """Columns that say something of which labels have no use.

        One that says again what another says, in another unit, is none of them.
        """
        used = set(self.columns.values())
        known = {_split(self.header[place])[0] for place in used}
        known.add("time" if self.is_of_frames else "duration")
        if self.is_of_frames:
            used |= set(self.behavior_columns.values())
        return [
            f"column {name!r}" if name else f"column {place + 1}, which has no header"
            for place, name in enumerate(self.header)
            if place not in used
            and _split(name)[0] not in known
            and any(place < len(row.cells) and not is_empty(row.cells[place]) for row in self.rows)
        ]

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
    path: Path,
    columns: Mapping[str, str],
    sheet: str | int | None,
    delimiter: str | None,
    unit: str | None = None,
) -> Table:
    """Read a table and find its columns.

    Raises
    ------
    FormatError
        If it cannot be read, or lacks a column.
    ArgumentError
        If ``columns`` names one that it does not have, or ``unit`` is not what the header says.
    """
    rows = read_rows(path, sheet, delimiter)
    header = _header(rows, path)
    record = record_beside(path)
    if record.get("form") == "frames" and header[: len(OWN_FRAMES)] == OWN_FRAMES:
        places = {name: place for place, name in enumerate(OWN_FRAMES[:4])}
    else:
        record = {name: value for name, value in record.items() if name != "form"}
        places = _find_columns(header, columns, unit)
        if "trial" not in columns and _are_numbers_of_trials(rows[1:], places):
            places["trial_id"] = places.pop("trial")
    table = Table(path, header, rows[1:], places, _unit(header, places, columns, unit), record)
    _check_table(table)
    return table


def _are_numbers_of_trials(rows: Sequence[Row], places: Mapping[str, int]) -> bool:
    """Whether a column that is called trial holds numbers beside the animal and the session."""
    if not {"animal", "session", "trial"} <= set(places) or "trial_id" in places:
        return False
    place = places["trial"]
    cells = [row.cells[place] for row in rows if place < len(row.cells)]
    return all(to_number(cell).is_integer() for cell in cells if not is_empty(cell))


def _check_table(table: Table) -> None:
    header, places = table.header, table.columns
    lacking = [name for name in ("behavior", "start") if name not in places]
    if "stop" not in places and "duration" not in places:
        lacking.append("stop")
    if lacking and not table.is_of_frames:
        raise FormatError(
            f"{table.path}: expected columns for {', '.join(lacking)}, but the header has "
            f"{list(header)}. Say which they are: columns={{{lacking[0]!r}: ...}}."
        )
    double = _doubled(table)
    if double:
        raise FormatError(f"{table.path}: the column {double!r} is there twice. Leave one out.")
    for row in table.rows:
        beyond = [cell for cell in row.cells[len(header) :] if not is_empty(cell)]
        if beyond:
            raise FormatError(
                f"{table.where(row)}: expected {len(header)} cells, as in the header, but "
                f"{beyond[0]!r} stands beyond them. Is the comma a decimal point there, too?"
            )


def _doubled(table: Table) -> str | None:
    """A header that means something and is there twice."""
    first = len(OWN_FRAMES) if "form" in table.record else 0
    told = {table.header[place] for place in table.columns.values() if place >= first}
    if table.is_of_frames:
        told |= set(table.behavior_columns)
    return next((name for name in told if table.header[first:].count(name) > 1), None)


def _find_columns(
    header: Sequence[str], given: Mapping[str, str], unit: str | None
) -> dict[str, int]:
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
            wanted = [place for place in found if split[place][1] == (unit or "frame")]
            places[name] = (wanted or found)[0]
    if "frame" not in places:
        return places
    is_of_bouts = {"behavior", "start"} <= set(places) and bool({"stop", "duration"} & set(places))
    out = {"frame"} if is_of_bouts else OF_BOUTS - set(given)
    return {name: place for name, place in places.items() if name not in out}


def _unit(
    header: Sequence[str], places: Mapping[str, int], given: Mapping[str, str], unit: str | None
) -> str | None:
    """Unit of start and stop, as the header says; None where it does not, or says two."""
    ends = ("start", "stop" if "stop" in places else "duration")
    told = {name: _split(header[places[name]])[1] for name in ends if name in places}
    against = [
        header[places[n]] for n, u in told.items() if n not in given and u not in (None, unit)
    ]
    if unit is not None and against:
        remedy = "If the header is wrong, say which columns are meant: columns={'start': ...}."
        raise ArgumentError(expected("unit", f"that of the column {against[0]!r}", unit, remedy))
    units = set(told.values()) - {None}
    return units.pop() if len(units) == 1 else None


def _split(header: str) -> tuple[str, str | None]:
    """A header's word and its unit: ``Start (s)`` and ``start_frame``."""
    words = re.findall(r"[^\W_]+|:", header.strip().lower())
    unit = UNITS.get(words[-1]) if len(words) > 1 else None
    return "_".join(words[:-1] if unit else words), unit


def record_beside(path: Path) -> Mapping[str, Any]:
    """The provenance of our own tables; nothing of others."""
    beside = path.with_name(f"{path.name}.provenance.json")
    is_excel = path.suffix.lower() in EXCEL
    try:
        if is_excel:
            rows = read_rows(path, "provenance")
            told = {row.cells[0]: "".join(str(c) for c in row.cells[1:] if c) for row in rows}
            return _checked(
                {
                    name: text if name == "form" else json.loads(text)
                    for name, text in told.items()
                    if name in ("form", "trials", "unlabelled")
                }
            )
        return _checked(json.loads(beside.read_text("utf-8"))) if beside.is_file() else {}
    except ArgumentError:
        return {}  # no such sheet
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        place = f"{path}, sheet provenance" if is_excel else beside
        raise FormatError(f"{place}: is damaged ({error}). Put it right, or delete it.") from error


def _checked(record: Any) -> Mapping[str, Any]:
    """A record, if it is one.

    Raises
    ------
    ValueError, TypeError, AttributeError
        If not.
    """
    if not all(isinstance(key, str) for key in record.get("trials", [])):
        raise TypeError("trials: expected keys of trials")
    for of_trial in record.get("unlabelled", {}).values():
        for stretches in of_trial.values():
            for start, stop in stretches:
                if not (is_whole(start) and is_whole(stop)):
                    raise TypeError(f"unlabelled: expected frames, but got {start!r}, {stop!r}")
    return dict(record)
