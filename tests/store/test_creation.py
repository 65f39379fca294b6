import json

import numpy as np
import pytest
import zarr

import soupxr as sx
from soupxr.schema import VARIABLES, feature_variables
from soupxr.store import Store


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


def test_an_empty_store_has_every_array_of_the_schema(tmp_path, root):
    sx.create(tmp_path / "a.zarr", root)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    for name, variable in VARIABLES.items():
        array = group[name]
        assert array.metadata.dimension_names == variable.dims
        assert array.attrs["description"] == variable.about
        if variable.dtype != "str":
            assert array.dtype == np.dtype(variable.dtype)
    for mode in ("fast", "medium", "slow"):
        assert set(group[f"features/{mode}"].array_keys()) == set(feature_variables())


def test_labels_come_back_as_they_went_in(tmp_path, root):
    behaviors = ("lécher", "grab", "手を伸ばす")
    ds = sx.create(tmp_path / "a.zarr", root, behaviors=behaviors, views=("cam",))
    assert tuple(ds.behavior.values) == behaviors
    assert ds.view.values.tolist() == ["cam"]
    assert ds.mode.values.tolist() == ["fast", "medium", "slow"]
    assert dict(ds.sizes)["trial"] == 0


def test_nothing_is_overwritten(tmp_path, root):
    sx.create(tmp_path / "a.zarr", root)
    with pytest.raises(sx.StoreError, match=r"soupxr\.open"):
        sx.create(tmp_path / "a.zarr", root)
    (tmp_path / "b.zarr").write_text("my thesis")
    with pytest.raises(sx.StoreError):
        sx.create(tmp_path / "b.zarr", root)
    assert (tmp_path / "b.zarr").read_text() == "my thesis"


def test_an_interrupted_creation_leaves_nothing_of_that_name(tmp_path, root, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("soupxr.store.creation.make_array", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sx.create(tmp_path / "a.zarr", root)
    assert [p.name for p in tmp_path.iterdir()] == ["videos"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"join": "stretch"}, "join: expected 'equal' or 'pad', but got 'stretch'"),
        ({"views": "side"}, "views"),
        ({"views": ()}, "one name or more"),
        ({"behaviors": ("a", "a")}, "each once"),
        ({"pattern": "("}, "regular expression"),
    ],
)
def test_bad_arguments(tmp_path, root, options, told):
    with pytest.raises(sx.ArgumentError, match=told):
        sx.create(tmp_path / "a.zarr", root, **options)
    assert not (tmp_path / "a.zarr").exists()


def test_absent_data_root(tmp_path):
    with pytest.raises(sx.ArgumentError, match="existing folder with videos"):
        sx.create(tmp_path / "a.zarr", tmp_path / "nowhere")


def test_only_relative_paths_are_stored(tmp_path, new_store):
    new_store("M1/S1/1")
    store = Store(str(tmp_path / "reach.zarr"))
    assert store.attrs["data_root"] == "videos"
    for path in (tmp_path / "reach.zarr").rglob("zarr.json"):
        assert str(tmp_path) not in json.dumps(json.loads(path.read_text()))
    assert store.trial("M1/S1/1").video_paths[0] == "M1/S1/reach_side_v001.mp4"


def test_opening_what_is_no_store(tmp_path):
    with pytest.raises(sx.StoreError, match=r"there is none.*soupxr\.create"):
        sx.open(tmp_path / "none.zarr")
    zarr.open_group(tmp_path / "other.zarr", mode="w")
    with pytest.raises(sx.StoreError, match="soupxr_schema"):
        sx.open(tmp_path / "other.zarr")


def test_opening_a_newer_schema_names_both_versions(tmp_path, root):
    sx.create(tmp_path / "a.zarr", root)
    zarr.open_group(tmp_path / "a.zarr", mode="r+").attrs["soupxr_schema"] = 99
    with pytest.raises(sx.StoreError, match="expected schema version 1, but got 99"):
        sx.open(tmp_path / "a.zarr")
