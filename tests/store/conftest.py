"""Stores of trials without videos: equal ones are made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.store import add_trials


@pytest.fixture(scope="session")
def _shelf(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    shelf = tmp_path_factory.mktemp("addresses")
    known: dict[str, Path] = {}

    def make(rows: tuple[TrialRow, ...]) -> Path:
        if repr(rows) not in known:
            folder = shelf / str(len(known))
            (folder / "videos").mkdir(parents=True)
            sx.create(folder / "reach.zarr", folder / "videos")
            if rows:
                add_trials(str(folder / "reach.zarr"), list(rows))
            known[repr(rows)] = folder
        return known[repr(rows)]

    return make


@pytest.fixture
def address_of(tmp_path: Path, _shelf: Callable[..., Path]) -> Callable[..., str]:
    """Make a store of these trials, of the test's own, and tell where it is."""

    def make(*rows: TrialRow) -> str:
        shutil.copytree(_shelf(rows), tmp_path, dirs_exist_ok=True)
        return str(tmp_path / "reach.zarr")

    return make
