"""Scores of predictions against labels, as one labelled Dataset: from arrays, without a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr import metrics
from soupxr.errors import ArgumentError, expected
from soupxr.labels import with_background
from soupxr.metrics import BoutTally
from soupxr.metrics.bouts import check_overlap

__all__ = ["EVALUATION_ATTR", "GROUPINGS", "ScoredTrial", "scores_dataset"]

#: Marks a Dataset as an evaluation, so that ``.soup.plot`` knows it.
EVALUATION_ATTR = "soupxr_evaluation"

Mask = npt.NDArray[np.int8]
Values = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ScoredTrial:
    """One trial's labels, and what is held against them.

    Parameters
    ----------
    animal, session : str
        Whose.
    key : str
        ``animal/session/trial_id``.
    fps : float
        Frames a second.
    truth, prediction : ndarray of int8, (frame, behavior)
        1 occurs, 0 does not, −1 unknown.
    probability : ndarray of float32, (frame, behavior), optional
        None where the prediction is a person's.
    thresholds : sequence of float, optional
        One a behavior, where the prediction came about by them.
    """

    animal: str
    session: str
    key: str
    fps: float
    truth: Mask
    prediction: Mask
    probability: npt.NDArray[np.float32] | None = None
    thresholds: Sequence[float] | None = None


#: How trials are put together, and the label of a trial's group.
GROUPINGS: Mapping[str, Callable[[ScoredTrial], str]] = {
    "animal": lambda trial: trial.animal,
    "session": lambda trial: f"{trial.animal}/{trial.session}",
    "trial": lambda trial: trial.key,
}

PER_BEHAVIOR = ("behavior",)
CURVE = ("behavior", "curve_threshold")

OF_PROBABILITIES = (
    "average_precision",
    "auroc",
    "expected_calibration_error",
    "temperature",
    "calibrated_error",
)

#: Dimensions, units and meaning of every variable.
VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "precision": (PER_BEHAVIOR, "1", "share of the predicted frames in which it occurs"),
    "recall": (PER_BEHAVIOR, "1", "share of the frames in which it occurs that are predicted"),
    "f1": (PER_BEHAVIOR, "1", "F1 of frames; NaN where it neither occurs nor is predicted"),
    "average_precision": (PER_BEHAVIOR, "1", "average precision, exact"),
    "auroc": (PER_BEHAVIOR, "1", "area under the ROC curve, exact"),
    "kappa": (PER_BEHAVIOR, "1", "Cohen's kappa of frames"),
    "support": (PER_BEHAVIOR, "frame", "frames in which it occurs"),
    "n_frames": (PER_BEHAVIOR, "frame", "frames that count: known to both"),
    "expected_calibration_error": (
        PER_BEHAVIOR,
        "1",
        f"expected calibration error, {metrics.calibration.BINS} bins of equal width",
    ),
    "temperature": (
        PER_BEHAVIOR,
        "1",
        "divisor of the logits that makes these labels likeliest, fitted on these very frames",
    ),
    "calibrated_error": (
        PER_BEHAVIOR,
        "1",
        "expected calibration error after temperature scaling, on the frames it was fitted on",
    ),
    "bout_precision": (PER_BEHAVIOR, "1", "share of the predicted bouts that are matched"),
    "bout_recall": (PER_BEHAVIOR, "1", "share of the bouts that are matched"),
    "bout_f1": (PER_BEHAVIOR, "1", "F1 of bouts; NaN where there are none"),
    "n_bouts": (PER_BEHAVIOR, "bout", "bouts of the truth"),
    "n_predicted_bouts": (PER_BEHAVIOR, "bout", "predicted bouts"),
    "n_matched_bouts": (PER_BEHAVIOR, "bout", "matched pairs of bouts"),
    **{
        f"{edge}_{kind}{suffix}": (
            PER_BEHAVIOR,
            units,
            f"mean {word} of the {edge}s of matched bouts",
        )
        for edge in ("onset", "offset")
        for kind, word in (("error", "lateness"), ("absolute_error", "distance"))
        for suffix, units in (("", "frame"), ("_ms", "ms"))
    },
    "threshold": (
        PER_BEHAVIOR,
        "1",
        "probability above which it was predicted; NaN where trials differ, or a person said it",
    ),
    "confusion": (("behavior", "label", "prediction"), "frame", "frames by truth and prediction"),
    "confusion_rate": (
        ("class", "predicted_class"),
        "1",
        "share of the frames of a class in which each class is predicted; classes may co-occur",
    ),
    "curve_precision": (CURVE, "1", "precision at each threshold, before any bout is filtered"),
    "curve_recall": (CURVE, "1", "recall at each threshold, before any bout is filtered"),
    "f1_mean": ((), "1", "mean F1 of the behaviors whose F1 is not NaN"),
    "n_behaviors_in_mean": ((), "behavior", "behaviors whose F1 is not NaN"),
    "f1_mean_with_background": ((), "1", "mean F1 of these and the background"),
    "f1_background": ((), "1", "F1 of the frames in which no behavior occurs"),
}


def scores_dataset(
    trials: Sequence[ScoredTrial],
    behaviors: Sequence[str],
    *,
    by: str | None = None,
    overlap: float = 0.5,
    attrs: Mapping[str, str | int | float] | None = None,
) -> xr.Dataset:
    """Score trials together, or in groups.

    Parameters
    ----------
    trials : sequence of ScoredTrial
        At least one.
    behaviors : sequence of str
        Names of the columns of their arrays.
    by : {None, "animal", "session", "trial"}
        None pools all frames and bouts; else one row a group along a dimension of that name.
    overlap : float
        Smallest intersection over union of matched bouts; see :mod:`soupxr.metrics.bouts`.
    attrs : mapping, optional
        More attributes of the Dataset.

    Returns
    -------
    xarray.Dataset
        See ``ds.soup.evaluate``.

    Raises
    ------
    ArgumentError
        If ``by`` or ``overlap`` are of no use, or there are no trials.
    """
    if by is not None and by not in GROUPINGS:
        raise ArgumentError(expected("by", f"None or one of {list(GROUPINGS)}", by))
    if not trials:
        raise ArgumentError(expected("trials", "at least one", trials))
    check_overlap(overlap)
    if by is None:
        whole = _dataset(_scores(trials, overlap), behaviors)
    else:
        groups: dict[str, list[ScoredTrial]] = {}
        for trial in trials:
            groups.setdefault(GROUPINGS[by](trial), []).append(trial)
        parts = [_scores(group, overlap) for group in groups.values()]
        values = {name: np.stack([part[name] for part in parts]) for name in VARIABLES}
        whole = _dataset(values, behaviors, (by,)).assign_coords({by: (by, _texts(groups))})
    return whole.assign_attrs({EVALUATION_ATTR: 1, "overlap": float(overlap)} | dict(attrs or {}))


def _dataset(values: Values, behaviors: Sequence[str], groups: tuple[str, ...] = ()) -> xr.Dataset:
    """Put names on the scores of all trials, or of groups along their first dimension."""
    variables = {
        name: ((*groups, *dims), values[name], {"long_name": about, "units": units})
        for name, (dims, units, about) in VARIABLES.items()
    }
    classes = ["background", *behaviors]
    occurs = ["absent", "occurs"]
    labels = {
        "behavior": behaviors,
        "label": occurs,
        "prediction": occurs,
        "class": classes,
        "predicted_class": classes,
    }
    coords: dict[str, Any] = {name: (name, _texts(texts)) for name, texts in labels.items()}
    coords["curve_threshold"] = (
        "curve_threshold",
        metrics.default_thresholds(),
        {"long_name": "probability above which a behavior is predicted", "units": "1"},
    )
    return xr.Dataset(variables, coords)


def _texts(texts: Sequence[str] | Mapping[str, Any]) -> npt.NDArray[Any]:
    # As objects: Zarr warns of arrays of fixed-length text.
    return np.array(list(texts), dtype=object)


# ------------------------------------------------------------------ numbers of one group


def _scores(trials: Sequence[ScoredTrial], overlap: float) -> Values:
    values = _frame_scores(trials) | _bout_scores(trials, overlap) | _probability_scores(trials)
    return values | {"threshold": _common_thresholds(trials)}


def _frame_scores(trials: Sequence[ScoredTrial]) -> Values:
    n_classes = 1 + trials[0].truth.shape[1]
    confusion = np.zeros((n_classes, 2, 2), np.int64)
    shared = np.zeros((2, n_classes, n_classes), np.int64)
    for trial in trials:
        truth, prediction = with_background(trial.truth), with_background(trial.prediction)
        confusion += metrics.confusion_counts(truth, prediction)
        shared += metrics.predicted_counts(truth, prediction)
    scores = metrics.scores_from(confusion)
    mean, count = metrics.mean_known(scores.f1[1:])
    mean_with_background, _ = metrics.mean_known(scores.f1)
    names = ("precision", "recall", "f1", "kappa", "support", "n_frames")
    return {name: getattr(scores, name)[1:] for name in names} | {
        "confusion": confusion[1:],
        "confusion_rate": metrics.share_from(shared),
        "f1_background": scores.f1[0],
        "f1_mean": mean,
        "f1_mean_with_background": mean_with_background,
        "n_behaviors_in_mean": count,
    }


def _bout_scores(trials: Sequence[ScoredTrial], overlap: float) -> Values:
    n_behaviors = trials[0].truth.shape[1]
    rows = [
        _bout_row(
            [
                metrics.tally_bouts(trial.truth[:, column], trial.prediction[:, column], overlap)
                for trial in trials
            ],
            [1000 / trial.fps for trial in trials],
        )
        for column in range(n_behaviors)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _bout_row(tallies: Sequence[BoutTally], frame_ms: Sequence[float]) -> Values:
    """Scores of one behavior's bouts."""
    whole = BoutTally.sum(tallies)
    timed = BoutTally.sum(
        tally.in_units(length) for tally, length in zip(tallies, frame_ms, strict=True)
    )
    row: Values = {
        "bout_precision": whole.precision,
        "bout_recall": whole.recall,
        "bout_f1": whole.f1,
        "n_bouts": whole.n_labelled,
        "n_predicted_bouts": whole.n_predicted,
        "n_matched_bouts": whole.n_matched,
    }
    for suffix, tally in (("", whole), ("_ms", timed)):
        for edge, errors in (("onset", tally.onset), ("offset", tally.offset)):
            row[f"{edge}_error{suffix}"] = metrics.mean_known(errors)[0]
            row[f"{edge}_absolute_error{suffix}"] = metrics.mean_known(np.abs(errors))[0]
    return row


