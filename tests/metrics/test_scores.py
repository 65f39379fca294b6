"""Exact scores against scikit-learn, and where it leaves them open."""

from __future__ import annotations

import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from soupxr import metrics
from soupxr.errors import ArgumentError

MASK = st.integers(-1, 1)
#: Few distinct ones, so that ties are common.
TIED = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])


@st.composite
def masks(draw, n_classes=3):
    shape = (draw(st.integers(1, 30)), n_classes)
    return tuple(draw(hnp.arrays(np.int8, shape, elements=MASK)) for _ in range(2))


@st.composite
def scored(draw):
    n = draw(st.integers(1, 40))
    label = draw(hnp.arrays(bool, n))
    values = st.one_of(TIED, st.floats(0, 1, width=32))
    return label, draw(hnp.arrays(np.float32, n, elements=values.map(np.float32)))


@settings(max_examples=150)
@given(masks())
def test_counts_and_their_scores_are_those_of_scikit_learn(pair):
    label, prediction = pair
    note(f"{label.tolist()} {prediction.tolist()}")
    confusion = metrics.confusion_counts(label, prediction)
    scores = metrics.scores_from(confusion)
    for column in range(label.shape[1]):
        known = (label[:, column] >= 0) & (prediction[:, column] >= 0)
        truth, said = label[known, column], prediction[known, column]
        assert scores.n_frames[column] == known.sum()
        if not known.any():
            assert np.isnan([scores.f1[column], scores.kappa[column]]).all()
            continue
        np.testing.assert_array_equal(
            confusion[column], sk.confusion_matrix(truth, said, labels=[0, 1])
        )
        wanted = sk.precision_recall_fscore_support(truth, said, labels=[1], zero_division=np.nan)
        got = (scores.precision, scores.recall, scores.f1, scores.support)
        for ours, theirs in zip(got, wanted, strict=True):
            np.testing.assert_allclose(ours[column], theirs[0])
        if len(set(truth) | set(said)) > 1:
            np.testing.assert_allclose(
                scores.kappa[column], sk.cohen_kappa_score(truth, said), atol=1e-12
            )
        else:
            assert np.isnan(scores.kappa[column])


@settings(max_examples=150)
@given(scored())
def test_areas_are_those_of_scikit_learn(pair):
    label, probability = pair
    note(f"{label.tolist()} {probability.tolist()}")
    precision, area = (
        metrics.average_precision(label, probability),
        metrics.auroc(label, probability),
    )
    if label.any():
        assert precision == pytest.approx(sk.average_precision_score(label, probability))
    else:
        assert np.isnan(precision)
    if 0 < label.sum() < len(label):
        assert area == pytest.approx(sk.roc_auc_score(label, probability))
    else:
        assert np.isnan(area)


@settings(max_examples=60)
@given(scored())
def test_curves_are_scores_at_each_threshold(pair):
    label, probability = pair
    thresholds = [0.0, 0.1, 0.3, 0.5, 1.0]
    precision, recall = metrics.precision_recall_curve(label, probability, thresholds)
    for place, threshold in enumerate(thresholds):
        said = probability.astype(float) > threshold
        got, _, _, _ = sk.precision_recall_fscore_support(
            label, said, labels=[True], zero_division=np.nan
        )
        np.testing.assert_allclose(precision[place], got[0])
        wanted = sk.recall_score(label, said, zero_division=np.nan)
        np.testing.assert_allclose(recall[place], wanted)


@settings(max_examples=60)
@given(masks())
def test_the_share_of_each_class_is_counted_frame_by_frame(pair):
    label, prediction = pair
    got = metrics.predicted_share(label, prediction)
    for i in range(3):
        for j in range(3):
            among = [
                said[j] == 1
                for truth, said in zip(label, prediction, strict=True)
                if truth[i] == 1 and said[i] >= 0 and truth[j] >= 0 and said[j] >= 0
            ]
            np.testing.assert_allclose(got[i, j], np.mean(among) if among else np.nan)
    np.testing.assert_allclose(
        np.diag(got), metrics.scores_from(metrics.confusion_counts(label, prediction)).recall
    )


def test_a_gap_in_one_behavior_does_not_cost_the_others_a_frame():
    label = np.array([[1, -1], [0, 1], [1, 0]])
    scores = metrics.scores_from(metrics.confusion_counts(label, np.ones((3, 2), int)))
    assert scores.n_frames.tolist() == [3, 2]
    assert scores.support.tolist() == [2, 1]


def test_the_mean_is_over_what_is_known():
    mean, count = metrics.mean_known(np.array([[0.5, np.nan, 1.0], [np.nan, np.nan, np.nan]]))
    np.testing.assert_array_equal(mean, [0.75, np.nan])
    assert count.tolist() == [2, 0]


def test_masks_of_two_shapes_are_refused():
    with pytest.raises(ArgumentError, match=r"label, prediction: expected both \(frame, class\)"):
        metrics.confusion_counts(np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(ArgumentError, match=r"label, probability: expected both \(frame,\)"):
        metrics.auroc([1, 0], [0.5])


def test_nothing_at_all_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metrics.average_precision([], []))
        assert np.isnan(metrics.auroc([], []))
        assert np.isnan(metrics.scores_from(np.zeros((1, 2, 2), int)).f1).all()
