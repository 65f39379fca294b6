"""The labelled Dataset, and what a selection of it means."""

import numpy as np
import pytest
import xarray as xr

import soupxr as sx
from soupxr.dataset import data_root, keys_of, store_of

KEYS = ("M1/S1/1", "M1/S1/10", "M1/S2/1", "M2/S1/1")


@pytest.fixture
def ds(new_store):
    return new_store(*KEYS)


def test_every_array_is_labelled(ds):
    assert ds.ethogram.dims == ("mode", "trial", "frame", "behavior")
    assert ds.annotation.dims == ("annotator", "trial", "frame", "behavior")
    for dim in ds.dims:
        assert dim in ds.coords
    assert list(ds.indexes["trial"].names) == ["animal", "session", "trial_id"]
    assert ds.fps.attrs["units"] == "Hz"


@pytest.mark.parametrize(
    ("select", "keys"),
    [
        (lambda ds: ds, KEYS),
        (lambda ds: ds.sel(animal="M1"), KEYS[:3]),
        (lambda ds: ds.sel(animal="M1", session="S1"), KEYS[:2]),
        (lambda ds: ds.sel(animal="M1", session="S1", trial_id=10), KEYS[1:2]),
        (lambda ds: ds.sel(session="S1"), (KEYS[0], KEYS[1], KEYS[3])),
        (lambda ds: ds.sel(trial_id=1), (KEYS[0], KEYS[2], KEYS[3])),
        (lambda ds: ds.isel(trial=2), KEYS[2:3]),
        (lambda ds: ds.isel(trial=[3, 0]), (KEYS[3], KEYS[0])),
        (lambda ds: ds.isel(trial=slice(1, 3)), KEYS[1:3]),
        (lambda ds: ds.isel(trial=[]), ()),
        (lambda ds: ds.sel(mode="fast", behavior="grab").isel(frame=3), KEYS),
        (lambda ds: ds.unstack("trial"), KEYS),
        (lambda ds: ds.unstack("trial").sel(animal="M2"), KEYS[3:]),
        (lambda ds: ds.sortby("trial_id", ascending=False), None),
        (lambda ds: ds.where(ds.trial_id == 1, drop=True), (KEYS[0], KEYS[2], KEYS[3])),
        (lambda ds: ds[["ethogram"]], KEYS),
        (lambda ds: ds.load(), KEYS),
    ],
)
def test_a_selection_means_its_trials(ds, select, keys):
    found = keys_of(select(ds))
    if keys is None:
        assert sorted(found) == sorted(KEYS)
    else:
        assert tuple(found) == tuple(keys)


def test_selecting_one_trial_leaves_frame_and_behavior(ds):
    one = ds.ethogram.sel(mode="fast", animal="M1", session="S2", trial_id=1)
    assert one.dims == ("frame", "behavior")
    assert one.dtype == np.int8


def test_the_cube(ds):
    of_interest = ds[["n_frames", "status", "ethogram"]]
    cube = of_interest.unstack("trial", fill_value={"n_frames": 0, "status": 0, "ethogram": -1})
    assert dict(cube.sizes)["animal"] == 2
    assert cube.n_frames.sel(animal="M2", session="S1", trial_id=1) == 12


def test_a_dataset_that_forgot_its_store_says_so(ds):
    forgetful = ds.copy()
    forgetful.attrs = {}
    with pytest.raises(sx.StoreError, match=r"soupxr\.open"):
        forgetful.soup.infer()
    with pytest.raises(sx.StoreError, match="arithmetic"):
        xr.Dataset().soup.infer()


def test_a_dataset_without_trial_coordinates_says_so(ds):
    with pytest.raises(sx.ArgumentError, match="animal, session and trial_id"):
        keys_of(ds.drop_vars(["trial", "animal", "session", "trial_id"]))


def test_data_root_moves_with_the_store(ds, tmp_path):
    assert data_root(store_of(ds)) == tmp_path / "videos"
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("reach.zarr", "videos"):
        (tmp_path / name).rename(moved / name)
    again = sx.open(moved / "reach.zarr")
    assert data_root(store_of(again)) == moved / "videos"
    assert again.isel(trial=0).soup.video().isel(frame=0).values.any()


def test_data_root_can_be_overridden(ds, tmp_path, monkeypatch):
    monkeypatch.setenv("SOUPXR_DATA_ROOT", str(tmp_path / "from_environment"))
    assert data_root(store_of(ds)) == tmp_path / "from_environment"
    with sx.set_options(data_root=tmp_path / "from_option"):
        assert data_root(store_of(ds)) == tmp_path / "from_option"
    assert data_root(store_of(ds)) == tmp_path / "from_environment"


def test_a_store_is_opened_from_any_working_directory(ds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    near = sx.open("reach.zarr")
    monkeypatch.chdir("/")
    assert near.sizes["trial"] == 4
    assert near.ethogram.sel(animal="M2").shape == (3, 1, 12, 6)


def test_with_dask(ds, tmp_path):
    lazy = sx.open(tmp_path / "reach.zarr", chunks={"trial": 2})
    assert lazy.ethogram.chunks is not None
    assert keys_of(lazy) == list(KEYS)
    xr.testing.assert_equal(lazy.ethogram.compute(), ds.ethogram)


def test_files_that_are_not_ours_do_no_harm(ds, tmp_path):
    (tmp_path / "reach.zarr" / ".DS_Store").write_bytes(b"finder")
    assert sx.open(tmp_path / "reach.zarr").sizes["trial"] == 4
    assert sx.open(tmp_path / "reach.zarr").soup.features("fast").sizes["trial"] == 4


def test_a_trial_goes_into_a_netcdf_file(ds, tmp_path):
    pytest.importorskip("scipy")
    one = ds.sel(animal="M1", session="S2", trial_id=1, mode="fast").drop_vars("trial")
    one[["ethogram", "probability"]].to_netcdf(tmp_path / "trial.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "trial.nc", engine="scipy") as back:
        np.testing.assert_array_equal(back.ethogram, one.ethogram)