def _probability_scores(trials: Sequence[ScoredTrial]) -> Values:
    """What needs probabilities; NaN where there are none."""
    thresholds = metrics.default_thresholds()
    n_behaviors = trials[0].truth.shape[1]
    values = {name: np.full(n_behaviors, np.nan) for name in OF_PROBABILITIES}
    curves = {
        name: np.full((n_behaviors, len(thresholds)), np.nan)
        for name in ("curve_precision", "curve_recall")
    }
    for column in range(n_behaviors):
        label, probability = _known(trials, column)
        if not len(label):
            continue
        temperature = metrics.fit_temperature(label, probability)
        row = (
            *metrics.rank_scores(label, probability),
            metrics.expected_calibration_error(label, probability),
            temperature,
            np.nan
            if np.isnan(temperature)
            else metrics.expected_calibration_error(
                label, metrics.temperature_scaled(probability, temperature)
            ),
        )
        for name, value in zip(OF_PROBABILITIES, row, strict=True):
            values[name][column] = value
        curves["curve_precision"][column], curves["curve_recall"][column] = (
            metrics.precision_recall_curve(label, probability, thresholds)
        )
    return values | curves


def _known(
    trials: Sequence[ScoredTrial], column: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """Labels and probabilities of one behavior, where both are known."""
    labels, probabilities = [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    for trial in trials:
        if trial.probability is not None:
            truth = trial.truth[:, column]
            known = (truth >= 0) & (trial.prediction[:, column] >= 0)
            labels.append(truth[known] == 1)
            probabilities.append(trial.probability[known, column])
    return np.concatenate(labels), np.concatenate(probabilities)


def _common_thresholds(trials: Sequence[ScoredTrial]) -> npt.NDArray[np.float64]:
    n_behaviors = trials[0].truth.shape[1]
    rows = np.array(
        [
            np.full(n_behaviors, np.nan) if trial.thresholds is None else trial.thresholds
            for trial in trials
        ],
        dtype=float,
    )
    return np.where((rows == rows[0]).all(axis=0), rows[0], np.nan)
