"""Projects of BORIS: JSON, compressed or not."""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from soupxr.errors import FormatError
from soupxr.io.boris.observation import Event, Kind, Media, Moment, Observation, words_of
from soupxr.io.sheet import read_bytes

__all__ = ["ethogram_of", "is_project", "observations_of"]

GZIP = b"\x1f\x8b"
#: What a compressed project may unpack to: a million events. Zeros are packed a thousand to one.
MOST_BYTES = 64 << 20


def is_project(path: Path) -> bool:
    """Whether a file is a project, by its name or what it begins with."""
    if path.name.lower().endswith((".boris", ".boris.gz")):
        return True
    head = read_bytes(path)[:64]
    return head.startswith(GZIP) or head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{")


def ethogram_of(path: Path) -> list[str]:
    """Codes of the behaviors of a project's ethogram."""
    return list(_kinds(_load(path), path))


def observations_of(path: Path) -> list[Observation]:
    """All observations of a project.

    Raises
    ------
    FormatError
        If it is no project, or damaged.
    """
    project = _load(path)
    kinds, left = _kinds(project, path), list(_left(project))
    observations = project.get("observations")
    if not isinstance(observations, dict):
        raise FormatError(f"{path}: expected observations, as BORIS keeps them, but found none.")
    return [
        _observation(str(name), content, kinds, path, left)
        for name, content in observations.items()
        if isinstance(content, dict)
    ]


def _load(path: Path) -> dict[str, Any]:
    data = read_bytes(path)
    try:
        if data.startswith(GZIP):
            data = _unpacked(data, path)
        project = json.loads(data.decode("utf-8-sig"))
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise FormatError(
            f"{path}: this is not a project of BORIS, or it is damaged ({error}). "
            "Open it in BORIS and save it anew."
        ) from error
    if not isinstance(project, dict) or "behaviors_conf" not in project:
        raise FormatError(f"{path}: expected a project of BORIS, but it has no behaviors_conf.")
    return project


def _unpacked(data: bytes, path: Path) -> bytes:
    with gzip.open(io.BytesIO(data)) as file:
        unpacked = file.read(MOST_BYTES + 1)
    if len(unpacked) > MOST_BYTES:
        raise FormatError(
            f"{path}: expected a project of up to {MOST_BYTES >> 20} MiB, but it unpacks to more. "
            "If it is one, unpack it before."
        )
    return unpacked


def _dict(value: object) -> Mapping[str, Any]:
    """A part of a project that has names; nothing where it is damaged or not there."""
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _kinds(project: Mapping[str, Any], path: Path) -> dict[str, Kind]:
    """Code of each behavior, and whether it is a state or a point."""
    entries = project["behaviors_conf"]
    if not isinstance(entries, dict):
        raise FormatError(f"{path}: expected behaviors_conf to hold behaviors; it is damaged.")
    return {
        str(entry.get("code")): "STATE" if "state" in str(entry.get("type")).lower() else "POINT"
        for entry in entries.values()
        if isinstance(entry, dict)
    }


def _left(project: Mapping[str, Any]) -> Iterator[str]:
    """What a project says beside its observations; the record of one of ours is no loss."""
    description = _text(project.get("project_description"))
    if description and not _is_record(description):
        yield "the project's description"
    entries = _dict(project["behaviors_conf"]).values()
    if any(_text(_dict(entry).get("category")) for entry in entries):
        yield "behavioral categories"


def _is_record(text: str) -> bool:
    try:
        return "soupxr" in _dict(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _observation(
    name: str,
    content: Mapping[str, Any],
    kinds: Mapping[str, Kind],
    path: Path,
    left: Sequence[str],
) -> Observation:
    where = f"{path.name}, observation {name!r}"
    is_of_pictures = str(content.get("type")).upper().endswith("IMAGES")
    problems: list[str] = []
    players = _pictures(content) if is_of_pictures else _players(content)
    offset = _seconds(content.get("time offset")) or 0.0
    if content.get("media_creation_date_as_offset"):
        created = _dict(_dict(content.get("media_info")).get("media_creation_time"))
        if len(created) == 1:
            offset += _seconds(next(iter(created.values()))) or 0.0
        else:
            problems.append(
                f"{where}: its times count from the creation of several files. "
                "Switch that off in BORIS, or export each file's observation."
            )
    return Observation(
        name,
        where,
        players,
        list(_events(content, kinds, where, offset, is_of_pictures, problems)),
        _interval(content),
        {str(k): str(v) for k, v in _dict(content.get("independent_variables")).items()},
        problems,
        list(kinds),
        _text(content.get("description")),
        left,
    )


def _players(content: Mapping[str, Any]) -> list[list[Media]]:
    files = content.get("file")
    if not isinstance(files, dict):
        return []
    info = _dict(content.get("media_info"))
    lengths, offsets = _dict(info.get("length")), _dict(info.get("offset"))
    players = []
    for number in sorted(files, key=lambda key: (len(str(key)), str(key))):
        is_first = str(number) == "1"
        # The first player's clock is the observation's; others are moved against it.
        begin: float | None = 0.0 if is_first else _seconds(offsets.get(number)) or 0.0
        shown = []
        for file in map(str, _list(files[number])):
            length = _seconds(lengths.get(file))
            if begin is None:
                break  # nothing is known of where this file begins
            shown.append(Media(file, begin, length, is_indexed=is_first))
            begin = None if length is None else begin + length
        if shown:
            players.append(shown)
    return players


def _pictures(content: Mapping[str, Any]) -> list[list[Media]]:
    return [[Media(str(folder)) for folder in _list(content.get("directories_list"))][:1]]


def _interval(content: Mapping[str, Any]) -> tuple[float, float] | None:
    given = content.get("observation time interval")
    if not isinstance(given, list) or len(given) != 2 or not any(given):
        return None
    start, stop = (_seconds(value) or 0.0 for value in given)
    return start, stop if stop > 0 else math.inf


def _events(
    content: Mapping[str, Any],
    kinds: Mapping[str, Kind],
    where: str,
    offset: float,
    is_of_pictures: bool,
    problems: list[str],
) -> Iterator[Event]:
    for number, row in enumerate(_list(content.get("events")), start=1):
        place = f"{where}, event {number}"
        if not isinstance(row, list) or len(row) < 4:
            problems.append(f"{place}: expected time, subject, code and modifier, but got {row!r}.")
            continue
        time, subject, code, modifiers = row[0], *map(str, row[1:4])
        seconds = _seconds(time)
        index = row[5] if len(row) > 5 else None
        picture = None if isinstance(index, str) else _seconds(index)
        frame = None if picture is None else int(picture)
        if is_of_pictures and frame is not None:
            frame -= 1
        if seconds is None and frame is None:
            problems.append(f"{place}: expected a time, but got {time!r}.")
            continue
        moment = Moment(math.nan if seconds is None else seconds - offset, frame)
        comment = _text(row[4]) if len(row) > 4 else ""
        kind = kinds.get(code, "STATE")
        yield Event(moment, subject, code, modifiers, kind, place, comment=comment)


def _text(value: object) -> str:
    return words_of(value) if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None
