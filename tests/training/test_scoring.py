"""Scores of an epoch: DeepEthogram's on whole labels, and the labelled classes' on partial ones."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from soupxr.metrics import epoch_metrics, threshold_curves
from soupxr.training.scoring import validation_scores


def arrays(seed, n_frames=80, n_classes=4):
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, (n_frames, n_classes)).astype(np.int8)
    label[:, 0] = ~label[:, 1:].any(axis=1)
    label[0, 1:], label[1, 1:] = 1, 0
    label[0, 0], label[1, 0] = 0, 1
    noise = random.random((n_frames, n_classes))
    return (0.4 * label + 0.6 * noise).astype(np.float32), label


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 120))
def test_whole_labels_score_as_deepethograms_epochs(seed, n_classes, n_frames):
    probability, label = arrays(seed, n_frames, n_classes)
    scores = validation_scores(probability, label)
    whole = epoch_metrics(probability, label, scores.thresholds)
    np.testing.assert_allclose(scores.f1, whole.f1, rtol=1e-12, atol=1e-12)
    assert scores.mean == pytest.approx(whole.f1_mean)
    assert scores.mean_without_background == pytest.approx(whole.f1_mean_without_background)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 120))
def test_thresholds_are_nearly_as_good_as_the_best(seed, n_classes, n_frames):
    probability, label = arrays(seed, n_frames, n_classes)
    chosen = validation_scores(probability, label).thresholds
    curves = threshold_curves(probability, label)
    for k in range(1, n_classes):
        place = np.searchsorted(curves.thresholds, chosen[k])
        assert curves.f1[place, k] >= 0.9 * curves.f1[:, k].max() - 1e-12


def test_the_threshold_lies_in_the_middle_of_the_good_ones():
    # Any threshold from 0.2 to 0.8 tells them apart.
    probability = np.array([[0.5, 0.2], [0.5, 0.1], [0.5, 0.8], [0.5, 0.9]], np.float32)
    label = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.int8)
    assert validation_scores(probability, label).thresholds[1] == pytest.approx(0.5, abs=0.01)


def slow_f1(predicted, label):
    pairs = [(guess, truth) for guess, truth in zip(predicted, label, strict=True) if truth >= 0]
    hits = sum(guess and truth == 1 for guess, truth in pairs)
    wrong = sum(guess and truth == 0 for guess, truth in pairs)
    missed = sum(not guess and truth == 1 for guess, truth in pairs)
    return 2 * hits / (2 * hits + wrong + missed) if hits + missed else math.nan


@settings(max_examples=80)
@given(st.data(), st.integers(1, 30), st.integers(2, 4))
def test_partial_labels_count_where_they_are(data, n_frames, n_classes):
    shape = (n_frames, n_classes)
    label = data.draw(hnp.arrays(np.int8, shape, elements=st.integers(-1, 1)))
    probability = data.draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
    scores = validation_scores(probability, label)
    predicted = probability > scores.thresholds
    predicted[:, 0] = ~predicted[:, 1:].any(axis=1)
    wanted = [slow_f1(predicted[:, k].tolist(), label[:, k].tolist()) for k in range(n_classes)]
    np.testing.assert_allclose(scores.f1, wanted, rtol=1e-12)
    known = [f1 for f1 in wanted if not math.isnan(f1)]
    assert scores.mean == pytest.approx(np.mean(known) if known else 0.0)


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 3))
def test_what_stands_at_unlabelled_frames_plays_no_part(seed, k):
    probability, label = arrays(seed)
    random = np.random.default_rng(seed + 1)
    hidden = random.random(len(label)) < 0.5
    assume((label[~hidden, k] == 1).any())
    label[hidden, k] = -1
    scores = validation_scores(probability, label)
    other = probability.copy()
    other[hidden, k] = random.random(hidden.sum())
    again = validation_scores(other, label)
    assert again.thresholds[k] == scores.thresholds[k]
    assert again.f1[k] == scores.f1[k]
    # As if the class had been judged by itself on these frames.
    alone = validation_scores(probability[~hidden][:, [k, k]], label[~hidden][:, [k, k]])
    assert alone.f1[1] == scores.f1[k]
    assert alone.thresholds[1] == scores.thresholds[k]


def test_a_class_labelled_on_a_few_frames_is_scored_on_these():
    probability = np.array([[0.1, 0.9, 0.8], [0.1, 0.2, 0.9], [0.1, 0.9, 0.1]], np.float32)
    label = np.array([[0, 1, 1], [0, 0, -1], [0, 1, -1]], np.int8)
    scores = validation_scores(probability, label)
    assert scores.f1[1:].tolist() == [1.0, 1.0]


def test_a_class_that_never_occurs_is_left_out_of_the_mean():
    probability, label = arrays(3)
    whole = validation_scores(probability, label)
    label[:, 2] = 0
    scores = validation_scores(probability, label)
    assert np.isnan(scores.f1[2])
    assert scores.mean_without_background == pytest.approx((whole.f1[1] + whole.f1[3]) / 2)
    assert scores.mean == pytest.approx(np.nanmean(scores.f1))


def test_a_class_that_nobody_labelled_is_left_out_and_keeps_its_threshold():
    probability, label = arrays(4)
    label[:, 3] = -1
    scores = validation_scores(probability, label)
    assert np.isnan(scores.f1[3])
    assert scores.thresholds[3] == 0.5


def test_where_nothing_occurs_the_mean_is_nought():
    probability, label = arrays(5)
    scores = validation_scores(probability, np.zeros_like(label))
    assert scores.mean == scores.mean_without_background == 0
    assert np.isnan(scores.f1).all()


def test_the_thresholds_part_what_can_be_parted():
    label = np.zeros((40, 2), np.int8)
    label[:10, 1] = 1
    label[10:, 0] = 1
    probability = np.where(label == 1, 0.31, 0.29).astype(np.float32)
    scores = validation_scores(probability, label)
    assert 0.29 <= scores.thresholds[1] < 0.31
    assert scores.f1.tolist() == [1.0, 1.0]
