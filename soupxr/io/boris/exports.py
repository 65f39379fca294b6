"""Tabular and aggregated exports of BORIS, of this year's versions and of old ones."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from soupxr.errors import FormatError
from soupxr.io.boris.observation import Event, Kind, Media, Moment, Observation, words_of
from soupxr.io.sheet import Row, is_empty, read_rows, to_number

__all__ = ["observations_of"]

#: What versions have called their columns, in small letters.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "observation": ("observation id",),
    "media": ("media file name", "media file path", "media file"),
    "source": ("source", "media file(s)"),
    "lengths": ("media duration (s)",),
    "total": ("total length",),
    "offset": ("time offset (s)",),
    "subject": ("subject",),
    "behavior": ("behavior", "behaviour"),
    "kind": ("behavior type", "behaviour type", "status", "event type"),
    "time": ("time", "time (s)"),
    "start": ("start (s)", "start"),
    "stop": ("stop (s)", "stop"),
    "index": ("image index", "frame index"),
    "index_start": ("image index start", "frame index start"),
    "index_stop": ("image index stop", "frame index stop"),
}
#: Of what BORIS writes, the headers that say nothing that an observer told.
FACTS = frozenset(
    [word for known in HEADERS.values() for word in known]
    + ["observation date", "observation duration", "observation type", "coding duration"]
    + ["observation duration by subject by observation", "fps", "fps (frame/s)", "duration (s)"]
    + ["image file path", "image file path start", "image file path stop", "variable"]
)
#: What observers wrote, and their headers.
COMMENTS = ("comment", "comment start", "comment stop")
DESCRIPTION = "description"
MODIFIERS = "modif"
CATEGORIES = ("behavioral category", "behavioural category")
#: A header is looked for in so many rows: old versions tell of the observation before it.
ROWS_BEFORE = 60
NOTHING = frozenset(["na", "nan", "none", ""])


@dataclass(frozen=True)
class _Table:
    """Rows below their header."""

    path: Path
    columns: Mapping[str, int]
    header: Sequence[str]
    rows: Sequence[Row]
    before: Mapping[str, str]

    @cached_property
    def places(self) -> Mapping[str, Sequence[int]]:
        """Columns of each header, in small letters."""
        found: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(self.header):
            found[name.lower()].append(place)
        return found

    @property
    def is_aggregated(self) -> bool:
        return "start" in self.columns

    def text(self, row: Row, name: str) -> str:
        place = self.columns.get(name)
        cell = row.cells[place] if place is not None and place < len(row.cells) else None
        return "" if is_empty(cell) else str(cell).strip()

    def number(self, row: Row, name: str) -> float:
        number = to_number(self.text(row, name))
        return number if math.isfinite(number) else math.nan

    def told(self, row: Row, *headers: str) -> str:
        """The first thing that is told under some headers, given in small letters."""
        for place in (place for word in headers for place in self.places.get(word, ())):
            cell = row.cells[place] if place < len(row.cells) else None
            if text := words_of(str(cell)):
                return text
        return ""

    def where(self, row: Row) -> str:
        return f"{self.path.name}, row {row.number}"


def observations_of(path: Path) -> list[Observation]:
    """All observations of an exported table.

    Raises
    ------
    FormatError
        If it is none of BORIS's.
    """
    table = _open(path)
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in table.rows:
        name = table.text(row, "observation") or table.before.get("observation id") or path.stem
        by_name[name].append(row)
    return [_observation(table, name, rows) for name, rows in by_name.items()]


def _open(path: Path) -> _Table:
    rows = read_rows(path)
    before: dict[str, str] = {}
    for place, row in enumerate(rows[:ROWS_BEFORE]):
        words = [str(cell).strip().lower() if cell is not None else "" for cell in row.cells]
        columns = {
            name: next(words.index(word) for word in known if word in words)
            for name, known in HEADERS.items()
            if any(word in words for word in known)
        }
        if "behavior" in columns and ("time" in columns or {"start", "stop"} <= set(columns)):
            header = [str(cell).strip() if cell is not None else "" for cell in row.cells]
            return _Table(path, columns, header, rows[place + 1 :], before)
        told = [str(cell).strip() for cell in row.cells if not is_empty(cell)]
        if len(told) > 1:
            before[told[0].rstrip(":").lower()] = told[1]
    raise FormatError(
        f"{path}: expected events as BORIS exports them, with the columns Behavior and Time, or "
        "Behavior, Start (s) and Stop (s), but found no such header. Export them as tabular or "
        "aggregated events, or read other tables with soupxr.io.tables."
    )


def _observation(table: _Table, name: str, rows: Sequence[Row]) -> Observation:
    problems: list[str] = []
    first = rows[0]
    events = (
        _bouts(table, rows, problems) if table.is_aggregated else _events(table, rows, problems)
    )
    return Observation(
        name,
        f"{table.path.name}, observation {name!r}",
        _players(table, rows, problems),
        list(events),
        None,
        dict(_variables(table, rows)),
        problems,
        description=table.told(first, DESCRIPTION) or table.before.get(DESCRIPTION, ""),
        left=["behavioral categories"] * any(table.told(row, *CATEGORIES) for row in rows),
    )


def _variables(table: _Table, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Independent variables: old versions tell them above the header, others in columns."""
    own = {*FACTS, *COMMENTS, *CATEGORIES, DESCRIPTION}
    yield from (
        (name, told)
        for name, told in table.before.items()
        if name not in own and not name.startswith("player")
    )
    for name in dict.fromkeys(table.header):
        if name and name.lower() not in own and not name.lower().startswith(MODIFIERS):
            told = next((told for row in rows if (told := table.told(row, name.lower()))), "")
            if told:
                yield name, told


