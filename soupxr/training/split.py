"""Which trials are learnt from and which are kept to see how well it went. Pure NumPy.

Trials of one animal look alike, and so do those of one session: a model that was judged on a
sister trial looks better than it is. So whole groups are kept back: animals, where there are at
least two, else sessions, else trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, expected, one_of
from soupxr.schema import is_whole

__all__ = ["Group", "Split", "TrialSummary", "make_folds", "make_split"]

Group = Literal["animal", "session", "trial"]
GROUPS: tuple[str, ...] = get_args(Group)

#: Part of the frames that is kept back, as far as whole groups allow.
VALIDATION = 0.2
LEAST_TRIALS = 3
#: Divisions that are compared: all that there are, or else random ones.
TRIES = 4096


@dataclass(frozen=True)
class TrialSummary:
    """What dividing needs to know of a trial.

    Parameters
    ----------
    key, animal, session : str
        Which trial.
    n_frames : int
        Frames that can be learnt from.
    positive : tuple of int
        Frames on which each behavior occurs; empty where labels play no part.
    """

    key: str
    animal: str
    session: str
    n_frames: int
    positive: tuple[int, ...] = ()

    def group(self, by: str) -> str:
        """Name of the group that the trial belongs to."""
        names = {"animal": self.animal, "session": f"{self.animal}/{self.session}"}
        return names.get(by, self.key)


@dataclass(frozen=True)
class Split:
    """Keys of the trials of either part.

    Parameters
    ----------
    training, validation : tuple of str
        Keys, in the store's order.
    group : {"animal", "session", "trial"}
        What was kept together.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...]
    group: str

    def to_plain(self) -> dict[str, Any]:
        """As lists, for a checkpoint."""
        return {
            "training": list(self.training),
            "validation": list(self.validation),
            "group": self.group,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Split:
        """Read what :meth:`to_plain` made."""
        return cls(tuple(plain["training"]), tuple(plain["validation"]), str(plain["group"]))


def make_split(
    trials: Sequence[TrialSummary],
    *,
    group: str | None = None,
    validation: float = VALIDATION,
    seed: int = 0,
) -> Split:
    """Divide trials into a part to learn from and a part to validate on.

    Of the divisions of whole groups (all of them where they are few, else many random ones and
    what moving single groups makes of the best) the one is taken in which the fewest behaviors lack
    in either part, then the one whose validation part is nearest to the wanted size, overall and
    for each behavior.

    Parameters
    ----------
    trials : sequence of TrialSummary
        At least three.
    group : {"animal", "session", "trial"}, optional
        What is kept together. Default: the first of these of which there are at least two.
    validation : float, default 0.2
        Wanted part of the frames.
    seed : int
        The same trials and seed give the same division.

    Raises
    ------
    ArgumentError
        If there are too few trials or groups.
    """
    if not 0 < validation < 1:
        raise ArgumentError(expected("validation", "a part between 0 and 1", validation))
    by, members, weights = _grouped(trials, group, least=2)
    wanted = np.array([1 - validation, validation])
    chosen = _best_division(weights, wanted, seed)
    parts: list[list[str]] = [[], []]
    for trial in trials:
        parts[chosen[members.index(trial.group(by))]].append(trial.key)
    return Split(tuple(parts[0]), tuple(parts[1]), by)


def make_folds(
    trials: Sequence[TrialSummary], n_folds: int, *, group: str | None = None, seed: int = 0
) -> list[tuple[str, ...]]:
    """Divide trials into folds of about equal size, each to be kept back once.

    Parameters
    ----------
    trials, group, seed
        As for :func:`make_split`.
    n_folds : int
        How many; at least two, and no more than there are groups.

    Returns
    -------
    list of tuple of str
        Keys of each fold's trials.
    """
    if not is_whole(n_folds) or n_folds < 2:
        raise ArgumentError(expected("folds", "a whole number from 2", n_folds))
    by, members, weights = _grouped(trials, group, least=n_folds)
    chosen = _best_division(weights, np.full(n_folds, 1 / n_folds), seed)
    folds: list[list[str]] = [[] for _ in range(n_folds)]
    for trial in trials:
        folds[chosen[members.index(trial.group(by))]].append(trial.key)
    return [tuple(fold) for fold in folds]


def _grouped(
    trials: Sequence[TrialSummary], group: str | None, least: int
) -> tuple[str, list[str], npt.NDArray[np.float64]]:
    """Kind of group, names of the groups, and their weights (group, 1 + behavior)."""
    if len(trials) < LEAST_TRIALS:
        raise ArgumentError(
            expected(
                "trials",
                f"at least {LEAST_TRIALS} to learn from and validate on",
                f"{len(trials)}: {', '.join(trial.key for trial in trials) or 'none'}",
                "Add and label more trials, or select more of them.",
            )
        )
    if group is not None:
        one_of("group", group, GROUPS)
    counts = {by: len({trial.group(by) for trial in trials}) for by in GROUPS}
    by = group or next((by for by in GROUPS if counts[by] >= least), "trial")
    if counts["trial"] < least:
        told = f"at most {counts['trial']}, as there are trials to learn from"
        raise ArgumentError(expected("folds", told, least, "Ask for fewer, or label more trials."))
    if counts[by] < least:
        raise ArgumentError(
            expected(
                "group",
                f"at least {least} groups to keep apart",
                f"{counts[by]} {by}(s) with trials to learn from",
                'Pass group="session" or group="trial", or label more.',
            )
        )
    members = list(dict.fromkeys(trial.group(by) for trial in trials))
    weights = np.zeros((len(members), 1 + len(trials[0].positive)))
    for trial in trials:
        weights[members.index(trial.group(by))] += (trial.n_frames, *trial.positive)
    return by, members, weights


def _best_division(
    weights: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64], seed: int
) -> npt.NDArray[np.intp]:
    """Part of each group (group,), such that the parts have about the wanted sizes."""
    tried = _divisions(len(weights), wanted, np.random.default_rng(seed))
    held = np.stack([(tried == part) @ weights for part in range(len(wanted))], axis=1)
    return _improved(tried[_costs(held, wanted).argmin()], weights, wanted)


