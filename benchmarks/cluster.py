"""What a dask cluster adds to each trial: many trials with stand-ins for networks and video.

    python benchmarks/cluster.py [--trials 20000] [--workers 1 2] [--work-ms 50] [--json FILE]
    python benchmarks/cluster.py --count-requests [--json FILE]

``ds.soup.infer`` on a ``LocalCluster`` of real processes. Everything is as it is in earnest but
two things: no video is decoded and no network runs; features and probabilities are random numbers
that are there at once. What is left is the overhead: planning, scheduling, the lease, opening the
store, and committing each trial. Told are milliseconds of a worker for each trial; the memory of
this process, in which client and scheduler live, and how much it grew in the second half of the
run; the most trials that were at the scheduler; and how many trials a second the scheduler alone
can hand out, which is where a larger cluster ends.

Trials that take no time show the overhead, and on few cores how processes contend for these. With
``--work-ms``, each waits so long in place of its networks, as one on a GPU does: this shows how
more workers share the work. ``--count-requests`` counts how often a trial of 2,500
frames asks a store on S3 for something (needs moto); its video is real, its features are random.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import psutil
import torch
from _report import load, machine, print_machine, print_table, write_json
from _requests import count_requests

import soupxr as sx
from soupxr import local_client
from soupxr.inference.cluster import on_cluster
from soupxr.inference.task import Outcome, Task
from soupxr.ingest import TrialRow
from soupxr.models import checkpoint
from soupxr.models.tgmj import TGMJ
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import BEHAVIORS, MODES
from soupxr.store import Store, add_trials

MODE = "fast"
N_FRAMES = 100
N_CLASSES = 1 + len(BEHAVIORS)


def main() -> None:
    """Run on each number of workers, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20_000, help="in the store")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes")
    parser.add_argument("--work-ms", type=float, default=0, help="a trial waits so long")
    parser.add_argument(
        "--count-requests", action="store_true", help="of a store on S3; nothing else"
    )
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    results: dict[str, Any] = {"machine": facts}
    with tempfile.TemporaryDirectory() as name, sx.set_options(progress=False):
        folder = Path(name)
        models = write_models(folder)
        if arguments.count_requests:
            results["requests"] = count_requests(folder, models)
            report_requests(results["requests"])
            write_json(arguments.json, results)
            return
        for workers in arguments.workers:
            ds = new_store(folder / f"{workers}.zarr", arguments.trials)
            with local_client(workers=workers) as client:
                client.register_plugin(StandIns(arguments.work_ms / 1000))
                results[str(workers)] = measure(ds, models, client, workers)
        with local_client(workers=2) as client:
            results["handed_out_a_second"] = handing_out(client)
    results |= {"work_ms": arguments.work_ms, "load_at_end": load()}
    report(results, arguments.trials)
    write_json(arguments.json, results)


# ------------------------------------------------------------------ what is measured


class StandIns(distributed.WorkerPlugin):
    """In a worker: random features, after a while (s), in place of video and networks."""

    def __init__(self, work_s: float) -> None:
        self._work_s = work_s

    def setup(self, worker: object) -> None:
        """Put them in; called in each worker."""
        from soupxr.inference import trial

        work_s = self._work_s
        random = np.random.default_rng(0)
        features = random.random((N_FRAMES, 1024), dtype=np.float32)
        probability = random.random((N_FRAMES, N_CLASSES), dtype=np.float32)

        def features_from(work: trial._Work, found: Any) -> Any:
            identity = work.plan.features_identity() | {"video": []}
            record = {"identity": identity, "kept": "none"}
            work.record = trial.replace(work.record, features=record)
            time.sleep(work_s)
            yield features

        trial._Work._features_from = features_from  # type: ignore[method-assign]
        trial._sequence_model = lambda plan: None  # type: ignore[assignment]
        trial.class_probabilities = lambda model, stream: (list(stream), probability)[1]


class Watch(threading.Thread):
    """Looks at this process and its scheduler now and then."""

    def __init__(self, client: distributed.Client) -> None:
        super().__init__(daemon=True)
        self._scheduler = client.cluster.scheduler
        self._process = psutil.Process()
        self._end = threading.Event()
        self.memory: list[float] = []
        self.held: list[int] = []

    def run(self) -> None:
        """Look, until it is stopped."""
        while not self._end.wait(0.5):
            self.memory.append(self._process.memory_info().rss / 1e6)
            self.held.append(len(self._scheduler.tasks))

    def stop(self) -> None:
        """Look no more."""
        self._end.set()
        self.join()


