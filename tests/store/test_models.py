"""Which models a store knows: the newest wins, and they move with the store."""

import dataclasses
import threading

import numpy as np
import pytest

import soupxr as sx
from soupxr.errors import CheckpointError
from soupxr.known_models import newest_model
from soupxr.store import (
    FittedDecision,
    ModelRecord,
    Store,
    add_model,
    fitted_decision,
    models,
    set_decision,
)


@pytest.fixture
def lab_folder(tmp_path):
    """A folder with a store and models beside each other."""
    (tmp_path / "lab" / "videos").mkdir(parents=True)
    sx.create(tmp_path / "lab" / "reach.zarr", tmp_path / "lab" / "videos")
    return tmp_path / "lab"


@pytest.fixture
def address(lab_folder):
    return str(lab_folder / "reach.zarr")


def record(path, mode="fast", kind="sequence", value=0.5, sha256="0" * 64):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a model")
    metric = "ssim_loss" if kind == "flow_generator" else "f1_mean"
    return ModelRecord(mode, kind, str(path), sha256, "2026-11-25T12:00:00+00:00", metric, value)


def test_a_new_store_knows_none(address):
    assert models(Store(address)) == []
    assert newest_model(Store(address), "fast", "sequence") is None
    assert fitted_decision(Store(address), "fast") is None


def test_models_come_back_as_they_went_in_the_newest_last(address, lab_folder):
    known = [
        record(lab_folder / "models" / "a.ckpt", "fast", "flow_generator", 0.25),
        record(lab_folder / "Mäuse 1" / "b.ckpt", "slow", "sequence", 1 / 3, "ab" * 32),
        record(lab_folder.parent / "elsewhere" / "c.ckpt", "fast", "feature_extractor"),
    ]
    for one in known:
        add_model(address, one)
    assert models(Store(address)) == known


def test_a_store_that_was_open_before_sees_them(address, lab_folder):
    store = Store(address)
    assert models(store) == []
    add_model(address, record(lab_folder / "a.ckpt"))
    add_model(address, record(lab_folder / "b.ckpt"))
    assert len(models(store)) == 2


def test_the_newest_of_a_mode_and_kind_is_its_default(address, lab_folder):
    for name, mode, kind in (
        ("a", "fast", "sequence"),
        ("b", "slow", "sequence"),
        ("c", "fast", "sequence"),
        ("d", "fast", "flow_generator"),
    ):
        add_model(address, record(lab_folder / f"{name}.ckpt", mode, kind))

    def newest(mode, kind):
        found = newest_model(Store(address), mode, kind)
        return found and found.path

    assert newest("fast", "sequence") == str(lab_folder / "c.ckpt")
    assert newest("slow", "sequence") == str(lab_folder / "b.ckpt")
    assert newest("fast", "flow_generator") == str(lab_folder / "d.ckpt")
    assert newest("slow", "flow_generator") is None
    table = sx.open(address).soup.models
    assert table["default"].tolist() == [False, True, True, True]
    assert table["there"].all()


def test_a_model_at_the_same_place_replaces_the_one_that_was_there(address, lab_folder):
    add_model(address, record(lab_folder / "a.ckpt", value=0.25))
    add_model(address, record(lab_folder / "b.ckpt"))
    again = record(lab_folder / "a.ckpt", value=0.75, sha256="f" * 64)
    # The same place by another way.
    add_model(address, dataclasses.replace(again, path=str(lab_folder / "x" / ".." / "a.ckpt")))
    known = models(Store(address))
    assert [one.path for one in known] == [str(lab_folder / "b.ckpt"), str(lab_folder / "a.ckpt")]
    assert newest_model(Store(address), "fast", "sequence") == again


def test_store_and_models_move_together(address, lab_folder, tmp_path):
    add_model(address, record(lab_folder / "models" / "fast" / "best.ckpt"))
    moved = tmp_path / "other disk" / "lab of 2027"
    moved.parent.mkdir()
    lab_folder.rename(moved)
    found = newest_model(Store(str(moved / "reach.zarr")), "fast", "sequence")
    assert found.path == str(moved / "models" / "fast" / "best.ckpt")
    assert (moved / "models" / "fast" / "best.ckpt").exists()


def test_a_model_that_has_gone_is_not_passed_over(address, lab_folder):
    add_model(address, record(lab_folder / "old.ckpt"))
    add_model(address, record(lab_folder / "new.ckpt"))
    (lab_folder / "new.ckpt").unlink()
    with pytest.raises(CheckpointError) as error:
        newest_model(Store(address), "fast", "sequence")
    message = str(error.value)
    assert message.startswith(f"{lab_folder / 'new.ckpt'}: expected the sequence")
    for part in ("'fast'", "2026-11-25", "Put it back", "train anew"):
        assert part in message
    assert sx.open(address).soup.models["there"].tolist() == [True, False]


def test_models_registered_at_once_are_all_kept(address, lab_folder):
    known = [record(lab_folder / f"{i}.ckpt") for i in range(8)]
    threads = [threading.Thread(target=add_model, args=(address, one)) for one in known]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.path for one in models(Store(address))) == [one.path for one in known]


# ---------------------------------------------------------------- thresholds


def decision(threshold, **settings):
    row = {
        "sequence_model": "c" * 64,
        "thresholds": {"lift": threshold, "chew": 0.1},
        "minimum_bout": {"lift": 4, "chew": 0},
        "annotator": "human",
        "fitted_on": "out of fold",
        "fitted": "2026-11-25T12:00:00+00:00",
    }
    return FittedDecision(**(row | settings))


def test_fitted_thresholds_come_back_as_they_went_in(address):
    set_decision(address, "fast", decision(1 / 3))
    assert fitted_decision(Store(address), "fast") == decision(1 / 3)
    assert fitted_decision(Store(address), "slow") is None


def test_each_mode_has_its_own_and_the_last_one_counts(address):
    store = Store(address)
    set_decision(address, "fast", decision(0.2))
    set_decision(address, "slow", decision(0.4, annotator="rater 2"))
    set_decision(address, "fast", decision(0.6))
    assert fitted_decision(store, "fast") == decision(0.6)
    assert fitted_decision(store, "slow") == decision(0.4, annotator="rater 2")


def test_models_and_thresholds_leave_each_other_and_the_store_alone(address, lab_folder):
    before = sx.open(address)
    add_model(address, record(lab_folder / "a.ckpt"))
    set_decision(address, "fast", decision(0.2))
    add_model(address, record(lab_folder / "b.ckpt"))
    assert len(models(Store(address))) == 2
    assert fitted_decision(Store(address), "fast") == decision(0.2)
    after = sx.open(address)
    assert set(after.variables) == set(before.variables)
    assert after.attrs == before.attrs
    assert np.array_equal(after.behavior, before.behavior)
