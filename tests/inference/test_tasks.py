"""What travels to a worker and back, and what a worker keeps."""

from __future__ import annotations

import pickle

import pytest

from soupxr.inference import trial
from soupxr.inference.plan import Request
from soupxr.inference.run import _jobs

pytestmark = pytest.mark.thorough

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")


def test_tasks_are_small_and_models_are_loaded_once(new_store, models):
    ds = new_store(*KEYS, n_frames=30)
    tasks = _jobs(ds, "fast", Request(**models())).tasks
    trial.forget_models()
    outcomes = [trial.process(task) for task in tasks]
    assert [outcome.error for outcome in outcomes] == [None] * 3
    for load in (trial._load_engine, trial._load_sequence):
        assert load.cache_info().misses == 1
        assert load.cache_info().hits == len(KEYS) - 1
    for one in (*tasks, *outcomes):
        assert len(pickle.dumps(one)) < 16 * 1024
    trial.forget_models()
