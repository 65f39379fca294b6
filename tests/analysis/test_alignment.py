"""Values around events."""

from __future__ import annotations

import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from analysis_strategies import PROPERTY, ethograms
from hypothesis import given
from hypothesis import strategies as st

from soupxr.analysis import align, ethogram_to_bouts
from soupxr.errors import ArgumentError


def test_by_hand(trials):
    labels = trials(
        M1_S1_1={"grab": "..##.#", "chew": ".#...."},
        M2_S1_1={"grab": "#...", "chew": "...#"},
    )
    around = align(labels, "grab", (-0.2, 0.3))
    assert around.dims == ("event", "time", "behavior")
    assert around.dtype == np.int8
    assert around["time"].values == pytest.approx([-0.2, -0.1, 0, 0.1, 0.2])
    assert around["time"].attrs["units"] == "s"
    assert around.indexes["event"].tolist() == [
        ("M1", "S1", 1, 0),
        ("M1", "S1", 1, 1),
        ("M2", "S1", 1, 0),
    ]
    assert around.indexes["event"].names == ["animal", "session", "trial_id", "occurrence"]
    assert around["event_frame"].values.tolist() == [2, 5, 0]
    assert set(around["event_behavior"].values) == {"grab"}
    assert around.sel(behavior="grab").values.tolist() == [
        [0, 0, 1, 1, 0],
        [1, 0, 1, -1, -1],
        [-1, -1, 1, 0, 0],
    ]
    assert around.sel(behavior="chew").values.tolist() == [
        [0, 1, 0, 0, 0],
        [0, 0, 0, -1, -1],
        [-1, -1, 0, 0, 0],
    ]


def test_the_end_of_bouts_and_the_first_of_each_trial(trials):
    labels = trials(M1_S1_1={"grab": "..##.#.."}, M1_S1_2={"grab": ".....##."})
    ends = align(labels, "grab", (-0.1, 0.1), edge="stop")
    assert ends["event_frame"].values.tolist() == [4, 6, 7]
    assert ends.sel(behavior="grab").values.tolist() == [[1, 0]] * 3
    first = align(labels, "grab", (0, 0.1), which="first")
    assert first["event_frame"].values.tolist() == [2, 5]


def test_selects_and_groups_like_any_labelled_array(trials):
    labels = trials(
        M1_S1_1={"grab": "..##.#.."}, M1_S1_2={"grab": ".....##."}, M2_S1_1={"grab": ".#......"}
    ).assign_coords(experiment=("trial", ["table", "pez", "pez"]))
    around = align(labels, "grab", (0, 0.2)).sel(behavior="grab")
    assert around.sel(animal="M1").sizes["event"] == 3
    means = around.where(around >= 0).groupby("animal").mean()
    assert means.sel(animal="M1").values == pytest.approx([1, 2 / 3])
    assert around.groupby("experiment").count().sel(experiment="pez").values.tolist() == [2, 2]
    parts = [align(labels.isel(trial=[k]), "grab", (0, 0.2)) for k in range(3)]
    xr.testing.assert_identical(
        xr.concat(parts, "event").sel(behavior="grab", drop=True), around.drop_vars("behavior")
    )


def test_values_of_other_kinds_around_a_table_of_events(trials):
    labels = trials(M1_S1_1={"grab": "..##.#"}, M2_S1_1={"grab": "#..."})
    height = xr.DataArray(
        np.arange(12.0, dtype=np.float32).reshape(2, 6), dims=("trial", "frame"), name="height"
    ).assign_coords(labels.drop_vars("behavior").coords)
    table = ethogram_to_bouts(labels)
    around = align(height, table, (-0.1, 0.2))
    assert around.dtype == np.float32
    assert around.name == "height"
    np.testing.assert_array_equal(around, [[1, 2, 3], [4, 5, np.nan], [np.nan, 6, 7]])
    whole = align(height.astype(np.int64), table, (-0.1, 0.2))
    np.testing.assert_array_equal(whole, around)
    assert align(height > 4, table, (-0.1, 0.2)).values.tolist() == [
        [0, 0, 0],
        [0, 1, -1],
        [-1, 1, 1],
    ]
    # A mask is as good as its table, in whatever order its trials are.
    mask = labels.sel(behavior="grab").isel(trial=[1, 0])
    xr.testing.assert_identical(align(height, mask, (-0.1, 0.2)), around)


def test_padding_is_beyond_the_trial_where_its_length_is_known(trials):
    labels = trials(M1_S1_1={"grab": "..##.#"}, M2_S1_1={"grab": "#..."})
    height = xr.zeros_like(labels.isel(behavior=0, drop=True), dtype=float)
    height = height.assign_coords(n_frames=("trial", [6, 4]))
    around = align(height, ethogram_to_bouts(labels), (0, 0.6))
    assert around.notnull().sum("time").values.tolist() == [4, 1, 4]


