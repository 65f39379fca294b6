"""Inference of small films, with real networks, or with others that take no time.

With the latter all else is real: leases, decoding, features, commits.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.inference import trial
from soupxr.inference.between import Features
from soupxr.inference.plan import Request
from soupxr.inference.run import _jobs
from soupxr.inference.task import Outcome, Task
from soupxr.inference.trial import process

TRIALS = ("M1/S1/1", "M1/S1/2")
FRAMES = 12


def make_lab(folder: Path, film: Any) -> None:
    """A store of two small trials with one view, not inferred."""
    for key in TRIALS:
        animal, session, trial_id = key.split("/")
        name = f"reach_side_v{int(trial_id):03d}.mp4"
        film(folder / "videos" / animal / session / name, n_frames=FRAMES)
    ds = sx.create(folder / "reach.zarr", folder / "videos", views=("side",))
    ds.soup.add_item("M1", experiment="table", progress=False)


def keep_tasks(folder: Path, models: dict[str, Any], **settings: Any) -> None:
    """Write beside the store what is to be inferred, and with which models."""
    ds = sx.open(folder / "reach.zarr")
    jobs = _jobs(ds, "fast", Request(**models, overwrite=True, **settings))
    (folder / "tasks.pickle").write_bytes(pickle.dumps(jobs.tasks))
    (folder / "models.pickle").write_bytes(pickle.dumps(models))


class _Engine:
    """Features that follow from a frame's brightness."""

    device = "cpu"

    def extract(self, blocks: Any, preprocessing: Any, every: int) -> Iterator[Features]:
        for frames in blocks:
            mean = np.asarray(frames, np.float32).mean(axis=(1, 2, 3))[:, None]
            wide = np.tile(mean, 512)
            yield Features(wide, wide / 2, np.tile(mean, 7))


def _probabilities(_: object, features: Any) -> np.ndarray:
    values = np.concatenate(list(features))[:, :7]
    return np.asarray((values % 1.0 + np.linspace(0, 1, 7)) % 1.0, np.float32)


def without_networks() -> None:
    """Let this process infer without them."""
    trial._engine = lambda plan: _Engine()
    trial._sequence_model = lambda plan: None
    trial.class_probabilities = _probabilities


def outcomes(folder: Path, *, redo: bool = False) -> list[Outcome]:
    """Work on every trial, as a worker does."""
    without_networks()
    tasks: list[Task] = pickle.loads((folder / "tasks.pickle").read_bytes())
    place = {"address": str(folder / "reach.zarr"), "data_root": str(folder / "videos")}
    return [process(replace(task, **place, redo=redo)) for task in tasks]


def infer_quickly(folder: Path) -> None:
    failed = [outcome.error for outcome in outcomes(folder) if outcome.error]
    assert not failed, failed


def infer(folder: Path) -> None:
    """The whole call, with real networks."""
    models = pickle.loads((folder / "models.pickle").read_bytes())
    sx.open(folder / "reach.zarr").soup.infer("fast", **models)


def infer_again(folder: Path) -> None:
    """The same with other thresholds, over what is there."""
    models = pickle.loads((folder / "models.pickle").read_bytes())
    ds = sx.open(folder / "reach.zarr")
    assert store_of(ds).address == str(folder / "reach.zarr")
    ds.soup.infer("fast", **models, thresholds=0.9, overwrite=True)
