"""view, and demo."""

from __future__ import annotations

import numpy as np
import pytest
from results import annotate

from soupxr import demo
from soupxr.dashboard.viewer import Viewer
from soupxr.dataset import store_of

KEYS = ["M1/S1/1", "M1/S1/2", "M2/S1/1"]


@pytest.fixture
def ds(new_store):
    return new_store(*KEYS)


def labels(ds, value):
    return np.full((int(ds.n_frames[0]), ds.sizes["behavior"]), value, np.int8)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "view, 3 trials of 2 animals"),
        (["--animal", "M1"], "view, 2 trials of 1 animal;"),
        (["--animal", "M1", "--animal", "M2", "--trial", "1"], "view, 2 trials of 2 animals"),
        (["--clean", "--annotator", "Eva"], "clean, 3 trials"),
        (["--manual"], "manual, 3 trials"),
        (["--compare"], "compare, 3 trials"),
    ],
)
def test_the_viewer_that_is_asked_for_is_opened(soupxr, ds, monkeypatch, arguments, said):
    ds = annotate(ds, KEYS[0], labels(ds, 0), "Ana")
    annotate(ds, KEYS[0], labels(ds, 1), "Ben")
    shown = []

    def show(viewer, port, **options):
        shown.append((repr(viewer), port, options))

    monkeypatch.setattr(Viewer, "show", show)
    soupxr("view", store_of(ds).address, "--no-browser", *arguments)
    ((told, port, options),) = shown
    assert said in told
    assert (port, options["open_browser"], options["address"]) == (0, False, "127.0.0.1")


def test_what_does_not_go_together_is_refused(soupxr, ds):
    address = store_of(ds).address
    assert "--clean" in soupxr("view", address, "--uncertain", code=2).output
    soupxr("view", address, "--animal", "M9", code=2)


def test_the_demo_goes_where_it_is_sent(soupxr, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(demo, "run", lambda out, say, *, seed: ran.append((out, seed)))
    soupxr("demo", "--out", tmp_path / "d", "--seed", "3")
    assert ran == [(tmp_path / "d", 3)]
