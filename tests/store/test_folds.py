"""Out-of-fold probabilities: there when they are whole, gone with their trial or when cleared."""

import numpy as np
import pytest

import soupxr as sx
from soupxr.errors import StoreError
from soupxr.ingest import TrialRow
from soupxr.schema import FRAME_CHUNK
from soupxr.store import (
    Store,
    add_trials,
    clear_out_of_fold,
    correct_trial,
    read_out_of_fold,
    remove_trials,
    write_out_of_fold,
)

LENGTHS = {"M1/S1/1": 30, "M1/S1/2": 41, "M2/S1/1": 25}


def row(key, n_frames):
    animal, session, trial_id = key.split("/")
    return TrialRow(animal, session, int(trial_id), ("a.mp4", "b.mp4"), n_frames, 500.0)


@pytest.fixture
def address(address_of):
    return address_of(*(row(key, n) for key, n in LENGTHS.items()))


def probability(n_frames, seed=0):
    return np.random.default_rng(seed).random((n_frames, 6), dtype=np.float32)


def put(address, key, seed=0, mode="fast", fold=0):
    values = probability(Store(address).trial(key).n_frames, seed)
    write_out_of_fold(address, mode, key, fold, values)
    return values


def read(address, key, mode="fast"):
    return read_out_of_fold(Store(address), mode, key)


def test_a_new_store_has_none(address):
    assert read(address, "M1/S1/1") is None
    assert "out_of_fold" not in Store(address).group


def test_each_trial_and_mode_has_its_own(address):
    written = {
        (mode, key): put(address, key, seed, mode)
        for seed, (mode, key) in enumerate(
            [("fast", "M1/S1/1"), ("fast", "M2/S1/1"), ("slow", "M1/S1/1")]
        )
    }
    for (mode, key), values in written.items():
        found = read(address, key, mode)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, values)
    assert read(address, "M1/S1/2") is None
    assert read(address, "M2/S1/1", "slow") is None
    assert read(address, "M1/S1/1", "medium") is None


def test_the_last_word_counts_and_leaves_no_tail(address):
    put(address, "M1/S1/2", seed=1)
    write_out_of_fold(address, "fast", "M1/S1/2", 3, probability(10, seed=2))
    stored = read(address, "M1/S1/2")
    np.testing.assert_array_equal(stored[:10], probability(10, seed=2))
    assert np.isnan(stored[10:]).all()
    fold = Store(address).optional("out_of_fold/fast")["fold"]
    assert int(fold[Store(address).slot("M1/S1/2")]) == 3


def test_clearing_withdraws_one_mode_alone(address):
    kept = put(address, "M1/S1/1", mode="slow")
    put(address, "M1/S1/1")
    put(address, "M2/S1/1")
    clear_out_of_fold(address, "fast")
    assert read(address, "M1/S1/1") is read(address, "M2/S1/1") is None
    np.testing.assert_array_equal(read(address, "M1/S1/1", "slow"), kept)
    arrays = Store(address).optional("out_of_fold/fast")
    assert np.isnan(arrays["probability"][...]).all()
    again = put(address, "M1/S1/1", seed=5)
    np.testing.assert_array_equal(read(address, "M1/S1/1"), again)
    assert read(address, "M2/S1/1") is None


def test_clearing_what_is_not_there(address):
    clear_out_of_fold(address, "fast")
    assert read(address, "M1/S1/1") is None


@pytest.mark.parametrize("dies_at", [0, 1, 2])
def test_what_was_half_written_does_not_count(address, monkeypatch, dies_at):
    put(address, "M1/S1/1", seed=1)
    from soupxr.store import folds

    write, calls = folds.write, iter(range(100))

    def dies(*arguments):
        if next(calls) == dies_at:
            raise KeyboardInterrupt
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(folds, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            put(address, "M1/S1/1", seed=2)
    found = read(address, "M1/S1/1")
    if dies_at == 0:
        np.testing.assert_array_equal(found, probability(30, seed=1))
    else:
        assert found is None
    np.testing.assert_array_equal(put(address, "M1/S1/1", seed=3), read(address, "M1/S1/1"))


# ---------------------------------------------------------------- trials that come and go


def test_trials_that_are_added_later_have_their_place(address):
    before = put(address, "M1/S1/1")
    longer = FRAME_CHUNK + 17
    add_trials(address, [row("M3/S1/1", 12), row("M3/S1/2", longer)])
    np.testing.assert_array_equal(read(address, "M1/S1/1"), before)
    assert read(address, "M3/S1/1") is read(address, "M3/S1/2") is None
    for seed, key in enumerate(("M3/S1/1", "M3/S1/2")):
        np.testing.assert_array_equal(put(address, key, seed), read(address, key))
    assert read(address, "M3/S1/2").shape == (longer, 6)
    np.testing.assert_array_equal(read(address, "M1/S1/1"), before)


def test_a_trial_that_is_removed_takes_its_row_along(address):
    kept = put(address, "M1/S1/1", seed=1)
    put(address, "M2/S1/1", seed=2)
    slot = Store(address).slot("M2/S1/1")
    remove_trials(address, ["M2/S1/1"])
    arrays = Store(address).optional("out_of_fold/fast")
    assert int(arrays["fold"][slot]) == -1
    assert np.isnan(arrays["probability"][slot]).all()
    with pytest.raises(StoreError, match="M2/S1/1"):
        read(address, "M2/S1/1")
    with pytest.raises(StoreError, match="M2/S1/1"):
        write_out_of_fold(address, "fast", "M2/S1/1", 0, probability(25))
    np.testing.assert_array_equal(read(address, "M1/S1/1"), kept)
    add_trials(address, [row("M2/S1/1", 25)])
    assert read(address, "M2/S1/1") is None


def test_what_was_said_of_a_video_that_was_replaced_is_void(address):
    put(address, "M1/S1/1")
    kept = put(address, "M1/S1/2", seed=1)
    correct_trial(address, "M1/S1/1", 33, 500.0)
    assert read(address, "M1/S1/1") is None
    np.testing.assert_array_equal(read(address, "M1/S1/2"), kept)


def test_the_dataset_opens_as_before(address):
    before = set(sx.open(address).variables)
    put(address, "M1/S1/1")
    assert set(sx.open(address).variables) == before
