"""Small stores to train on, small runs, and how two runs are compared."""

from __future__ import annotations

import csv
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from results import annotate

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.models import checkpoint
from soupxr.store import TrialResults

BEHAVIORS = ("lift", "grab")
TRIALS = tuple(f"M{animal}/S1/{trial}" for animal in (1, 2) for trial in (1, 2, 3))
LENGTH = 24
WINDOW = 2
SIZE = (32, 32)

FLOW = {"flow_window": WINDOW, "image_size": SIZE, "max_epochs": 3, "num_workers": 2}
FEATURES = {"max_epochs": 2, "num_workers": 2}
SEQUENCE = {"max_epochs": 3, "initial_lr": 1e-3}
SMALL = {"batch_size": 2, "training_steps": 2, "validation_steps": 2, "device": "cpu"}


def truth(n_frames=LENGTH, seed=0):
    """Two bouts that overlap, int8 (frame, behavior)."""
    mask = np.zeros((n_frames, 2), np.int8)
    mask[2 + seed : 9 + seed, 0] = 1
    mask[7 + seed : 14 + seed, 1] = 1
    return mask


def make_store(folder: Path, film, keys=TRIALS, name="reach.zarr"):
    """A store of these trials and their films, without labels."""
    for key in keys:
        animal, session, trial_id = key.split("/")
        for view in ("side", "front"):
            path = folder / "videos" / animal / session / f"reach_{view}_v{int(trial_id):03d}.mp4"
            film(path, n_frames=LENGTH)
    ds = sx.create(folder / name, data_root=folder / "videos", behaviors=BEHAVIORS)
    for animal in sorted({key.split("/")[0] for key in keys}):
        ds = ds.soup.add_item(animal)
    return ds


def label_all(ds, keys=TRIALS):
    """Label trials in full."""
    for seed, key in enumerate(keys):
        ds = annotate(ds, key, truth(seed=seed))
    return ds


def put_features(ds, mode="fast", keys=TRIALS, model="f" * 64):
    """Features from which the labels can be told, as inference would leave them."""
    random = np.random.default_rng(0)
    identity = {"feature_model": model, "image_size": list(SIZE)}
    record = {"features": {"identity": identity, "kept": "float32"}, "sequence": None}
    for seed, key in enumerate(keys):
        said = np.tile(truth(seed=seed), 256)
        values = said + random.normal(0, 1, said.shape)
        results = TrialResults(store_of(ds), mode, key)
        results.start_features(json.dumps(record | {"claim": key}))
        features = {"spatial": values, "flow": values, "logit": np.zeros((LENGTH, 3))}
        results.write_features(0, {k: v.astype(np.float32) for k, v in features.items()})
        results.commit_features(json.dumps(record))
    return sx.open(ds.attrs["soupxr_store"])


def with_background(mask):
    """Frame by frame: 1 where all is absent, 0 where something occurs, else unknown."""
    rows = []
    for row in mask.tolist():
        known = 0 if 1 in row else 1 if set(row) == {0} else -1
        rows.append([known, *row])
    return np.array(rows, np.int8)


def partly():
    """Labels of one who saw little of some trials, and nothing of the last."""
    masks = {key: truth(seed=seed) for seed, key in enumerate(TRIALS[:5])}
    masks[TRIALS[0]][:] = -1
    masks[TRIALS[0]][4:16] = truth()[4:16]
    masks[TRIALS[1]][:, 1] = -1  # never looked for grab
    masks[TRIALS[2]][10:] = -1
    masks[TRIALS[4]][::2] = -1
    return masks


def copied(store: Path, folder: Path):
    """A store of one's own, with its videos and the models that it knows."""
    shutil.copytree(store, folder / "reach.zarr")
    shutil.copytree(store.parent / "videos", folder / "videos")
    models = store.parent / "models"
    if models.is_dir():
        # Checkpoints are never changed in place, so that they can be shared.
        shutil.copytree(models, folder / "models", copy_function=os.link)
    return sx.open(folder / "reach.zarr")


def train_flow(ds, folder, **settings):
    return ds.soup.flow_generator.train(model_out=folder, **{**SMALL, **FLOW, **settings})


def train_features(ds, folder, **settings):
    return ds.soup.feature_extractor.train(model_out=folder, **{**SMALL, **FEATURES, **settings})


def train_sequence(ds, folder, **settings):
    return ds.soup.sequence.train(model_out=folder, **{**SMALL, **SEQUENCE, **settings})


# ---------------------------------------------------------------- what a run left


def history(folder):
    """Rows of ``metrics.csv``, as text: equal rows are equal to the last bit."""
    with (Path(folder) / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_equal_weights(one: Path, other: Path):
    """Two checkpoints hold the same weights and statistics, bit for bit."""
    first, second = checkpoint.read(one).state_dict, checkpoint.read(other).state_dict
    assert first.keys() == second.keys()
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    assert not differing


def assert_equal_runs(one, other):
    """Two runs went and ended alike."""
    assert history(one) == history(other)
    for name in ("best.ckpt", "last.ckpt"):
        assert_equal_weights(Path(one) / name, Path(other) / name)


# ---------------------------------------------------------------- what happens meanwhile


@contextmanager
def stopped_at(epoch, step, problem=KeyboardInterrupt):
    """Let a run be interrupted in the middle of an epoch."""
    from soupxr.training.tasks import Task

    training_step = Task.training_step

    def interrupted(self, batch, index):
        if (self.current_epoch, index) == (epoch, step):
            raise problem
        return training_step(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "training_step", interrupted)
        yield


def spare_resume_files(monkeypatch):
    """Do not write a feature extractor's ``resume.ckpt``: a quarter of a gigabyte and more."""
    from soupxr.training._lightning import pytorch_lightning as pl

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", lambda self, path: path.touch())


def spare_curves(monkeypatch):
    """Do not draw a run's curves, which takes longer than a small run."""
    from soupxr.training import fit

    def draw(history, metric, title, path, *, rising):
        path.touch()

    monkeypatch.setattr(fit, "save_curves", draw)


def seen_batches(monkeypatch, task):
    """Batches of the training part, and what of them reached the focal loss."""
    from soupxr.training.losses import FocalLoss

    batches, labels = [], []
    forward, loss = FocalLoss.forward, task.loss

    def recording_loss(self, batch):
        batches.append(batch)
        return loss(self, batch)

    def recording_forward(self, logits, given):
        labels.append(given.clone())
        return forward(self, logits, given)

    monkeypatch.setattr(task, "loss", recording_loss)
    monkeypatch.setattr(FocalLoss, "forward", recording_forward)
    return batches, labels
