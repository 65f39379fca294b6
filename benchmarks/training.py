"""How fast the networks learn: windows a second, and how long they wait for data.

    python benchmarks/training.py [--size 64 80] [--precision float32 bfloat16] [--json FILE]

Steps of ``train``, with frames from the cache, alternate with those of a plain loop: each window
decoded by seeking in the video, augmented by itself on the CPU, and learnt by the networks as they
are written down. Idle is the part of the time in which the networks wait for a batch. The sequence
model, which reads stored features, is measured alone. The networks are untrained, which costs as
much.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from _report import load, machine, print_machine, print_table, summary, write_json
from torch import Tensor

import soupxr as sx
from soupxr.dataset import data_root, keys_of, store_of
from soupxr.ingest import resolve_video
from soupxr.models import checkpoint
from soupxr.models.flow import FLOW_GENERATORS
from soupxr.modes import MODES
from soupxr.synthetic import write_dataset
from soupxr.training.clips import ClipBatch, Clips, VideoClips
from soupxr.training.features import ArrayReader
from soupxr.training.gather import LabelledTrial, Material, labelled_trials
from soupxr.training.recordings import Recording
from soupxr.training.request import TrainingRequest
from soupxr.training.split import make_split
from soupxr.training.stages import FeatureStage, FlowStage, SequenceStage, Stage
from soupxr.training.tasks import FeatureTask, Task
from soupxr.video import probe_many
from soupxr.video.frames import FrameSource

ANNOTATOR = "truth"
ANIMALS = ("M1", "M2")


def main() -> None:
    """Measure, print, and write JSON if asked."""
    arguments = _parse()
    facts = machine()
    print_machine(facts)
    torch.set_num_threads(facts["cores"])
    results: dict[str, Any] = {"machine": facts, "stages": []}
    with tempfile.TemporaryDirectory() as folder, sx.set_options(progress=False):
        lab = Lab(Path(folder), arguments)
        for name in ("flow_generator", "feature_extractor"):
            results["stages"] += lab.measure(name)
        results["stages"].append(lab.measure_sequence())
    results["load_at_end"] = load()
    _print(results["stages"], arguments)
    write_json(arguments.json, results)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mode", default="fast", choices=list(MODES))
    parser.add_argument("--size", type=int, nargs=2, default=(64, 80), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6, help="steps of a run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way; the median counts")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--json", type=Path, help="write the results to this file")
    return parser.parse_args()


class Lab:
    """Rendered trials with their truth and a frame cache, and what is learnt from them."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.arguments = folder, arguments
        self.size, self.mode = tuple(arguments.size), MODES[arguments.mode]
        self.device = torch.device(arguments.device)
        truth = write_dataset(folder / "videos", animals=ANIMALS, trials=4)
        ds: xr.Dataset = sx.create(folder / "reach.zarr", data_root=folder / "videos")
        for animal in ANIMALS:
            ds = ds.soup.add_item(animal)
        self.ds = ds.soup.annotate(truth, annotator=ANNOTATOR, trials="selected")
        self.ds.soup.cache_frames(self.size)
        _, trials = labelled_trials(self.ds, "annotation", ANNOTATOR, self.mode.name)
        self.material = Material(self.ds, trials)
        self.split = make_split(self.material.summaries(), group="trial", validation=0.25, seed=0)

    def stage(self, name: str) -> Any:
        """A stage of training, with what it builds on."""
        request = TrainingRequest(
            kind=name,
            model_out=self.folder / name,
            batch_size=self.arguments.batch,
            image_size=self.size if name == "flow_generator" else None,
        )
        if name == "flow_generator":
            trials = [LabelledTrial(one.trial) for one in self.material.trials]
            material = Material(self.ds, trials)
            return FlowStage(self.mode, material, self.split, request, start=None)
        material, split = self.material, self.split
        return FeatureStage(self.mode, material, split, request, flow=self._generator(), start=None)

    def _generator(self) -> checkpoint.Checkpoint:
        return checkpoint.write(
            self.folder / "generator.ckpt",
            kind="flow_generator",
            mode=self.mode.name,
            model=FLOW_GENERATORS[self.mode.flow_generator](self.mode.window),
            behaviors=None,
            window=self.mode.window,
            image_size=self.size,
            preprocessing="antialias",
            normalization=((0.5,) * 3, (0.25,) * 3),
            overwrite=True,
        )

    def measure(self, name: str) -> list[dict[str, Any]]:
        """One stage: ours in each precision, and the plain loop, in turn."""
        stage = self.stage(name)
        ways: dict[str, Way] = {
            precision: Way(stage.task(), _endless(stage), self.device, precision)
            for precision in self.arguments.precision
        }
        plain = _plain(stage.task(), stage.request.augmentation)
        ways["plain loop"] = Way(plain, self._sought(stage), self.device, "float32")
        for way in ways.values():
            way.run(1)
        runs: dict[str, list[tuple[float, float]]] = {key: [] for key in ways}
        for _ in range(self.arguments.runs):
            for key, way in ways.items():
                steps = self.arguments.steps if key != "plain loop" else 2
                runs[key].append(way.run(steps))
        return [
            {
                "stage": name,
                "way": key,
                "windows_per_s": summary(self.arguments.batch / seconds for seconds, _ in found),
                "idle": float(np.median([idle for _, idle in found])),
            }
            for key, found in runs.items()
        ]

    def measure_sequence(self) -> dict[str, Any]:
        """The sequence model on features of noise."""
        draw = np.random.default_rng(0)
        recordings = {
            one.key: Recording(
                one.key,
                ArrayReader(draw.exponential(size=(one.trial.n_frames, 1024)).astype(np.float32)),
                one.labels,
            )
            for one in self.material.trials
        }
        request = TrainingRequest(kind="sequence", model_out=self.folder / "sequence", batch_size=4)
        stage = SequenceStage(
            self.mode, self.material, self.split, request, start=None, recordings=recordings
        )
        way = Way(stage.task(), _endless(stage), self.device, "float32")
        way.run(1)
        found = [way.run(2) for _ in range(self.arguments.runs)]
        return {
            "stage": "sequence",
            "way": "float32",
            "windows_per_s": summary(4 / seconds for seconds, _ in found),
            "idle": float(np.median([idle for _, idle in found])),
        }

    def _sought(self, stage: Any) -> Iterator[ClipBatch]:
        """Batches of random windows, each decoded by seeking, none of them ahead of use."""
        store, root = store_of(self.ds), data_root(store_of(self.ds))
        trials = {}
        for trial in store.trials(keys_of(self.ds)):
            infos = probe_many([resolve_video(root, path) for path in trial.video_paths])
            reader = VideoClips(FrameSource(infos, trial.n_frames), stage.preprocessing)
            labels = self.material.by_key[trial.key].labels
            trials[trial.key] = Clips(trial.key, trial.n_frames, self.size, reader, labels)
        draw = np.random.default_rng(0)
        edge = stage.preprocessing.edge_color
        while True:
            keys = draw.choice(list(trials), self.arguments.batch)
            places = [(key, int(draw.integers(trials[key].n_frames))) for key in keys]
            clips = [trials[key].window(at, stage.window, edge) for key, at in places]
            known = [trials[key].labels[at] for key, at in places]  # type: ignore[index]
            yield ClipBatch(
                torch.from_numpy(np.stack(clips)), torch.from_numpy(np.stack(known)), tuple(places)
            )


