"""Reading while other processes make the store longer."""

import numpy as np
import pytest
from results import row

from soupxr.schema import INDEXES, VARIABLES
from soupxr.store import Store, add_trials, correct_trial, lookup, write_annotations, zarrs
from soupxr.store.zarrs import dims_of


def elsewhere(act, *arguments):
    """Do it as another process does, which has opened arrays of its own."""
    zarrs._array_at.cache_clear()
    act(*arguments)


@pytest.fixture
def address(address_of):
    return address_of(row("M1/S1/1"))


def test_trials_that_came_since_are_read(address):
    store = Store(address)
    assert store.arrays["n_frames"].shape == (1,)
    elsewhere(add_trials, address, [row("M1/S1/2", 5000)])
    assert store.trials(store.keys())[1].n_frames == 5000
    slots = store.slots(["M1/S1/2"])
    assert store.provenances("fast", slots) == [""]
    assert store.statuses("fast", slots).tolist() == [0]
    assert store.rows("ethogram", 0, store.trial("M1/S1/2")).shape == (5000, 6)


def test_a_trial_that_became_longer_since_is_read(address):
    store = Store(address)
    assert store.arrays["ethogram"].shape[2] == 30
    elsewhere(correct_trial, address, "M1/S1/1", 2000, 500.0)
    assert store.trial("M1/S1/1").n_frames == 2000


@pytest.mark.parametrize("number", range(len(VARIABLES)))
def test_arrays_agree_whoever_lengthens_them_meanwhile(address, number, monkeypatch):
    find, left = lookup.find_array, [number]

    def find_array(group, name):
        left[0] -= 1
        if left[0] == -1:
            elsewhere(add_trials, address, [row("M1/S1/2", 50)])
            write_annotations(address, "Ana", {"M1/S1/1": np.zeros((30, 6), np.int8)})
        return find(group, name)

    monkeypatch.setattr(lookup, "find_array", find_array)
    arrays = Store(address).arrays
    assert list(arrays) == list(VARIABLES)
    for dim, index in INDEXES.items():
        for array in arrays.values():
            if dim in dims_of(array):
                assert array.shape[dims_of(array).index(dim)] >= arrays[index].shape[0]
