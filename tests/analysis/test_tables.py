"""Bouts of an ethogram, and back."""

from __future__ import annotations

import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from analysis_strategies import PROPERTY, ethograms
from hypothesis import given
from hypothesis import strategies as st

from soupxr.analysis import bouts_to_ethogram, ethogram_to_bouts
from soupxr.errors import ArgumentError


def rows(table, *columns):
    return list(table[list(columns)].itertuples(index=False, name=None))


def test_bouts_of_trials(trials):
    table = ethogram_to_bouts(
        trials(
            M1_S1_3={"grab": ".##..#", "chew": "......"},
            M2_S1_1={"grab": "##", "chew": ".#"},
        )
    )
    assert rows(table, "animal", "session", "trial_id", "behavior", "start", "stop") == [
        ("M1", "S1", 3, "grab", 1, 3),
        ("M1", "S1", 3, "grab", 5, 6),
        ("M2", "S1", 1, "grab", 0, 2),
        ("M2", "S1", 1, "chew", 1, 2),
    ]
    assert table.duration_s.tolist() == [0.2, 0.1, 0.2, 0.1]


def test_bouts_of_a_store_tell_what_made_them(trials, store, tmp_path):
    ds = store(trials(M1_S1_3={"grab": ".##..#"}, M2_S1_3={"grab": "##"}))
    told = ds.soup.bouts(annotator="Ana").attrs["provenance"]
    ours = ethogram_to_bouts(ds, annotator="Ana").attrs["provenance"]
    assert ours | {"exported": told["exported"]} == told
    assert (ours["annotator"], ours["n_trials"]) == ("Ana", 2)
    one = ds.sel(animal="M2", annotator="Ana")[["annotation"]]
    assert ethogram_to_bouts(one).attrs["provenance"]["n_trials"] == 1
    cube = ds.unstack("trial").sel(animal="M1", session="S1")
    assert ethogram_to_bouts(cube, annotator="Ana").attrs["provenance"]["n_trials"] == 1
    # Where nobody can tell, there are bouts all the same.
    moved = ds.load().assign_attrs(soupxr_store=str(tmp_path / "gone.zarr"))
    alone = ds.copy()
    alone.attrs.clear()
    for other in (moved, alone):
        table = ethogram_to_bouts(other, annotator="Ana")
        assert len(table) == 3
        assert table.attrs == {}
    assert ethogram_to_bouts(ds.annotation.sel(annotator="Ana")).attrs == {}


def test_an_unlabelled_frame_parts_a_bout_and_can_be_listed(trial):
    labels = trial(grab="##?#.")
    assert rows(ethogram_to_bouts(labels), "start", "stop") == [(0, 2), (3, 4)]
    assert rows(ethogram_to_bouts(labels, value=-1), "start", "stop") == [(2, 3)]
    assert rows(ethogram_to_bouts(labels, value=0), "start", "stop") == [(4, 5)]


def test_without_a_frame_rate_there_are_no_seconds(trial):
    labels = trial(grab="##.")
    assert ethogram_to_bouts(labels).duration_s.isna().all()
    assert ethogram_to_bouts(labels, fps=4).duration_s.tolist() == [0.5]


def test_frames_keep_their_numbers_in_a_selection(trial):
    labels = trial(grab="...##.").assign_coords(frame=np.arange(6)).isel(frame=slice(2, 5))
    table = ethogram_to_bouts(labels)
    assert rows(table, "start", "stop") == [(3, 5)]
    xr.testing.assert_identical(bouts_to_ethogram(table, labels).drop_attrs(), labels.drop_attrs())
    with pytest.raises(ArgumentError, match="frame: expected every frame"):
        ethogram_to_bouts(labels.isel(frame=[0, 2]))


def test_equals_the_table_of_the_store(trials, store):
    labels = trials(
        M1_S1_1={"grab": ".##..#", "chew": "......"}, M1_S2_1={"grab": "##", "chew": ".#"}
    )
    ds = store(labels)
    ours = ethogram_to_bouts(ds, annotator="Ana")
    pd.testing.assert_frame_equal(ours, ds.soup.bouts(annotator="Ana"), check_dtype=False)
    one = ds.sel(animal="M1", session="S2")  # its dimension is trial_id
    assert rows(ethogram_to_bouts(one, annotator="Ana"), "session", "trial_id", "stop") == [
        ("S2", 1, 2),
        ("S2", 1, 2),
    ]
    assert rows(ethogram_to_bouts(one.sel(annotator="Ana", trial_id=1)), "animal", "behavior") == [
        ("M1", "grab"),
        ("M1", "chew"),
    ]


@PROPERTY
@given(ethograms())
def test_round_trip_with_what_is_unlabelled(labels):
    again = bouts_to_ethogram(ethogram_to_bouts(labels), labels)
    assert again.dtype == np.int8
    xr.testing.assert_equal(again, labels)


@PROPERTY
@given(ethograms(low=0))
def test_round_trip_of_the_table_alone(labels):
    table = ethogram_to_bouts(labels).sample(frac=1, random_state=0)
    behaviors = labels["behavior"].values.tolist()
    again = bouts_to_ethogram(table, behaviors=behaviors, n_frames=labels.sizes["frame"])
    # Trials of which a table has no row are not in it.
    there = labels.isel(trial=labels.any(["frame", "behavior"]).values)
    assert again.sizes["trial"] == there.sizes["trial"] if "trial" in again.dims else not len(table)
    for key in there.indexes["trial"]:
        animal, session, number = key
        chosen = {"animal": animal, "session": session, "trial_id": number}
        assert (again.sel(chosen).values == there.sel(chosen).values).all()


