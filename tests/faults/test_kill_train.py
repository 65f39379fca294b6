"""Kill -9 of training: the same call with ``resume=True`` ends as if nothing had been."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import training_runs as runs
from faults.killing import draw_points, rehearse, run_and_kill

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.models import checkpoint
from soupxr.store import models
from soupxr.training.runfolder import RunFolder

pytestmark = pytest.mark.timeout(3600)  # many processes, one after the other

SEED = 20261126


def train(folder: Path, resume: bool = False) -> None:
    """The smallest run there is, of two epochs."""
    import torch

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        runs.spare_curves(patch)
        ds = sx.open(folder / "reach.zarr")
        runs.train_sequence(
            ds, folder / "run", max_epochs=2, training_steps=1, validation_steps=1, resume=resume
        )


@pytest.fixture(scope="session")
def untrained(tmp_path_factory, film) -> Path:
    """Labelled trials with features."""
    folder = tmp_path_factory.mktemp("untrained") / "lab"
    keys = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
    with sx.set_options(progress=False):
        runs.put_features(runs.label_all(runs.make_store(folder, film, keys), keys), keys=keys)
    return folder


def assert_readable(folder: Path) -> None:
    """Every checkpoint of a run is whole, and the store knows a model only if it is there."""
    for name in ("best.ckpt", "last.ckpt"):
        if (folder / "run" / name).exists():
            checkpoint.read(folder / "run" / name)
    if (folder / "run" / "run.json").exists():
        json.loads((folder / "run" / "run.json").read_text())
    for known in models(store_of(sx.open(folder / "reach.zarr"))):
        assert checkpoint.read(known.path).sha256 == known.sha256


@pytest.mark.parametrize(
    ("n_points", "seed"),
    [pytest.param(2, SEED), pytest.param(12, SEED + 1, marks=pytest.mark.thorough)],
)
def test_killed_anywhere(n_points, seed, untrained, tmp_path):
    whole = Path(shutil.copytree(untrained, tmp_path / "whole"))
    counts = rehearse(whole, train, whole)
    killed = 0
    for number, point in enumerate(draw_points((counts[0], 0), n_points, seed)):
        folder = tmp_path / str(number)
        killed += run_and_kill(untrained, folder, point, train)
        assert_readable(folder)
        train(folder, resume=True)
        runs.assert_equal_runs(folder / "run", whole / "run")
        assert len(models(store_of(sx.open(folder / "reach.zarr")))) == 1
        assert not list((folder / "run").glob("*.unfinished"))
        shutil.rmtree(folder)
    assert killed >= n_points - 1


def test_killed_before_there_was_a_record_of_it(tmp_path):
    """A piece of ``run.json`` does not occupy the folder."""
    (tmp_path / ".run.json.0123abcd.unfinished").write_text("{")
    folder = RunFolder.open(tmp_path, resume=False)
    folder.begin({"kind": "sequence", "mode": "fast", "arguments": {}, "split": {}, "inputs": {}})
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    (tmp_path / ".run.json").mkdir()
    (tmp_path / "run.json").unlink()
    with pytest.raises(sx.ArgumentError, match="new or empty folder"):
        RunFolder.open(tmp_path, resume=False)
