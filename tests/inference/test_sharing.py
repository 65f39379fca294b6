"""Two runs on one store: no trial is done twice, and none is left."""

from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pytest
from pages import until
from processes import PROCESSES

import soupxr as sx
from soupxr.inference import deferred, here
from soupxr.inference.engine import FeatureEngine
from soupxr.store import leases
from soupxr.store.leases import take

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")


def counted(seen: list[int]):
    """The engine's forward pass, counting the frames that it sees."""
    forward = FeatureEngine._forward

    def counting(self, frames, every):
        seen.append(len(frames) - self.network.window + 1)
        return forward(self, frames, every)

    return counting


@pytest.fixture
def quick(monkeypatch):
    """Nobody waits long for anybody, and whether others live is not known."""
    monkeypatch.setattr(leases.Holder, "is_gone", False)
    monkeypatch.setattr(deferred, "LOOK_S", 0.05)
    monkeypatch.setattr(here, "PAUSE_S", 0.02)


def start(ds, models, **options):
    """Infer in a thread."""
    thread = threading.Thread(target=lambda: ds.soup.infer("fast", **models, **options))
    thread.start()
    return thread


def test_a_trial_that_another_run_is_at_work_on_comes_last(new_store, models, quick, tmp_path):
    ds = new_store(*KEYS)
    log = tmp_path / "run.jsonl"
    with take(str(tmp_path / "reach.zarr"), "fast of M1/S1/1"):
        thread = start(ds, models(), log=log)
        until(lambda: ds.status.sel(mode="fast").values.tolist() == [0, 2, 2])
        assert thread.is_alive()
    thread.join()
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]
    told = log.read_text().splitlines()
    assert [line.split('"key": ')[1][:9] for line in told[1:-1]] == [
        '"M1/S1/2"',
        '"M2/S1/1"',
        '"M1/S1/1"',
    ]


def _begin_and_die(address: str) -> None:
    take(address, "fast of M1/S1/1")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_trial_that_a_process_died_over_comes_last(new_store, models, tmp_path):
    """So one that kills whoever begins it does not keep the others from being done."""
    ds, log = new_store(*KEYS), tmp_path / "run.jsonl"
    process = PROCESSES.Process(target=_begin_and_die, args=(str(tmp_path / "reach.zarr"),))
    process.start()
    process.join()
    ds.soup.infer("fast", **models(), log=log)
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["key"] for one in told if one["event"] == "trial"] == [*KEYS[1:], KEYS[0]]


def test_a_silent_run_is_taken_over_after_a_while(new_store, models, quick, tmp_path, monkeypatch):
    ds = new_store(*KEYS)
    monkeypatch.setattr(deferred, "PATIENCE_S", 0.3)
    lease = take(str(tmp_path / "reach.zarr"), "fast of M1/S1/1")
    ds.soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]
    assert not lease.beat()


def _infer(address: str, models: dict, start, told) -> None:
    seen: list[int] = []
    FeatureEngine._forward = counted(seen)
    sx.set_options(progress=False)
    ds = sx.open(address)
    start.wait()
    ds.soup.infer("fast", **models)
    told.send(sum(seen))


@pytest.mark.slow
def test_processes_that_start_together_do_each_trial_once(new_store, models, tmp_path):
    expected = new_store(*KEYS, name="plain.zarr", n_frames=90).soup.infer("fast", **models())
    ds = new_store(*KEYS, n_frames=90)
    at_once, (ours, theirs) = PROCESSES.Barrier(3), PROCESSES.Pipe()
    arguments = (str(tmp_path / "reach.zarr"), models(), at_once, theirs)
    processes = [PROCESSES.Process(target=_infer, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sum(ours.recv() for _ in processes) == 3 * 90
    for name in ("probability", "ethogram", "status", "error"):
        np.testing.assert_array_equal(ds[name], expected[name], err_msg=name)