def test_one_trial_without_labels(trial):
    around = align(trial(grab=".#.#"), "grab", (0, 0.2), fps=10)
    assert around["event"].values.tolist() == [0, 1]
    assert around.values[..., 0].tolist() == [[1, 0], [1, -1]]


def test_no_event_is_no_error(trials):
    around = align(trials(M1_S1_1={"grab": "...."}), "grab", (-0.1, 0.2))
    assert around.shape == (0, 3, 1)
    assert around.indexes["event"].names[0] == "animal"


def test_frame_rates_that_differ_need_a_common_one(trials):
    labels = trials(fps=[10.0, 20.0], M1_S1_1={"grab": ".##..."}, M1_S1_2={"grab": "..####"})
    with pytest.raises(ArgumentError, match="rate="):
        align(labels, "grab", (-0.1, 0.3))
    around = align(labels, "grab", (-0.1, 0.3), rate=10)
    assert around.sel(behavior="grab").values.tolist() == [[0, 1, 1, 0], [0, 1, 1, -1]]


def test_of_a_store_and_its_lazy_arrays(trials, store):
    labels = trials(
        M1_S1_1={"grab": "..##.#", "chew": ".#...."}, M2_S1_1={"grab": "#...", "chew": "...#"}
    )
    ds = store(labels)
    around = align(ds, "grab", (-0.2, 0.3), annotator="Ana")
    assert (around.values == align(labels, "grab", (-0.2, 0.3)).values).all()
    assert around["annotator"].item() == "Ana"
    table = ds.soup.bouts(annotator="Ana").query("behavior == 'grab'")
    again = align(ds.annotation.sel(annotator="Ana"), table, (-0.2, 0.3), fps=ds.fps)
    assert (again.values == around.values).all()
    one = align(ds.sel(animal="M2", session="S1"), "chew", (-0.1, 0.1), annotator="Ana")
    assert one.sel(behavior="chew").values.tolist() == [[0, 1]]
    assert one.sel(animal="M2").sizes["event"] == 1


@PROPERTY
@given(ethograms(), st.integers(1, 3), st.sampled_from(["start", "stop"]))
def test_dask_gives_the_same_and_stays_lazy(labels, size, edge):
    chunked = labels.chunk(trial=size, frame=5)
    around = align(labels, "grab", (-0.3, 0.4), edge=edge, fps=10)
    lazy = align(chunked, "grab", (-0.3, 0.4), edge=edge, fps=10)
    assert isinstance(lazy.data, dask.array.Array)
    xr.testing.assert_identical(lazy.compute(), around)


@PROPERTY
@given(
    ethograms(),
    st.integers(-9, 9),
    st.integers(1, 9),
    st.sampled_from([1.0, 10.0, 30.0, 500.0, 29.97]),
)
def test_every_sample_is_the_frame_it_says(labels, first, count, fps):
    window = (first / fps, (first + count) / fps)
    around = align(labels, "grab", window, fps=fps)
    assert around.sizes["time"] == count
    values = labels.pad(frame=(40, 40), constant_values=-1)
    for (animal, session, number, _), event in zip(
        around.indexes["event"], around.transpose("event", ...), strict=True
    ):
        at = int(event["event_frame"]) + 40 + first
        one = values.sel(animal=animal, session=session, trial_id=number)
        assert (event.values == one.values[at : at + count]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"event": "fly"}, "event: expected one of"),
        ({"event": 3}, "a behavior, a mask"),
        ({"event": xr.DataArray(np.ones((2, 1)), dims=("frame", "behavior"))}, "Select one"),
        ({"window": (0.1, 0.1)}, "window"),
        ({"window": 3}, "window"),
        ({"window": (0, float("nan"))}, "window"),
        ({"edge": "middle"}, "edge"),
        ({"which": "last"}, "which"),
        ({"rate": 0}, "rate"),
        ({"event": pd.DataFrame({"frame": [1]})}, "a column start"),
        ({"event": pd.DataFrame({"start": [0.5]})}, "whole frames"),
        ({"event": pd.DataFrame({"start": [1], "trial_id": [9]})}, "trials of the selection"),
    ],
)
def test_arguments_of_no_use(trials, options, message):
    labels = trials(M1_S1_1={"grab": ".#"}, M1_S1_2={"grab": ".#"})
    arguments = {"event": "grab", "window": (0, 0.1)} | options
    with pytest.raises(ArgumentError, match=message):
        align(labels, **arguments)
