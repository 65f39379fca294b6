"""The list of trials: what its columns say, and that changes are told of."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from results import annotate, probabilities, put_result

import soupxr as sx
from soupxr.dashboard.triallist import TrialList, Watch
from soupxr.dataset import store_of
from soupxr.schema import Status

KEYS = ["M1/S1/1", "M1/S1/2", "M2/S1/1"]


@pytest.fixture
def ds(new_store):
    return new_store(*KEYS)


def labels(ds, value):
    return np.full((int(ds.n_frames[0]), ds.sizes["behavior"]), value, np.int8)


def test_columns_are_what_the_store_says(ds):
    ds = annotate(ds, KEYS[1], labels(ds, 0), "Ana")
    put_result(ds, KEYS[2], probabilities(labels(ds, 1)), mode="medium")
    columns = TrialList(store_of(ds).address, KEYS[::-1], None).columns()
    assert columns["keys"] == KEYS[::-1]
    assert columns["animals"] == ["M2", "M1", "M1"]
    assert columns["ids"] == [1, 2, 1]
    assert columns["labelled"] == [0, 1, 0]
    assert columns["status"]["medium"] == [Status.COMPLETE, Status.NONE, Status.NONE]
    assert columns["status"]["fast"] == [Status.NONE] * 3


def test_trials_that_were_removed_meanwhile_are_left_out(ds):
    trials = TrialList(store_of(ds).address, KEYS, None)
    ds.soup.remove_item("M1", "S1", 1)
    columns = trials.columns()
    assert columns["keys"] == KEYS[1:]
    assert columns["animals"] == ["M1", "M2"]
    assert {len(column) for column in columns["status"].values()} == {2}


def test_labelled_is_by_annotator_and_ends_with_the_last_label(ds):
    ds = annotate(ds, KEYS[0], labels(ds, 1), "Ana")
    ds = annotate(ds, KEYS[1], labels(ds, 0), "Ben")
    store = store_of(ds)
    slots = store.slots(KEYS)
    assert store.labelled(["Ana"], slots).tolist() == [True, False, False]
    assert store.labelled(["Ana", "Ben"], slots).tolist() == [True, True, False]
    assert store.labelled([], slots).tolist() == [False] * 3
    sx.store.write_annotations(store.address, "Ana", {KEYS[0]: labels(ds, -1)}, overwrite=True)
    assert store.labelled(["Ana"], slots).tolist() == [False] * 3


def test_a_watch_tells_of_changes_and_of_nothing_else(ds):
    told, changed = [], threading.Event()

    def tell(columns):
        told.append(columns["labelled"])
        changed.set()

    watch = Watch(TrialList(store_of(ds).address, KEYS, None), tell, seconds=0.01)
    try:
        assert changed.wait(30)
        changed.clear()
        annotate(ds, KEYS[2], labels(ds, 1), "Ana")
        assert changed.wait(30)
    finally:
        watch.close()
    assert told == [[0, 0, 0], [0, 0, 1]]
