"""Trials on a dask cluster of real processes, and what happens when these die."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import numpy as np
import psutil
import pytest
from pages import until

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


class Mortal(distributed.WorkerPlugin):
    """Kills each worker that is in the middle of one of these trials, once a trial."""

    def __init__(self, folder: Path, keys: Sequence[str]) -> None:
        self._folder, self._keys = folder, keys

    def setup(self, worker: object) -> None:
        from soupxr.inference import trial
        from soupxr.store import TrialResults

        # Here deaths come from outside; no trial is to blame.
        trial.MOST_DEATHS = 10**9
        for number, key in enumerate(self._keys):
            # Features, the result, the mark: whichever it is writing.
            name = ("write_features", "_write_rows", "_finish")[number % 3]
            self._kill_at(TrialResults, name, key)

    def _kill_at(self, owner: type, name: str, key: str) -> None:
        plain = getattr(owner, name)

        def or_die(results: Any, *arguments: Any) -> None:
            if results._key == key:
                with contextlib.suppress(FileExistsError):
                    (self._folder / key.replace("/", "_")).touch(exist_ok=False)
                    os.kill(os.getpid(), signal.SIGKILL)
            plain(results, *arguments)

        setattr(owner, name, or_die)


def test_workers_that_are_killed_lose_nothing(new_store, models, client, tmp_path):
    expected = new_store(*KEYS, name="plain.zarr", n_frames=40).soup.infer("fast", **models())
    ds = new_store(*KEYS, n_frames=40)
    (tmp_path / "killed").mkdir()
    client.register_plugin(Mortal(tmp_path / "killed", KEYS[:5]))
    log = tmp_path / "run.jsonl"
    ds = ds.soup.infer("fast", **models(), client=client, log=log)
    assert len(list((tmp_path / "killed").iterdir())) == 5
    assert_equal(ds, expected)
    for name, values in ds.soup.features("fast").items():
        np.testing.assert_array_equal(values, expected.soup.features("fast")[name])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(line["key"] for line in lines if line["event"] == "trial") == sorted(KEYS)
    assert not list((tmp_path / "reach.zarr" / "leases").glob("[0-9a-f]*"))


def test_the_dashboard_of_a_cluster_is_told(new_store, models, client, capsys):
    new_store(*KEYS[:2]).soup.infer("fast", **models(), client=client, progress=True)
    assert f"dask dashboard: {client.dashboard_link}" in capsys.readouterr().err


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
def test_gpus_of_a_machine_that_has_none(gpus, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with (
        pytest.raises(sx.ArgumentError, match=r"^gpus: this machine has no CUDA GPU.*Leave it out"),
        local_client(gpus=gpus),
    ):
        pass


@pytest.mark.parametrize("gpus", [[7], [0, 2], []])
def test_gpus_that_are_not_there(gpus, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    wanted = r'gpus: expected "all" or numbers among \[0, 1\], but got \['
    with pytest.raises(sx.ArgumentError, match=wanted), local_client(gpus=gpus):
        pass


def test_without_distributed_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(sx.ArgumentError, match="pip install distributed"), local_client():
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


def _timed(task: Task) -> Outcome:
    """A trial that takes its time, and tells when it began and ended."""
    begun = time.monotonic()
    time.sleep(0.1)
    return Outcome(task.key, 1, 0.0, notes=(str(begun), str(time.monotonic())))


def test_a_gpu_that_joins_an_empty_cluster_gets_one_trial_at_a_time(monkeypatch):
    """Its worker has two threads, so that what asks for no GPU would overlap there."""
    monkeypatch.setattr(cluster, "LOOK_S", 0.1)
    monkeypatch.setattr(cluster, "LONELY_S", 0.0)
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    worker = {"host": "127.0.0.1", "nthreads": 2, "resources": {"GPU": 1}}
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    with (
        distributed.SpecCluster(
            scheduler={"cls": distributed.Scheduler, "options": {"port": 0, **here}},
            worker={"cls": distributed.Nanny, "options": worker},
        ) as empty,
        distributed.Client(empty) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        outcomes = on_cluster(client, _tasks(8), told.put, work=_timed)
        done = pool.submit(list, outcomes)
        assert told.get(timeout=60) == "the cluster has no workers"
        handed_out = client.run_on_scheduler(
            lambda dask_scheduler: [key for key in dask_scheduler.tasks if key.startswith("infer-")]
        )
        empty.scale(1)
        times = sorted(tuple(map(float, outcome.notes)) for outcome in done.result())
    assert handed_out == []
    assert len(times) == 8
    assert all(end <= begun for (_, end), (begun, _) in pairwise(times))


def test_an_adaptive_cluster_without_workers_starts_some(monkeypatch):
    """It starts the first one, and the first after it ended all, for what waits alone."""
    monkeypatch.setattr(cluster, "LOOK_S", 0.1)
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(n_workers=0, threads_per_worker=1, **here) as adaptive,
        distributed.Client(adaptive) as client,
    ):
        adaptive.adapt(minimum=0, maximum=1, interval="100ms")
        for _ in range(2):
            done = [outcome.key for outcome in on_cluster(client, _tasks(3), print, work=_timed)]
            assert sorted(done) == ["M1/S1/0", "M1/S1/1", "M1/S1/2"]
            until(lambda: not client.scheduler_info(n_workers=-1)["workers"])


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0])
def test_ctrl_c_while_workers_start_ends_them(seconds, request):
    """Dask says at its exit what it could not end."""
    before = set(psutil.Process().children(recursive=True))
    clusters = set(distributed.SpecCluster._instances)
    # Processes that are started in the background may be deaf.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, heard))

    def work() -> None:
        timer = threading.Timer(seconds, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with local_client(workers=2) as client:
            client.submit(time.sleep, 60).result()

    with pytest.raises(KeyboardInterrupt):
        work()
    started = set(distributed.SpecCluster._instances) - clusters
    assert {one.status.name for one in started} <= {"closed"}
    tracker = "resource_tracker"
    left = set(psutil.Process().children(recursive=True)) - before
    _, left = psutil.wait_procs([one for one in left if tracker not in str(one.cmdline())], 30)
    assert not left
    assert dask.config.get("scheduler", None) is None


def test_ctrl_c_ends_a_worker_that_does_not_answer():
    workers: list[int] = []

    def work() -> None:
        with local_client(workers=2) as client:
            workers.extend(client.run(os.getpid).values())
            os.kill(workers[0], signal.SIGSTOP)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    until(lambda: not any(map(psutil.pid_exists, workers)))
    assert dask.config.get("scheduler", None) is None


def test_ctrl_c_in_a_run_does_not_wait_for_a_worker_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_S", 1.0)
    workers: list[int] = []

    def work() -> None:
        with local_client(workers=2) as client:
            workers.extend(client.run(os.getpid).values())
            for _ in on_cluster(client, _tasks(8), print, work=_timed):
                os.kill(workers[0], signal.SIGSTOP)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    until(lambda: not any(map(psutil.pid_exists, workers)))


def test_a_gpu_is_still_asked_for_while_its_worker_starts_anew():
    """What is handed out meanwhile may run there."""
    gpu = {"nthreads": 2, "resources": {"GPU": 1}}
    cpu = {"nthreads": 2, "resources": {}}
    workers: dict[str, Any] = {}
    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": workers})
    size = cluster._Size(client)
    assert (size.window(), size.has_gpus) == (0, False)
    for there, window in (({"a": gpu, "b": cpu}, cluster.LEAST), ({"b": cpu}, 0), ({}, 0)):
        workers.clear()
        workers.update(there)
        size._asked = float("-inf")
        assert (size.window(), size.has_gpus) == (window, True)


def _alone(task: Task) -> Outcome:
    needs = distributed.get_worker().state.tasks[distributed.worker.thread_state.key]
    assert needs.resource_restrictions == {"GPU": 1}
    return Outcome(task.key, 1, 0.0)


def test_what_is_no_client_is_refused(new_store, models):
    with pytest.raises(sx.ArgumentError, match=r"client: expected a distributed\.Client"):
        new_store("M1/S1/1").soup.infer("fast", **models(), client="tcp://scheduler:8786")