@PROPERTY
@given(ethograms(), st.integers(1, 3))
def test_dask_gives_the_same_and_stays_lazy(labels, size):
    chunked = labels.chunk(trial=size, frame=5)
    pd.testing.assert_frame_equal(ethogram_to_bouts(chunked), ethogram_to_bouts(labels))
    again = bouts_to_ethogram(ethogram_to_bouts(labels), chunked)
    assert isinstance(again.data, dask.array.Array)
    xr.testing.assert_equal(again.compute(), labels)


def test_short_bouts_left_out_of_the_table_are_gone(trials):
    labels = trials(M1_S1_1={"grab": ".#.###??"})
    table = ethogram_to_bouts(labels)
    cleaned = bouts_to_ethogram(table[table.duration_s > 0.15], labels)
    assert cleaned.values[0, :, 0].tolist() == [0, 0, 0, 1, 1, 1, -1, -1]


def test_a_bout_covers_what_was_unlabelled_and_overlaps_are_one(trial):
    labels = trial(grab="?????.")
    table = pd.DataFrame({"behavior": "grab", "start": [1, 2], "stop": [3, 4]})
    assert bouts_to_ethogram(table, labels).values[:, 0].tolist() == [-1, 1, 1, 1, -1, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"behavior": "fly"}, "behaviors among"),
        ({"start": -1}, "0 <= start <= stop <= 4"),
        ({"stop": 5}, "0 <= start <= stop <= 4"),
        ({"start": 3}, "0 <= start <= stop <= 4"),
        ({"start": 0.5}, "whole frames"),
        ({"animal": "M9"}, "trials of the selection"),
    ],
)
def test_bouts_that_do_not_fit(trials, change, message):
    labels = trials(M1_S1_1={"grab": "...."}, M2_S1_1={"grab": "...."})
    row = {"animal": "M1", "session": "S1", "trial_id": 1, "behavior": "grab"}
    table = pd.DataFrame([row | {"start": 1, "stop": 2} | change])
    with pytest.raises(ArgumentError, match=message):
        bouts_to_ethogram(table, labels)


def test_tables_that_lack_something(trials):
    labels = trials(M1_S1_1={"grab": "...."}, M2_S1_1={"grab": "...."})
    table = pd.DataFrame({"behavior": ["grab"], "start": [0], "stop": [1]})
    with pytest.raises(ArgumentError, match="'animal'"):
        bouts_to_ethogram(table, labels)
    with pytest.raises(ArgumentError, match="'stop'"):
        bouts_to_ethogram(table.drop(columns="stop"), labels)
    with pytest.raises(ArgumentError, match="n_frames"):
        bouts_to_ethogram(table)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (xr.DataArray(np.zeros((2, 3)), dims=("frame", "mode")), "dimensions"),
        (xr.DataArray(np.zeros((2, 3, 1)), dims=("mode", "frame", "behavior")), "Select one"),
        (
            xr.DataArray(np.zeros((1, 1, 2, 2)), dims=("animal", "session", "frame", "behavior")),
            "stack",
        ),
        (xr.DataArray(np.full((2, 1), 0.5), dims=("frame", "behavior")), "threshold"),
        (xr.DataArray(np.full((2, 1), 2), dims=("frame", "behavior")), "1, 0 and -1"),
    ],
)
def test_other_arrays_are_refused(array, message):
    with pytest.raises(ArgumentError, match=message):
        ethogram_to_bouts(array)


def test_whose_labels_must_be_clear(trials, store):
    ds = store(trials(M1_S1_1={"grab": "#."}))
    with pytest.raises(ArgumentError, match="either mode= or annotator="):
        ethogram_to_bouts(ds)
    with pytest.raises(ArgumentError, match="annotator: expected one of"):
        ethogram_to_bouts(ds, annotator="Bob")
    with pytest.raises(ArgumentError, match="whole Dataset"):
        ethogram_to_bouts(ds.annotation, annotator="Ana")
    assert len(ethogram_to_bouts(ds.drop_vars("ethogram").sel(annotator="Ana"))) == 1


def test_results_that_are_not_committed_are_unlabelled(trials):
    labels = trials(M1_S1_1={"grab": "##"}, M1_S1_2={"grab": "##"})
    ds = xr.Dataset({"ethogram": labels, "status": ("trial", np.array([2, 1], np.int8))})
    assert ethogram_to_bouts(ds).trial_id.tolist() == [1]


@pytest.mark.parametrize("without", ["frame", "behavior"])
def test_ethograms_of_nothing_are_of_nothing(without):
    like = xr.DataArray(
        np.zeros((2, 5, 2), np.int8),
        dims=("trial", "frame", "behavior"),
        coords={"trial": ["a", "b"], "behavior": ["lift", "grab"]},
        name="ethogram",
    ).isel({without: slice(0, 0)})
    none = pd.DataFrame({"trial": [], "behavior": [], "start": [], "stop": []})
    assert bouts_to_ethogram(none, like=like).shape == like.shape
