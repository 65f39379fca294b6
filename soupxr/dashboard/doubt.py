"""Which stretches of an ethogram are most worth a look, and how far a review of them has come.

A look costs frames and pays in errors found. So every frame is given the number of labels that
are probably wrong in it, and the stretches with the most of them *a frame* come first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from soupxr.bouts import MINIMUM_THRESHOLD
from soupxr.errors import ArgumentError, expected
from soupxr.evaluation.decisions import current_decision, default_decision, results_of
from soupxr.labels import LabelSource, read_labels
from soupxr.modes import get_mode
from soupxr.store import Store

__all__ = [
    "Review",
    "Stretch",
    "TrialDoubt",
    "doubtful_stretches",
    "frame_doubt",
    "rank_stretches",
    "rank_trials",
    "read_doubt",
]

Mask = NDArray[np.int8]
Floats = NDArray[np.float64]

#: Seconds: of less, nobody can judge anything; more is better looked at in parts.
SHORTEST, LONGEST = 0.1, 1.0
#: A stretch is built of blocks, so many to the shortest one.
BLOCKS = 5
#: It grows from its most doubtful block for as long as there is at least this part of its doubt.
NEARLY = 0.85
#: Trials whose provenance is held at once.
BATCH = 256


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames ``[start, stop)`` of a trial.

    Parameters
    ----------
    key : str
        Which trial.
    start, stop : int
        Half-open.
    doubt : float
        Labels that are probably wrong in each frame, on average.
    """

    key: str
    start: int
    stop: int
    doubt: float

    @property
    def n_frames(self) -> int:
        """What a look at it costs."""
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class TrialDoubt:
    """What is known of a trial's ethogram.

    Parameters
    ----------
    key : str
        Which trial.
    fps : float
        Frames a second.
    ethogram : ndarray of int8, (n_frames, behavior)
        What is to be reviewed; −1 not inferred.
    probability : ndarray of float32, (n_frames, behavior)
        By the sequence model that made it; NaN where there are none.
    thresholds : sequence of float, one per behavior
        Above which a behavior occurs.
    others : sequence of ndarray of int8, each (n_frames, behavior)
        Ethograms of other modes; −1 not inferred.
    """

    key: str
    fps: float
    ethogram: Mask
    probability: NDArray[np.float32]
    thresholds: Sequence[float]
    others: Sequence[Mask] = field(default=())


def frame_doubt(trial: TrialDoubt) -> Floats:
    """How many labels of each frame are probably wrong.

    The odds of every probability are divided by those of its threshold, which puts the threshold
    at 0.5 and leaves 0 and 1 where they are. What then speaks against the label (p where the
    ethogram says 0, 1 − p where it says 1) is the sequence model's own vote. Bouts that the
    ethogram lost or gained to the shortest bout are so in doubt, too. Every other mode has a vote
    of 0 or 1. The mean of the votes is the label's doubt, 0.5 where the model cannot tell or where
    two sure modes contradict each other.

    Parameters
    ----------
    trial : TrialDoubt
        With arrays of one shape.

    Returns
    -------
    ndarray of float64, (n_frames,)
        Sum over behaviors; 0 where the ethogram says nothing.
    """
    said = trial.ethogram
    limit = np.clip(np.asarray(trial.thresholds, np.float64), MINIMUM_THRESHOLD, 1 - 1e-6)
    p = trial.probability.astype(np.float64)
    p = p * (1 - limit) / (p * (1 - limit) + (1 - p) * limit)
    against = np.where(said == 1, 1 - p, p)
    known = ~np.isnan(p)
    votes = np.where(known, against, 0.0)
    voters = known.astype(np.int64)
    for other in trial.others:
        votes += (other >= 0) & (other != said)
        voters += other >= 0
    doubt = np.where(said >= 0, votes / np.maximum(voters, 1), 0.0)
    return np.asarray(doubt.sum(axis=1))


