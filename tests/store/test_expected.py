"""Labels that are replaced only if they are what the writer last saw."""

import pickle
import random
import signal
from pathlib import Path

import numpy as np
import pytest
from processes import PROCESSES

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.schema import FRAME_CHUNK
from soupxr.store import (
    Conflict,
    PartlyWritten,
    Store,
    correct_trial,
    read_annotation,
    remove_trials,
    write_annotations,
)

N_FRAMES = 3 * FRAME_CHUNK + 7
KEYS = ("M1/S1/0", "M1/S1/1")
KEY = KEYS[0]
KILLS = 8


@pytest.fixture
def address(address_of):
    rows = [TrialRow("M1", "S1", i, ("a.mp4", "b.mp4"), N_FRAMES - i, 500.0) for i in range(2)]
    return address_of(*rows)


def mask(seed, key=KEY):
    shape = (N_FRAMES - int(key[-1]), 6)
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(np.int8)


def edited(labels, *frames):
    """The same labels, others in these frames."""
    labels = labels.copy()
    labels[list(frames)] = 1 - abs(labels[list(frames)])
    return labels


def stored(address, annotator="Ana", key=KEY):
    """A trial's whole row as any reader sees it, padding included."""
    ds = sx.open(address)
    animal, session, trial_id = key.split("/")
    chosen = {"animal": animal, "session": session, "trial_id": int(trial_id)}
    return ds.annotation.sel(annotator=annotator, **chosen).values


def assert_stored(address, labels, annotator="Ana", key=KEY):
    row = stored(address, annotator, key)
    np.testing.assert_array_equal(row[: len(labels)], labels)
    assert (row[len(labels) :] == -1).all()


def blocks(labels):
    return np.split(labels, range(FRAME_CHUNK, len(labels), FRAME_CHUNK))


def test_labels_follow_each_other(address):
    seen = None
    for labels in (mask(0), edited(mask(0), 5, N_FRAMES - 1), np.full_like(mask(0), -1), mask(1)):
        write_annotations(address, "Ana", {KEY: labels}, expected={KEY: seen})
        assert_stored(address, labels)
        np.testing.assert_array_equal(read_annotation(address, "Ana", KEY), labels)
        seen = labels


def test_none_stands_for_unlabelled(address):
    write_annotations(address, "Ana", {KEYS[1]: mask(1, KEYS[1])})
    write_annotations(address, "Ana", {KEY: mask(0)}, expected={KEY: None})
    assert_stored(address, mask(0))
    assert_stored(address, mask(1, KEYS[1]), key=KEYS[1])


@pytest.mark.parametrize("seen", [None, mask(1), edited(mask(0), N_FRAMES - 1)])
def test_other_labels_than_expected_stay(address, seen):
    write_annotations(address, "Ana", {KEY: mask(0)})
    with pytest.raises(Conflict, match=f"{KEY}: other labels of 'Ana'") as caught:
        write_annotations(address, "Ana", {KEY: mask(2)}, expected={KEY: seen})
    assert (caught.value.key, caught.value.annotator) == (KEY, "Ana")
    np.testing.assert_array_equal(caught.value.labels, mask(0))
    assert_stored(address, mask(0))


def test_labels_that_are_gone_are_a_conflict(address):
    with pytest.raises(Conflict) as caught:
        write_annotations(address, "Ana", {KEY: mask(2)}, expected={KEY: mask(1)})
    np.testing.assert_array_equal(caught.value.labels, np.full((N_FRAMES, 6), -1))
    assert Store(address).labels("annotator") == []


def test_one_conflict_of_two_trials_and_neither_is_written(address):
    write_annotations(address, "Ana", {key: mask(0, key) for key in KEYS})
    new, seen = {key: mask(1, key) for key in KEYS}, {key: mask(0, key) for key in KEYS}
    with pytest.raises(Conflict, match=KEYS[1]):
        write_annotations(address, "Ana", new, expected=seen | {KEYS[1]: None})
    for key in KEYS:
        assert_stored(address, mask(0, key), key=key)