def _divisions(
    count: int, wanted: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """All divisions of ``count`` groups, shuffled, or many random ones: (division, group)."""
    n_parts = len(wanted)
    if n_parts**count <= TRIES:
        every = rng.permutation(n_parts**count)
        return np.stack(np.unravel_index(every, (n_parts,) * count), axis=1)
    drawn = rng.choice(n_parts, (TRIES, count), p=wanted)
    # So that no part is empty, some group is given to each.
    given = rng.random((TRIES, count)).argsort(axis=1)[:, :n_parts]
    np.put_along_axis(drawn, given, np.arange(n_parts)[None], axis=1)
    return drawn.astype(np.intp)


def _costs(
    held: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """How bad divisions are (…,), of what each part holds (…, part, 1 + behavior).

    Column 0 counts frames, the others the occurrences of each behavior.
    """
    totals = held.sum(axis=-2, keepdims=True)
    occurs = totals > 0
    lacking = ((held == 0) & occurs)[..., 1:].sum(axis=(-2, -1))
    deviation = np.abs(held / np.maximum(totals, 1) - wanted[:, None]) * occurs
    off = deviation[..., 0].sum(axis=-1) + deviation.sum(axis=(-2, -1)) / (
        len(wanted) * occurs.sum(axis=(-2, -1))
    )
    # ``off`` is at most 3. It is rounded, so that equally good divisions are.
    costs = 4 * lacking + np.round(off, 9)
    return np.asarray(np.where((held[..., 0] == 0).any(axis=-1), np.inf, costs))


def _improved(
    parts: npt.NDArray[np.intp],
    weights: npt.NDArray[np.float64],
    wanted: npt.NDArray[np.float64],
) -> npt.NDArray[np.intp]:
    """A division from which no single group can be moved for the better."""
    parts, one_of = parts.copy(), np.eye(len(wanted))
    while True:
        there = one_of[parts]
        held = there.T @ weights
        change = (one_of - there[:, None])[..., None] * weights[:, None, None]
        costs = _costs(held + change, wanted)  # (group, part that it moves to)
        group, part = np.unravel_index(costs.argmin(), costs.shape)
        if costs[group, part] >= _costs(held, wanted):
            return parts
        parts[group] = part