def rank_stretches(
    trials: Iterable[TrialDoubt],
    *,
    shortest: float = SHORTEST,
    longest: float = LONGEST,
    most: int | None = None,
) -> list[Stretch]:
    """Divide trials into stretches and put the most doubtful first.

    The stretches cover every frame once: whoever goes on to the last has seen everything.

    Parameters
    ----------
    trials : iterable of TrialDoubt
        Looked at one after the other; none is kept.
    shortest, longest : float
        Length of a stretch in seconds. A trial that is shorter is one stretch; a remnant between
        others is joined to its neighbour, which may exceed the longest by it.
    most : int, optional
        Keep only so many.

    Returns
    -------
    list of Stretch
        By falling doubt; equals in the order of the trials and frames.
    """
    if not 0 < shortest <= longest:
        came = (shortest, longest)
        raise ArgumentError(expected("shortest, longest", "0 < shortest <= longest", came))
    found = (
        Stretch(trial.key, start, stop, doubt)
        for trial in trials
        for start, stop, doubt in _stretches(
            frame_doubt(trial), shortest * trial.fps, longest * trial.fps
        )
    )
    if most is not None:
        return heapq.nlargest(most, found, key=_doubt)
    return sorted(found, key=_doubt, reverse=True)


def rank_trials(stretches: Iterable[Stretch]) -> list[str]:
    """Keys of the trials, that with the most errors to be found a frame first.

    Parameters
    ----------
    stretches : iterable of Stretch
        Of any number of trials.
    """
    errors: dict[str, float] = {}
    frames: dict[str, int] = {}
    for one in stretches:
        errors[one.key] = errors.get(one.key, 0.0) + one.doubt * one.n_frames
        frames[one.key] = frames.get(one.key, 0) + one.n_frames
    return sorted(errors, key=lambda key: errors[key] / frames[key], reverse=True)


def doubtful_stretches(
    store: Store, keys: Sequence[str], mode: str, *, most: int | None = None
) -> list[Stretch]:
    """Rank the stretches of a mode's ethograms, as they stand in the store.

    Trials are read one by one. Those that are not complete in this mode have no stretches.

    Parameters
    ----------
    store : Store
        Opened for this piece of work.
    keys : sequence of str
        Which trials.
    mode : {"fast", "medium", "slow"}
        Whose ethograms; those of the others are held against them where there are any.
    most : int, optional
        Keep only so many.

    Returns
    -------
    list of Stretch
        As :func:`rank_stretches` returns them.

    Raises
    ------
    StoreError
        If a trial is not there (any more).
    """
    return rank_stretches(read_doubt(store, keys, mode), most=most)


class Review:
    """A walk through stretches in their order, that knows what has been looked at.

    A stretch has been looked at when the walk has gone on from it.

    Parameters
    ----------
    stretches : sequence of Stretch
        The most doubtful first.
    """

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self.stretches = list(stretches)
        self.position: int | None = None
        self._frames = np.array([one.n_frames for one in self.stretches], np.int64)
        self._errors = self._frames * [one.doubt for one in self.stretches]
        self._seen = np.zeros(len(self.stretches), bool)

    @property
    def current(self) -> Stretch | None:
        """Where the walk is; None before it begins."""
        return None if self.position is None else self.stretches[self.position]

    def next(self, step: int = 1) -> Stretch | None:
        """Go on to the next stretch, or back to the one before.

        Parameters
        ----------
        step : {1, -1}
            The first call, of 1, goes to the most doubtful stretch.

        Returns
        -------
        Stretch or None
            Where the walk is now; None at either end, where it stays. To go on from the last
            stretch counts it as looked at.
        """
        if step not in (1, -1):
            raise ArgumentError(expected("step", "1 or -1", step))
        if step == 1 and self.position is not None:
            self._seen[self.position] = True
        wanted = (-1 if self.position is None else self.position) + step
        if not 0 <= wanted < len(self.stretches):
            return None
        self.position = wanted
        return self.stretches[wanted]

    @property
    def stretches_done(self) -> float:
        """Part of the stretches that has been looked at, 0 to 1."""
        return _part(self._seen.sum(), self._seen.size)

    @property
    def frames_done(self) -> float:
        """Part of their frames, 0 to 1."""
        return _part(self._frames[self._seen].sum(), self._frames.sum())

    @property
    def errors_done(self) -> float:
        """Part of the errors that they probably hold, 0 to 1."""
        return _part(self._errors[self._seen].sum(), self._errors.sum())


