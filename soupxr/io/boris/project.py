"""Projects of BORIS: JSON, compressed or not."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from soupxr.errors import FormatError
from soupxr.io.boris.observation import Event, Kind, Media, Moment, Observation
from soupxr.io.sheet import read_bytes

__all__ = ["ethogram_of", "is_project", "observations_of"]

GZIP = b"\x1f\x8b"


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
    kinds = _kinds(project, path)
    observations = project.get("observations")
    if not isinstance(observations, dict):
        raise FormatError(f"{path}: expected observations, as BORIS keeps them, but found none.")
    return [
        _observation(str(name), content, kinds, path)
        for name, content in observations.items()
        if isinstance(content, dict)
    ]


def _load(path: Path) -> dict[str, Any]:
    data = read_bytes(path)
    try:
        if data.startswith(GZIP):
            data = gzip.decompress(data)
        project = json.loads(data.decode("utf-8-sig"))
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise FormatError(
            f"{path}: this is not a project of BORIS, or it is damaged ({error}). "
            "Open it in BORIS and save it anew."
        ) from error
    if not isinstance(project, dict) or "behaviors_conf" not in project:
        raise FormatError(f"{path}: expected a project of BORIS, but it has no behaviors_conf.")
    return project


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


def _observation(
    name: str, content: Mapping[str, Any], kinds: Mapping[str, Kind], path: Path
) -> Observation:
    where = f"{path.name}, observation {name!r}"
    is_of_pictures = str(content.get("type")).upper().endswith("IMAGES")
    problems: list[str] = []
    players = _pictures(content) if is_of_pictures else _players(content)
    offset = _seconds(content.get("time offset")) or 0.0
    if content.get("media_creation_date_as_offset"):
        created = (content.get("media_info") or {}).get("media_creation_time") or {}
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
        {str(k): str(v) for k, v in (content.get("independent_variables") or {}).items()},
        problems,
        list(kinds),
    )


def _players(content: Mapping[str, Any]) -> list[list[Media]]:
    files = content.get("file")
    if not isinstance(files, dict):
        return []
    info = content.get("media_info") or {}
    lengths, offsets = info.get("length") or {}, info.get("offset") or {}
    players = []
    for number in sorted(files, key=lambda key: (len(str(key)), str(key))):
        is_first = str(number) == "1"
        # The first player's clock is the observation's; others are moved against it.
        begin: float | None = 0.0 if is_first else _seconds(offsets.get(number)) or 0.0
        shown = []
        for file in files[number] or []:
            length = _seconds(lengths.get(file))
            if begin is None:
                break  # nothing is known of where this file begins
            shown.append(Media(str(file), begin, length, is_indexed=is_first))
            begin = None if length is None else begin + length
        if shown:
            players.append(shown)
    return players


def _pictures(content: Mapping[str, Any]) -> list[list[Media]]:
    return [[Media(str(folder)) for folder in content.get("directories_list") or []][:1]]


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
    for number, row in enumerate(content.get("events") or [], start=1):
        place = f"{where}, event {number}"
        if not isinstance(row, list) or len(row) < 4:
            problems.append(f"{place}: expected time, subject, code and modifier, but got {row!r}.")
            continue
        time, subject, code, modifiers = row[0], *map(str, row[1:4])
        seconds = _seconds(time)
        index = row[5] if len(row) > 5 else None
        frame = int(index) if isinstance(index, (int, float)) and index == index else None
        if is_of_pictures and frame is not None:
            frame -= 1
        if seconds is None and frame is None:
            problems.append(f"{place}: expected a time, but got {time!r}.")
            continue
        moment = Moment(math.nan if seconds is None else seconds - offset, frame)
        yield Event(moment, subject, code, modifiers, kinds.get(code, "STATE"), place)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
