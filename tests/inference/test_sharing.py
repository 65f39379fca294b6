"""Two runs on one store: no trial is done twice, and none is left."""

from __future__ import annotations

import json
import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from counting import counted
from pages import until
from processes import PROCESSES

import soupxr as sx
from soupxr.inference import deferred, here
from soupxr.inference.engine import FeatureEngine
from soupxr.store import leases
from soupxr.store.leases import take

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")


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
    lease.release()


def _on_machine(name: str) -> None:
    """Be another machine from now on, where no process of the others is found."""
    leases._machine = lambda: name
    leases.psutil = SimpleNamespace(pid_exists=lambda pid: False)


def _infer(machine: str | None, address: str, models: dict, start, told) -> None:
    if machine is not None:
        _on_machine(machine)
    seen: list[int] = []
    FeatureEngine._forward = counted(seen)
    sx.set_options(progress=False)
    ds = sx.open(address)
    start.wait()
    ds.soup.infer("fast", **models)
    told.send(sum(seen))


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize(
    "machines",
    [
        pytest.param([None, None, None], id="this_one"),
        # None takes another's process for dead because it is not among its own.
        pytest.param(["lab-pc1", "lab-pc2"], id="two"),
    ],
)
def test_processes_that_start_together_do_each_trial_once(new_store, models, tmp_path, machines):
    expected = new_store(*KEYS, name="plain.zarr", n_frames=90).soup.infer("fast", **models())
    ds = new_store(*KEYS, n_frames=90)
    at_once, (ours, theirs) = PROCESSES.Barrier(len(machines)), PROCESSES.Pipe()
    arguments = (str(tmp_path / "reach.zarr"), models(), at_once, theirs)
    processes = [PROCESSES.Process(target=_infer, args=(name, *arguments)) for name in machines]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sum(ours.recv() for _ in processes) == 3 * 90
    for name in ("probability", "ethogram", "status", "error"):
        np.testing.assert_array_equal(ds[name], expected[name], err_msg=name)


def _begin_and_die_on(machine: str, address: str) -> None:
    _on_machine(machine)
    _begin_and_die(address)


@pytest.mark.slow
@pytest.mark.thorough
def test_a_process_that_died_on_another_machine_is_found_by_its_silence(
    new_store, models, tmp_path, monkeypatch
):
    ds, address = new_store(*KEYS), str(tmp_path / "reach.zarr")
    process = PROCESSES.Process(target=_begin_and_die_on, args=("lab-pc1", address))
    process.start()
    process.join()
    left = take(address, "fast of M1/S1/1")
    assert isinstance(left, leases.Held)  # nobody here can know that it is dead
    monkeypatch.setattr(deferred, "LOOK_S", 0.05)
    monkeypatch.setattr(deferred, "PATIENCE_S", 0.3)
    ds.soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]
    assert not list((tmp_path / "reach.zarr" / "leases").glob("[0-9a-f]*"))
