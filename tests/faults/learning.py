"""The smallest runs of training there are: two steps of each stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import training_runs as runs

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.models import checkpoint
from soupxr.store import models

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")


def furnish(folder: Path, film: Any) -> None:
    """A store of labelled trials with features."""
    runs.put_features(runs.label_all(runs.make_store(folder, film, KEYS), KEYS), keys=KEYS)


def train(
    folder: Path, resume: bool = False, out: str | Path = "run", stage: str = "sequence"
) -> None:
    """Two epochs."""
    import torch

    begin = {
        "flow": runs.train_flow,
        "features": runs.train_features,
        "sequence": runs.train_sequence,
    }[stage]

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        runs.spare_curves(patch)
        ds = sx.open(folder / "reach.zarr")
        begin(ds, folder / out, max_epochs=2, training_steps=1, validation_steps=1, resume=resume)


def assert_readable(folder: Path, out: str | Path = "run") -> None:
    """Every checkpoint of a run is whole, and the store knows a model only if it is there."""
    for name in ("best.ckpt", "last.ckpt"):
        if (folder / out / name).exists():
            checkpoint.read(folder / out / name)
    if (folder / out / "run.json").exists():
        json.loads((folder / out / "run.json").read_text())
    for known in models(store_of(sx.open(folder / "reach.zarr"))):
        assert checkpoint.read(known.path).sha256 == known.sha256


def is_finished(folder: Path, out: str | Path = "run") -> bool:
    """Whether a run says of itself that it is over."""
    return bool(json.loads((folder / out / "run.json").read_text())["finished"])
