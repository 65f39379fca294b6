"""The list of trials: what its columns say, and that changes are told of."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from click.testing import CliRunner
from results import annotate, probabilities, put_result

import soupxr as sx
from soupxr.cli import main
from soupxr.dashboard.triallist import TrialList, Watch
from soupxr.dashboard.viewer import Viewer
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "view, 3 trials of 2 animals"),
        (["--animal", "M1"], "view, 2 trials of 1 animal;"),
        (["--clean", "--annotator", "Eva"], "clean, 3 trials"),
        (["--manual"], "manual, 3 trials"),
        (["--compare"], "compare, 3 trials"),
    ],
)
def test_the_command_opens_the_viewer_that_is_asked_for(ds, monkeypatch, arguments, said):
    ds = annotate(ds, KEYS[0], labels(ds, 0), "Ana")
    annotate(ds, KEYS[0], labels(ds, 1), "Ben")
    shown = []

    def show(viewer, port, **options):
        shown.append((repr(viewer), port, options))

    monkeypatch.setattr(Viewer, "show", show)
    address = store_of(ds).address
    result = CliRunner().invoke(main, ["view", address, "--no-browser", *arguments])
    assert result.exit_code == 0, result.output
    ((told, port, options),) = shown
    assert said in told
    assert (port, options["open_browser"], options["address"]) == (0, False, "127.0.0.1")


def test_the_command_refuses_what_does_not_go_together(ds):
    result = CliRunner().invoke(main, ["view", store_of(ds).address, "--uncertain"])
    assert result.exit_code != 0
    assert "--clean" in result.output
