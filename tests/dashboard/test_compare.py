"""Comparing ethograms of one trial: against frame-by-frame counting, and against ``evaluate``."""

from __future__ import annotations

import math
import statistics
from itertools import combinations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from results import annotate

from soupxr.bouts import mask_to_bouts
from soupxr.dashboard.compare import Agreement, agreement, disagreements, next_stretch
from soupxr.errors import ArgumentError

NAMES = ["lift", "grab"]

several = st.tuples(st.integers(2, 4), st.integers(0, 30), st.just(len(NAMES))).flatmap(
    lambda shape: hnp.arrays(np.int8, shape, elements=st.integers(-1, 1))
)
stretch_lists = st.sets(st.integers(0, 60)).map(
    lambda edges: sorted(edges)[: len(edges) // 2 * 2]  # pairs
)


def mask(*texts):
    """One column a text: ``#`` occurs, ``.`` does not, ``?`` unlabelled."""
    values = {"#": 1, ".": 0, "?": -1}
    return np.array([[values[letter] for letter in text] for text in texts], np.int8).T


def frames_of(flat):
    return {f for a, b in zip(flat[::2], flat[1::2], strict=True) for f in range(a, b)}


def by_counting(one, other):
    """Kappa and F1 of two columns from their textbook formulas."""
    pairs = [(a, b) for a, b in zip(one.tolist(), other.tolist(), strict=True) if min(a, b) >= 0]
    if not pairs:
        return math.nan, math.nan
    n = len(pairs)
    agreed = sum(a == b for a, b in pairs) / n
    first, second = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    chance = first * second + (1 - first) * (1 - second)
    both = sum(a & b for a, b in pairs) / n
    kappa = math.nan if first == second and first in (0, 1) else (agreed - chance) / (1 - chance)
    f1 = math.nan if first + second == 0 else 2 * both / (first + second)
    return kappa, f1


def known_mean(values):
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan


# ------------------------------------------------------------------ where they differ


@given(several)
def test_a_frame_is_in_a_stretch_where_two_labels_contradict_each_other(masks):
    found = disagreements(list(masks))
    assert len(found) == len(NAMES)
    for column, flat in enumerate(found):
        assert flat == sorted(set(flat)), "half-open, rising, not touching"
        said = [set(row.tolist()) for row in masks[:, :, column].T]
        assert frames_of(flat) == {f for f, values in enumerate(said) if {0, 1} <= values}


def test_the_unlabelled_contradicts_nobody():
    ours, theirs = mask("##??..##"), mask("??##??..")
    assert disagreements([ours, theirs]) == [[6, 8]]


# ------------------------------------------------------------------ how well they agree


@given(several)
def test_figures_are_those_of_the_formulas(masks):
    found = agreement(list(masks), NAMES)
    pairs = list(combinations(masks, 2))
    for column, one in enumerate(found):
        by_pair = [by_counting(a[:, column], b[:, column]) for a, b in pairs]
        assert one.behavior == NAMES[column]
        assert one.n_pairs == len(pairs)
        assert one.kappa == pytest.approx(known_mean([k for k, _ in by_pair]), nan_ok=True)
        assert one.f1 == pytest.approx(known_mean([f for _, f in by_pair]), nan_ok=True)


def test_figures_are_those_of_evaluate(new_store):
    key = "M1/S1/1"
    ds = new_store(key, n_frames=80)
    random = np.random.default_rng(0)
    ours, theirs = (random.integers(-1, 2, (80, 6)).astype(np.int8) for _ in range(2))
    ds = annotate(annotate(ds, key, ours, "ours"), key, theirs, "theirs")
    scores = ds.soup.evaluate(mode="theirs", annotator="ours")
    found = agreement([ours, theirs], scores.behavior.values.tolist())
    np.testing.assert_allclose([one.kappa for one in found], scores.kappa)
    np.testing.assert_allclose([one.f1 for one in found], scores.f1)


def test_what_a_lane_says():
    ours, theirs = mask("####......", "." * 10, "#" * 10), mask("###......#", "." * 10, "#" * 10)
    names = ["lift", "grab", "chew"]
    lift, grab, chew = agreement([ours, theirs], names)
    assert lift.text == "κ 0.58 · F1 0.75"
    assert grab.text == "–", "it occurs in neither"
    assert chew.text == "κ – · F1 1.00", "agreement by chance would be as good"
    assert agreement([ours, theirs, ours], names)[0].text == "κ 0.72 · F1 0.83 (mean of 3 pairs)"


def test_unlabelled_frames_count_for_nothing():
    long = agreement([mask("##..??", "?" * 6), mask("#...#.", "#" * 6)], NAMES)
    short = agreement([mask("##..", "?" * 4), mask("#...", "#" * 4)], NAMES)
    assert long[0] == short[0]
    assert long[1].text == short[1].text == Agreement("grab", math.nan, math.nan).text


# ------------------------------------------------------------------ jumping


@given(stretch_lists, st.integers(-1, 62))
def test_the_nearest_start_on_that_side(stretches, frame):
    pairs = list(zip(stretches[::2], stretches[1::2], strict=True))
    after = [pair for pair in pairs if pair[0] > frame]
    before = [pair for pair in pairs if pair[0] < frame]
    assert next_stretch(stretches, frame, 1) == (after[0] if after else None)
    assert next_stretch(stretches, frame, -1) == (before[-1] if before else None)


@given(several)
def test_jumping_forwards_visits_every_disagreement_once(masks):
    flat = disagreements(list(masks))[0]
    visited, frame = [], -1
    while (found := next_stretch(flat, frame, 1)) is not None:
        visited.append(list(found))
        frame = found[0]
    column = np.array([f in frames_of(flat) for f in range(masks.shape[1])])
    assert visited == mask_to_bouts(column).tolist()


# ------------------------------------------------------------------ refusals


def test_what_cannot_be_compared_is_refused():
    one = mask("##..", "....")
    with pytest.raises(ArgumentError, match="masks: expected two or more"):
        disagreements([one])
    with pytest.raises(ArgumentError, match="one shape"):
        agreement([one, one[:3]], NAMES)
    with pytest.raises(ArgumentError, match="behaviors: expected 2 names"):
        agreement([one, one], ["lift"])
    with pytest.raises(ArgumentError, match="step: expected 1 or -1"):
        next_stretch([0, 1], 0, 0)
