"""Folders with a store to harm, made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults import calls


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
