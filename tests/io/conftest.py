"""Stores for files of others: real ones with films, and bare ones that only know their trials."""

from __future__ import annotations

from pathlib import Path

import pytest

import soupxr as sx
from soupxr import store
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS


@pytest.fixture
def bare_store(tmp_path: Path):
    """Make a store of trials without videos: ``{"M1/S1/3": n_frames}``."""

    def make(
        n_frames: dict[str, int],
        fps: float = 500.0,
        behaviors=BEHAVIORS,
        views=("side", "front"),
        name: str = "reach.zarr",
        video: str = "{animal}/{session}/reach_{view}_v{trial_id:03d}.mp4",
    ):
        (tmp_path / "videos").mkdir(exist_ok=True)
        address = store.create(
            tmp_path / name, tmp_path / "videos", behaviors=behaviors, views=views
        )
        rows = []
        for key, length in n_frames.items():
            animal, session, number = key.split("/")
            told = {"animal": animal, "session": session, "trial_id": int(number)}
            paths = tuple(video.format(view=view, **told) for view in views)
            rows.append(TrialRow(animal, session, int(number), paths, length, fps))
        if rows:
            store.add_trials(address, rows, "table")
        return sx.open(tmp_path / name)

    return make