def measure(ds: Any, models: dict[str, Path], client: Any, workers: int) -> dict[str, Any]:
    """Infer all trials of a store."""
    n_trials = ds.sizes["trial"]
    before = psutil.Process().memory_info().rss / 1e6
    watch = Watch(client)
    watch.start()
    started = time.perf_counter()
    ds = ds.soup.infer(MODE, **models, features="none", client=client)
    seconds = time.perf_counter() - started
    watch.stop()
    assert (ds.status.sel(mode=MODE) == 2).all(), "not every trial is complete"
    half = len(watch.memory) // 2
    return {
        "seconds": seconds,
        "ms_of_a_worker_a_trial": 1000 * seconds * workers / n_trials,
        "trials_a_second": n_trials / seconds,
        "memory_before_MB": before,
        "memory_most_MB": max(watch.memory),
        "memory_grown_in_second_half_MB": watch.memory[-1] - watch.memory[half],
        "trials_at_the_scheduler_at_most": max(watch.held),
        "load": load(),
    }


def handing_out(client: Any, n: int = 5000) -> float:
    """Trials a second that client and scheduler can hand out, if workers took no time."""
    tasks = [_task(i) for i in range(n)]
    started = time.perf_counter()
    done = sum(1 for _ in on_cluster(client, tasks, print, work=_nothing))
    assert done == n
    return n / (time.perf_counter() - started)


def _nothing(task: Task) -> Outcome:
    return Outcome(task.key, 1, 0.0)


# ------------------------------------------------------------------ what it is measured on


def new_store(path: Path, n_trials: int) -> Any:
    """A store of trials whose videos do not exist."""
    (path.parent / "videos").mkdir(exist_ok=True)
    sx.create(path, path.parent / "videos")
    rows = [
        TrialRow(f"M{i // 1000}", "S1", i % 1000, ("side.mp4", "front.mp4"), N_FRAMES, 500.0)
        for i in range(n_trials)
    ]
    add_trials(str(path), rows)
    return sx.open(path)


def write_models(folder: Path) -> dict[str, Path]:
    """Checkpoints of untrained networks, as arguments of ``infer``."""
    network, sequence = HiddenTwoStream(MODES[MODE], N_CLASSES), TGMJ(N_CLASSES)
    common: dict[str, Any] = {"mode": MODE, "window": 11, "image_size": (32, 32)}
    common |= {"preprocessing": "antialias", "normalization": ((0.5,) * 3, (0.25,) * 3)}
    made: dict[str, tuple[torch.nn.Module, dict[str, Any]]] = {
        "feature_extractor": (network, common),
        "sequence": (sequence, dict.fromkeys(common) | {"mode": MODE}),
    }
    paths = {}
    for kind, (model, settings) in made.items():
        path = folder / f"{kind}.ckpt"
        checkpoint.write(path, kind=kind, model=model, behaviors=BEHAVIORS, **settings)
        paths["sequence_model_in" if kind == "sequence" else "feature_model_in"] = path
    return paths


def _task(number: int) -> Task:
    store = Store("nowhere")
    from types import SimpleNamespace

    plan: Any = SimpleNamespace(mode=SimpleNamespace(name=MODE))
    facts: dict[str, Any] = {"address": store.address, "data_root": "", "plan": plan}
    facts |= {"version": sx.__version__, "redo": False, "redo_features": False}
    return Task(key=f"M1/S1/{number}", feature_role="unknown", sequence_role="unknown", **facts)


def report_requests(requests: dict[str, dict[str, float]]) -> None:
    """Print what was counted."""
    names = list(dict.fromkeys(name for counts in requests.values() for name in counts))
    rows = [[name, *(counts.get(name, 0.0) for counts in requests.values())] for name in names]
    headings = ["requests of a trial of 2,500 frames", *(f"features {keep}" for keep in requests)]
    print_table("A store on S3", headings, rows)


def report(results: dict[str, Any], n_trials: int) -> None:
    """Print what was measured."""
    runs = {name: run for name, run in results.items() if name.isdecimal()}
    names = list(next(iter(runs.values())))
    rows = [[name.replace("_", " "), *(run[name] for run in runs.values())] for name in names]
    what = f"{n_trials:,} trials of {N_FRAMES} frames and {results['work_ms']:g} ms"
    headings = [what, *(f"{n} workers" for n in runs)]
    print_table("A cluster of processes", headings, rows)
    print(
        f"\nhanded out to workers that do nothing: {results['handed_out_a_second']:,.0f} trials/s"
    )


if __name__ == "__main__":
    main()