def test_trials_that_are_not_expected_need_overwrite(address):
    write_annotations(address, "Ana", {key: mask(0, key) for key in KEYS})
    new, seen = {key: mask(1, key) for key in KEYS}, {KEY: mask(0)}
    with pytest.raises(sx.StoreError, match=f"^{KEYS[1]}: 'Ana' has labelled"):
        write_annotations(address, "Ana", new, expected=seen)
    assert_stored(address, mask(0))
    write_annotations(address, "Ana", new, expected=seen, overwrite=True)
    for key in KEYS:
        assert_stored(address, mask(1, key), key=key)


def test_overwrite_does_not_overrule_what_is_expected(address):
    write_annotations(address, "Ana", {KEY: mask(0)})
    with pytest.raises(Conflict):
        write_annotations(address, "Ana", {KEY: mask(1)}, expected={KEY: None}, overwrite=True)


def test_what_is_stored_already_is_no_conflict(address):
    write_annotations(address, "Ana", {KEY: mask(0)})
    write_annotations(address, "Ana", {KEY: mask(0)}, expected={KEY: mask(1)})
    assert_stored(address, mask(0))


def test_only_blocks_that_change_are_written(address):
    write_annotations(address, "Ana", {KEY: mask(0)})
    chunks = sorted(Path(address, "annotation", "c", "0", "0").glob("*/0"))
    before = [chunk.stat().st_ino for chunk in chunks]
    labels = edited(mask(0), FRAME_CHUNK + 3)
    write_annotations(address, "Ana", {KEY: labels}, expected={KEY: mask(0)})
    after = [chunk.stat().st_ino for chunk in chunks]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False, True, True]
    assert_stored(address, labels)


def test_shorter_labels_leave_no_tail(address):
    write_annotations(address, "Ana", {KEY: mask(0)})
    correct_trial(address, KEY, 10, 500.0)
    seen = read_annotation(address, "Ana", KEY)
    np.testing.assert_array_equal(seen, mask(0)[:10])
    write_annotations(address, "Ana", {KEY: edited(seen, 3)}, expected={KEY: seen})
    assert_stored(address, edited(seen, 3))


def test_labels_of_a_removed_trial_or_another_video_are_refused(address):
    with pytest.raises(sx.StoreError, match=f"{KEY}: expected labels of {N_FRAMES} frames"):
        write_annotations(address, "Ana", {KEY: mask(0)}, expected={KEY: mask(0)[:5]})
    remove_trials(address, [KEY])
    with pytest.raises(sx.StoreError, match=f"{KEY}: this trial is not in"):
        write_annotations(address, "Ana", {KEY: mask(0)}, expected={KEY: None})
    with pytest.raises(sx.StoreError, match=f"{KEY}: this trial is not in"):
        read_annotation(address, "Ana", KEY)
    assert Store(address).labels("annotator") == []


def test_errors_pickle(address):
    write_annotations(address, "Ana", {KEY: mask(0)})
    with pytest.raises(Conflict) as caught:
        write_annotations(address, "Ana", {KEY: mask(1)}, expected={KEY: None})
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    np.testing.assert_array_equal(again.labels, mask(0))
    again = pickle.loads(pickle.dumps(PartlyWritten("the disk is full", {KEY: mask(0)})))
    assert str(again) == "the disk is full"


def test_something_that_is_no_store_is_told(tmp_path):
    import zarr

    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(sx.StoreError, match="no soupxr_schema"):
        write_annotations(str(tmp_path / "other.zarr"), "Ana", {KEY: mask(0)})
    zarr.create_group(tmp_path / "newer.zarr", attributes={"soupxr_schema": 99})
    with pytest.raises(sx.StoreError, match="expected schema version"):
        write_annotations(str(tmp_path / "newer.zarr"), "Ana", {KEY: mask(0)})


# ------------------------------------------------------------------ failures


def failing_after(monkeypatch, n_writes, error):
    """Let so many writes pass, then none."""
    write = __import__("soupxr.store.zarrs").store.zarrs.write
    left = iter(range(n_writes))

    def stops(array, index, values):
        if next(left, None) is None:
            raise error
        write(array, index, values)

    monkeypatch.setattr("soupxr.store.annotations.write", stops)


