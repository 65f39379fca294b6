"""An observation of BORIS, wherever it was read from. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "NO_FOCAL_SUBJECT",
    "Bout",
    "Event",
    "Media",
    "Moment",
    "Observation",
    "pair",
    "words_of",
]

NO_FOCAL_SUBJECT = "No focal subject"
#: What BORIS writes where nobody told anything.
UNTOLD = frozenset(["", "NA", "nan", "None", "Not defined"])

Kind = Literal["START", "STOP", "POINT", "STATE", "BOUT"]


def words_of(text: str) -> str:
    """What somebody told, without what BORIS writes where nobody did."""
    text = text.strip()
    return "" if text in UNTOLD else text


@dataclass(frozen=True)
class Media:
    """One file that was watched.

    Parameters
    ----------
    path : str
        As BORIS has it.
    begin : float
        When it begins, in seconds of the observation.
    length : float or None
        Seconds, where they are known.
    is_indexed : bool
        Whether image indices count its frames: those of the first player do.
    """

    path: str
    begin: float = 0.0
    length: float | None = None
    is_indexed: bool = True


@dataclass(frozen=True)
class Moment:
    """When something happened.

    Parameters
    ----------
    time : float
        Seconds of the observation, without its offset; NaN where only the picture is known.
    frame : int or None
        Of the file that was shown, from 0.
    """

    time: float
    frame: int | None = None


@dataclass(frozen=True)
class Event:
    """One line of an observation.

    Parameters
    ----------
    kind : {"START", "STOP", "POINT", "STATE", "BOUT"}
        ``"STATE"``: a START or a STOP, whichever is due. ``"BOUT"``: both, where they stand in
        one line.
    where : str
        File and row, for messages.
    stop : Moment or None
        Of a ``"BOUT"``; None where nothing ended it.
    comment : str
        What the observer wrote beside it.
    """

    moment: Moment
    subject: str
    behavior: str
    modifiers: str
    kind: Kind
    where: str
    stop: Moment | None = None
    comment: str = ""


@dataclass(frozen=True)
class Observation:
    """One observation.

    Parameters
    ----------
    players : sequence of sequences of Media
        What each player showed, one file after the other.
    interval : (float, float) or None
        Seconds that were observed, where it was not everything.
    variables : mapping of str to str
        Independent variables.
    ethogram : sequence of str or None
        Behaviors that could be scored; None where that is not told.
    description : str
        What the observer wrote of all of it.
    left : sequence of str
        What else is there of which labels have no use.
    """

    name: str
    where: str
    players: Sequence[Sequence[Media]]
    events: Sequence[Event]
    interval: tuple[float, float] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()
    ethogram: Sequence[str] | None = None
    description: str = ""
    left: Sequence[str] = ()


@dataclass(frozen=True)
class Bout:
    """A behavior from one moment to another; ``stop`` is None where nothing ended it."""

    behavior: str
    modifiers: str
    start: Moment
    stop: Moment | None
    where: str
    is_point: bool = False


def pair(events: Sequence[Event]) -> tuple[list[Bout], list[str]]:
    """Bouts of events: a START and the next STOP of the same subject, behavior and modifiers.

    Returns
    -------
    bouts : list of Bout
        A START without STOP is one without end.
    problems : list of str
        What cannot be paired at all.
    """
    bouts: list[Bout] = []
    problems: list[str] = []
    alike: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in events:
        alike[event.subject, event.behavior, event.modifiers].append(event)
    for same in alike.values():
        begun: Event | None = None
        for event in _in_time(same):
            if event.kind == "POINT":
                bouts.append(_bout(event, event.moment, is_point=True))
            elif event.kind == "BOUT":
                bouts.append(_bout(event, event.stop))
            elif event.kind == "START" or (event.kind == "STATE" and begun is None):
                if begun is not None:
                    bouts.append(_bout(begun, None))
                begun = event
            elif begun is None:
                problems.append(f"{_told(event)} has no START before it. Add one in BORIS.")
            else:
                bouts.append(_bout(begun, event.moment))
                begun = None
        if begun is not None:
            bouts.append(_bout(begun, None))
    return bouts, problems


def _in_time(events: Sequence[Event]) -> Iterator[Event]:
    """Events by time; where only pictures are known, by those."""

    def when(event: Event) -> tuple[float, int]:
        frame = -1 if event.moment.frame is None else event.moment.frame
        return (event.moment.time, frame) if event.moment.time == event.moment.time else (0, frame)

    # Stable: at the same millisecond, the order in the file counts.
    if any(event.moment.time == event.moment.time for event in events):
        yield from sorted(events, key=lambda event: when(event)[0])
    else:
        yield from sorted(events, key=when)


def _bout(event: Event, stop: Moment | None, is_point: bool = False) -> Bout:
    return Bout(
        event.behavior, event.modifiers, event.moment, stop, _told(event), is_point=is_point
    )


def _told(event: Event) -> str:
    subject = f", subject {event.subject!r}" if event.subject else ""
    modifiers = f" ({event.modifiers})" if event.modifiers.strip("| ") else ""
    when = f"{event.moment.time:g} s"
    if event.moment.time != event.moment.time:
        when = f"picture {event.moment.frame}"
    return f"{event.where}{subject}: {event.behavior}{modifiers} at {when}"
