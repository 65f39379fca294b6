"""Folders with a store to harm, made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from faults import calls, learning

import soupxr as sx


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four trials with results of one mode and labels of two annotators."""
    folder = tmp_path_factory.mktemp("furnished") / "lab"
    calls.furnish(folder)
    return folder


@pytest.fixture
def lab_of_four(furnished: Path, tmp_path: Path) -> Path:
    """The same, of the test's own."""
    return Path(shutil.copytree(furnished, tmp_path / "lab"))


@pytest.fixture(scope="session")
def importable(furnished: Path, tmp_path_factory: pytest.TempPathFactory, film: Any) -> Path:
    """The same, and beside it files of another program."""
    pytest.importorskip("tables")
    folder = Path(shutil.copytree(furnished, tmp_path_factory.mktemp("importable") / "lab"))
    calls.furnish_import(folder, film)
    return folder


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory, film: Any) -> Path:
    """Labelled trials with features."""
    folder = tmp_path_factory.mktemp("untrained") / "lab"
    with sx.set_options(progress=False):
        learning.furnish(folder, film)
    return folder
