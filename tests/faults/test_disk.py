"""A disk that is full, and one on which we may write no longer."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faults import calls, inferring
from faults.checker import Holdings, assert_equal, assert_nothing_lost, assert_told, holdings
from faults.disks import KIB, fill, small_disk
from pages import until
from processes import somebody

import soupxr as sx


def read(folder: Path) -> Holdings:
    store = folder / "reach.zarr"
    return holdings(store) if store.exists() else Holdings()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """It holds little."""
    with small_disk(tmp_path / "disk", megabytes=4) as folder:
        yield folder


@pytest.mark.parametrize("call", sorted(calls.CALLS))
def test_a_full_disk(call, furnished, disk, tmp_path):
    """One of our errors, nothing lost, and it goes on once there is room."""
    folder = disk / "lab"
    if call == "create":
        (folder / "videos").mkdir(parents=True)
    else:
        shutil.copytree(furnished, folder)
    act = calls.CALLS[call]
    whole = Path(shutil.copytree(folder, tmp_path / "whole"))
    act(whole)
    before, after = read(folder), read(whole)
    refused = 0
    for leave in (0, 4 * KIB, 12 * KIB, 28 * KIB, 60 * KIB):
        ballast = fill(disk, leave)
        try:
            act(folder)
        except (sx.SoupError, Warning) as told:  # a warning: of ethograms that stay as they are
            refused += 1
            assert_told(told, "No space left on device")
        ballast.unlink()
        assert_nothing_lost(read(folder), before, after)
        # No room is taken by what is of no use; a thread may be at the end of its writing still.
        until(lambda: not any(path.is_file() for path in folder.rglob("*.partial")), 10)
    assert refused, "the disk was never full"
    act(folder)
    assert_equal(read(folder), after)


def test_a_full_disk_undoes_an_import(importable, disk, tmp_path):
    """No new trial and no label stays; a result that was just being replaced may be the new one."""
    folder, whole = disk / "lab", tmp_path / "whole"
    for place in (folder, whole):  # the files that are read have no room there
        shutil.copytree(importable / "reach.zarr", place / "reach.zarr")
    calls.import_others(whole, importable)
    before, after = read(folder), read(whole)
    refused = 0
    for leave in (0, 24 * KIB, 60 * KIB, 80 * KIB, 100 * KIB):
        ballast = fill(disk, leave)
        try:
            calls.import_others(folder, importable)
        except sx.SoupError as told:
            refused += 1
            assert_told(told, "No space left on device")
        else:
            break  # there was room enough
        finally:
            ballast.unlink()
        found, old = read(folder), replace(before, results={})
        assert (found.trials, found.annotators) == (before.trials, before.annotators)
        assert_nothing_lost(replace(found, results={}), old, old)
        assert set(found.results) == set(before.results)
        assert_nothing_lost(found, before, after)
    assert refused > 2
    calls.import_others(folder, importable)
    assert_equal(read(folder), after)


def test_a_full_disk_under_a_run(film, models, disk, tmp_path, monkeypatch):
    monkeypatch.setattr("soupxr.inference.trial._engine", None)
    monkeypatch.setattr("soupxr.inference.trial._sequence_model", None)
    monkeypatch.setattr("soupxr.inference.trial.class_probabilities", None)
    folder = disk / "lab"
    inferring.make_lab(folder, film)
    inferring.keep_tasks(folder, models())
    ballast = fill(disk, 8 * KIB)
    first = inferring.outcomes(folder)
    assert any("No space left on device" in (outcome.error or "") for outcome in first)
    found = holdings(folder / "reach.zarr")
    assert len(found.results) == sum(outcome.error is None for outcome in first)
    ballast.unlink()
    assert [outcome.error for outcome in inferring.outcomes(folder)] == [None, None]
    before = holdings(folder / "reach.zarr")
    assert len(before.results) == 2
    told = []
    for leave in (0, 4 * KIB, 8 * KIB, 16 * KIB):
        ballast = fill(disk, leave)
        told += [outcome.error or "" for outcome in inferring.outcomes(folder, redo=True)]
        ballast.unlink()
        # Results that were to be replaced stay.
        assert_nothing_lost(holdings(folder / "reach.zarr"), before, before)
    assert sum("No space left on device" in error for error in told) > 1
    assert [outcome.error for outcome in inferring.outcomes(folder, redo=True)] == [None, None]
    assert_equal(holdings(folder / "reach.zarr"), before)


# ------------------------------------------------------------------ permission


@pytest.fixture
def everybodys(furnished: Path) -> Iterator[Path]:
    """A folder that other users may write to; pytest's own are closed to them."""
    place = Path(tempfile.mkdtemp())
    folder = Path(shutil.copytree(furnished, place / "lab"))
    for path in (place, *place.rglob("*")):
        path.chmod(0o777)
    yield folder
    for path in (place, *(path for path in place.rglob("*") if path.is_dir())):
        path.chmod(0o777)
    shutil.rmtree(place)


def shut(folder: Path, spared: str) -> None:
    """Nobody may write here any more, but into files of one name."""
    for path in folder.rglob("*"):
        if path.name != spared:
            path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(0o555)


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
@pytest.mark.parametrize("spared", ["", ".reach.zarr.lock"], ids=["all", "all but the lock"])
@pytest.mark.parametrize("call", sorted(set(calls.CALLS) - {"create"}))
def test_permission_is_lost(call, spared, everybodys):
    before = read(everybodys)
    shut(everybodys, spared)
    with somebody():
        with pytest.raises((sx.SoupError, Warning), match="Permission denied"):
            calls.CALLS[call](everybodys)
        assert_equal(read(everybodys), before)


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
@pytest.mark.parametrize("is_done", [False, True], ids=["none", "done"])
def test_permission_is_lost_under_a_run(is_done, film, models, monkeypatch):
    for name in ("_engine", "_sequence_model", "class_probabilities"):
        monkeypatch.setattr(f"soupxr.inference.trial.{name}", None)
    place = Path(tempfile.mkdtemp())
    folder = place / "lab"
    inferring.make_lab(folder, film)
    inferring.keep_tasks(folder, models())
    if is_done:
        inferring.infer_quickly(folder)
    before = read(folder)
    place.chmod(0o755)
    shut(folder, "")
    with somebody():
        told = [outcome.error for outcome in inferring.outcomes(folder, redo=True)]
        assert_equal(read(folder), before)
    assert all(error and "Permission denied" in error for error in told), told
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)
    assert [outcome.error for outcome in inferring.outcomes(folder, redo=True)] == [None, None]
    assert len(read(folder).results) == 2
    shutil.rmtree(place)


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
def test_no_store_where_nobody_may_write(tmp_path):
    place = Path(tempfile.mkdtemp())
    (place / "videos").mkdir()
    place.chmod(0o555)
    with somebody(), pytest.raises(sx.StoreError, match="permission to write there"):
        sx.create(place / "reach.zarr", place / "videos")
    place.chmod(0o755)
    assert [path.name for path in place.iterdir()] == ["videos"]
    shutil.rmtree(place)
