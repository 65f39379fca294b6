"""How good a mode is, or how far two people agree: from the store to scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.dataset import keys_of, store_of
from soupxr.errors import ArgumentError, expected, one_of
from soupxr.evaluation.decisions import (
    Result,
    current_decision,
    decide,
    default_decision,
    results_of,
)
from soupxr.evaluation.scoring import GROUPINGS, ScoredTrial, scores_dataset
from soupxr.inference.decision import Decision
from soupxr.labels import LabelSource, label_source, read_labels, sole_annotator
from soupxr.metrics.bouts import check_overlap
from soupxr.modes import MODES
from soupxr.options import get_option
from soupxr.progress import progress_bar
from soupxr.store import OutOfFold, Store, StoredTrial

__all__ = ["evaluate"]

ON = ("unseen", "all", "out-of-fold")

Mask = npt.NDArray[np.int8]
Thresholds = Mapping[str, float] | float | None


def evaluate(
    ds: xr.Dataset,
    mode: str,
    annotator: str | None = None,
    *,
    on: str = "unseen",
    by: str | None = None,
    overlap: float = 0.5,
    thresholds: Thresholds = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Score a mode, or an annotator, against an annotator; see ``ds.soup.evaluate``."""
    store = store_of(ds)
    one_of("on", on, ON)
    if by is not None:
        one_of("by", by, list(GROUPINGS))
    check_overlap(overlap)
    rival = _rival(store, mode)
    truth = label_source(store, annotator=annotator or sole_annotator(store), caller="evaluate")
    behaviors = store.labels("behavior")
    trials = store.trials(list(dict.fromkeys(keys_of(ds))))
    show = bool(get_option("progress") if progress is None else progress)
    with progress_bar(len(trials), "evaluate", "trial", enabled=show) as bar:
        labels = _ticking(_labelled(store, truth, trials), bar)
        if rival.variable == "annotation":
            _no_thresholds(thresholds)
            found = _people(store, truth, rival, labels)
        else:
            given = _given_thresholds(thresholds, behaviors)
            reader = _Reader(store, rival.name, behaviors, on, given)
            found = _machine(reader, truth, trials, labels)
    # Not "mode": SciPy, which writes NetCDF where nothing else is installed, trips over that.
    attrs: dict[str, str | int | float] = {
        "prediction": rival.name,
        "annotator": truth.name,
        "on": on if rival.variable == "ethogram" else "all",
        "n_trials": len(found.trials),
        "n_validation_trials": found.n_validation,
        "thresholds_from": found.thresholds_from,
    }
    return scores_dataset(found.trials, behaviors, by=by, overlap=overlap, attrs=attrs)


# ------------------------------------------------------------------ what is compared


@dataclass(frozen=True)
class _Found:
    """Trials that can be scored, and what is to be known of them."""

    trials: list[ScoredTrial]
    n_validation: int = 0
    thresholds_from: str = "nothing"


def _rival(store: Store, mode: str) -> LabelSource:
    """What is held against the truth: a mode's ethograms, or another annotator's labels."""
    if isinstance(mode, str) and mode in MODES:
        return LabelSource("ethogram", mode)
    annotators = store.labels("annotator")
    if mode in annotators:
        return LabelSource("annotation", mode)
    raise ArgumentError(
        expected("mode", f"one of {list(MODES)} or an annotator {annotators}", mode)
    )


def _labelled(
    store: Store, truth: LabelSource, trials: Sequence[StoredTrial]
) -> Iterator[tuple[StoredTrial, Mask | None]]:
    """Trials and their labels, None where there are none."""
    for trial, labels in read_labels(store, truth, trials):
        yield trial, labels if (labels >= 0).any() else None


def _ticking(
    pairs: Iterator[tuple[StoredTrial, Mask | None]], bar: Any
) -> Iterator[tuple[StoredTrial, Mask]]:
    for trial, labels in pairs:
        if labels is not None:
            yield trial, labels
        bar.update(1)


def _people(
    store: Store,
    truth: LabelSource,
    rival: LabelSource,
    labels: Iterator[tuple[StoredTrial, Mask]],
) -> _Found:
    """Trials that both annotators labelled, at least in part."""
    if truth == rival:
        remedy = "Name the other one: ds.soup.evaluate(mode=…, annotator=…)."
        raise ArgumentError(
            expected("annotator", f"another than {rival.name!r}", truth.name, remedy)
        )
    scored, row = [], store.labels("annotator").index(rival.name)
    for trial, mask in labels:
        other = store.rows("annotation", row, trial)
        if ((mask >= 0) & (other >= 0)).any():
            scored.append(_scored(trial, mask, other))
    if not scored:
        raise ArgumentError(
            f"annotator: {truth.name!r} and {rival.name!r} have no labelled frame in common "
            "in the selected trials. Select trials that both have labelled."
        )
    return _Found(scored)


def _machine(
    reader: _Reader,
    truth: LabelSource,
    trials: Sequence[StoredTrial],
    labels: Iterator[tuple[StoredTrial, Mask]],
) -> _Found:
    """Trials that are labelled, have results and, where that is wanted, were never learnt from."""
    results = results_of(reader.store, reader.mode, trials)
    scored, sources = [], set()
    counts = dict.fromkeys(("labelled", "there", "bare", "validation"), 0)
    for trial, mask in labels:
        result = results[trial.key]
        counts["labelled"] += 1
        if reader.on != "out-of-fold":
            counts["there"] += result.is_complete
            if not result.is_complete or (reader.on == "unseen" and result.was_trained_on):
                continue
        found = reader.read(result, mask)
        counts["bare"] += found is None
        if found is not None:
            scored.append(found[0])
            sources.add(found[1])
            counts["validation"] += result.was_validated_on
    if not scored:
        raise ArgumentError(_why_nothing(reader, truth.name, len(trials), counts))
    return _Found(scored, counts["validation"], ", ".join(sorted(sources)))


