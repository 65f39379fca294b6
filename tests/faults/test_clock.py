"""A clock that is set back: nothing that counts is decided by what time it is."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

import numpy as np
import pytest
from faults import calls
from faults.checker import assert_equal, holdings

import soupxr as sx
from soupxr.inference.deferred import Deferred
from soupxr.store import Store, add_trials, fitted_decision, leases, write_annotations
from soupxr.store.leases import Held, Lease, take

YEAR = 365 * 86_400


@pytest.fixture
def a_year_ago(monkeypatch):
    """What the clock says; the one that never goes back goes on."""
    now = time.time

    class Earlier(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(time.time(), tz)

    monkeypatch.setattr(time, "time", lambda: now() - YEAR)
    monkeypatch.setattr("soupxr.evaluation.thresholds.datetime", Earlier)
    monkeypatch.setattr("soupxr.inference.provenance.datetime", Earlier)


def make_older(folder: Path) -> None:
    """Let all files look as if they had been written a year ago."""
    for path in folder.rglob("*"):
        facts = path.stat()
        os.utime(path, (facts.st_atime - YEAR, facts.st_mtime - YEAR))


def test_all_calls_do_what_they_do(furnished, lab_of_four, tmp_path, a_year_ago):
    """Files from a year after and from a year before today's live together."""
    import shutil

    other = Path(shutil.copytree(furnished, tmp_path / "other"))
    order = ("add", "annotate_anew", "annotate_over", "thresholds", "remove")
    for name in order:
        calls.CALLS[name](other)
        calls.CALLS[name](lab_of_four)
        make_older(lab_of_four)
        assert_equal(holdings(lab_of_four / "reach.zarr"), holdings(other / "reach.zarr"))
    decision = fitted_decision(Store(calls.address_of(lab_of_four)), "fast")
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=300)
    assert decision.fitted < long_ago.isoformat(), "the clock was not set back"


@pytest.mark.parametrize("redo", [False, True])
def test_a_run_does_what_it_does(redo, film, models, tmp_path, monkeypatch, a_year_ago):
    from faults import inferring

    for name in ("_engine", "_sequence_model", "class_probabilities"):
        monkeypatch.setattr(f"soupxr.inference.trial.{name}", None)
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        inferring.make_lab(folder, film)
        inferring.keep_tasks(folder, models())
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: time.time_ns() / 1e9)
        inferring.infer_quickly(other)
        if redo:
            inferring.infer_quickly(one)
    before = sx.open(one / "reach.zarr").provenance.sel(mode="fast").values.tolist()
    make_older(one)
    assert [outcome.error for outcome in inferring.outcomes(one, redo=redo)] == [None, None]
    make_older(one)
    assert_equal(holdings(one / "reach.zarr"), holdings(other / "reach.zarr"))
    assert before != sx.open(one / "reach.zarr").provenance.sel(mode="fast").values.tolist()


def test_what_is_newer_is_seen_although_it_looks_older(lab_of_four):
    """What was read before is not taken for what is there now."""
    address, key = calls.address_of(lab_of_four), calls.KEYS[3]
    for seed in range(4):
        mask = calls.labelled(key, 70 + seed)
        write_annotations(address, "Ana", {key: mask}, overwrite=True)
        make_older(lab_of_four)
        np.testing.assert_array_equal(holdings(address).labels["Ana", key][: len(mask)], mask)
        add_trials(address, calls.rows(f"Z/S1/{seed}"))
        make_older(lab_of_four)
        assert f"Z/S1/{seed}" in holdings(address).trials


def test_a_lease_asks_no_clock(tmp_path, monkeypatch):
    """It is taken over after a minute without a sign of life, by a clock that never goes back."""
    monkeypatch.setattr(leases.Holder, "is_gone", False)
    address = str(tmp_path / "reach.zarr")
    (tmp_path / "reach.zarr").mkdir()
    with take(address, "fast of M1/S1/1") as lease:
        before = take(address, "fast of M1/S1/1").text
        for shift in (-YEAR, YEAR):
            monkeypatch.setattr(time, "time", lambda shift=shift: 2e9 + shift)
            held = take(address, "fast of M1/S1/1")
            assert isinstance(held, Held)
            assert held.text == before
        lease.check()
    with take(address, "fast of M1/S1/1") as again:
        assert isinstance(again, Lease)


def test_who_waits_for_a_trial_asks_no_clock(monkeypatch):
    from types import SimpleNamespace

    ticks = iter([0.0, 1.0, 3.0])
    waiting = Deferred(clock=lambda: next(ticks))
    monkeypatch.setattr(time, "time", lambda: pytest.fail("it asks what time it is"))
    waiting.add(SimpleNamespace(key="M1/S1/1"), Held("text", "somebody"))
    assert waiting.due() == []
    assert len(waiting) == 1
