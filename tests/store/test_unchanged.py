"""What is kept of files, and for how long."""

import gc
import weakref
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from results import row

from soupxr.schema import VARIABLES
from soupxr.store import Store, add_trials, direct
from soupxr.store.unchanged import newest

MOST = 3


class Made:
    """Something that can be looked for."""

    def __init__(self, what, version):
        self.said = what, version


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2))))
def test_one_version_of_a_few_things_is_kept(asked):
    made, kept, alive = [], OrderedDict(), weakref.WeakSet()

    @newest(MOST)
    def make(what, version):
        made.append((what, version))
        one = Made(what, version)
        alive.add(one)
        return one

    for what, version in asked:
        known, before = kept.get(what) == version, len(made)
        assert make(what, version).said == (what, version)
        assert len(made) - before == (not known)
        kept[what] = version
        kept.move_to_end(what)
        while len(kept) > MOST:
            kept.popitem(last=False)
        assert {one.said for one in alive} == set(kept.items())
    make.cache_clear()
    assert not alive


def test_what_could_not_be_made_is_tried_again():
    tries = []

    @newest(MOST)
    def make(what, version):
        tries.append(version)
        if len(tries) == 2:
            raise ValueError("damaged")
        return version

    assert make("file", 1) == 1
    with pytest.raises(ValueError, match="damaged"):
        make("file", 2)
    assert make("file", 1) == 1
    assert make("file", 2) == 2
    assert tries == [1, 2, 2]


def test_threads_get_what_they_ask_for():
    make = newest(MOST)(lambda what, version: (what, version))
    asked = [(i % 5, i % 7) for i in range(20_000)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda one: make(*one), asked)) == asked


def test_a_store_that_grows_all_day_is_kept_once(address_of):
    address = address_of(row("M1/S1/1"))
    for number in range(2, 12):
        add_trials(address, [row(f"M1/S1/{number}")])
        store = Store(address)
        assert len(store.trials(store.keys())) == number
        del store
    gc.collect()
    arrays = [one for one in gc.get_objects() if isinstance(one, zarr.Array)]
    paths = Counter(one.path for one in arrays if str(one.store.root) == address)
    assert set(paths) >= set(VARIABLES)
    assert set(paths.values()) == {1}


def test_of_numbers_no_more_is_kept_than_there_are(address_of):
    store = Store(address_of(row("M1/S1/1"), row("M1/S1/2")))
    kept = direct.numbers(store.address, store.arrays["fps"])
    assert kept.base is None
    np.testing.assert_array_equal(kept, [500.0, 500.0])