def _why_nothing(reader: _Reader, annotator: str, n_trials: int, counts: Mapping[str, int]) -> str:
    """Say what is lacking, and what to do."""
    mode, labelled = reader.mode, counts["labelled"]
    if not labelled:
        return (
            f"annotator: {annotator!r} has labelled none of the {n_trials} selected trial(s). "
            f"Add labels with ds.soup.annotate(…, annotator={annotator!r}), or select others."
        )
    if reader.on == "out-of-fold":
        return (
            f"on: none of the {labelled} labelled trial(s) has out-of-fold probabilities in mode "
            f"{mode}. Make them with ds.soup.sequence.train(mode={mode!r}, …, folds=5)."
        )
    if not counts["there"]:
        return (
            f"mode: none of the {labelled} labelled trial(s) is complete in mode {mode}. "
            f"Run ds.soup.infer(mode={mode!r}) first."
        )
    if counts["bare"]:
        return (
            f"mode: the results of {counts['bare']} labelled trial(s) in mode {mode} have no "
            "probabilities, as those of some programs, and scores need them. Compare ethograms "
            "with ds.soup.compare_ethograms()."
        )
    return (
        f"on: the models of mode {mode} were trained on every one of the {counts['there']} "
        "labelled trial(s) that are complete, so none of them says how good they are on new ones. "
        'Train with folds=5 and pass on="out-of-fold", label other trials, or pass on="all" to '
        "see how well the models fit what they have learnt from."
    )


# ------------------------------------------------------------------ reading one trial


class _Reader:
    """Reads what a mode says of trials.

    Parameters
    ----------
    on : {"unseen", "all", "out-of-fold"}
        Whether the mode's results are meant or what its folds said.
    given : mapping of str to float
        Thresholds that were asked for.
    """

    def __init__(
        self, store: Store, mode: str, behaviors: Sequence[str], on: str, given: Mapping[str, float]
    ) -> None:
        self.store, self.mode, self.behaviors = store, mode, behaviors
        self.on, self.given = on, given
        self._folds = OutOfFold(store, mode)
        self._fitted = current_decision(store, mode, behaviors)

    def read(self, result: Result, truth: Mask) -> tuple[ScoredTrial, str] | None:
        """The trial, and where its thresholds are from; None where there is no result."""
        if self.on == "out-of-fold":
            probability = self._folds.read(result.trial)
        else:
            probability = result.probability(self.store)
        if probability is None or np.isnan(probability).any():
            return None
        decision, source = self._decision(result)
        if self.given:
            decision, source = self._with_given(decision), "argument"
        thresholds: Sequence[float] | None = decision.thresholds[1:]
        if self.on == "out-of-fold" or self.given:
            ethogram = decide(decision, probability)
        else:
            ethogram = result.ethogram(self.store)
            if source != "results":  # the provenance does not say what made the ethogram
                thresholds, source = None, "unknown"
        return _scored(result.trial, truth, ethogram, probability, thresholds), source

    def _decision(self, result: Result) -> tuple[Decision, str]:
        """The one that made the trial's ethogram; else the fitted one; else the default."""
        own = result.decision(self.behaviors) if result.is_complete else None
        if own is not None:
            return own, "results"
        if self._fitted is not None:
            return self._fitted, "fitted"
        return default_decision(self.behaviors), "default"

    def _with_given(self, decision: Decision) -> Decision:
        by_name = dict(zip(self.behaviors, decision.thresholds[1:], strict=True)) | dict(self.given)
        return replace(decision, thresholds=(decision.thresholds[0], *by_name.values()))


def _scored(
    trial: StoredTrial,
    truth: Mask,
    prediction: Mask,
    probability: npt.NDArray[np.float32] | None = None,
    thresholds: Sequence[float] | None = None,
) -> ScoredTrial:
    return ScoredTrial(
        animal=trial.animal,
        session=trial.session,
        key=trial.key,
        fps=trial.fps,
        truth=truth,
        prediction=prediction,
        probability=probability,
        thresholds=thresholds,
    )


# ------------------------------------------------------------------ arguments


def _given_thresholds(thresholds: Thresholds, behaviors: Sequence[str]) -> dict[str, float]:
    if thresholds is None:
        return {}
    given = thresholds if isinstance(thresholds, Mapping) else dict.fromkeys(behaviors, thresholds)
    strangers = sorted(set(given) - set(behaviors))
    if strangers:
        raise ArgumentError(expected("thresholds", f"behaviors among {behaviors}", strangers))
    for name, value in given.items():
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not is_number or not 0 <= value < 1:
            raise ArgumentError(expected("thresholds", "numbers from 0 to below 1", {name: value}))
    return {name: float(value) for name, value in given.items()}


def _no_thresholds(thresholds: Thresholds) -> None:
    if thresholds is not None:
        raise ArgumentError(expected("thresholds", "None for two annotators", thresholds))
