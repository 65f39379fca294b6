"""Results of other programs in the store."""

import json

import numpy as np
import pytest
from results import put_result

import soupxr as sx
from soupxr import store
from soupxr.dataset import store_of
from soupxr.ingest import TrialRow
from soupxr.schema import Status
from soupxr.store import (
    ImportedResult,
    Store,
    TrialResults,
    add_trials,
    has_result,
    write_imported,
)
from soupxr.store.leases import InUse, holding_trial
from soupxr.store.zarrs import write

KEY = "M1/S1/1"
N = 12


def result(value=1, n_frames=N):
    return ImportedResult(
        np.full((n_frames, 6), 0.5, np.float32),
        np.full((n_frames, 6), value, np.int8),
        {"format": "other", "file": "results.h5", "sha256": "b" * 64},
    )


@pytest.fixture(params=[False, True])
def there(request):
    """Whether the trial has a result already."""
    return request.param


@pytest.fixture
def ds(new_store, there):
    ds = new_store(KEY)
    if there:
        put_result(ds, KEY, np.full((N, 6), 0.9, np.float32))
    return ds


@pytest.fixture
def address(ds):
    return ds.attrs["soupxr_store"]


def imported(address, **options):
    """Import a result; return what undoes it."""
    undo = []
    write_imported(address, "fast", KEY, result(), **options, undo=undo)
    (put_back,) = undo
    return put_back


def rows(address):
    return {name: state(address)[name] for name in ("probability", "ethogram")}


def state(address):
    opened = Store(address)
    row = (opened.mode_index("fast"), opened.slot(KEY))
    names = ("probability", "ethogram", "provenance", "status", "error")
    return {name: np.asarray(opened.arrays[name][row]).tolist() for name in names}


def test_a_result_says_where_it_comes_from(new_store):
    ds = new_store(KEY)
    address = ds.attrs["soupxr_store"]
    assert not has_result(Store(address), "fast", KEY)
    write_imported(address, "fast", KEY, result())
    assert has_result(Store(address), "fast", KEY)
    one = sx.open(address).isel(trial=0).sel(mode="fast")
    assert (one.ethogram.values[:N] == 1).all()
    assert int(one.status) == Status.COMPLETE
    record = json.loads(str(one.provenance.values))
    assert record["sequence"]["imported"] == dict(result().origin)
    assert record["sequence"]["sequence_model"] is None


def test_a_result_that_is_there_is_replaced_only_when_asked(new_store):
    ds = new_store(KEY)
    address = ds.attrs["soupxr_store"]
    put_result(ds, KEY, np.zeros((N, 6), np.float32))
    before = state(address)
    with pytest.raises(sx.StoreError, match="Pass overwrite=True"):
        write_imported(address, "fast", KEY, result())
    assert state(address) == before
    write_imported(address, "fast", KEY, result(), overwrite=True)
    assert state(address)["ethogram"][:N] == [[1] * 6] * N


def test_what_was_there_can_be_put_back(there, ds, address):
    # The result was kept though it could not be made again.
    TrialResults(Store(address), "fast", KEY).fail("the video is bad")
    before = state(address)
    put_back = imported(address, overwrite=True)
    assert str(state(address)) != str(before)
    put_back()
    assert str(state(address)) == str(before)  # as text, for NaN equals nothing


def test_it_can_be_put_back_after_a_longer_trial_came(there, ds, address):
    before = {name: np.array(values)[:N] for name, values in rows(address).items()}
    put_back = imported(address, overwrite=True)
    add_trials(address, [TrialRow("M2", "S1", 1, ("a.mp4", "b.mp4"), 3 * N, 500.0)])
    put_back()
    for name, values in rows(address).items():
        np.testing.assert_array_equal(np.array(values)[:N], before[name])
        assert (np.isnan(np.array(values)[N:]) | (np.array(values)[N:] == -1)).all()
    assert state(address)["status"] == (Status.COMPLETE if there else Status.NONE)


def test_what_another_process_made_since_stays(there, ds, address):
    put_back = imported(address, overwrite=True)
    put_result(ds, KEY, np.full((N, 6), 0.3, np.float32))
    made = state(address)
    put_back()
    assert str(state(address)) == str(made)


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.DECIDING])
def test_a_result_that_was_not_touched_is_not_touched_by_putting_it_back(
    new_store, monkeypatch, status
):
    ds = new_store(KEY)
    address, undo = ds.attrs["soupxr_store"], []
    put_result(ds, KEY, np.full((N, 6), 0.9, np.float32))
    write(Store(address).arrays["status"], (0, 0), int(status))
    before = state(address)

    def full(*_):
        raise sx.StoreError("No space left on device")

    monkeypatch.setattr("soupxr.store.replacement.write", full)
    monkeypatch.setattr("soupxr.store.imported.write", full)
    with pytest.raises(sx.StoreError, match="No space left"):
        write_imported(address, "fast", KEY, result(), overwrite=True, undo=undo)
    for put_back in undo:
        put_back()
    assert str(state(address)) == str(before)


def test_what_was_not_written_is_not_put_back(new_store):
    """Another process is at work on the trial: it may commit before everything is undone."""
    ds = new_store(KEY)
    address, undo = ds.attrs["soupxr_store"], []
    with holding_trial(address, "fast", KEY), pytest.raises(InUse):
        write_imported(address, "fast", KEY, result(), undo=undo)
    assert undo == []


def test_features_stay_with_what_vouches_for_them(new_store, models):
    ds = new_store(KEY).soup.feature_extractor.infer(
        mode="fast", **{k: v for k, v in models().items() if k != "sequence_model_in"}
    )
    address = ds.attrs["soupxr_store"]
    vouched = json.loads(Store(address).provenances("fast", [0])[0])["features"]
    write_imported(address, "fast", KEY, result())
    record = json.loads(Store(address).provenances("fast", [0])[0])
    assert record["features"] == vouched
    with pytest.warns(sx.SoupWarning, match="imported from other"):
        sx.open(address).soup.infer(mode="fast", **models())
    with pytest.warns(sx.SoupWarning, match="imported from other"):
        sx.open(address).soup.sequence.infer(mode="fast", model_in=models()["sequence_model_in"])
    assert state(address)["ethogram"][:N] == [[1] * 6] * N


def test_another_length_is_refused(new_store):
    ds = new_store(KEY)
    with pytest.raises(store.Overtaken):
        write_imported(ds.attrs["soupxr_store"], "fast", KEY, result(n_frames=N + 1))
    assert not has_result(store_of(ds), "fast", KEY)


def test_results_without_probabilities_cannot_be_scored_and_this_is_said(new_store):
    ds = new_store(KEY)
    bare = ImportedResult(np.full((N, 6), np.nan, np.float32), result().ethogram, {"format": "x"})
    write_imported(ds.attrs["soupxr_store"], "fast", KEY, bare)
    ds = ds.soup.annotate(np.ones((N, 6), np.int8), annotator="Ana")
    with pytest.raises(sx.ArgumentError, match="have no probabilities"):
        ds.soup.evaluate("fast", "Ana")
    write_imported(ds.attrs["soupxr_store"], "fast", KEY, result(), overwrite=True)
    assert ds.soup.evaluate("fast", "Ana").sizes["behavior"] >= 6
