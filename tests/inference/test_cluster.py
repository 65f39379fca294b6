"""Trials on a dask cluster of real processes, and what happens when these die."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import dask
import numpy as np
import pytest

import soupxr as sx
from soupxr import local_client
from soupxr.inference import cluster
from soupxr.inference.cluster import on_cluster
from soupxr.inference.task import Outcome, Task
from soupxr.inference.versions import VersionMismatch

distributed = pytest.importorskip("distributed")

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

KEYS = tuple(f"M{animal}/S1/{trial}" for animal in (1, 2) for trial in (1, 2, 3, 4))
RESULTS = ("probability", "ethogram", "status", "error")


@pytest.fixture
def client() -> Iterator[distributed.Client]:
    """Two worker processes with nannies, which start them again when they die."""
    with local_client(workers=2) as client:
        yield client


def assert_equal(found, expected):
    found, expected = found.sel(mode="fast").load(), expected.sel(mode="fast").load()
    for name in RESULTS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    for text, other in zip(found.provenance.values, expected.provenance.values, strict=True):
        a, b = json.loads(text), json.loads(other)
        assert a["sequence"]["identity"] == b["sequence"]["identity"]
        assert a["features"]["identity"] == b["features"]["identity"]


class Killer(threading.Thread):
    """Kills workers that are at work on something, until it is stopped or has killed enough."""

    def __init__(self, client: distributed.Client, kills: int) -> None:
        super().__init__(daemon=True)
        self._client, self._left = client, kills
        self._draw = random.Random(6)
        self._stop_it = threading.Event()
        self.killed: list[int] = []

    def run(self) -> None:
        while self._left and not self._stop_it.wait(self._draw.uniform(0.2, 1.0)):
            with_work = [worker for worker, tasks in self._client.processing().items() if tasks]
            processes = self._client.run(os.getpid, workers=with_work, on_error="ignore")
            if with_work and processes:
                victim = self._draw.choice(sorted(processes.values()))
                os.kill(victim, signal.SIGKILL)
                self.killed.append(victim)
                self._left -= 1

    def stop(self) -> None:
        self._stop_it.set()
        self.join()


class Patient(distributed.WorkerPlugin):
    """Blames no trial for the death of its workers: here these come from outside."""

    def setup(self, worker: object) -> None:
        from soupxr.inference import trial

        trial.MOST_DEATHS = 10**9


def test_workers_that_are_killed_lose_nothing(new_store, models, client, tmp_path):
    client.register_plugin(Patient())
    expected = new_store(*KEYS, name="plain.zarr", n_frames=40).soup.infer("fast", **models())
    ds = new_store(*KEYS, n_frames=40)
    killer = Killer(client, kills=5)
    killer.start()
    ds = ds.soup.infer("fast", **models(), client=client)
    killer.stop()
    assert killer.killed, "no worker was killed: nothing is shown"
    assert_equal(ds, expected)
    assert not list((tmp_path / "reach.zarr" / "leases").glob("[0-9a-f]*"))


class Deadly(distributed.WorkerPlugin):
    """Lets a trial kill whichever worker begins with it."""

    def __init__(self, key: str) -> None:
        self._key = key

    def setup(self, worker: object) -> None:
        from soupxr.inference.trial import _Work

        run, deadly = _Work.run, self._key

        def or_die(work: _Work) -> None:
            if work.key == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            run(work)

        _Work.run = or_die


def test_a_trial_that_kills_its_worker_fails_alone(new_store, models, client, tmp_path):
    ds = new_store(*KEYS[:4])
    client.register_plugin(Deadly("M1/S1/2"))
    log = tmp_path / "run.jsonl"
    with pytest.raises(sx.InferenceError, match=r"1 of 4 trial.*\n.*M1/S1/2: 3 processes in a row"):
        ds.soup.infer("fast", **models(), client=client, log=log)
    assert ds.status.sel(mode="fast").values.tolist() == [2, 3, 2, 2]
    assert "died" in ds.error.sel(mode="fast").values[1]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", *["trial"] * 4, "end"]
    assert lines[-1].items() >= {"done": 3, "skipped": 0, "failed": 1}.items()
    # Here it kills nobody, as after the video was mended.
    with dask.config.set(scheduler="sync"):
        ds = ds.soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2, 2]


def test_a_worker_of_another_version_is_refused(new_store, models, client, monkeypatch):
    ds = new_store("M1/S1/1")
    monkeypatch.setattr(sx, "__version__", "9.9")
    with pytest.raises(VersionMismatch, match=r"soupxr 9\.9.*has soupxr 0\.") as refused:
        ds.soup.infer("fast", **models(), client=client)
    assert "tcp://" in str(refused.value)
    assert ds.status.sel(mode="fast").values.tolist() == [0]
    # One that joins after the run has begun refuses the work itself.
    monkeypatch.setattr(cluster._Run, "check_versions", lambda self: None)
    with pytest.raises(VersionMismatch, match="Install the same version"):
        ds.soup.infer("fast", **models(), client=client)
    assert ds.status.sel(mode="fast").values.tolist() == [0]


def _stub(task: Task) -> Outcome:
    return Outcome(task.key, 1, 0.0)


def _tasks(n: int) -> list[SimpleNamespace]:
    plan = SimpleNamespace(mode=SimpleNamespace(name="fast"))
    return [SimpleNamespace(key=f"M1/S1/{i}", plan=plan) for i in range(n)]


def test_few_trials_are_at_the_scheduler_at_a_time(client):
    most = 0
    tasks = _tasks(400)
    outcomes = set()
    for outcome in on_cluster(client, tasks, print, work=_stub):
        outcomes.add(outcome.key)
        held = len(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)))
        most = max(most, held)
    assert outcomes == {task.key for task in tasks}
    assert most <= cluster.LEAST


def test_a_lost_cluster_is_told(client):
    outcomes = on_cluster(client, _tasks(200), print, work=_stub)
    next(outcomes)
    client.cluster.close()
    with pytest.raises(sx.InferenceError, match="call infer again"):
        list(outcomes)


def test_local_workers(new_store, models):
    ds = new_store(*KEYS[:2])
    with local_client(workers=2) as client:
        ds = ds.soup.infer("fast", **models(), client=client)
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2]


@pytest.mark.parametrize("gpus", [[7], "all", []])
def test_gpus_that_are_not_there(gpus, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(sx.ArgumentError, match="gpus"), local_client(gpus=gpus):
        pass


def test_without_distributed_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(sx.ArgumentError, match=r"soupxr\[distributed\]"), local_client():
        pass


def test_each_gpu_gets_a_worker_that_takes_one_trial_at_a_time(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with local_client(gpus="all") as client:
        client.wait_for_workers(2)
        seen = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
        assert sorted(seen.values()) == ["0", "1"]
        assert cluster._Size(client).has_gpus
        done = [outcome.key for outcome in on_cluster(client, _tasks(3), print, work=_alone)]
    assert sorted(done) == ["M1/S1/0", "M1/S1/1", "M1/S1/2"]


def _alone(task: Task) -> Outcome:
    needs = distributed.get_worker().state.tasks[distributed.worker.thread_state.key]
    assert needs.resource_restrictions == {"GPU": 1}
    return Outcome(task.key, 1, 0.0)


def test_what_is_no_client_is_refused(new_store, models):
    with pytest.raises(sx.ArgumentError, match=r"client: expected a distributed\.Client"):
        new_store("M1/S1/1").soup.infer("fast", **models(), client="tcp://scheduler:8786")