def test_a_failure_half_way_tells_what_is_stored(address, monkeypatch):
    write_annotations(address, "Ana", {KEY: mask(0)})
    for done in (1, 2, 3):
        before = read_annotation(address, "Ana", KEY)
        failing_after(monkeypatch, done, sx.StoreError("the disk is full"))
        with pytest.raises(PartlyWritten, match="the disk is full") as caught:
            write_annotations(address, "Ana", {KEY: mask(done)}, expected={KEY: before})
        monkeypatch.undo()
        parts = blocks(mask(done))[:done] + blocks(before)[done:]
        assert_stored(address, np.concatenate(parts))
        np.testing.assert_array_equal(caught.value.labels[KEY], np.concatenate(parts))
        write_annotations(address, "Ana", {KEY: before}, expected=caught.value.labels)
        assert_stored(address, before)


def test_a_failure_at_once_leaves_all_as_it_was(address, monkeypatch):
    write_annotations(address, "Ana", {KEY: mask(0)})
    failing_after(monkeypatch, 0, sx.StoreError("the disk is full"))
    with pytest.raises(sx.StoreError, match="the disk is full") as caught:
        write_annotations(address, "Ana", {KEY: mask(1)}, expected={KEY: mask(0)})
    assert not isinstance(caught.value, PartlyWritten)
    assert_stored(address, mask(0))


@pytest.mark.parametrize("done", range(5))
def test_a_new_annotator_who_fails_half_way_is_not_there_and_can_try_again(
    address, monkeypatch, done
):
    write_annotations(address, "Ana", {KEY: mask(0)})
    failing_after(monkeypatch, done, sx.StoreError("the disk is full"))
    with pytest.raises(sx.StoreError, match="the disk is full"):
        write_annotations(address, "Ben", {KEY: mask(1)}, expected={KEY: None})
    monkeypatch.undo()
    assert Store(address).labels("annotator") == ["Ana"]
    other = mask(2, KEYS[1])
    write_annotations(address, "Ben", {KEYS[1]: other}, expected={KEYS[1]: None})
    assert_stored(address, other, "Ben", KEYS[1])
    assert (stored(address, "Ben") == -1).all()


def write_until_killed(address, told):
    """Write one labelling over the other."""
    seen, new = mask(0), mask(1)
    while True:
        write_annotations(address, "Ana", {KEY: new}, expected={KEY: seen})
        told.send("written")
        seen, new = new, seen


@pytest.mark.slow
def test_killed_at_random_points(address):
    draw = random.Random(20261125)
    for _ in range(KILLS):
        seen = read_annotation(address, "Ana", KEY)
        write_annotations(address, "Ana", {KEY: mask(0)}, expected={KEY: seen})
        told, its_end = PROCESSES.Pipe(duplex=False)
        victim = PROCESSES.Process(target=write_until_killed, args=(address, its_end))
        victim.start()
        its_end.close()
        for _ in range(draw.randint(1, 5)):
            assert told.recv() == "written"
        victim.kill()
        victim.join(60)
        told.close()
        assert victim.exitcode == -signal.SIGKILL
        labels = stored(address)[:N_FRAMES]
        for now, a, b in zip(*map(blocks, (labels, mask(0), mask(1))), strict=True):
            assert np.array_equal(now, a) or np.array_equal(now, b)


# ------------------------------------------------------------------ real processes


def count_up(address, place, times):
    """Label one more frame, again and again, reading anew at each conflict."""
    for number in range(times):
        while True:
            seen = read_annotation(address, "Ana", KEY)
            labels = seen.copy()
            labels[number, place] = 1
            try:
                write_annotations(address, "Ana", {KEY: labels}, expected={KEY: seen})
            except Conflict:
                continue
            break


def test_processes_that_take_turns_lose_nothing(address):
    """All in the same block: whoever overwrote another's would lose a label."""
    pages = [PROCESSES.Process(target=count_up, args=(address, place, 10)) for place in range(3)]
    for page in pages:
        page.start()
    for page in pages:
        page.join(120)
    assert [page.exitcode for page in pages] == [0, 0, 0]
    labels = np.full((N_FRAMES, 6), -1, np.int8)
    labels[:10, :3] = 1
    assert_stored(address, labels)
