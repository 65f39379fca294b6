"""Training on a disk that is full, or on which we may write no longer."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import training_runs as runs
from faults import learning
from faults.checker import assert_equal, holdings
from faults.disks import KIB, fill, small_disk
from processes import somebody

import soupxr as sx
from soupxr.store import Store, models
from soupxr.training.tasks import Task

pytestmark = pytest.mark.thorough


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """It holds a few checkpoints."""
    with small_disk(tmp_path / "disk", megabytes=64) as folder:
        yield folder


@pytest.fixture
def alone(untrained, tmp_path) -> Path:
    """A run that nothing happened to."""
    folder = Path(shutil.copytree(untrained, tmp_path / "alone"))
    learning.train(folder)
    return folder


@pytest.mark.parametrize("leave", [0, 64 * KIB, 1024 * KIB, 3000 * KIB])
@pytest.mark.parametrize("epoch", [0, 1])
def test_the_disk_of_the_run_is_full(epoch, leave, untrained, disk, alone, tmp_path, monkeypatch):
    """One error that says so; what was whole stays, and with room again it ends as alone."""
    folder = Path(shutil.copytree(untrained, tmp_path / "lab"))
    out, step, before = disk / "run", Task.training_step, {}

    def filling(task, batch, index):
        if task.current_epoch == epoch:
            fill(disk, leave)
            for name in ("best.ckpt", "last.ckpt"):
                if (out / name).exists():
                    before[name] = (out / name).read_bytes()
        return step(task, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(Task, "training_step", filling)
        with pytest.raises(sx.TrainingError, match=r"(?s)No space left on device.*resume=True"):
            learning.train(folder, out=out)
    (disk / "ballast").unlink()
    learning.assert_readable(folder, out)
    assert set(before) == ({"best.ckpt", "last.ckpt"} if epoch else set())
    if epoch and leave == 0:
        assert {name: (out / name).read_bytes() for name in before} == before
    assert not list(out.glob(".*.unfinished"))
    assert not learning.is_finished(folder, out)
    assert models(Store(str(folder / "reach.zarr"))) == []
    learning.train(folder, resume=True, out=out)
    runs.assert_equal_runs(out, alone / "run")


def test_the_disk_of_the_store_is_full(untrained, disk, alone, tmp_path):
    folder = Path(shutil.copytree(untrained, disk / "lab"))
    before, ballast = holdings(folder / "reach.zarr"), fill(disk, 0)
    with pytest.raises(sx.StoreError, match="No space left on device"):
        learning.train(folder, out=tmp_path / "run")
    ballast.unlink()
    assert_equal(holdings(folder / "reach.zarr"), before)
    learning.assert_readable(folder, tmp_path / "run")
    learning.train(folder, resume=True, out=tmp_path / "run")
    runs.assert_equal_runs(tmp_path / "run", alone / "run")
    assert len(models(Store(str(folder / "reach.zarr")))) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
def test_permission_is_lost(untrained):
    place = Path(tempfile.mkdtemp())
    folder = Path(shutil.copytree(untrained, place / "lab"))
    before = holdings(folder / "reach.zarr")
    for path in (place, *place.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with somebody(), pytest.raises(sx.TrainingError, match="Permission denied"):
        learning.train(folder)
    assert_equal(holdings(folder / "reach.zarr"), before)
    for path in (place, *place.rglob("*")):
        path.chmod(0o777)
    assert not (folder / "run").exists()
    shutil.rmtree(place)
