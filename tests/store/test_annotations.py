"""Labels in the store: nobody's are lost, and an annotator is there whole or not at all."""

import random
import signal

import numpy as np
import pytest
from processes import PROCESSES, kill_after

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.schema import FRAME_CHUNK
from soupxr.store import (
    Conflict,
    Store,
    correct_trial,
    remove_trials,
    withdraw_annotator,
    write_annotations,
)

N_FRAMES = 2 * FRAME_CHUNK + 7
KEYS = tuple(f"M1/S1/{i}" for i in range(4))
KILLS = 8


@pytest.fixture
def address(address_of):
    rows = [TrialRow("M1", "S1", i, ("a.mp4", "b.mp4"), N_FRAMES - i, 500.0) for i in range(4)]
    return address_of(*rows)


def mask(seed, n_frames):
    return np.random.default_rng(seed).integers(-1, 2, (n_frames, 6)).astype(np.int8)


def masks(seed, keys=KEYS):
    return {key: mask(seed, N_FRAMES - int(key[-1])) for key in keys}


def stored(address, annotator, key):
    """A trial's whole row, padding included."""
    ds = sx.open(address)
    animal, session, trial_id = key.split("/")
    chosen = {"animal": animal, "session": session, "trial_id": int(trial_id)}
    return ds.annotation.sel(annotator=annotator, **chosen).values


def assert_stored(address, annotator, labels):
    for key, values in labels.items():
        row = stored(address, annotator, key)
        np.testing.assert_array_equal(row[: len(values)], values)
        assert (row[len(values) :] == -1).all()


def test_annotators_come_one_after_the_other(address):
    write_annotations(address, "Ana", masks(0))
    write_annotations(address, "Ben", masks(1, KEYS[:1]))
    assert Store(address).labels("annotator") == ["Ana", "Ben"]
    assert_stored(address, "Ana", masks(0))
    assert_stored(address, "Ben", masks(1, KEYS[:1]))
    assert (stored(address, "Ben", KEYS[1]) == -1).all()


def test_shorter_labels_leave_no_tail(address):
    write_annotations(address, "Ana", masks(0))
    correct_trial(address, KEYS[0], 10, 500.0)
    write_annotations(address, "Ana", {KEYS[0]: mask(2, 10)}, overwrite=True)
    assert_stored(address, "Ana", {KEYS[0]: mask(2, 10)} | masks(0, KEYS[1:]))


def test_labels_are_not_replaced_unasked(address):
    write_annotations(address, "Ana", masks(0, KEYS[:2]))
    with pytest.raises(sx.StoreError, match="M1/S1/1: 'Ana' has labelled"):
        write_annotations(address, "Ana", masks(1, KEYS[1:]))
    assert_stored(address, "Ana", masks(0, KEYS[:2]))
    assert (stored(address, "Ana", KEYS[2]) == -1).all()
    write_annotations(address, "Ana", masks(1, KEYS[2:]))
    assert_stored(address, "Ana", masks(0, KEYS[:2]) | masks(1, KEYS[2:]))


def test_labels_for_another_video_or_a_removed_trial_are_refused(address):
    with pytest.raises(sx.StoreError, match=r"M1/S1/0: expected labels of 2055 frames"):
        write_annotations(address, "Ana", masks(0) | {KEYS[0]: mask(0, 5)})
    remove_trials(address, KEYS[:1])
    with pytest.raises(sx.StoreError, match="M1/S1/0"):
        write_annotations(address, "Ana", masks(0))
    assert Store(address).labels("annotator") == []


def test_removing_a_trial_removes_its_labels(address):
    write_annotations(address, "Ana", masks(0))
    remove_trials(address, KEYS[:1])
    assert sx.open(address).trial_id.values.tolist() == [1, 2, 3]
    assert_stored(address, "Ana", masks(0, KEYS[1:]))


def test_a_new_annotator_dies_half_way_and_another_comes(address, monkeypatch):
    """Whatever was written, no label of the dead one shows in the next one's row."""
    write_annotations(address, "Ana", masks(0))
    write = __import__("soupxr.store.zarrs").store.zarrs.write
    for steps in range(len(KEYS) + 1):
        calls = iter(range(100))

        def dies(array, index, values, calls=calls, steps=steps):
            if next(calls) == steps:
                raise KeyboardInterrupt
            write(array, index, values)

        monkeypatch.setattr("soupxr.store.annotations.write", dies)
        with pytest.raises(KeyboardInterrupt):
            write_annotations(address, f"dead {steps}", masks(9))
        assert sx.open(address).annotator.values.tolist() == ["Ana"]
        assert_stored(address, "Ana", masks(0))
    monkeypatch.undo()
    write_annotations(address, "Ben", masks(1, KEYS[:1]))
    assert Store(address).labels("annotator") == ["Ana", "Ben"]
    assert_stored(address, "Ben", masks(1, KEYS[:1]))
    for key in KEYS[1:]:
        assert (stored(address, "Ben", key) == -1).all()


