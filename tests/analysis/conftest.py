"""Ethograms written as text, and stores of trials without films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.store import add_trials

VALUES = {"#": 1, ".": 0, "?": -1}


@pytest.fixture
def trial():
    """One trial, a line for each behavior: ``#`` occurs, ``.`` does not, ``?`` unlabelled."""
    return drawn


@pytest.fixture
def trials():
    """Several trials of equal behaviors, by ``animal/session/trial_id``; the shorter are padded."""
    return stacked


def drawn(**lines: str) -> xr.DataArray:
    values = np.array([[VALUES[c] for c in line] for line in lines.values()], np.int8).T
    return xr.DataArray(values, {"behavior": list(lines)}, ("frame", "behavior"), "ethogram")


def stacked(fps: float | list[float] = 10.0, **several: dict[str, str]) -> xr.DataArray:
    levels = [key.split("_") for key in several]
    index = pd.MultiIndex.from_arrays(
        [[a for a, _, _ in levels], [s for _, s, _ in levels], [int(t) for _, _, t in levels]],
        names=["animal", "session", "trial_id"],
    )
    parts = [drawn(**lines) for lines in several.values()]
    n_frames = max(part.sizes["frame"] for part in parts)
    padded = [
        part.pad(frame=(0, n_frames - part.sizes["frame"]), constant_values=-1) for part in parts
    ]
    array = xr.concat(padded, "trial").assign_coords(
        xr.Coordinates.from_pandas_multiindex(index, "trial")
    )
    return array.assign_coords(fps=("trial", np.broadcast_to(fps, len(parts)).astype(float)))


@pytest.fixture
def store(tmp_path: Path):
    """A store of trials without films, with labels by Ana."""

    def make(labels: xr.DataArray) -> xr.Dataset:
        behaviors = tuple(labels["behavior"].values.tolist())
        ds = sx.create(tmp_path / "reach.zarr", data_root=tmp_path, behaviors=behaviors)
        rows = []
        for place, (animal, session, number) in enumerate(labels.indexes["trial"]):
            one = labels.isel(trial=place)
            known = np.flatnonzero((one >= 0).any("behavior").values)
            n_frames = int(known[-1]) + 1
            rows.append(
                TrialRow(animal, session, int(number), ("a", "b"), n_frames, float(one.fps))
            )
        add_trials(ds.attrs["soupxr_store"], rows, "table")
        ds = sx.open(tmp_path / "reach.zarr")
        for place, row in enumerate(rows):
            key = {"animal": row.animal, "session": row.session, "trial_id": row.trial_id}
            values = labels.isel(trial=place).values[: row.n_frames]
            ds.sel(**key).soup.annotate(values, annotator="Ana")
        return sx.open(tmp_path / "reach.zarr")

    return make
