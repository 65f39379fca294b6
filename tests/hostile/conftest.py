"""Fuzzing: files and names with something wrong in them, always the same ones.

The default run tries a fixed number of each kind, which takes about a minute of one core. To go on
for longer, say how long (seconds, for all tests of this folder together)::

    SOUPXR_FUZZ_SECONDS=3600 pytest tests/hostile

The numbers tried stand at the end of pytest's report. A failure names the kind and the seed.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest
from hostile.cage import TRIED
from video.conftest import RECIPES, run_ffmpeg

SECONDS = float(os.environ.get("SOUPXR_FUZZ_SECONDS", "0"))

#: Files of tests that mark what of them is thorough.
IN_EVERY_RUN = frozenset(["test_imports.py", "test_commands.py"])

Seeds = Callable[[float, int], Iterator[int]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this is thorough, but for a few tries in files that say so themselves."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name not in IN_EVERY_RUN:
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def seeds() -> Seeds:
    """Seeds of one test: ``count`` of them, or as many as fit into its share of the time."""

    def make(share: float, count: int) -> Iterator[int]:
        yield from range(count)
        end = time.monotonic() + share * SECONDS
        while time.monotonic() < end:
            yield count
            count += 1

    return make


@pytest.fixture(scope="session")
def short_film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make a film of some twenty pictures by its recipe's name; each is made once."""
    shelf = tmp_path_factory.mktemp("short")

    def make(name: str) -> Path:
        path = shelf / name
        if not path.exists():
            recipe = [part.replace("d=3", "d=0.7") for part in RECIPES[name]]
            run_ffmpeg(*[make(part[1:]) if part.startswith("@") else part for part in recipe], path)
        return path

    return make


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return imageio_ffmpeg.get_ffmpeg_exe()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how much was tried."""
    areas: dict[str, Counter[str]] = {}
    for (area, kind), count in TRIED.items():
        areas.setdefault(area, Counter())[kind] += count
    if areas:
        terminalreporter.section(f"hostile input: {sum(TRIED.values())} tried")
    for area, kinds in sorted(areas.items()):
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        terminalreporter.write_line(f"{area}: {kinds.total()} ({told})")