def _players(table: _Table, rows: Sequence[Row], problems: list[str]) -> list[list[Media]]:
    """What each player showed: ``player #1:a.mp4;b.mp4|player #2:c.mp4``, or only the file names.

    Offsets of players are not exported; those of the first are what times count from.
    """
    source = table.text(rows[0], "source")
    told = [part for part in re.split(r"\|?\s*player #\d+:", source) if part.strip(" |")]
    if not told:
        names = [name for name in dict.fromkeys(_file(table, row) for row in rows) if name]
        if len(names) > 1:
            problems.append(
                f"{table.where(rows[0])}: the observation has several media files ({names[0]}, "
                f"{names[1]}, …), and the table does not tell how long they are. Read the project."
            )
        return [[Media(name)] for name in names[:1]]
    lengths = table.text(rows[0], "lengths").split("|")
    players = []
    for number, part in enumerate(told):
        files = [file for file in part.strip(" |").split(";") if file.strip()]
        durations = lengths[number].split(";") if number < len(lengths) else []
        begin: float | None = 0.0
        shown = []
        for place, file in enumerate(files):
            length = to_number(durations[place]) if place < len(durations) else float("nan")
            if begin is None:
                break
            known = None if length != length else length
            shown.append(Media(file.strip(), begin, known, is_indexed=number == 0))
            begin = None if known is None else begin + known
        players.append(shown)
    return players


def _file(table: _Table, row: Row) -> str:
    name = table.text(row, "media")
    return "" if name.lower() in NOTHING or name == "Not found" else name


def _events(table: _Table, rows: Sequence[Row], problems: list[str]) -> Iterator[Event]:
    for row in rows:
        moment = _moment(table, row, "time", "index")
        if moment is None:
            told = table.text(row, "time")
            problems.append(f"{table.where(row)}: Time: expected seconds, but got {told!r}.")
            continue
        said = table.text(row, "kind").upper()
        kind: Kind = "STATE"
        if "START" in said:
            kind = "START"
        elif "STOP" in said:
            kind = "STOP"
        elif "POINT" in said:
            kind = "POINT"
        yield _event(table, row, moment, kind)


def _bouts(table: _Table, rows: Sequence[Row], problems: list[str]) -> Iterator[Event]:
    """The bout or the point event of each aggregated row."""
    for row in rows:
        start = _moment(table, row, "start", "index_start")
        if start is None:
            told = table.text(row, "start")
            problems.append(f"{table.where(row)}: Start: expected seconds, but got {told!r}.")
            continue
        if "POINT" in table.text(row, "kind").upper():
            yield _event(table, row, start, "POINT")
            continue
        yield _event(table, row, start, "BOUT", _moment(table, row, "stop", "index_stop"))


def _moment(table: _Table, row: Row, time: str, index: str) -> Moment | None:
    seconds, frame = table.number(row, time), table.number(row, index)
    if seconds != seconds and frame != frame:
        return None
    offset = table.number(row, "offset")
    known = None if frame != frame else int(frame)
    if known is not None and "pictures" in _kind_of_observation(table, row):
        known -= 1
    return Moment(seconds - (0.0 if offset != offset else offset), known)


def _kind_of_observation(table: _Table, row: Row) -> str:
    """What was observed: a media file, or pictures."""
    told = [str(cell).lower() for cell in row.cells[:8] if not is_empty(cell)]
    return "pictures" if {"from pictures", "from directories of images"} & set(told) else ""


def _event(
    table: _Table, row: Row, moment: Moment, kind: Kind, stop: Moment | None = None
) -> Event:
    subject = table.text(row, "subject")
    names = [place for place, name in enumerate(table.header) if name.lower().startswith(MODIFIERS)]
    modifiers = "|".join(
        str(row.cells[place]).strip()
        for place in names
        if place < len(row.cells) and not is_empty(row.cells[place])
    )
    return Event(
        moment,
        "" if subject.lower() == "no focal subject" else subject,
        table.text(row, "behavior"),
        modifiers,
        kind,
        table.where(row),
        stop,
        table.told(row, *COMMENTS),
    )