def _endless(stage: Stage) -> Iterator[Any]:
    """Batches of one epoch after the other."""
    data = stage.data()
    return chain.from_iterable(iter(data.training(epoch)) for epoch in count())


def _plain(task: Task, augmentation: Any) -> Task:
    """The same task as one would write it down."""
    task.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def windows(batch: ClipBatch, *, augment: bool) -> Tensor:
        normalize = task.preprocessing.normalize
        each = []
        for clip in batch.frames:
            values = clip.permute(0, 3, 1, 2).float().div(255)
            each.append(normalize(task.augmentation(values[None], task._chance)[0]))
        stacked = torch.stack(each)
        return stacked.flatten(1, 2) if task.layout == "stacked" else stacked.transpose(1, 2)

    task.windows = windows  # type: ignore[method-assign, union-attr]
    if isinstance(task, FeatureTask):
        task._logits = lambda values: task.network(values).logits  # type: ignore[method-assign]
    return task


class Way:
    """A task and where its batches come from.

    Parameters
    ----------
    task : Task
        Network and loss.
    batches : iterator of batches
        Without end.
    precision : str
        Number format of the forward pass.
    """

    def __init__(
        self, task: Task, batches: Iterator[Any], device: torch.device, precision: str
    ) -> None:
        self.task, self.batches, self.device = task.to(device), batches, device
        if isinstance(task, FeatureTask):
            task._frozen[0].to(device)
        trainable = [p for p in task.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trainable, lr=1e-5)
        self.is_half = precision == "bfloat16"

    def run(self, steps: int) -> tuple[float, float]:
        """Seconds a step, and the part of them spent waiting for data."""
        waited, started = 0.0, time.perf_counter()
        for _ in range(steps):
            asked = time.perf_counter()
            batch = next(self.batches)
            waited += time.perf_counter() - asked
            self._step(batch.to(self.device))
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        return seconds / steps, waited / seconds

    def _step(self, batch: Any) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_half):
            loss = self.task.loss(batch)
        loss = loss + self.task.penalty(self.task.network)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def _print(stages: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    plain = {
        one["stage"]: one["windows_per_s"]["median"] for one in stages if one["way"] == "plain loop"
    }
    rows = []
    for one in stages:
        rate, reference = one["windows_per_s"], plain.get(one["stage"])
        spread = f"{rate['lowest']:.3g} to {rate['highest']:.3g}"
        ratio = None if reference is None else rate["median"] / reference
        rows.append(
            (f"{one['stage']}, {one['way']}", rate["median"], spread, ratio, f"{one['idle']:.0%}")
        )
    height, width = arguments.size
    print_table(
        f"Mode {arguments.mode}, {height}x{width}, batches of {arguments.batch}",
        ("", "windows/s", "spread", "ratio", "waiting for data"),
        rows,
    )


if __name__ == "__main__":
    main()
