"""Features of a trial while they are written: whose they are, and what is there already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from soupxr.errors import StoreError
from soupxr.ingest import TrialRow
from soupxr.schema import FEATURE_CHUNK
from soupxr.store import Overtaken, Store, TrialResults, add_trials, remove_trials

KEY = "M1/S1/1"
N = FEATURE_CHUNK + 10


@pytest.fixture
def address(address_of):
    return address_of(TrialRow("M1", "S1", 1, ("a.mp4", "b.mp4"), N, 500.0))


def results_of(address):
    return TrialResults(Store(address), "fast", KEY)


def block(n=10, value=1.0):
    widths = {"spatial": 512, "flow": 512, "logit": 7}
    return {name: np.full((n, width), value, np.float32) for name, width in widths.items()}


def chunks(address):
    """Chunks of features that there are."""
    return [path for path in Path(address, "features", "fast").rglob("c/*/*/*") if path.is_file()]


def test_what_earlier_work_left_is_cleared(address):
    left = results_of(address)
    left.start_features("first")
    left.write_features(0, block())
    left.write_features(FEATURE_CHUNK, block())
    assert len(chunks(address)) == 6
    anew = results_of(address)
    anew.start_features("second")
    assert chunks(address) == []
    anew.write_features(0, block(value=2.0))
    features = anew.read_features(0, N)
    assert (features["flow"][:10] == 2).all()
    assert np.isnan(features["flow"][10:]).all()


def test_features_of_an_import_come_after_its_provenance_and_are_cleared_too(address):
    """Results without features, and features that somebody died over after them."""
    results_of(address).commit(np.zeros((N, 6), np.float32), np.zeros((N, 6), np.int8), "imported")
    dying = results_of(address)
    dying.start_features("dying")
    dying.write_features(0, block())
    results_of(address).start_features("next")
    assert chunks(address) == []


def test_who_is_overtaken_writes_no_features(address):
    ours = results_of(address)
    ours.start_features("ours")
    ours.write_features(0, block())
    results_of(address).start_features("theirs")
    with pytest.raises(Overtaken, match="another process has begun"):
        ours.write_features(FEATURE_CHUNK, block())
    assert chunks(address) == []


def test_features_of_a_removed_trial_are_not_written(address):
    ours = results_of(address)
    ours.start_features("ours")
    remove_trials(address, [KEY])
    with pytest.raises(StoreError, match="was it removed"):
        ours.write_features(0, block())
    add_trials(address, [TrialRow("M1", "S1", 1, ("a.mp4", "b.mp4"), N, 500.0)])
    with pytest.raises(Overtaken, match="removed and added again"):
        ours.write_features(0, block())
    assert chunks(address) == []


def test_what_has_not_begun_is_not_taken_for_what_is_there(address):
    """A trial without a provenance looks like one that was removed."""
    idle = results_of(address)
    remove_trials(address, [KEY])
    with pytest.raises(StoreError, match="was it removed"):
        idle.write_features(0, block())
    assert chunks(address) == []
