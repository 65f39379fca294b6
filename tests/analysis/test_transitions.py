"""What follows what: the rules, case by case, and against a slow count."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from analysis_strategies import PROPERTY, ethograms, masks
from hypothesis import given
from hypothesis import strategies as st

from soupxr.analysis import transition_matrix
from soupxr.errors import ArgumentError


def pairs(labels, **options):
    """Transitions that were counted, such as ``{"ab": 1}``."""
    counts = transition_matrix(labels, **options)
    found = counts.to_series()
    return {"".join(pair): int(n) for pair, n in found[found > 0].items()}


@pytest.mark.parametrize(
    ("lines", "counted"),
    [
        ({"a": "##....", "b": "...##."}, {"ab": 1}),  # over a gap
        ({"a": "######", "b": "..##.."}, {"ab": 1}),  # while the first goes on
        ({"a": "#.#.#.", "b": "......"}, {"aa": 2}),  # itself
        ({"a": "#...#.", "b": "..#..."}, {"ab": 1, "ba": 1}),
        ({"a": "##..", "b": "##..", "c": "..#."}, {"ac": 1, "bc": 1}),  # at once, then one
        ({"a": "##..", "b": "..#.", "c": "..#."}, {"ab": 1, "ac": 1}),  # one, then at once
        ({"a": "#?..", "b": "...#"}, {}),  # something may have begun unseen
        ({"a": "#...", "b": ".?.#"}, {}),
        ({"a": "#.?#.", "b": "....#"}, {"ab": 1}),  # goes on when labels begin again
        ({"a": "????", "b": "#.#."}, {}),  # a was never labelled
        ({"a": "....", "b": "...."}, {}),
        ({"a": "#", "b": "#"}, {}),
    ],
)
def test_rules(trial, lines, counted):
    assert pairs(trial(**lines)) == counted


@pytest.mark.parametrize(("max_gap", "counted"), [(0.2, {}), (0.3, {"ab": 1}), (None, {"ab": 1})])
def test_gaps_may_be_too_long(trial, max_gap, counted):
    labels = trial(a="##....", b=".....#")
    assert pairs(labels, max_gap=max_gap, fps=10) == counted


def test_a_gap_within_limits_is_measured_from_the_end_of_the_first(trial):
    labels = trial(a="#####..", b="......#")
    assert pairs(labels, max_gap=0.1, fps=10) == {"ab": 1}
    assert pairs(labels, max_gap=0, fps=10) == {}
    assert pairs(trial(a="####", b="..##"), max_gap=0, fps=10) == {"ab": 1}


def test_probabilities_and_groups(trials):
    labels = trials(
        M1_S1_1={"a": "#....#", "b": "..#..."},  # ab ba
        M1_S1_2={"a": "#.#...", "b": "....#."},  # aa ab
        M2_S1_1={"a": "......", "b": "..#..."},
    )
    counts = transition_matrix(labels, by="animal")
    assert counts.dims == ("animal", "from_behavior", "to_behavior")
    assert counts.sel(animal="M1").values.tolist() == [[1, 2], [1, 0]]
    assert not counts.sel(animal="M2").any()
    probability = transition_matrix(labels, by="animal", normalize=True)
    assert probability.sel(animal="M1").values == pytest.approx(np.array([[1 / 3, 2 / 3], [1, 0]]))
    assert np.isnan(probability.sel(animal="M2")).all()
    assert probability.attrs["units"] == counts.attrs["units"] == "1"
    # What was true across trials is not counted: each begins anew.
    assert transition_matrix(labels).sum() == 4


def test_composes_with_groupby_and_concat(trials):
    labels = trials(
        M1_S1_1={"a": "#....#", "b": "..#..."},
        M1_S1_2={"a": "#.#...", "b": "....#."},
        M2_S1_1={"a": "#.....", "b": "..#..."},
    )
    alone = transition_matrix(labels, by="trial")
    together = transition_matrix(labels, by="animal")
    xr.testing.assert_equal(alone.groupby("animal").sum(), together)
    parts = [transition_matrix(labels.isel(trial=[k]), by="trial") for k in range(3)]
    xr.testing.assert_equal(xr.concat(parts, "trial"), alone)


def test_of_a_store(trials, store):
    labels = trials(M1_S1_1={"a": "#....#", "b": "..#..."}, M1_S1_2={"a": "#.", "b": ".#"})
    ds = store(labels)
    xr.testing.assert_equal(
        transition_matrix(ds, annotator="Ana").drop_vars("annotator"), transition_matrix(labels)
    )
    only = transition_matrix(ds.sel(behavior=["a"]), annotator="Ana")
    assert only.values.tolist() == [[1]]


def test_arguments_of_no_use(trial):
    with pytest.raises(ArgumentError, match="max_gap"):
        transition_matrix(trial(a="#"), max_gap=-1)
    with pytest.raises(ArgumentError, match="fps"):
        transition_matrix(trial(a="#"), max_gap=1)


def slowly(mask):
    """Frame by frame: who began last, as far as everything has been seen since."""
    counts = np.zeros((mask.shape[1], mask.shape[1]), int)
    last, before = [], np.zeros(mask.shape[1], bool)
    for row in mask:
        if (row < 0).any():
            last, before = [], np.zeros(mask.shape[1], bool)
            continue
        begins = np.flatnonzero((row == 1) & ~before)
        if len(begins):
            for one in last:
                for other in begins:
                    counts[one, other] += 1
            last = begins
        before = row == 1
    return counts


@PROPERTY
@given(masks())
def test_against_a_slow_count(mask):
    labels = xr.DataArray(mask, dims=("frame", "behavior"))
    assert (transition_matrix(labels).values == slowly(mask)).all()


@PROPERTY
@given(ethograms(), st.integers(1, 3), st.sampled_from([None, 0.0, 0.2]))
def test_dask_gives_the_same(labels, size, max_gap):
    whole = transition_matrix(labels, by="session", max_gap=max_gap, fps=10)
    chunked = labels.chunk(trial=size, frame=3)
    again = transition_matrix(chunked, by="session", max_gap=max_gap, fps=10)
    xr.testing.assert_identical(again, whole)


@PROPERTY
@given(ethograms(), st.floats(0, 2), st.floats(0, 2))
def test_a_longer_gap_forbids_no_more(labels, one, other):
    short, long = sorted((one, other))
    fewer = transition_matrix(labels, max_gap=short, fps=10)
    more = transition_matrix(labels, max_gap=long, fps=10)
    assert (fewer <= more).all()
    assert (more <= transition_matrix(labels)).all()


@PROPERTY
@given(ethograms())
def test_rows_of_probabilities_sum_to_one(labels):
    rows = transition_matrix(labels, normalize=True).sum("to_behavior", skipna=False).values
    assert (np.isnan(rows) | np.isclose(rows, 1)).all()
