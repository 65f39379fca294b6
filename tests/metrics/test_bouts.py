"""Scores of bouts against every possible matching, and by hand."""

from __future__ import annotations

from itertools import combinations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from soupxr.bouts import mask_to_bouts
from soupxr.errors import ArgumentError
from soupxr.metrics import BoutTally, iou_matches, tally_bouts

OVERLAPS = st.sampled_from([0.05, 0.2, 1 / 3, 0.5, 0.75, 1.0])


def iou(one, other):
    frames = [set(range(*bout)) for bout in (one, other)]
    return len(frames[0] & frames[1]) / len(frames[0] | frames[1])


def best_by_trying(labelled, predicted, overlap):
    """Pairs and sum of IoU of the best of all one-to-one matchings."""
    pairs = [
        (i, j, iou(a, b))
        for i, a in enumerate(labelled)
        for j, b in enumerate(predicted)
        if iou(a, b) >= overlap
    ]
    best = (0, 0.0)
    for size in range(1, 1 + min(len(labelled), len(predicted))):
        for some in combinations(pairs, size):
            if len({i for i, _, _ in some}) == len({j for _, j, _ in some}) == size:
                best = max(best, (size, sum(v for _, _, v in some)))
    return best


@settings(max_examples=300)
@given(hnp.arrays(bool, (2, 22)), OVERLAPS)
def test_no_matching_is_better(masks, overlap):
    labelled, predicted = (mask_to_bouts(mask) for mask in masks)
    note(f"{labelled.tolist()} {predicted.tolist()}")
    pairs = iou_matches(labelled, predicted, overlap)
    values = [iou(labelled[i], predicted[j]) for i, j in pairs]
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert all(value >= overlap for value in values)
    number, total = best_by_trying(labelled.tolist(), predicted.tolist(), overlap)
    assert len(pairs) == number
    assert sum(values) == pytest.approx(total)


def mask(text):
    """``#`` occurs, ``.`` does not, ``?`` unknown."""
    return np.array([{"#": 1, ".": 0, "?": -1}[letter] for letter in text])


def test_the_greedy_choice_would_lose_a_pair():
    # The long prediction is nearest to the second label, but the first has no other partner.
    label = mask("..##.####..")
    prediction = mask(".#####.##..")
    tally = tally_bouts(label, prediction, overlap=0.2)
    assert tally.n_matched == 2
    assert tally.precision == tally.recall == tally.f1 == 1.0


def test_errors_are_positive_where_the_prediction_is_late():
    tally = tally_bouts(mask("..#####..####."), mask("....####..##.."))
    assert (tally.n_labelled, tally.n_predicted, tally.n_matched) == (2, 2, 2)
    assert tally.onset.tolist() == [2, 1]
    assert tally.offset.tolist() == [1, -1]
    assert tally.in_units(2.0).onset.tolist() == [4, 2]


def test_bouts_that_overlap_too_little_are_missed_and_false():
    tally = tally_bouts(mask(".####..."), mask("...####."), overlap=0.5)
    assert (tally.precision, tally.recall, tally.f1) == (0.0, 0.0, 0.0)
    assert tally_bouts(mask(".####..."), mask("...####."), overlap=1 / 3).n_matched == 1


@pytest.mark.parametrize(
    ("label", "prediction", "onset", "offset"),
    [
        ("??####..", "..####..", [], [0]),  # cut where labels begin
        ("..####??", "...###..", [1], []),
        ("...###..", "??..##??", [1], []),  # the prediction ends unknown
        ("####....", "####....", [], [0]),  # at the start of the recording
        ("....####", "....####", [0], []),
        (".####..", "#####..", [], [0]),  # the prediction begins unknown
        ("..####.", "..#####", [0], []),
        ("??####..", "...###..", [], [0]),  # the label begins unknown
        ("..####??", "..###...", [0], []),
        ("####", "####", [], []),
    ],
)
def test_a_cut_edge_has_no_error(label, prediction, onset, offset):
    tally = tally_bouts(mask(label), mask(prediction))
    assert tally.n_matched == 1
    assert tally.onset.tolist() == onset
    assert tally.offset.tolist() == offset


def test_bouts_in_unlabelled_frames_do_not_count_and_pieces_do():
    tally = tally_bouts(mask("..???..###?###.."), mask("..###..#########"[:16]))
    assert (tally.n_labelled, tally.n_predicted, tally.n_matched) == (2, 2, 2)
    tally = tally_bouts(mask("???..."), mask("####.."))
    assert (tally.n_labelled, tally.n_predicted) == (0, 1)
    assert tally.precision == 0.0
    assert np.isnan(tally.recall)


def test_recordings_are_added_up():
    one = tally_bouts(mask(".##.##."), mask(".##...."))
    whole = BoutTally.sum([one, tally_bouts(mask("..##.."), mask("...##.")), one])
    assert (whole.n_labelled, whole.n_predicted, whole.n_matched) == (5, 3, 2)
    assert whole.onset.tolist() == [0, 0]
    assert np.isnan(BoutTally.sum([]).f1)


@pytest.mark.parametrize("overlap", [0, -0.5, 1.01, "half", True, float("nan")])
def test_a_useless_overlap_is_refused(overlap):
    with pytest.raises(ArgumentError, match="overlap: expected a number above 0"):
        tally_bouts(mask(".#"), mask(".#"), overlap)


def test_shapes_must_be_equal():
    with pytest.raises(ArgumentError, match="label, prediction"):
        tally_bouts(mask(".#"), mask(".##"))
