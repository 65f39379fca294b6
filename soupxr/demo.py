"""The main job on rendered trials, end to end: what ``soupxr demo`` and ``make demo`` run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

import soupxr as sx
from soupxr.errors import ArgumentError, expected

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run"]

IMAGE_SIZE = (64, 64)
N_FRAMES = 250
NORMALIZATION = ((0.35, 0.35, 0.35), (0.2, 0.2, 0.2))

Say = Callable[[str], object]


def run(out: Path, say: Say, *, n_frames: int = N_FRAMES, seed: int = 0) -> xr.Dataset:
    """Render trials, infer them, and draw their ethograms.

    Parameters
    ----------
    out : Path
        Folder for videos, store and pictures; an earlier demo in it is replaced.
    say : callable
        Told, line by line, what happens.
    n_frames : int
        Length of each trial.
    seed : int
        Of the renderer and the weights.

    Returns
    -------
    xarray.Dataset
        The store with its results.

    Raises
    ------
    ArgumentError
        If ``out`` holds something that is no demo.
    """
    from soupxr.synthetic import write_dataset

    videos, store = _fresh_folders(out)
    say("1. Rendering four trials of two animals, seen from the side and from the front")
    truth = write_dataset(videos, animals=2, sessions=1, trials=2, n_frames=n_frames, seed=seed)
    say("2. Making untrained networks of mode fast: what they say means nothing yet")
    models = write_untrained_models(out / "models", seed=seed)
    say(f"3. Adding the trials to {store} and inferring their ethograms")
    ds: xr.Dataset = sx.create(store, data_root=videos)
    for animal in sorted(path.name for path in videos.iterdir() if path.is_dir()):
        ds = ds.soup.add_item(animal, experiment="table")
    ds = ds.soup.infer(mode="fast", **models)
    say(f"\n{ds.soup.trials.to_string(index=False)}\n")
    for picture in draw(ds, truth, out):
        say(f"ethograms   {picture}")
    return ds


def _fresh_folders(out: Path) -> tuple[Path, Path]:
    """Folders for videos and store, emptied of an earlier demo and of nothing else."""
    videos, store = out / "videos", out / "reach.zarr"
    mark = out / ".soupxr-demo"
    if out.exists() and any(out.iterdir()) and not mark.exists():
        raise ArgumentError(
            expected("out", "a new or empty folder, or that of an earlier demo", str(out))
        )
    for old in (videos, store, out / "models"):
        shutil.rmtree(old, ignore_errors=True)
    videos.mkdir(parents=True)
    mark.touch()
    return videos, store


def write_untrained_models(folder: Path, *, seed: int = 0) -> dict[str, Path]:
    """Write checkpoints of mode fast with random weights; return them as arguments of ``infer``."""
    import torch

    from soupxr.models import checkpoint
    from soupxr.models.tgmj import TGMJ
    from soupxr.models.two_stream import HiddenTwoStream
    from soupxr.modes import BEHAVIORS, MODES

    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        extractor = HiddenTwoStream(MODES["fast"], 1 + len(BEHAVIORS))
        sequence = TGMJ(1 + len(BEHAVIORS))
    paths = {
        "feature_model_in": folder / "features.ckpt",
        "sequence_model_in": folder / "tgmj.ckpt",
    }
    checkpoint.write(
        paths["feature_model_in"],
        kind="feature_extractor",
        mode="fast",
        model=extractor,
        behaviors=BEHAVIORS,
        window=extractor.window,
        image_size=IMAGE_SIZE,
        preprocessing="antialias",
        normalization=NORMALIZATION,
    )
    checkpoint.write(
        paths["sequence_model_in"],
        kind="sequence",
        mode="fast",
        model=sequence,
        behaviors=BEHAVIORS,
        window=None,
        image_size=None,
        preprocessing=None,
        normalization=None,
    )
    return paths


def draw(ds: xr.Dataset, truth: pd.DataFrame, out: Path) -> list[Path]:
    """Draw all ethograms of mode fast, and the truth, as a PNG and as a page without a network."""
    from soupxr.dashboard.ethogram import ethogram_overview, save_ethogram

    inferred, true = {}, {}
    for i, key in enumerate(ds.indexes["trial"]):
        trial = ds.isel(trial=i, frame=slice(int(ds.n_frames[i])))
        name = "/".join(map(str, key))
        inferred[name] = trial.ethogram.sel(mode="fast")
        true[name] = _true_ethogram(truth, trial)
    fps, title = float(ds.fps[0]), "Untrained networks (bright) and the truth (pale)"
    still = ethogram_overview(inferred, truth=true, fps=fps, title=title, backend="matplotlib")
    page = ethogram_overview(inferred, truth=true, fps=fps, title=title, backend="bokeh")
    return [
        save_ethogram(still, out / "ethograms.png"),
        save_ethogram(page, out / "ethograms.html"),
    ]


def _true_ethogram(truth: pd.DataFrame, trial: xr.Dataset) -> npt.NDArray[np.int8]:
    """Ethogram (frame, behavior) of one trial, from the table of true bouts."""
    from soupxr.bouts import bouts_to_mask

    of_trial = truth[
        (truth.animal == trial.animal.item())
        & (truth.session == trial.session.item())
        & (truth.trial_id == trial.trial_id.item())
    ]
    masks = (
        bouts_to_mask(of_trial.loc[of_trial.behavior == name, ["start", "stop"]], trial.frame.size)
        for name in trial.behavior.values
    )
    return np.stack(list(masks), axis=1)
