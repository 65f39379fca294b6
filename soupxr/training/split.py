"""Which trials are learnt from and which are kept to see how well it went. Pure NumPy.

Trials of one animal look alike, and so do those of one session: a model that was judged on a
sister trial looks better than it is. So whole groups are kept back: animals, where there are at
least two, else sessions, else trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, expected

__all__ = ["Group", "Split", "TrialSummary", "make_folds", "make_split"]

Group = Literal["animal", "session", "trial"]
GROUPS: tuple[str, ...] = get_args(Group)

#: Part of the frames that is kept back, as far as whole groups allow.
VALIDATION = 0.2
LEAST_TRIALS = 3
#: Random divisions that are compared; with few groups, all that there are come up.
TRIES = 2000


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

    Of many random divisions of whole groups the one is taken in which the fewest behaviors lack in
    either part, then the one whose validation part is nearest to the wanted size, overall and for
    each behavior.

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
    if not isinstance(n_folds, int) or isinstance(n_folds, bool) or n_folds < 2:
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
    if group is not None and group not in GROUPS:
        raise ArgumentError(expected("group", f"one of {', '.join(map(repr, GROUPS))}", group))
    counts = {by: len({trial.group(by) for trial in trials}) for by in GROUPS}
    by = group or next((by for by in GROUPS if counts[by] >= least), "trial")
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
    rng = np.random.default_rng(seed)
    totals = weights.sum(axis=0)
    shares = weights / np.maximum(totals, 1)
    best, best_cost = None, (np.inf, np.inf)
    for _ in range(TRIES):
        parts = _draw(len(weights), wanted, rng)
        held = np.stack([shares[parts == part].sum(axis=0) for part in range(len(wanted))])
        # Column 0 counts frames, the others the occurrences of each behavior.
        lacking = int(np.sum((held[:, 1:] == 0) & (totals[1:] > 0)))
        deviation = np.abs(held - wanted[:, None])[:, totals > 0]
        cost = (lacking, float(deviation[:, 0].sum() + deviation.mean()))
        if cost < best_cost:
            best, best_cost = parts, cost
    return cast(npt.NDArray[np.intp], best)


def _draw(
    count: int, wanted: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """A random division of ``count`` groups in which no part is empty."""
    order = rng.permutation(count)
    parts = np.empty(count, dtype=np.intp)
    parts[order[: len(wanted)]] = np.arange(len(wanted))
    parts[order[len(wanted) :]] = rng.choice(len(wanted), count - len(wanted), p=wanted)
    return parts
