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

__all__ = ["TrialFinder", "TrialNames", "named_trial"]

#: As the user says it: a trial for each name, or a pattern with groups for its three parts.
TrialNames = Mapping[str, str | tuple[str, str, int]] | str | None

Address = tuple[str, str, int]


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
    """

    def __init__(self, trials: Sequence[StoredTrial], names: TrialNames = None) -> None:
        self.names = names
        self._named = {trial.key: trial for trial in trials}
        self._by_words: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self._by_stem: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        for trial in trials:
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
            said = named_trial(self.names, name)
            if said is not None:
                return self._named.get(trial_key(*said))
        for name in names:
            found = self._find_one(name)
            if found is not None:
                return found
        return None

    def _find_one(self, name: str) -> StoredTrial | str | None:
        if name in self._named:
            return self._named[name]
        matches: dict[str, int] = {}
        for parts, key in self._by_stem.get(_stem(name), ()):
            matches[key] = max(matches.get(key, 0), _common_tail(parts, _parts(name)))
        best = max(matches.values(), default=0)
        keys = [key for key, length in matches.items() if length == best]
        if not keys:
            keys = sorted(self._by_words.get(_words(name), ()))
        if len(keys) > 1:
            return f"{name!r} may be any of {', '.join(sorted(keys)[:5])}"
        return self._named[keys[0]] if keys else None


def named_trial(names: TrialNames, name: str) -> Address | None:
    """The animal, session and trial that the user gives a name; None where he says nothing.

    Raises
    ------
    ArgumentError
        If what he says is of no use.
    """
    if names is None:
        return None
    if isinstance(names, str):
        match = _compiled(names).search(name)
        if match is None:
            return None
        return match["animal"], match["session"], _number(match["trial_id"], name)
    for known in (name, PureWindowsPath(name).name, PureWindowsPath(name).stem):
        if known in names:
            return _address(names[known])
    return None


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
    if not text or not text.isdecimal():
        raise ArgumentError(expected("trials", f"a number as trial_id of {name!r}", text))
    return int(text)


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
    return (str(int(word)) if word.isdecimal() else word for word in words)