# ------------------------------------------------------------------ dividing one trial


def _stretches(doubt: Floats, shortest: float, longest: float) -> Iterator[tuple[int, int, float]]:
    """Divide a trial's frames; lengths in frames.

    Again and again, the most doubtful block that is left grows on its more doubtful side: to the
    shortest length in any case, then while what it meets is nearly as doubtful.
    """
    n_frames = len(doubt)
    if n_frames == 0:
        return
    size = max(round(shortest / BLOCKS), 1)
    edges = [*range(0, max(n_frames - size, 0) + 1, size), n_frames]
    total = np.concatenate([[0.0], np.cumsum(doubt)])[edges]
    mean = (np.diff(total) / np.diff(edges)).tolist()
    cuts = _joined(_grown(mean, edges, shortest, longest), edges, shortest)
    for first, last in pairwise(cuts):
        start, stop = edges[first], edges[last]
        yield start, stop, float(total[last] - total[first]) / (stop - start)


def _grown(
    mean: Sequence[float], edges: Sequence[int], shortest: float, longest: float
) -> list[tuple[int, int]]:
    """Runs of blocks, half-open and in order, that cover all blocks."""
    n_blocks = len(mean)
    level = [*mean, -1.0]  # -1, also reached by index -1, is beyond either end
    taken = np.zeros(n_blocks, bool)
    runs = []
    for peak in np.argsort(-np.asarray(mean), kind="stable").tolist():
        if taken[peak]:
            continue
        first, last, nearly = peak, peak + 1, NEARLY * mean[peak]
        while True:
            before, after = level[first - 1], level[last]
            best = max(before, after)
            n_frames = edges[last] - edges[first]
            grown = n_frames + (edges[1] - edges[0])
            if best < 0 or (n_frames >= shortest and (best < nearly or grown > longest)):
                break
            first, last = (first - 1, last) if before >= after else (first, last + 1)
        taken[first:last] = True
        for block in range(first, last):
            level[block] = -1.0
        runs.append((first, last))
    return sorted(runs)


def _joined(runs: Sequence[tuple[int, int]], edges: Sequence[int], shortest: float) -> list[int]:
    """Cuts between runs; one that is too short is joined to that before it, the first to the next.

    No two of these stand side by side: the blocks between longer runs make one run.
    """
    cuts = [0]
    for first, last in runs:
        if len(cuts) > 1 and edges[last] - edges[first] < shortest:
            cuts[-1] = last
        else:
            cuts.append(last)
    if len(cuts) > 2 and edges[cuts[1]] < shortest:
        del cuts[1]
    return cuts


# ------------------------------------------------------------------ reading


def read_doubt(store: Store, keys: Sequence[str], mode: str) -> Iterator[TrialDoubt]:
    """Read complete trials, one after the other; see :func:`doubtful_stretches`."""
    mode, trials = get_mode(mode).name, store.trials(keys)
    behaviors = store.labels("behavior")
    usual = current_decision(store, mode, behaviors) or default_decision(behaviors)
    modes = [mode, *(other for other in store.modes if other != mode)]
    for first in range(0, len(trials), BATCH):
        part = trials[first : first + BATCH]
        results = results_of(store, mode, part)
        part = [trial for trial in part if results[trial.key].is_complete]
        sources = [read_labels(store, LabelSource("ethogram", name), part) for name in modes]
        for (trial, ethogram), *rest in zip(*sources, strict=True):
            decision = results[trial.key].decision(behaviors) or usual
            yield TrialDoubt(
                key=trial.key,
                fps=trial.fps,
                ethogram=ethogram,
                probability=results[trial.key].probability(store),
                thresholds=decision.thresholds[1:],
                others=[other for _, other in rest if (other >= 0).any()],
            )


def _doubt(stretch: Stretch) -> float:
    return stretch.doubt


def _part(some: float, whole: float) -> float:
    return float(some / whole) if whole else 0.0