def test_no_reader_sees_a_name_that_is_not_there_yet(address, monkeypatch):
    """At every write, the annotators a reader sees are whole."""
    write_annotations(address, "Ana", masks(0))
    write = __import__("soupxr.store.zarrs").store.zarrs.write
    seen = []

    def watched(array, index, values):
        write(array, index, values)
        seen.append(sx.open(address).annotator.values.tolist())

    monkeypatch.setattr("soupxr.store.annotations.write", watched)
    write_annotations(address, "Ben", masks(1))
    assert seen == [["Ana"]] * (len(KEYS) + 1)
    assert sx.open(address).annotator.values.tolist() == ["Ana", "Ben"]


# ------------------------------------------------------------------ real processes


def annotate_some(address, worker):
    for round_ in range(3):
        labels = masks(10 * worker + round_, [KEYS[worker]])
        write_annotations(address, f"annotator {worker} {round_}", labels)


def test_processes_that_annotate_at_once_lose_nothing(address):
    workers = [PROCESSES.Process(target=annotate_some, args=(address, i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    names = Store(address).labels("annotator")
    assert sorted(names) == [f"annotator {i} {k}" for i in range(4) for k in range(3)]
    for worker in range(4):
        for round_ in range(3):
            name = f"annotator {worker} {round_}"
            assert_stored(address, name, masks(10 * worker + round_, [KEYS[worker]]))
            for other in set(KEYS) - {KEYS[worker]}:
                assert (stored(address, name, other) == -1).all()


def annotate_until_killed(address, name, seed, writes, delay):
    """Annotate as somebody new, and be killed a little after the given number of writes."""
    from soupxr.store import annotations

    kill_after(annotations, writes, delay)
    annotations.write_annotations(address, name, masks(seed))


@pytest.mark.slow
def test_killed_at_random_points(address):
    write_annotations(address, "Ana", masks(0))
    draw = random.Random(20261125)
    whole = {"Ana": 0}
    for seed in range(1, KILLS + 1):
        writes = draw.randint(1, len(KEYS) + 1)
        delay = draw.choice([0.0, draw.uniform(0, 0.01), draw.uniform(0, 0.1)])
        arguments = (address, f"new {seed}", seed, writes, delay)
        victim = PROCESSES.Process(target=annotate_until_killed, args=arguments)
        victim.start()
        victim.join(120)
        assert victim.exitcode in (-signal.SIGKILL, 0)
        names = Store(address).labels("annotator")
        if f"new {seed}" in names:
            whole[f"new {seed}"] = seed
        assert names == list(whole)
        for name, labels in whole.items():
            assert_stored(address, name, masks(labels))
    write_annotations(address, "last", masks(99, KEYS[:1]))
    assert_stored(address, "last", masks(99, KEYS[:1]))
    assert (stored(address, "last", KEYS[1]) == -1).all()


def test_one_who_was_new_can_be_withdrawn(address):
    write_annotations(address, "Ana", masks(0))
    write_annotations(address, "Ben", masks(1, KEYS[:1]))
    remove_trials(address, KEYS[:1])
    withdraw_annotator(address, "Ben")
    withdraw_annotator(address, "Ben")  # as often as one likes
    assert Store(address).labels("annotator") == ["Ana"]
    write_annotations(address, "Cleo", masks(2, KEYS[1:2]))
    assert_stored(address, "Cleo", masks(2, KEYS[1:2]))
    assert (stored(address, "Cleo", KEYS[2]) == -1).all()
    assert_stored(address, "Ana", masks(0, KEYS[1:]))


def test_a_name_stays_while_there_are_labels_by_it_or_a_later_name(address):
    write_annotations(address, "Ana", masks(0))
    with pytest.raises(sx.StoreError, match="Ana: the name stays"):
        withdraw_annotator(address, "Ana")
    assert_stored(address, "Ana", masks(0))
    write_annotations(
        address, "Ana", {key: mask * 0 - 1 for key, mask in masks(0).items()}, overwrite=True
    )
    write_annotations(address, "Ben", masks(1))
    with pytest.raises(sx.StoreError, match="the name stays"):
        withdraw_annotator(address, "Ana")
    assert_stored(address, "Ben", masks(1))


def test_what_was_half_replaced_is_known_block_by_block(address):
    """A full disk stopped somebody: it is theirs to write again, and nobody else's labels."""
    old, new = masks(0, KEYS[:1]), masks(1, KEYS[:1])
    half = {key: np.concatenate([new[key][:FRAME_CHUNK], old[key][FRAME_CHUNK:]]) for key in new}
    write_annotations(address, "Ana", half)
    write_annotations(address, "Ana", old, expected=new)
    assert_stored(address, "Ana", old)
    other = {
        key: np.where(np.arange(len(mask))[:, None] == 3, 1 - mask, mask)
        for key, mask in half.items()
    }
    write_annotations(address, "Ana", other, overwrite=True)
    with pytest.raises(Conflict):
        write_annotations(address, "Ana", old, expected=new)
    assert_stored(address, "Ana", other)
