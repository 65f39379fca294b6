"""Counts, durations, rates and latencies."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from analysis_strategies import PROPERTY, ethograms
from hypothesis import given

from soupxr.analysis import bout_statistics, ethogram_to_bouts
from soupxr.errors import ArgumentError


def numbers(stats, **place):
    one = stats.sel(place)
    return {str(name): one[name].item() for name in one.data_vars}


def test_one_trial_by_hand(trial):
    # At 10 Hz: bouts of 0.2, 0.1 and 0.3 s in 1.2 s, the first one 0.1 s from the start.
    stats = bout_statistics(trial(grab=".##.#.###...", chew="............"), fps=10)
    assert numbers(stats, behavior="grab") == pytest.approx(
        {
            "n_bouts": 3,
            "mean_duration": 0.2,
            "median_duration": 0.2,
            "total_duration": 0.6,
            "labelled_time": 1.2,
            "rate": 150.0,
            "latency": 0.1,
            "n_trials": 1,
            "n_trials_with": 1,
        }
    )
    none = numbers(stats, behavior="chew")
    assert (none["n_bouts"], none["total_duration"], none["rate"]) == (0, 0, 0)
    assert np.isnan([none["mean_duration"], none["median_duration"], none["latency"]]).all()
    assert {name: stats[name].attrs["units"] for name in ("rate", "latency", "n_bouts")} == {
        "rate": "min-1",
        "latency": "s",
        "n_bouts": "1",
    }


def test_unlabelled_time_does_not_count(trial):
    stats = bout_statistics(trial(grab="#..???????", chew="??????????"), fps=10)
    assert stats.labelled_time.values == pytest.approx([0.3, 0.0])
    assert stats.rate.values == pytest.approx([200.0, np.nan], nan_ok=True)
    assert stats.n_trials.values.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("line", "latency"), [("#...", 0.0), ("..#.", 0.2), (".?#.", np.nan), ("#?..", 0.0)]
)
def test_latency_is_unknown_behind_unlabelled_frames(trial, line, latency):
    stats = bout_statistics(trial(grab=line), fps=10)
    assert stats.latency.values == pytest.approx([latency], nan_ok=True)


@pytest.fixture
def four(trials):
    """Two trials of M1 (one each in two sessions), two of M2's only session."""
    return trials(
        M1_S1_1={"grab": "##........"},
        M1_S2_1={"grab": "#.#......."},
        M2_S1_1={"grab": ".....##..."},
        M2_S1_2={"grab": "....."},
    )


def test_by_animal_pools_bouts_and_time(four):
    stats = bout_statistics(four, by="animal")
    assert stats.sizes == {"animal": 2, "behavior": 1}
    first = numbers(stats, animal="M1", behavior="grab")
    assert first["n_bouts"] == 3
    assert first["mean_duration"] == pytest.approx(0.4 / 3)
    assert first["median_duration"] == pytest.approx(0.1)
    second = numbers(stats, animal="M2", behavior="grab")
    assert second["rate"] == pytest.approx(60 / 1.5)
    assert second["latency"] == pytest.approx(0.5)
    assert (second["n_trials"], second["n_trials_with"]) == (2, 1)


def test_by_session_is_by_the_animals_session(four):
    stats = bout_statistics(four, by="session")
    assert stats.n_bouts.dims == ("animal", "session", "behavior")
    assert stats.n_bouts.sel(behavior="grab").values.tolist() == [[1, 2], [1, 0]]
    assert stats.n_trials.sel(behavior="grab").values.tolist() == [[1, 1], [2, 0]]
    assert np.isnan(stats.rate.sel(animal="M2", session="S2")).all()


def test_all_together_and_by_other_facts(four):
    assert bout_statistics(four, by=None).n_bouts.values.tolist() == [4]
    told = four.assign_coords(experiment=("trial", ["table", "pez", "table", "pez"]))
    stats = bout_statistics(told, by="experiment")
    assert stats.n_bouts.sel(behavior="grab", experiment="pez").item() == 2
    both = bout_statistics(told, by=["animal", "experiment"])
    assert both.n_bouts.dims == ("animal", "experiment", "behavior")
    with pytest.raises(ArgumentError, match="by: expected of each trial one of"):
        bout_statistics(four, by="weather")
    with pytest.raises(ArgumentError, match="by"):
        bout_statistics(four, by="frame")


def test_frame_rates_may_differ(trials):
    labels = trials(fps=[10.0, 100.0], M1_S1_1={"grab": "##..."}, M1_S1_2={"grab": ".##.."})
    stats = bout_statistics(labels)
    assert stats.total_duration.values.ravel() == pytest.approx([0.2, 0.02])
    assert stats.latency.values.ravel() == pytest.approx([0.0, 0.01])
    rates = labels.fps.isel(trial=[1, 0])
    again = bout_statistics(labels.drop_vars("fps"), fps=rates)
    xr.testing.assert_identical(again, stats.drop_vars("fps"))


def test_the_frame_rate_must_be_known(trial):
    with pytest.raises(ArgumentError, match="Pass fps="):
        bout_statistics(trial(grab="#"))
    with pytest.raises(ArgumentError, match="above 0"):
        bout_statistics(trial(grab="#"), fps=0)
    with pytest.raises(ArgumentError, match="one frame rate"):
        bout_statistics(trial(grab="#"), fps=[1, 2])


def test_of_a_store(four, store):
    ds = store(four)
    stats = bout_statistics(ds, annotator="Ana")
    assert (stats.n_bouts.values == bout_statistics(four).n_bouts.values).all()
    assert stats.indexes["trial"].equals(ds.indexes["trial"])
    # What a trial is shorter by is padding and no labelled time.
    assert stats.labelled_time.values.ravel() == pytest.approx([1, 1, 1, 0.5])
    assert bout_statistics(ds, annotator="Ana", by="experiment").n_bouts.values.tolist() == [[4]]
    array = ds.set_coords("fps").annotation.sel(annotator="Ana")
    xr.testing.assert_equal(bout_statistics(array).rate.drop_vars("fps"), stats.rate)


@PROPERTY
@given(ethograms())
def test_trials_add_up_to_their_groups(labels):
    alone = bout_statistics(labels, fps=10)
    for by in ("animal", "session", None):
        group = bout_statistics(labels, fps=10, by=by)
        for name in ("n_bouts", "total_duration", "labelled_time", "n_trials", "n_trials_with"):
            assert group[name].sum().item() == pytest.approx(alone[name].sum().item())
    mine = bout_statistics(labels, fps=10, by="animal")
    theirs = alone[["n_bouts", "total_duration", "labelled_time"]].groupby("animal").sum()
    xr.testing.assert_allclose(mine[list(theirs)], theirs)


@PROPERTY
@given(ethograms())
def test_agrees_with_pandas_over_the_table_of_bouts(labels):
    table = ethogram_to_bouts(labels, fps=10).groupby(["animal", "behavior"]).duration_s
    stats = bout_statistics(labels, fps=10, by="animal").to_dataframe()
    there = stats[stats.n_bouts > 0]
    assert there.n_bouts.to_dict() == table.size().to_dict()
    assert there.median_duration.to_dict() == pytest.approx(table.median().to_dict())


@PROPERTY
@given(ethograms(most=3))
def test_trials_can_be_concatenated_before_or_after(labels):
    whole = bout_statistics(labels, fps=10)
    parts = [labels.isel(trial=[place]) for place in range(labels.sizes["trial"])]
    joined = xr.concat([bout_statistics(part, fps=10) for part in parts], "trial")
    xr.testing.assert_allclose(joined, whole)
