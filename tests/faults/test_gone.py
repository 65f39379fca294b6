"""A store or a video that is deleted, moved or replaced while a run is at work on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from faults import calls, inferring
from faults.checker import assert_equal, holdings
from processes import at_write

import soupxr as sx
from soupxr.inference import trial
from soupxr.store import zarrs

VIDEO = Path("M1/S1/reach_side_v001.mp4")
#: Frames of a film that takes longer than its first block.
LONG = 400


@pytest.fixture
def lab(tmp_path, film, models, monkeypatch) -> Path:
    """Two trials to infer without networks."""
    for name in ("_engine", "_sequence_model", "class_probabilities"):
        monkeypatch.setattr(trial, name, getattr(trial, name))  # so that it is put back
    inferring.make_lab(tmp_path / "lab", film)
    inferring.keep_tasks(tmp_path / "lab", models())
    return tmp_path / "lab"


# ------------------------------------------------------------------ the store


@pytest.mark.parametrize("number", [1, 3, 6, 9, 14])
@pytest.mark.parametrize("happens", ["deleted", "moved"])
def test_a_store_that_goes_away_under_a_run(happens, number, lab, monkeypatch):
    from soupxr.store import results

    store, elsewhere = lab / "reach.zarr", lab / "moved.zarr"

    def go_away() -> None:
        shutil.rmtree(store) if happens == "deleted" else store.rename(elsewhere)

    monkeypatch.setattr(results, "write", at_write(results, number, go_away))
    told = [outcome.error for outcome in inferring.outcomes(lab)]
    assert any(told)
    assert all("not there any more" in error or "there is none" in error for error in told if error)
    assert not store.exists(), "half a store was made where the whole one had been"
    if happens == "moved":
        elsewhere.rename(store)
        monkeypatch.undo()
        found = holdings(store)
        assert len(found.results) == sum(error is None for error in told)


@pytest.mark.parametrize("call", ["add", "remove", "annotate_anew", "annotate_over", "thresholds"])
def test_a_store_that_is_moved_under_any_other_call(call, lab_of_four, monkeypatch):
    from soupxr.store import annotations, membership, results

    store, elsewhere = lab_of_four / "reach.zarr", lab_of_four / "moved.zarr"
    module = {"add": membership, "remove": membership, "thresholds": results}.get(call, annotations)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write", at_write(module, 2, lambda: store.rename(elsewhere)))
        with pytest.raises((sx.SoupError, Warning), match=r"not there any more|there is none"):
            calls.CALLS[call](lab_of_four)
    assert not store.exists()
    elsewhere.rename(store)
    holdings(store)
    calls.CALLS[call](lab_of_four)
    holdings(store)


def test_what_is_written_where_nothing_is_is_an_error(lab_of_four):
    array = zarrs.find_array(zarrs.open_group(str(lab_of_four / "reach.zarr")), "n_frames")
    shutil.rmtree(lab_of_four / "reach.zarr")
    for act in (lambda: zarrs.write(array, 0, 1), lambda: zarrs.resize(array, (9,))):
        with pytest.raises(sx.StoreError, match=r"not there any more.*Put it back"):
            act()
    assert not (lab_of_four / "reach.zarr").exists()


# ------------------------------------------------------------------ a video


def at_the_first_block(monkeypatch, act):
    """Do something when the first frames are decoded."""
    look_ahead = trial.look_ahead

    def acting(stream):
        for number, block in enumerate(look_ahead(stream)):
            if number == 0:
                act()
            yield block

    monkeypatch.setattr(trial, "look_ahead", acting)


def others(film, path, **size):
    """Another film of that name."""
    return film(path.parent.parent.parent / "other" / path.name, **size)


def test_a_video_that_is_replaced_while_it_is_read(lab, film, monkeypatch):
    path = lab / "videos" / VIDEO
    new = others(film, path, n_frames=inferring.FRAMES)
    with monkeypatch.context() as patch:
        at_the_first_block(patch, lambda: os.replace(new, path) if new.exists() else None)
        first, second = inferring.outcomes(lab)
    assert "replaced while it was read" in first.error
    assert second.error is None
    found = holdings(lab / "reach.zarr")
    assert list(found.results) == [("fast", inferring.TRIALS[1])]
    assert [outcome.error for outcome in inferring.outcomes(lab)] == [None, None]
    assert len(holdings(lab / "reach.zarr").results) == 2


def test_a_video_that_is_deleted_while_it_is_read(lab, monkeypatch):
    """What was seen to its end counts; what cannot be seen is told."""
    path = lab / "videos" / VIDEO
    with monkeypatch.context() as patch:
        at_the_first_block(patch, lambda: path.unlink(missing_ok=True))
        told = [outcome.error for outcome in inferring.outcomes(lab)]
    found = holdings(lab / "reach.zarr")
    assert len(found.results) == told.count(None)
    assert all("no file of that name" in error for error in told if error)


@pytest.mark.parametrize("becomes", ["cut short", "another", "nothing"])
def test_a_video_whose_file_is_written_over_while_it_is_read(becomes, lab, film, monkeypatch):
    """What was seen of it by then cannot be told from the rest: the trial fails."""
    path = lab / "videos" / VIDEO
    film(path, n_frames=LONG, height=128, width=192)
    sx.open(lab / "reach.zarr").soup.remove_item("M1", "S1", 1).soup.add_item("M1", "S1", 1)
    data = path.read_bytes()
    other = others(film, path, n_frames=LONG, height=128, width=192).read_bytes()
    new = {"cut short": data[: len(data) // 2], "another": other, "nothing": b""}[becomes]

    def write_over() -> None:
        if path.read_bytes() == data:
            path.write_bytes(new)  # in its place: it is the same file

    with monkeypatch.context() as patch:
        at_the_first_block(patch, write_over)
        told = {outcome.key: outcome.error for outcome in inferring.outcomes(lab)}
    assert told.pop("M1/S1/1") is not None
    assert set(told.values()) == {None}
    path.write_bytes(data)
    assert {outcome.error for outcome in inferring.outcomes(lab)} == {None}
    assert len(holdings(lab / "reach.zarr").results) == 2


@pytest.mark.parametrize("left", [0, 100, 0.5, 0.9])
def test_a_video_that_is_cut_short_before_it_is_read(lab, left):
    """Its trial fails with a reason; results that were there stay."""
    inferring.infer_quickly(lab)
    before = holdings(lab / "reach.zarr")
    path = lab / "videos" / VIDEO
    data = path.read_bytes()
    path.write_bytes(data[: int(left if left > 1 else left * len(data))])
    ds = sx.open(lab / "reach.zarr")
    for key in inferring.TRIALS:
        assert ds.status.sel(mode="fast").values.tolist() == [2, 2], key
    told = redo(lab)
    assert told[0] is not None
    assert str(path) in told[0]
    assert told[1] is None
    assert_equal(holdings(lab / "reach.zarr"), before)
    assert str(path) in str(sx.open(lab / "reach.zarr").error.sel(mode="fast").values[0])
    path.write_bytes(data)
    assert redo(lab) == [None, None]
    assert_equal(holdings(lab / "reach.zarr"), before)


def redo(lab):
    """Infer anew what is done, features included."""
    import pickle
    from dataclasses import replace

    inferring.without_networks()
    tasks = pickle.loads((lab / "tasks.pickle").read_bytes())
    return [trial.process(replace(task, redo=True, redo_features=True)).error for task in tasks]


def test_a_shorter_video_in_place_of_another_hides_labels_and_deletes_none(lab, film):
    labels = np.ones((inferring.FRAMES, 6), np.int8)
    key = inferring.TRIALS[0]
    sx.open(lab / "reach.zarr").sel(animal="M1", session="S1", trial_id=1).soup.annotate(
        labels, annotator="Ana"
    )
    path = lab / "videos" / VIDEO
    kept = path.read_bytes()
    shutil.copyfile(others(film, path, n_frames=8), path)
    assert redo(lab) == [None, None]
    found = holdings(lab / "reach.zarr")
    assert found.trials[key][0] == 8
    assert (found.labels["Ana", key][: inferring.FRAMES] == 1).all()
    path.write_bytes(kept)
    assert redo(lab) == [None, None]
    found = holdings(lab / "reach.zarr")
    assert found.trials[key][0] == inferring.FRAMES
    assert found.results["fast", key]["ethogram"].shape == (inferring.FRAMES, 6)
    assert (found.labels["Ana", key][: inferring.FRAMES] == 1).all()
