"""Which trial a file means: by key, by the name of its video, or as the user says. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PureWindowsPath

from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, expected
from soupxr.schema import is_whole, trial_key
from soupxr.store import StoredTrial

__all__ = ["TrialFinder", "TrialNames"]

#: As the user says it: a trial for each name, or a pattern with groups for its three parts.
TrialNames = Mapping[str, str | tuple[str, str, int]] | str | None

Address = tuple[str, str, int]
#: Of longer ones, no trial has the number; of thousands of digits, Python makes none.
MOST_DIGITS = 18


class TrialFinder:
    """Finds trials by what other programs call them.

    Asked in this order: what the user says; a key, ``animal/session/trial_id``, with any
    separators; the trial's videos, by as much of their path as is needed to tell them apart, with
    or without suffix.

    Parameters
    ----------
    trials : sequence of StoredTrial
        Those that may be meant.
    names : mapping, str or None
        What the user says: a mapping from names to trials, or a regular expression.
    others : sequence of StoredTrial
        Those that may not, but that a name may mean better than any of ``trials``.
    """

    def __init__(
        self,
        trials: Sequence[StoredTrial],
        names: TrialNames = None,
        others: Sequence[StoredTrial] = (),
    ) -> None:
        self.names = names
        self._named = {trial.key: trial for trial in trials}
        self._by_words: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self._by_stem: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self._levels = {trial.key: _levels(trial) for trial in (*trials, *others)}
        self._all_levels = frozenset().union(*self._levels.values())
        self._met: set[str] = set()
        for trial in (*trials, *others):
            self._by_words[_words(trial.key)].add(trial.key)
            for path in trial.video_paths:
                self._by_stem[_stem(path)].append((_parts(path), trial.key))
        if isinstance(names, str):
            _compiled(names)

    def find(self, *names: str) -> StoredTrial | str | None:
        """The trial that these names mean, the surest first.

        Returns
        -------
        StoredTrial, str or None
            A text says that more than one trial may be meant. None: no trial has such a name.
        """
        for name in names:
            said = self.said(name)
            if said is not None:
                return self._named.get(trial_key(*said))
        for name in names:
            keys = self._keys(name)
            if len(keys) > 1:
                keys = [key for key in keys if key in self._named] or keys[:1]
            if len(keys) > 1:
                return f"{name!r} may be any of {', '.join(sorted(keys)[:5])}"
            if keys:
                return self._named.get(keys[0])
        return None

    def said(self, name: str) -> Address | None:
        """The animal, session and trial that the user gives a name; None where he says nothing.

        Raises
        ------
        ArgumentError
            If what he says is of no use.
        """
        if self.names is None:
            return None
        if isinstance(self.names, str):
            match = _compiled(self.names).search(name)
            if match is None:
                return None
            return match["animal"], match["session"], _number(match["trial_id"], name)
        for known in (name, PureWindowsPath(name).name, PureWindowsPath(name).stem):
            if known in self.names:
                self._met.add(known)
                return _address(self.names[known])
        return None

    def unmet(self) -> list[str]:
        """Names of which the user says something, but that never came up."""
        said = self.names if isinstance(self.names, Mapping) else {}
        return sorted(set(said) - self._met)

    def is_by_name_alone(self, name: str, key: str) -> bool:
        """Whether a video has the name of one of the trial's, and is in a folder of another."""
        tails = [
            (_common_tail(parts, _parts(name)), len(parts))
            for parts, other in self._by_stem.get(_stem(name), ())
            if other == key
        ]
        return bool(tails) and all(tail < min(n, len(_parts(name))) for tail, n in tails)

    def _keys(self, name: str) -> list[str]:
        """Keys of the trials that a name may mean."""
        if name in self._levels:
            return [name]
        theirs = _parts(name)
        matches: dict[str, int] = {}
        # Of M9/S1/3, the 3 is no name of a video.
        videos = (
            [] if re.fullmatch(r"[^/]+/[^/]+/\d+", name) else self._by_stem.get(_stem(name), [])
        )
        for parts, key in videos:
            tail = _common_tail(parts, theirs)
            if not self._is_of_another(key, parts, theirs, tail):
                matches[key] = max(matches.get(key, 0), tail)
        best = max(matches.values(), default=0)
        keys = [key for key, length in matches.items() if length == best]
        return keys or sorted(self._by_words.get(_words(name), ()))

    def _is_of_another(
        self, key: str, parts: Sequence[str], theirs: Sequence[str], tail: int
    ) -> bool:
        """Whether a path ends as a trial's, but in a folder of another: M2/S1, not M1/S1."""
        if not tail < min(len(parts), len(theirs)) or parts[-1 - tail] not in self._levels[key]:
            return False
        # A video that was moved into a folder of any other name is still the trial's.
        return tail > 1 or theirs[-1 - tail] in self._all_levels


def _compiled(pattern: str) -> re.Pattern[str]:
    example = r"Example: r'(?P<animal>\w+)_(?P<session>\w+)_(?P<trial_id>\d+)'."
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        wanted = f"a regular expression ({error})"
        raise ArgumentError(expected("trials", wanted, pattern, example)) from None
    if not set(LEVELS) <= set(compiled.groupindex):
        wanted = "groups animal, session and trial_id"
        raise ArgumentError(expected("trials", wanted, pattern, example))
    return compiled


def _address(said: object) -> Address:
    if isinstance(said, str) and said.count("/") == 2:
        animal, session, number = said.split("/")
        return animal, session, _number(number, said)
    if isinstance(said, Sequence) and not isinstance(said, str) and len(said) == 3:
        animal, session, trial_id = said
        if is_whole(trial_id):
            return str(animal), str(session), int(trial_id)
    wanted = 'trials as "animal/session/trial_id" or (animal, session, trial_id)'
    raise ArgumentError(expected("trials", wanted, said))


def _number(text: str | None, name: str) -> int:
    if not text or not _is_number(text):
        raise ArgumentError(expected("trials", f"a number as trial_id of {name!r}", text))
    return int(text)


def _levels(trial: StoredTrial) -> frozenset[str]:
    return frozenset([trial.animal.lower(), trial.session.lower()])


def _parts(path: str) -> tuple[str, ...]:
    # Windows' rules split at both kinds of slash.
    pure = PureWindowsPath(path)
    return tuple(part.lower() for part in (*pure.parts[:-1], pure.stem))


def _stem(path: str) -> str:
    return PureWindowsPath(path).stem.lower()


def _common_tail(one: Sequence[str], other: Sequence[str]) -> int:
    length = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        length += 1
    return length


def _words(name: str) -> tuple[str, ...]:
    """Letters and numbers of a name: M1_S1_003 and M1/S1/3 are alike."""
    return tuple(_plain(re.findall(r"\d+|[^\W\d_]+", name.lower())))


def _plain(words: Iterable[str]) -> Iterable[str]:
    return (str(int(word)) if _is_number(word) else word for word in words)


def _is_number(word: str) -> bool:
    return word.isdecimal() and len(word) <= MOST_DIGITS
