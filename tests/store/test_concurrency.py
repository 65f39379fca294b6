"""Real processes: one writer of the trial table at a time, results side by side, dead locks."""

import os
import signal
import time

import numpy as np
import pytest
from processes import PROCESSES

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.store import Store, TrialResults, add_trials, remove_trials
from soupxr.store.address import exclusive


@pytest.fixture
def address(address_of):
    return address_of()


def row(animal, trial_id, n_frames=30):
    return TrialRow(animal, "S1", trial_id, ("a.mp4", "b.mp4"), n_frames, 500.0)


def add_some(address, animal):
    for trial_id in range(8):
        add_trials(address, [row(animal, trial_id, 30 + trial_id)])


def commit_some(address, animal, value):
    for trial_id in range(8):
        ethogram = np.full((30 + trial_id, 6), value % 2, np.int8)
        probability = np.full(ethogram.shape, value, np.float32)
        results = TrialResults(Store(address), "fast", f"{animal}/S1/{trial_id}")
        results.commit(probability, ethogram, "{}")


def run_all(target, arguments):
    processes = [PROCESSES.Process(target=target, args=a) for a in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def test_processes_that_add_at_once_lose_nothing(address):
    run_all(add_some, [(address, f"M{i}") for i in range(4)])
    assert sorted(Store(address).keys()) == [f"M{i}/S1/{t}" for i in range(4) for t in range(8)]
    ds = sx.open(address)
    assert (ds.n_frames == 30 + ds.trial_id).all()


def test_results_of_many_processes_while_trials_come_and_go(address):
    for animal in ("M0", "M1", "M2"):
        add_some(address, animal)
    adding = PROCESSES.Process(target=add_some, args=(address, "M9"))
    adding.start()
    run_all(commit_some, [(address, f"M{i}", i) for i in range(3)])
    adding.join(120)
    assert adding.exitcode == 0
    ds = sx.open(address).sel(mode="fast")
    for i in range(3):
        mouse = ds.sel(animal=f"M{i}")
        assert (mouse.status == 2).all()
        for trial in range(8):
            one = mouse.isel(trial=trial)
            assert (one.probability[: int(one.n_frames)] == i).all()
            assert one.probability[int(one.n_frames) :].isnull().all()


def hold_the_lock(address, told):
    with exclusive(address):
        told.send("locked")
        time.sleep(600)


def remove_one(address, told):
    told.send("removes")
    remove_trials(address, ["M1/S1/1"])


def start(target, address):
    """Start a process, and wait for its word."""
    told, its_end = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=target, args=(address, its_end))
    process.start()
    its_end.close()
    assert told.recv()
    told.close()
    return process


def test_a_killed_process_holds_no_lock(address):
    add_trials(address, [row("M1", 1)])
    holder = start(hold_the_lock, address)
    remover = start(remove_one, address)
    remover.join(1)
    assert remover.is_alive()
    assert Store(address).keys() == ["M1/S1/1"], "the lock was not respected"
    assert sx.open(address).sizes["trial"] == 1, "readers must go on"
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(60)
    remover.join(60)
    assert remover.exitcode == 0
    assert Store(address).keys() == []


def test_a_lock_that_is_held_too_long_is_an_error(address, monkeypatch):
    from soupxr.store import address as module

    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.1)
    with module.exclusive(address):
        other = PROCESSES.Process(target=expect_locked, args=(address,))
        other.start()
        other.join(60)
    assert other.exitcode == 0


def expect_locked(address):
    from soupxr.store import address as module

    module.LOCK_TIMEOUT_S = 0.1
    with pytest.raises(sx.StoreError, match="another process has been adding or removing"):
        add_trials(address, [row("M1", 1)])
