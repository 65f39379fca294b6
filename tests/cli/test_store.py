"""create, add and remove."""

from __future__ import annotations

import pytest

import soupxr as sx

KEYS = ("M1/S1/1", "M1/S1/2", "M1/S2/1", "M2/S1/1")


def keys(store):
    table = sx.open(store).soup.trials
    return ["/".join(map(str, row)) for row in table[["animal", "session", "trial_id"]].values]


@pytest.fixture
def empty(soupxr, lab, tmp_path):
    """A store without trials beside videos of four."""
    root = lab(*KEYS)
    soupxr("create", tmp_path / "reach.zarr", "--data-root", root)
    return tmp_path / "reach.zarr"


def test_create_makes_what_the_api_makes(soupxr, tmp_path):
    (tmp_path / "videos").mkdir()
    store = tmp_path / "groom.zarr"
    options = ["--behavior", "groom", "--behavior", "rear", "--view", "top", "--pad"]
    said = soupxr("create", store, "--data-root", tmp_path / "videos", *options).output
    ds = sx.open(store)
    assert ds.behavior.values.tolist() == ["groom", "rear"]
    assert ds.view.values.tolist() == ["top"]
    assert ds.attrs["join"] == "pad"
    assert "soupxr add" in said


def test_create_has_the_defaults_of_the_api(soupxr, empty, tmp_path):
    twin = sx.create(tmp_path / "twin.zarr", tmp_path / "videos")
    anywhere = {"soupxr_store": ""}
    assert sx.open(empty).assign_attrs(anywhere).identical(twin.assign_attrs(anywhere))


def test_create_refuses_what_is_there_and_what_is_not(soupxr, empty, tmp_path):
    said = soupxr("create", empty, "--data-root", tmp_path / "videos", code=1).output
    assert "expected no file or folder of this name" in said
    assert "--data-root" in soupxr("create", tmp_path / "x.zarr", code=2).output
    soupxr("create", tmp_path / "x.zarr", "--data-root", tmp_path / "nowhere", code=2)
    assert not (tmp_path / "x.zarr").exists()


def test_add_animals(soupxr, empty):
    said = soupxr("add", empty, "M1", "M2", "--experiment", "table").output
    assert keys(empty) == list(KEYS)
    assert (sx.open(empty).experiment == "table").all()
    assert said.splitlines() == ["M1: added 3 trials", "M2: added 1 trial"]


def test_add_sessions_and_trials(soupxr, empty):
    soupxr("add", empty, "M1", "--session", "S2")
    assert keys(empty) == ["M1/S2/1"]
    soupxr("add", empty, "M1", "--session", "S1", "--trial", "1-2")
    assert keys(empty) == ["M1/S2/1", "M1/S1/1", "M1/S1/2"]


def test_add_what_is_new(soupxr, empty):
    soupxr("add", empty, "M1", "--session", "S2")
    assert "--new-only" in soupxr("add", empty, "M1", code=1).stderr
    said = soupxr("add", empty, "M1", "--new-only", "--dry-run").output
    assert said == "M1: would add 2 trials (24 frames)\n"
    assert soupxr("add", empty, "M1", "--new-only").output == "M1: added 2 trials\n"
    assert soupxr("add", empty, "M1", "--new-only").output == "M1: added 0 trials\n"
    assert keys(empty) == ["M1/S2/1", "M1/S1/1", "M1/S1/2"]


def test_a_dry_run_of_add_measures_and_writes_nothing(soupxr, empty, fingerprint):
    before = fingerprint(empty)
    said = soupxr("add", empty, "M1", "M2", "--dry-run").output
    assert said.splitlines() == [
        "M1: would add 3 trials (36 frames)",
        "M2: would add 1 trial (12 frames)",
    ]
    assert fingerprint(empty) == before


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_one_bad_animal_is_told_and_the_others_are_added(soupxr, empty, tmp_path, more):
    (tmp_path / "videos/M1/S1/reach_front_v002.mp4").write_bytes(b"no video")
    result = soupxr("add", empty, "M1", "M2", *more, code=1)
    assert "reach_front_v002.mp4" in result.stderr
    assert keys(empty) == ([] if more else ["M2/S1/1"])


def test_trials_are_numbered_within_a_session(soupxr, empty):
    assert "--session" in soupxr("add", empty, "M1", "--trial", "1", code=2).output
    soupxr("add", empty, "M1", "--session", "S1", "--trial", "one", code=2)
    soupxr("add", empty, "M1", "--session", "S1", "--trial", "3-1", code=2)
    assert keys(empty) == []


def test_videos_that_moved_are_found_by_data_root(soupxr, empty, tmp_path):
    (tmp_path / "videos").rename(tmp_path / "elsewhere")
    soupxr("add", empty, "M2", code=1)
    soupxr("add", empty, "M2", "--data-root", tmp_path / "elsewhere")
    assert keys(empty) == ["M2/S1/1"]
    assert sx.options.get_option("data_root") is None


def test_remove_what_was_named(soupxr, new_store, tmp_path):
    new_store(*KEYS)
    store = tmp_path / "reach.zarr"
    soupxr("remove", store, "M1", "--session", "S1", "--trial", "2", "--yes")
    assert keys(store) == ["M1/S1/1", "M1/S2/1", "M2/S1/1"]
    soupxr("remove", store, "M1", "M2", "--session", "S1", "-y")
    assert keys(store) == ["M1/S2/1"]
    soupxr("remove", store, "M1", "-y")
    assert keys(store) == []
    assert (tmp_path / "videos/M1/S1/reach_side_v001.mp4").exists()


def test_remove_does_nothing_in_a_dry_run_nor_unasked(soupxr, new_store, tmp_path, fingerprint):
    new_store(*KEYS)
    store = tmp_path / "reach.zarr"
    before = fingerprint(store)
    assert "3 trials (36 frames)" in soupxr("remove", store, "M1", "--dry-run").output
    assert "--yes" in soupxr("remove", store, "M1", code=2).output
    said = soupxr("remove", store, "M1", "M9", "--yes", code=2).output
    assert "the store has no M9; nothing was removed" in said
    assert fingerprint(store) == before
