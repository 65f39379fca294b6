"""Real processes: one writer of the trial table at a time, results side by side, dead locks."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.store import Store, TrialResults, add_trials, remove_trials

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def address(tmp_path):
    (tmp_path / "videos").mkdir()
    sx.create(tmp_path / "reach.zarr", tmp_path / "videos")
    return str(tmp_path / "reach.zarr")


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
    processes = [SPAWN.Process(target=target, args=a) for a in arguments]
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
    adding = SPAWN.Process(target=add_some, args=(address, "M9"))
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


def test_a_killed_process_holds_no_lock(address):
    add_trials(address, [row("M1", 1)])
    code = (
        "from soupxr.store.address import exclusive\n"
        "import sys, time\n"
        f"with exclusive({address!r}):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "locked\n"
    remover = SPAWN.Process(target=remove_trials, args=(address, ["M1/S1/1"]))
    remover.start()
    time.sleep(3)
    assert Store(address).keys() == ["M1/S1/1"], "the lock was not respected"
    assert sx.open(address).sizes["trial"] == 1, "readers must go on"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    remover.join(60)
    assert remover.exitcode == 0
    assert Store(address).keys() == []


def test_a_lock_that_is_held_too_long_is_an_error(address, monkeypatch):
    from soupxr.store import address as module

    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.1)
    with module.exclusive(address):
        other = SPAWN.Process(target=expect_locked, args=(address,))
        other.start()
        other.join(60)
    assert other.exitcode == 0


def expect_locked(address):
    from soupxr.store import address as module

    module.LOCK_TIMEOUT_S = 0.1
    with pytest.raises(sx.StoreError, match="another process has been adding or removing"):
        add_trials(address, [row("M1", 1)])
