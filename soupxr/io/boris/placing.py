"""From an observation to the frames of trials."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from soupxr.annotation.bout_table import to_frames
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError
from soupxr.io.boris.observation import (
    NO_FOCAL_SUBJECT,
    Bout,
    Event,
    Media,
    Moment,
    Observation,
    pair,
    words_of,
)
from soupxr.io.gather import Gathering
from soupxr.io.spans import LENIENCE, Rest, Span
from soupxr.store import StoredTrial

__all__ = ["OBSERVERS", "UNLABELLED", "Choices", "place", "tell_of_the_rest"]

#: Independent variables that say who labelled.
OBSERVERS = ("observer", "annotator", "rater", "coder", "scorer")
#: The state that says of a stretch that nobody labelled it.
UNLABELLED = "unlabelled"
#: An image index and a time that differ by more frames than this are told.
TOLERANCE = 2


@dataclass(frozen=True)
class Choices:
    """What the user of ``read`` wants."""

    annotator: str | None
    subject: str | None
    closes: bool
    takes_points: bool
    rest: Rest


@dataclass(frozen=True)
class _Shown:
    """A file, and the trial that it shows."""

    media: Media
    trial: StoredTrial

    @property
    def length(self) -> float:
        told = self.media.length
        return self.trial.n_frames / self.trial.fps if told is None else told

    @property
    def end(self) -> float:
        return self.media.begin + self.length


def place(observation: Observation, gathering: Gathering, choices: Choices) -> None:
    """Put an observation's bouts into a gathering."""
    gathering.problems += observation.problems
    events = _of_subject(observation, gathering, choices.subject)
    shown = _shown(observation, gathering)
    if events is None or not shown:
        return
    annotator = _annotator(observation, gathering, choices.annotator)
    bouts, problems = pair(events)
    gathering.problems += problems
    spans: dict[str, list[Span]] = defaultdict(list)
    left: list[str] = []
    for bout in bouts:
        if bout.is_point and not choices.takes_points:
            gathering.leave(f"point events of {bout.behavior!r}, as asked")
            left.append(bout.behavior)
            continue
        for key, span in _spans(bout, shown, observation, gathering, choices.closes):
            spans[key].append(span)
    for one in shown:
        gathering.paint(
            annotator,
            one.trial.key,
            spans[one.trial.key],
            observation.where,
            choices.rest,
            _observed(observation, one),
            gathering.untold(observation.ethogram, left),
        )


def tell_of_the_rest(observations: Sequence[Observation], gathering: Gathering) -> None:
    """Note what observations hold that labels have no place for, one line a kind."""
    commented = sum(bool(event.comment) for one in observations for event in one.events)
    if commented:
        gathering.leave(f"comments of {commented} event(s)")
    described = sum(bool(one.description.strip()) for one in observations)
    if described:
        gathering.leave(f"descriptions of {described} observation(s)")
    for one in observations:
        for name in _unused(one):
            gathering.leave(f"independent variable {name!r}")
        for what in one.left:
            gathering.leave(what)


def _unused(observation: Observation) -> Iterator[str]:
    """Independent variables that say neither who labelled nor which trial it is."""
    told = _variables(observation)
    observers = [name for name in OBSERVERS if told.get(name)][:1]
    used = {*observers, *(LEVELS if set(LEVELS) <= set(told) else ())}
    for name, value in observation.variables.items():
        if words_of(value) and name.strip().lower() not in used:
            yield name


def _variables(observation: Observation) -> dict[str, str]:
    return {name.strip().lower(): value for name, value in observation.variables.items()}


# ------------------------------------------------------------------ who, and which trials


def _of_subject(
    observation: Observation, gathering: Gathering, subject: str | None
) -> list[Event] | None:
    subjects = {event.subject for event in observation.events}
    if subject is None:
        if len(subjects) > 1:
            names = sorted(name or NO_FOCAL_SUBJECT for name in subjects)
            gathering.problems.append(
                f"{observation.where}: has events of {len(subjects)} subjects, {names}. "
                "Say whose labels are meant: subject=..."
            )
            return None
        return list(observation.events)
    wanted = "" if subject == NO_FOCAL_SUBJECT else subject
    for other in sorted(subjects - {wanted}):
        gathering.leave(f"events of subject {other or NO_FOCAL_SUBJECT!r}, as asked")
    if wanted not in subjects:
        gathering.note(
            f"{observation.where}: has no event of subject {subject!r}, so no behavior occurs"
        )
    return [event for event in observation.events if event.subject == wanted]


def _annotator(observation: Observation, gathering: Gathering, given: str | None) -> str:
    told = _variables(observation)
    names = [told[name] for name in OBSERVERS if told.get(name)]
    if given is not None:
        if names and names[0] != given:
            gathering.note(f"{observation.where}: by {names[0]!r}, counts as {given!r}, as asked")
        return given
    if not names:
        raise ArgumentError(
            f"annotator: expected who labelled, for {observation.where} has no independent "
            f"variable {' or '.join(map(repr, OBSERVERS[:2]))} that says so. Pass annotator=..."
        )
    return names[0]


def _shown(observation: Observation, gathering: Gathering) -> list[_Shown]:
    """Files of the first player that shows trials, and these."""
    told = _variables(observation)
    own = "/".join(told[level] for level in LEVELS) if set(LEVELS) <= set(told) else ""
    players = observation.players or [[Media("")]]
    for player in players:
        if len(player) == 1:
            names = [name for name in (own, player[0].path, observation.name) if name]
            found = gathering.finder.find(*names)
            if isinstance(found, StoredTrial):
                gathering.names.setdefault(observation.name, found.key)
                if not own:
                    gathering.tell_of_folder(player[0].path, found)
                return [_Shown(player[0], found)]
        elif any(isinstance(gathering.finder.find(m.path), StoredTrial) for m in player):
            return _several(player, observation, gathering)
    for media in players[0]:  # which says what is wrong
        gathering.trial(observation.where, own, media.path, observation.name)
    return []


