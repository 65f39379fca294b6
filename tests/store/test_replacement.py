"""A new result takes an old one's place: at any moment one of the two is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faults import calls
from processes import at_write
from results import labels, probabilities, put_result

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.schema import Status
from soupxr.store import Store, TrialResults, add_trials, replacement, results, zarrs
from soupxr.store.replacement import Replacement, replacement_path

KEY = "M1/S1/1"
N = 30
OLD, NEW = (probabilities(labels(N, seed), seed) for seed in (1, 2))


class Killed(BaseException):
    pass


def die() -> None:
    raise Killed


@pytest.fixture
def ds(new_store):
    ds = new_store(KEY, n_frames=N)
    put_result(ds, KEY, OLD)
    return ds


def opened(ds):
    store = Store(store_of(ds).address)
    (mark,) = store.statuses("fast", [store.slot(KEY)])
    return store, Status(int(mark))


def in_place(store):
    return store.rows("probability", store.mode_index("fast"), store.trial(KEY))


def replace_and_die(ds, monkeypatch, number):
    """Replace the result, and die at a change of a file; whether it came to that."""
    count = at_write(zarrs, number, die)
    with monkeypatch.context() as patch:
        for module in (replacement, results):
            patch.setattr(module, "write", count)
        try:
            put_result(ds, KEY, NEW)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("number", range(1, 16))
def test_killed_anywhere_one_of_the_two_is_whole(ds, monkeypatch, number):
    killed = replace_and_die(ds, monkeypatch, number)
    assert killed == (number < 15)
    store, mark = opened(ds)
    if mark == Status.COMPLETE:
        assert any(np.array_equal(in_place(store), one) for one in (OLD, NEW))
        return
    assert mark == Status.REPLACING
    assert sx.open(store.address).soup.trials.fast.tolist() == ["replacing"]
    assert TrialResults(store, "fast", KEY).finish_replacement()
    store, mark = opened(ds)
    assert mark == Status.COMPLETE
    np.testing.assert_array_equal(in_place(store), NEW)
    assert Replacement(store, "fast", store.slot(KEY)).read(N) is None


def half_replaced(ds, monkeypatch):
    assert replace_and_die(ds, monkeypatch, 7)
    store, mark = opened(ds)
    assert mark == Status.REPLACING
    return store


def test_a_failure_takes_away_neither_of_the_two(ds, monkeypatch):
    store = half_replaced(ds, monkeypatch)
    TrialResults(store, "fast", KEY).fail("the disk is full")
    assert opened(ds)[1] == Status.REPLACING


def test_new_features_take_away_neither_of_the_two(ds, monkeypatch):
    store = half_replaced(ds, monkeypatch)
    TrialResults(store, "fast", KEY).start_features('{"features": null, "claim": "a"}')
    assert opened(ds)[1] == Status.REPLACING


def test_a_new_result_that_is_damaged_is_not_believed(ds, monkeypatch):
    store = half_replaced(ds, monkeypatch)
    path = store.optional(replacement_path("fast"))["ethogram"].path
    chunks = [one for one in Path(store.address, path, "c").rglob("*") if one.is_file()]
    for chunk in chunks:
        chunk.write_bytes(b"nonsense")
    assert chunks
    writer = TrialResults(Store(store.address), "fast", KEY)
    assert not writer.finish_replacement()
    assert opened(ds)[1] == Status.REPLACING
    put_result(ds, KEY, NEW)
    store, mark = opened(ds)
    assert mark == Status.COMPLETE
    np.testing.assert_array_equal(in_place(store), NEW)


def test_a_first_result_needs_no_second_place(new_store):
    ds = new_store(KEY, n_frames=N)
    put_result(ds, KEY, OLD)
    assert not store_of(ds).optional(replacement_path("fast"))


def test_trials_that_are_added_later_have_the_place_too(ds):
    put_result(ds, KEY, NEW)
    store = store_of(ds)
    add_trials(store.address, calls.rows("M2/S1/1", n_frames=2 * N))
    longer = probabilities(labels(2 * N, 3), 3)
    for _ in range(2):
        put_result(sx.open(store.address), "M2/S1/1", longer)
    row = Store(store.address)
    found = row.rows("probability", row.mode_index("fast"), row.trial("M2/S1/1"))
    np.testing.assert_array_equal(found, longer)
