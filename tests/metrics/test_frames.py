"""Metrics against goldens, a slow oracle, and cases counted by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from soupxr.errors import ArgumentError
from soupxr.metrics import (
    default_thresholds,
    epoch_metrics,
    fbeta,
    optimum_thresholds,
    predict,
    threshold_curves,
)

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"
CURVES = {
    "thresholds": "thresholds",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "f2": "fbeta_2",
    "informedness": "informedness",
    "true_positive_rate": "tpr",
    "false_positive_rate": "fpr",
    "auroc": "auroc",
    "average_precision": "mAP",
}
EPOCH = {
    "accuracy": "accuracy_by_class",
    "accuracy_overall": "accuracy_overall",
    "f1": "f1_by_class",
    "f1_overall": "f1_overall",
    "f1_mean": "f1_class_mean",
    "f1_mean_without_background": "f1_class_mean_nobg",
    "confusion": "binary_confusion",
    "auroc": "auroc_by_class",
    "auroc_mean": "auroc_class_mean",
    "average_precision": "mAP_by_class",
    "average_precision_mean": "mAP_class_mean",
}


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    if not (PARITY / "recipe.py").is_file():
        pytest.skip("goldens are not beside this checkout")
    spec = importlib.util.spec_from_file_location("parity_recipe", PARITY / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def thinned(values: Any, every: int, axis: int) -> Any:
    return np.take(values, np.arange(0, np.shape(values)[axis], every), axis=axis)


@pytest.mark.parametrize("number", range(6))
def test_curves_match_goldens(recipe: ModuleType, number: int) -> None:
    spec, golden = recipe.load("metrics")
    case = spec["cases"][number]
    prefix = case["case"]
    curves = threshold_curves(golden[f"{prefix}_probabilities"], golden[f"{prefix}_labels"])
    for ours, theirs in CURVES.items():
        got = getattr(curves, ours)
        if got.ndim == 2:
            got = thinned(got, case["by_threshold_every"], 0)
        recipe.compare(spec, golden, f"{prefix}_by_threshold_{theirs}", got)
    confusion = thinned(curves.confusion, case["confusion_every"], 2)
    recipe.compare(spec, golden, f"{prefix}_by_threshold_confusion", confusion)
    recipe.compare(spec, golden, f"{prefix}_by_threshold_optimum", optimum_thresholds(curves))
    informed = optimum_thresholds(curves, "informedness")
    recipe.compare(spec, golden, f"{prefix}_by_threshold_optimum_info", informed)


@pytest.mark.parametrize("number", range(6))
def test_epoch_metrics_match_goldens(recipe: ModuleType, number: int) -> None:
    spec, golden = recipe.load("metrics")
    prefix = spec["cases"][number]["case"]
    metrics = epoch_metrics(golden[f"{prefix}_probabilities"], golden[f"{prefix}_labels"])
    for ours, theirs in EPOCH.items():
        recipe.compare(spec, golden, f"{prefix}_epoch_{theirs}", getattr(metrics, ours))


# ---------------------------------------------------------------- counted by hand
#                        background  a     b
PROBABILITY = np.array([[0.9, 0.1, 0.2],
                        [0.2, 0.8, 0.5],
                        [0.3, 0.6, 0.9],
                        [0.1, 0.4, 0.7]])  # fmt: skip
LABEL = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0]])


def test_counts_at_a_threshold() -> None:
    curves = threshold_curves(PROBABILITY, LABEL, [0.5])
    np.testing.assert_array_equal(curves.confusion[:, :, 0, 1], [[2, 0], [0, 2]])
    # 0.5 is not above 0.5; the third frame is a hit, the fourth a false alarm.
    np.testing.assert_array_equal(curves.confusion[:, :, 0, 2], [[2, 1], [0, 1]])
    np.testing.assert_allclose(curves.precision[0], [1.0, 1.0, 0.5])
    np.testing.assert_allclose(curves.recall[0], [0.5, 1.0, 1.0])
    np.testing.assert_allclose(curves.f1[0], [2 / 3, 1.0, 2 / 3])
    np.testing.assert_allclose(curves.f2[0], [2.5 / 4.5, 1.0, 2.5 / 3])
    np.testing.assert_allclose(curves.accuracy[0], [0.75, 1.0, 0.75])
    np.testing.assert_allclose(curves.informedness[0], [0.5, 1.0, 2 / 3])


def test_epoch_metrics_by_hand() -> None:
    metrics = epoch_metrics(PROBABILITY, LABEL, [0.5, 0.5, 0.5])
    # The fourth frame's false b takes its background away.
    np.testing.assert_array_equal(metrics.confusion[0], [[2, 0], [1, 1]])
    np.testing.assert_allclose(metrics.f1, [2 / 3, 1.0, 2 / 3])
    assert metrics.f1_mean == pytest.approx(7 / 9)
    assert metrics.f1_mean_without_background == pytest.approx(5 / 6)
    assert metrics.accuracy_overall == pytest.approx(10 / 12)
    assert metrics.f1_overall == pytest.approx(0.8)


def test_separable_classes_are_perfect() -> None:
    label = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    metrics = epoch_metrics(np.where(label == 1, 0.9, 0.1), label)
    np.testing.assert_allclose(metrics.f1, 1.0)
    np.testing.assert_allclose(metrics.auroc, 1.0)
    # From (recall 1, precision 1) straight to (0, 0), where nothing is predicted any more.
    np.testing.assert_allclose(metrics.average_precision, 0.5)
    # The first of the equally good thresholds.
    first = default_thresholds()[default_thresholds() >= 0.1][0]
    np.testing.assert_array_equal(metrics.thresholds, first)


def test_optimum_is_cleaned_up() -> None:
    # Class 0 is best at the very lowest threshold; class 1 never occurs.
    probability = np.array([[0.004, 0.3], [0.003, 0.6], [0.0, 0.9]])
    label = np.array([[1, 0], [1, 0], [0, 0]])
    np.testing.assert_array_equal(
        optimum_thresholds(threshold_curves(probability, label)), [0.01, 0.5]
    )


def test_background_has_no_say_of_its_own() -> None:
    got = predict([[0.0, 0.2], [1.0, 0.8]], [0.5, 0.5])
    np.testing.assert_array_equal(got, [[True, False], [False, True]])


def test_frames_without_labels_do_not_count() -> None:
    more_probability = np.vstack([PROBABILITY, [[0.5, 0.5, np.nan]]])
    more_label = np.vstack([LABEL, [[0, 1, -1]]])
    got, wanted = epoch_metrics(more_probability, more_label), epoch_metrics(PROBABILITY, LABEL)
    np.testing.assert_array_equal(got.confusion, wanted.confusion)
    np.testing.assert_array_equal(got.thresholds, wanted.thresholds)


def test_only_background() -> None:
    metrics = epoch_metrics([[0.5], [0.2]], [[1], [1]])
    assert metrics.f1_mean == 1.0
    assert np.isnan(metrics.f1_mean_without_background)


# ---------------------------------------------------------------- against a slow oracle
def slow_counts(probability: np.ndarray, label: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    counts = np.zeros((2, 2, len(thresholds), label.shape[1]), dtype=int)
    for s, threshold in enumerate(thresholds):
        for row, truth in zip(probability, label, strict=True):
            for k in range(label.shape[1]):
                counts[int(truth[k]), int(float(row[k]) > threshold), s, k] += 1
    return counts


@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=60)
def test_counts_equal_a_loop(data: st.DataObject, dtype: type) -> None:
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 4)))
    thresholds = np.sort(data.draw(hnp.arrays(float, st.integers(1, 6), elements=st.floats(0, 1))))
    ties = st.sampled_from([0.0, 1.0, *(float(t) for t in thresholds)])
    width = 32 if dtype is np.float32 else 64
    probability = data.draw(
        hnp.arrays(dtype, shape, elements=st.one_of(ties, st.floats(0, 1, width=width)).map(dtype))
    )
    label = data.draw(hnp.arrays(np.int8, shape, elements=st.integers(0, 1)))
    note(f"{thresholds=} {probability=} {label=}")
    curves = threshold_curves(probability, label, thresholds)
    np.testing.assert_array_equal(curves.confusion, slow_counts(probability, label, thresholds))
    assert curves.confusion.sum(axis=(0, 1)).tolist() == [[shape[0]] * shape[1]] * len(thresholds)


@given(st.floats(0, 1), st.floats(0, 1))
def test_fbeta_lies_between_precision_and_recall(precision: float, recall: float) -> None:
    for beta in (0.5, 1.0, 2.0):
        got = fbeta(np.array(precision), np.array(recall), beta)
        assert got <= max(precision, recall) + 1e-9
        if min(precision, recall) > 1e-3:
            assert got >= min(precision, recall) - 1e-9


# ---------------------------------------------------------------- arguments
@pytest.mark.parametrize(
    ("probability", "label", "message"),
    [
        ([0.5], [1], "both \\(frame, class\\)"),
        ([[0.5, 0.5]], [[1]], "both \\(frame, class\\)"),
        ([[1.5]], [[1]], "numbers in \\[0, 1\\].*sigmoid"),
        ([[np.nan]], [[1]], "numbers in \\[0, 1\\].*not inferred"),
        ([[0.5]], [[2]], "label: expected -1, 0 and 1 only, but got \\[2\\]"),
        ([[0.5]], [[-1]], "frames without any -1"),
    ],
)
def test_useless_arguments(probability: Any, label: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        epoch_metrics(probability, label)


def test_useless_thresholds() -> None:
    with pytest.raises(ArgumentError, match="thresholds: expected 3 numbers"):
        epoch_metrics(PROBABILITY, LABEL, [0.5])
    with pytest.raises(ArgumentError, match="rising"):
        threshold_curves(PROBABILITY, LABEL, [0.5, 0.4])
    with pytest.raises(ArgumentError, match="score"):
        optimum_thresholds(threshold_curves(PROBABILITY, LABEL), "accuracy")  # type: ignore[arg-type]