def _several(
    player: Sequence[Media], observation: Observation, gathering: Gathering
) -> list[_Shown]:
    """Files that were played one after the other."""
    found = [(media, gathering.trial(observation.where, media.path)) for media in player]
    shown = [_Shown(media, trial) for media, trial in found if trial is not None]
    for one in shown[:-1]:
        if one.media.length is None:
            gathering.problems.append(
                f"{observation.where}: the length of {one.media.path} is not known, so nor is "
                "where the next file begins. Open the project in BORIS and save it anew."
            )
    return shown


# ------------------------------------------------------------------ when


def _spans(
    bout: Bout,
    shown: Sequence[_Shown],
    observation: Observation,
    gathering: Gathering,
    closes: bool,
) -> Iterator[tuple[str, Span]]:
    ours = _behavior(bout, gathering)
    if ours is None:
        return
    stop = bout.start if bout.is_point else bout.stop
    if stop is None:
        if not closes:
            gathering.problems.append(
                f'{bout.where} has no STOP. Add one in BORIS, or pass unpaired="close" to let it '
                "last to the end of the observation."
            )
            return
        gathering.note(f"{bout.where} has no STOP; it lasts to the end of the observation")
        end = shown[-1].end
        if observation.interval is not None:
            end = min(end, observation.interval[1])
        stop = Moment(end)
    first = _index(bout.start.time, shown, is_stop=False)
    last = first if bout.is_point else max(first, _index(stop.time, shown, is_stop=True))
    for place in range(first, last + 1):
        one = shown[place]
        start = bout.start if place == first else Moment(one.media.begin)
        until = stop if place == last else None
        begin, end_frame = _frames(one, start, until, gathering, bout)
        value: Literal[1, -1] = -1 if _is_gap(bout, gathering) else 1
        yield one.trial.key, Span(ours, begin, end_frame, bout.where, value)


def _is_gap(bout: Bout, gathering: Gathering) -> bool:
    """Whether it says that nobody labelled a stretch."""
    return bout.behavior == UNLABELLED and UNLABELLED not in gathering.behaviors


def _behavior(bout: Bout, gathering: Gathering) -> str | None:
    """The store's behavior; empty for all of them, where the state ``unlabelled`` says so."""
    if _is_gap(bout, gathering):
        meant = bout.modifiers.strip("| ")
        if not meant or meant.lower() == "none":
            return ""
        return gathering.behavior(meant, bout.where)
    if bout.modifiers.strip("| ").lower() not in ("", "none"):
        gathering.leave(f"modifiers of {bout.behavior!r}")
    return gathering.behavior(bout.behavior, bout.where)


def _index(time: float, shown: Sequence[_Shown], *, is_stop: bool) -> int:
    """Place of the file that shows a moment; a stop at the very end of one belongs to it."""
    for place, one in enumerate(shown[:-1]):
        if time < one.end or (is_stop and time <= one.end + 1e-9):
            return place
    return len(shown) - 1


def _frames(
    one: _Shown, start: Moment, stop: Moment | None, gathering: Gathering, bout: Bout
) -> tuple[int, int]:
    """First frame and the one after the last."""
    fps, begin = one.trial.fps, one.media.begin
    if bout.is_point:
        first = _pictured(one, start, gathering, bout)
        if first is None:
            first = math.floor(round((start.time - begin) * fps, 6))
        n_frames = one.trial.n_frames
        if n_frames <= first < n_frames + LENIENCE:
            gathering.note(f"{bout.where}: at the end of the video; it counts for the last frame")
            first = n_frames - 1
        return first, first + 1
    from_time, to_time = (
        math.nan if moment is None else moment.time - begin for moment in (start, stop)
    )
    # A picture may be all that is known of one end.
    known = [time if time == time else 0.0 for time in (from_time, to_time)]
    by_time = [int(frame) for frame in to_frames(known[0], known[1], fps)]
    first = _pictured(one, start, gathering, bout)
    first = by_time[0] if first is None else first
    if stop is None:
        return first, one.trial.n_frames
    last = _pictured(one, stop, gathering, bout)
    last = by_time[1] if last is None else last
    # START and STOP at the same picture: the frame in which it begins.
    return first, first + 1 if last == first else last


def _pictured(one: _Shown, moment: Moment, gathering: Gathering, bout: Bout) -> int | None:
    """The frame that an image index says; None where there is none, or it counts other frames."""
    if moment.frame is None or not one.media.is_indexed:
        return None
    by_time = (moment.time - one.media.begin) * one.trial.fps
    if by_time == by_time and abs(by_time - moment.frame) > TOLERANCE:
        gathering.note(
            f"{bout.where}: image index {moment.frame} is not where its time is (frame "
            f"{by_time:.1f}); the index counts"
        )
    return moment.frame


def _observed(observation: Observation, one: _Shown) -> list[tuple[int, int]] | None:
    """Frames of a trial that were observed; None for all."""
    if observation.interval is None:
        return None
    start, stop = (time - one.media.begin for time in observation.interval)
    stop = min(stop, one.length + 1.0)
    if start >= stop:
        return []
    first, last = to_frames(max(start, 0.0), stop, one.trial.fps)
    return [(int(first), min(int(last), one.trial.n_frames))]
