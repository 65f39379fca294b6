"""Thresholds and minimum bouts, fitted to labels and put into force without running a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr import metrics
from soupxr.bouts import (
    apply_thresholds,
    bout_length_percentile,
    bouts_to_mask,
    filter_bouts,
    mask_to_bouts,
)
from soupxr.dataset import keys_of, store_of
from soupxr.errors import ArgumentError, expected, listed, one_of
from soupxr.evaluation.decisions import (
    Result,
    current_decision,
    default_decision,
    results_of,
)
from soupxr.evaluation.inforce import put_into_force
from soupxr.inference.decision import Decision
from soupxr.labels import label_source, read_labels, sole_annotator
from soupxr.modes import get_mode
from soupxr.schema import is_whole
from soupxr.store import (
    FittedDecision,
    OutOfFold,
    Store,
    StoredTrial,
    models,
    set_decision,
)

__all__ = ["optimize_thresholds"]

ON = ("held-out", "out-of-fold", "validation", "all")
SCORES = ("f1", "informedness")
#: How the store names what was fitted on.
FITTED_ON = {"out-of-fold": "out of fold", "validation": "validation", "all": "all"}

Mask = npt.NDArray[np.int8]
Probability = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Sample:
    """One trial to fit on."""

    truth: Mask
    probability: Probability


@dataclass(frozen=True)
class _Choice:
    """What is chosen for one behavior."""

    threshold: float
    minimum_bout: int


def optimize_thresholds(
    ds: xr.Dataset,
    mode: str,
    annotator: str | None = None,
    *,
    on: str = "held-out",
    minimum_bout: str | int = "labels",
    score: str = "f1",
    dry_run: bool = False,
) -> xr.Dataset:
    """Fit, store and apply thresholds; see ``ds.soup.optimize_thresholds``."""
    store, name = store_of(ds), get_mode(mode).name
    minimum_bout = _checked(on, minimum_bout, score)
    truth = label_source(store, annotator=annotator or sole_annotator(store), caller="annotator")
    behaviors = store.labels("behavior")
    trials = store.trials(list(dict.fromkeys(keys_of(ds))))
    results = results_of(store, name, trials)
    sha256 = _sequence_model(store, name, results.values())
    labelled = [pair for pair in read_labels(store, truth, trials) if (pair[1] >= 0).any()]
    fitted_on, samples = _samples(store, name, on, results, labelled)
    now = _most_common(store, name, behaviors, results.values())
    fit = _Fit(samples, now, minimum_bout, score)
    choices = [fit.choose(column) for column in range(len(behaviors))]
    fitted = FittedDecision(
        sequence_model=sha256,
        thresholds={b: choice.threshold for b, choice in zip(behaviors, choices, strict=True)},
        minimum_bout={b: choice.minimum_bout for b, choice in zip(behaviors, choices, strict=True)},
        annotator=truth.name,
        fitted_on=FITTED_ON[fitted_on],
        fitted=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if not dry_run:
        # Stored first: if this is interrupted, a second call ends where the first would have.
        set_decision(store.address, name, fitted)
    n_changed = put_into_force(store.address, name, fitted, results.values(), dry_run=dry_run)
    return fit.report(choices, behaviors).assign_attrs(
        soupxr_thresholds=1,
        fitted_for=name,
        annotator=truth.name,
        fitted_on=FITTED_ON[fitted_on],
        score=score,
        sequence_model=sha256,
        n_trials=len(samples),
        n_ethograms_changed=n_changed,
    )


# ------------------------------------------------------------------ which trials


def _sequence_model(store: Store, mode: str, results: Iterable[Result]) -> str:
    """The one sequence model that all results of the selection come from."""
    complete = [result for result in results if result.has_probabilities]
    made_by = Counter(result.sequence_model or "unknown" for result in complete)
    if len(made_by) > 1:
        raise ArgumentError(
            f"optimize_thresholds: the selected trials were inferred in mode {mode} with "
            f"{len(made_by)} different sequence models, but thresholds hold for one alone. Select "
            "the trials of one, or redo them all with ds.soup.infer(…, overwrite=True):"
            + listed(f"{sha256[:12]}: {count} trial(s)" for sha256, count in made_by.items())
        )
    if made_by and "unknown" not in made_by:
        return next(iter(made_by))
    trained = [m for m in models(store) if m.mode == mode and m.kind == "sequence"]
    if not made_by and trained:
        return trained[-1].sha256  # cross-validated, and not yet used to infer
    raise ArgumentError(
        f"mode: none of the selected trials has a result in mode {mode} that says which sequence "
        f"model made it. Run ds.soup.infer(mode={mode!r}) first."
    )


def _samples(
    store: Store,
    mode: str,
    on: str,
    results: Mapping[str, Result],
    labelled: Sequence[tuple[StoredTrial, Mask]],
) -> tuple[str, list[_Sample]]:
    """Labelled trials to fit on, and which kind they are."""
    folds = OutOfFold(store, mode)
    for kind in ("out-of-fold", "validation") if on == "held-out" else (on,):
        pairs = [(mask, _probability(store, folds, kind, results[t.key])) for t, mask in labelled]
        samples = [
            _Sample(mask, probability)
            for mask, probability in pairs
            if probability is not None and not np.isnan(probability).any()
        ]
        if samples:
            return kind, samples
    if not labelled:
        remedy = "Label some with ds.soup.annotate(…), or name another annotator."
        raise ArgumentError(f"annotator: none of the selected trials is labelled. {remedy}")
    wanted = {
        "held-out": "was kept from the training of its models (out of fold or for validation)",
        "out-of-fold": "has out-of-fold probabilities",
        "validation": "was a validation trial of its models",
        "all": "has a complete result",
    }[on]
    raise ArgumentError(
        f"on: none of the {len(labelled)} labelled trial(s) {wanted} in mode {mode}. "
        'Train with folds=5, or pass on="all" to fit on every labelled trial that is inferred: '
        "thresholds fitted on what a model has learnt from come out too bold, but for a model "
        "that was trained elsewhere they are sound."
    )


def _probability(store: Store, folds: OutOfFold, kind: str, result: Result) -> Probability | None:
    if kind == "out-of-fold":
        return folds.read(result.trial)
    wanted = result.has_probabilities and (kind == "all" or result.was_validated_on)
    return result.probability(store) if wanted else None


def _most_common(
    store: Store, mode: str, behaviors: Sequence[str], results: Iterable[Result]
) -> Decision:
    """The decision in force, by which most ethograms of the selection were made."""
    made_by = Counter(result.decision(behaviors) for result in results if result.has_probabilities)
    known = [decision for decision, _ in made_by.most_common() if decision is not None]
    if known:
        return known[0]
    return current_decision(store, mode, behaviors) or default_decision(behaviors)


# ------------------------------------------------------------------ fitting


class _Fit:
    """Chooses for one behavior after the other.

    Parameters
    ----------
    samples : sequence of _Sample
        What to fit on.
    now : Decision
        The decision in force; it stays where no other is better.
    minimum_bout : {"labels", "keep"} or int
        Where minimum bouts come from.
    score : {"f1", "informedness"}
        What to maximise.
    """

    def __init__(
        self, samples: Sequence[_Sample], now: Decision, minimum_bout: str | int, score: str
    ) -> None:
        self.samples, self.minimum_bout, self.score = samples, minimum_bout, score
        self._confusions: dict[tuple[int, _Choice], npt.NDArray[np.int64]] = {}
        by_length: dict[int, list[_Sample]] = {}
        for sample in samples:
            by_length.setdefault(len(sample.truth), []).append(sample)
        # Bouts of many trials are filtered at once, each a column.
        self._of_equal_length = list(by_length.values())
        bout = now.minimum_bout
        n_behaviors = samples[0].truth.shape[1]
        bouts = (bout,) * n_behaviors if isinstance(bout, int) else bout[1:]
        self.now = [
            _Choice(float(threshold), int(length))
            for threshold, length in zip(now.thresholds[1:], bouts, strict=True)
        ]

    def choose(self, column: int) -> _Choice:
        """The best of the candidates for one behavior; the first among equals.

        A behavior that no labelled frame shows stays as it is: there is nothing to fit.
        """
        now = self.now[column]
        threshold = self._threshold(column)
        if threshold is None:
            return now
        candidates = [_Choice(threshold, length) for length in self._lengths(column)]
        if not isinstance(self.minimum_bout, int):
            candidates.append(now)
        scores = [self._score(self.confusion(column, choice)) for choice in candidates]
        return candidates[int(np.argmax(scores))]

    def _threshold(self, column: int) -> float | None:
        """Best threshold of frames, before bouts are filtered."""
        labels = np.concatenate([sample.truth[:, column] for sample in self.samples])
        probabilities = np.concatenate([s.probability[:, column] for s in self.samples])
        known = labels >= 0
        if not (labels == 1).any():
            return None
        curves = metrics.threshold_curves(probabilities[known, None], labels[known, None])
        score: Any = self.score
        return float(metrics.optimum_thresholds(curves, score)[0])

    def _lengths(self, column: int) -> list[int]:
        """Minimum bouts to try."""
        if isinstance(self.minimum_bout, int):
            return [self.minimum_bout]
        now = self.now[column].minimum_bout
        if self.minimum_bout == "keep":
            return [now]
        whole = [_whole_bouts(sample.truth[:, column]) for sample in self.samples]
        if not any(mask.any() for mask in whole):
            return [now, 0]
        suggested = int(bout_length_percentile([mask[:, None] for mask in whole])[0])
        return list(dict.fromkeys([suggested, now, 0]))

    def _score(self, confusion: npt.NDArray[np.int64]) -> float:
        scores = metrics.scores_from(confusion)
        if self.score == "f1":
            return float(np.nan_to_num(scores.f1[0]))
        (tn, fp), _ = confusion[0]
        specificity = tn / (tn + fp) if tn + fp else 1.0
        return float(np.nan_to_num(scores.recall[0]) + specificity - 1)

    def confusion(self, column: int, choice: _Choice) -> npt.NDArray[np.int64]:
        """Count frames (1, [label] 2, [prediction] 2) as a choice decides, bouts filtered."""
        known = self._confusions.get((column, choice))
        if known is not None:
            return known
        total = np.zeros((1, 2, 2), np.int64)
        for samples in self._of_equal_length:
            truth = np.stack([sample.truth[:, column] for sample in samples], axis=1)
            probability = np.stack([sample.probability[:, column] for sample in samples], axis=1)
            ethogram = filter_bouts(
                apply_thresholds(probability, choice.threshold), choice.minimum_bout
            )
            total += metrics.confusion_counts(truth.reshape(-1, 1), ethogram.reshape(-1, 1))
        return self._confusions.setdefault((column, choice), total)

    def report(self, choices: Sequence[_Choice], behaviors: Sequence[str]) -> xr.Dataset:
        """What was chosen, and what it changes on the trials it was fitted on."""
        columns = range(len(behaviors))
        after = np.concatenate([self.confusion(c, choices[c]) for c in columns])
        before = np.concatenate([self.confusion(c, self.now[c]) for c in columns])
        scores, earlier = metrics.scores_from(after), metrics.scores_from(before)
        table = {
            "threshold": ([c.threshold for c in choices], "1", "probability above which it occurs"),
            "threshold_before": ([c.threshold for c in self.now], "1", "threshold until now"),
            "minimum_bout": (
                [c.minimum_bout for c in choices],
                "frame",
                "longest bout and gap to be removed",
            ),
            "minimum_bout_before": (
                [c.minimum_bout for c in self.now],
                "frame",
                "longest bout and gap that were removed until now",
            ),
            "f1": (scores.f1, "1", "F1 of frames on the trials that were fitted on"),
            "f1_before": (earlier.f1, "1", "F1 of the same frames until now"),
            "support": (scores.support, "frame", "frames in which it occurs"),
            "n_frames": (scores.n_frames, "frame", "frames that count"),
        }
        variables = {
            name: ("behavior", np.asarray(values), {"long_name": about, "units": units})
            for name, (values, units, about) in table.items()
        }
        return xr.Dataset(variables, {"behavior": np.array(behaviors, dtype=str)})


def _whole_bouts(column: Mask) -> Mask:
    """Mask of the bouts of one behavior whose length is known: none touches an unlabelled frame."""
    unknown = np.concatenate([[False], column < 0, [False]])
    bouts = mask_to_bouts(column)
    cut = unknown[bouts[:, 0]] | unknown[bouts[:, 1] + 1]
    return bouts_to_mask(bouts[~cut], len(column))


# ------------------------------------------------------------------ arguments


def _checked(on: str, minimum_bout: str | int, score: str) -> str | int:
    """Refuse arguments of no use; give the minimum bout back as Python's own number."""
    one_of("on", on, ON)
    one_of("score", score, SCORES)
    if minimum_bout in ("labels", "keep"):
        return minimum_bout
    if is_whole(minimum_bout) and int(minimum_bout) >= 0:
        return int(minimum_bout)
    expectation = "'labels', 'keep', or whole frames, 0 or more"
    raise ArgumentError(expected("minimum_bout", expectation, minimum_bout))
