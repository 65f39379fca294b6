"""Kill -9 of training: the same call with ``resume=True`` ends as if nothing had been."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import training_runs as runs
from faults.killing import draw_points, rehearse, run_and_kill
from faults.learning import assert_readable, train

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.store import models
from soupxr.training.runfolder import RunFolder

pytestmark = pytest.mark.timeout(3600)  # many processes, one after the other

SEED = 20261126


@pytest.fixture
def template(stage, untrained, tmp_path):
    """What a run of this stage begins with."""
    if stage != "features":
        return untrained
    folder = Path(shutil.copytree(untrained, tmp_path / "template"))
    train(folder, stage="flow", out="flow")
    return folder


@pytest.mark.parametrize(
    ("stage", "n_points", "seed"),
    [
        pytest.param("sequence", 2, SEED, marks=pytest.mark.thorough),
        pytest.param("sequence", 12, SEED + 1, marks=pytest.mark.thorough),
        pytest.param("flow", 6, SEED + 2, marks=pytest.mark.thorough),
        pytest.param("features", 6, SEED + 3, marks=pytest.mark.thorough),
    ],
)
def test_killed_anywhere(stage, n_points, seed, template, tmp_path):
    whole = Path(shutil.copytree(template, tmp_path / "whole"))
    counts = rehearse(whole, train, whole, False, "run", stage)
    for number, point in enumerate(draw_points((counts[0], 0), n_points, seed)):
        folder = tmp_path / str(number)
        run_and_kill(template, folder, point, train, False, "run", stage)
        assert_readable(folder)
        train(folder, resume=True, stage=stage)
        runs.assert_equal_runs(folder / "run", whole / "run")
        known = models(store_of(sx.open(folder / "reach.zarr")))
        assert [one.path for one in known].count(str(folder / "run/best.ckpt")) == 1
        assert len(known) == len(models(store_of(sx.open(template / "reach.zarr")))) + 1
        assert not list((folder / "run").glob("*.unfinished"))
        shutil.rmtree(folder)


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
