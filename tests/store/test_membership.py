"""Adding and removing: all or nothing, nobody else disturbed, data freed."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from results import row

import soupxr as sx
from soupxr.schema import FRAME_CHUNK
from soupxr.store import (
    Overtaken,
    Store,
    TrialResults,
    add_trials,
    correct_trial,
    remove_trials,
)
from soupxr.store.leases import of_trial, take, taken
from soupxr.store.zarrs import write


@pytest.fixture
def address(address_of):
    return address_of()


def results(key, n_frames, address, seed=0):
    """Write and commit random results; return them."""
    random = np.random.default_rng(seed)
    probability = random.random((n_frames, 6), dtype=np.float32)
    ethogram = (probability > 0.5).astype(np.int8)
    TrialResults(Store(address), "fast", key).commit(probability, ethogram, f'"{key}"')
    return probability, ethogram


def shown(address, key, variable):
    animal, session, trial_id = key.split("/")
    ds = sx.open(address)
    return ds[variable].sel(mode="fast", animal=animal, session=session, trial_id=int(trial_id))


def chunks_of(address, name):
    return {p.relative_to(address) for p in zarr_chunks(address, name)}


def zarr_chunks(address, name):
    return [p for p in Path(address, name).rglob("*") if p.is_file() and p.name != "zarr.json"]


def test_columns_come_back_as_they_went_in(address):
    add_trials(address, [row("Mäuschen/S 1/1", 248, 249.97), row("M2/S1/12", 300)], "pez")
    trial = Store(address).trial("Mäuschen/S 1/1")
    assert (trial.n_frames, trial.fps, trial.experiment) == (248, 249.97, "pez")
    ds = sx.open(address)
    assert ds.n_frames.values.tolist() == [248, 300]
    assert ds.experiment.values.tolist() == ["pez", "pez"]
    assert ds.video_path.sel(animal="M2", view="front").item() == "M2/S1/12_front.mp4"
    assert isinstance(ds.experiment.values[0], str)
    assert ds.status.dtype == ds.ethogram.dtype == np.int8
    assert ds.probability.dtype == np.float32


def test_a_later_longer_trial_leaves_the_others_as_they_were(address):
    add_trials(address, [row("M1/S1/1", 30)])
    probability, ethogram = results("M1/S1/1", 30, address)
    add_trials(address, [row("M1/S1/2", 3 * FRAME_CHUNK + 7)])
    again = shown(address, "M1/S1/1", "probability")
    assert again.sizes["frame"] == 3 * FRAME_CHUNK + 7
    np.testing.assert_array_equal(again[:30], probability)
    assert again[30:].isnull().all()
    np.testing.assert_array_equal(shown(address, "M1/S1/1", "ethogram")[:30], ethogram)
    assert (shown(address, "M1/S1/1", "ethogram")[30:] == -1).all()
    longer = results("M1/S1/2", 3 * FRAME_CHUNK + 7, address)[0]
    np.testing.assert_array_equal(shown(address, "M1/S1/2", "probability"), longer)


def test_a_shorter_rerun_leaves_no_tail(address):
    add_trials(address, [row("M1/S1/1", 2 * FRAME_CHUNK + 5)])
    results("M1/S1/1", 2 * FRAME_CHUNK + 5, address)
    correct_trial(address, "M1/S1/1", 40, 500.0)
    assert Store(address).trial("M1/S1/1").n_frames == 40
    assert shown(address, "M1/S1/1", "status") == 0
    probability, _ = results("M1/S1/1", 40, address, seed=1)
    again = shown(address, "M1/S1/1", "probability")
    np.testing.assert_array_equal(again[:40], probability)
    assert again[40:].isnull().all()
    assert len(chunks_of(address, "probability")) == 1


def test_a_video_that_became_longer(address):
    add_trials(address, [row("M1/S1/1", 10)])
    correct_trial(address, "M1/S1/1", FRAME_CHUNK + 1, 500.0)
    probability, _ = results("M1/S1/1", FRAME_CHUNK + 1, address)
    np.testing.assert_array_equal(shown(address, "M1/S1/1", "probability"), probability)


def test_removal_frees_the_trials_data_and_no_other(address):
    add_trials(address, [row("M1/S1/1"), row("M1/S1/10"), row("M1/S1/2")])
    for seed, key in enumerate(("M1/S1/1", "M1/S1/10", "M1/S1/2")):
        results(key, 30, address, seed)
        TrialResults(Store(address), "fast", key).write_features(
            0,
            {
                "spatial": np.ones((30, 512), np.float32),
                "flow": np.ones((30, 512), np.float32),
                "logit": np.ones((30, 7), np.float32),
            },
        )
    kept = shown(address, "M1/S1/10", "probability").values
    names = ("probability", "ethogram", "status", "provenance", "features/fast/spatial")
    before = {name: chunks_of(address, name) for name in names}
    remove_trials(address, ["M1/S1/1"])
    for name in names:
        assert len(before[name] - chunks_of(address, name)) == 1, name
        assert len(chunks_of(address, name)) == 2
    assert Store(address).keys() == ["M1/S1/10", "M1/S1/2"]
    assert sx.open(address).trial_id.values.tolist() == [10, 2]
    np.testing.assert_array_equal(shown(address, "M1/S1/10", "probability"), kept)


def test_a_lease_that_a_killed_process_left_goes_with_its_trial(address):
    gone, other = "M1/S1/1", "M1/S1/2"
    add_trials(address, [row(gone), row(other)])
    works = [of_trial("fast", key) for key in (gone, other)]
    leases = [take(address, work) for work in works]
    remove_trials(address, [gone])
    assert taken(address, works) == {works[1]}
    assert not leases[0].beat()
    for lease in leases:
        lease.release()
    assert taken(address, works) == set()


def test_a_removed_trial_can_be_added_again_and_is_empty(address):
    add_trials(address, [row("M1/S1/1"), row("M1/S1/2")])
    results("M1/S1/1", 30, address)
    remove_trials(address, ["M1/S1/1"])
    add_trials(address, [row("M1/S1/1", 20)])
    assert shown(address, "M1/S1/1", "status") == 0
    assert shown(address, "M1/S1/1", "probability").isnull().all()
    assert Store(address).keys() == ["M1/S1/2", "M1/S1/1"]


def test_results_for_a_removed_trial_are_refused(address):
    add_trials(address, [row("M1/S1/1")])
    writer = TrialResults(Store(address), "fast", "M1/S1/1")
    remove_trials(address, ["M1/S1/1"])
    add_trials(address, [row("M1/S1/2")])
    with pytest.raises(sx.StoreError, match="was it removed"):
        writer.fail("too late")
    assert shown(address, "M1/S1/2", "status") == 0


def test_a_writer_of_a_trial_that_was_removed_and_added_again_is_refused(address):
    add_trials(address, [row("M1/S1/1")])
    writer = TrialResults(Store(address), "fast", "M1/S1/1")
    remove_trials(address, ["M1/S1/1"])
    add_trials(address, [row("M1/S1/1")])
    with pytest.raises(Overtaken, match="removed and added again"):
        writer.commit(np.zeros((30, 6), np.float32), np.zeros((30, 6), np.int8), "{}")
    assert shown(address, "M1/S1/1", "status") == 0


@pytest.mark.parametrize("column", ["n_frames", "video_path", "animal"])
def test_to_write_beside_what_cannot_be_read_is_refused(address, column):
    add_trials(address, [row("M1/S1/1")])
    for chunk in zarr_chunks(address, column):
        chunk.write_bytes(b"\x93 no chunk at all " * 3)
    with pytest.raises(sx.StoreError, match="the store is damaged here"):
        add_trials(address, [row("M1/S1/2")])
    assert Store(address).keys() == ["M1/S1/1"]


def test_a_wrong_value_is_not_taken_for_damage(address):
    add_trials(address, [row("M1/S1/1")])
    with pytest.raises(ValueError, match="invalid literal"):
        write(Store(address).arrays["n_frames"], slice(0, 1), np.array(["many"], dtype=object))


def test_a_trial_that_cannot_be_freed_is_not_removed(address):
    add_trials(address, [row("M1/S1/1")])
    Path(address, "features/slow/logit/zarr.json").write_text("no description")
    with pytest.raises(sx.StoreError, match=r"features/slow/logit: the store is damaged"):
        remove_trials(address, ["M1/S1/1"])
    assert Store(address).keys() == ["M1/S1/1"]


def test_correcting_twice_keeps_what_was_made_in_between(address):
    add_trials(address, [row("M1/S1/1", 40)])
    correct_trial(address, "M1/S1/1", 30, 250.0)
    results("M1/S1/1", 30, address)
    correct_trial(address, "M1/S1/1", 30, 250.0)
    assert shown(address, "M1/S1/1", "status") == 2


def test_results_for_the_video_before_are_refused(address):
    add_trials(address, [row("M1/S1/1", 40)])
    correct_trial(address, "M1/S1/1", 30, 500.0)
    with pytest.raises(Overtaken, match="replaced meanwhile"):
        results("M1/S1/1", 40, address)


def test_adding_what_is_there_changes_nothing(address):
    add_trials(address, [row("M1/S1/1")])
    with pytest.raises(sx.StoreError, match="M1/S1/1"):
        add_trials(address, [row("M1/S1/2"), row("M1/S1/1")])
    assert Store(address).keys() == ["M1/S1/1"]


def test_an_addition_that_dies_half_way_is_not_seen_and_can_be_made_again(address, monkeypatch):
    add_trials(address, [row("M1/S1/1")])
    probability, _ = results("M1/S1/1", 30, address)
    write = __import__("soupxr.store.zarrs").store.zarrs.write
    for steps in range(9):
        calls = iter(range(100))

        def dies(array, index, values, calls=calls, steps=steps):
            if next(calls) == steps:
                raise KeyboardInterrupt
            write(array, index, values)

        monkeypatch.setattr("soupxr.store.membership.write", dies)
        with pytest.raises(KeyboardInterrupt):
            add_trials(address, [row("M2/S1/1", 5000 + 1000 * steps), row("M2/S1/2")])
        assert Store(address).keys() == ["M1/S1/1"]
        ds = sx.open(address)
        assert ds.trial_id.values.tolist() == [1]
        np.testing.assert_array_equal(ds.probability.sel(mode="fast")[0, :30], probability)
    monkeypatch.undo()
    add_trials(address, [row("M2/S1/1", 50), row("M2/S1/2")])
    assert Store(address).keys() == ["M1/S1/1", "M2/S1/1", "M2/S1/2"]
    assert sx.open(address).n_frames.values.tolist() == [30, 50, 30]


def test_a_dataset_opened_while_another_process_grows_arrays(address):
    """Arrays are lengthened one by one; a reader in between sees what was whole before."""
    add_trials(address, [row("M1/S1/1"), row("M1/S1/2")])
    group = zarr.open_group(address, mode="r+")
    group["probability"].resize((3, 5, 99, 6))
    group["fps"].resize((4,))
    ds = sx.open(address)
    assert ds.sizes["trial"] == 2
    assert ds.sizes["frame"] == 30
    assert ds.fps.values.tolist() == [500.0, 500.0]
