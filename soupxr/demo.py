"""The whole job on rendered trials, from labels to animals that no model has seen.

What ``soupxr demo`` and ``make demo`` run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

import soupxr as sx
from soupxr.errors import ArgumentError, expected

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SMALLEST", "Effort", "run"]

MODE = "fast"
ANNOTATOR = "truth"
LEARNT_FROM, HELD_OUT = ("M1", "M2"), ("M3",)

Say = Callable[[str], object]
Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Effort:
    """How much is rendered and learnt.

    Parameters
    ----------
    trials : int
        Trials of each animal; of the one that is kept back, half as many.
    n_frames : int
        Frames of a trial.
    fps : float
        Frames of a second.
    image_size : (height, width)
        Of the networks' input, in pixels.
    difficulty : float
        Of the rendered trials, 0 to 1.
    flow, features, finish, sequence : tuple of (str, value)
        Arguments of each ``train``: how long it learns, and how fast. The feature extractor
        learns twice, the second time from where it stopped, in smaller steps.
    """

    trials: int = 8
    n_frames: int = 300
    fps: float = 500.0
    image_size: tuple[int, int] = (64, 80)
    difficulty: float = 0.0
    flow: Settings = (
        ("batch_size", 16),
        ("initial_lr", 1e-3),
        ("max_epochs", 1),
        ("training_steps", 25),
        ("validation_steps", 4),
    )
    features: Settings = (
        ("batch_size", 32),
        ("initial_lr", 1e-3),
        ("max_epochs", 4),
        ("training_steps", 34),
        ("oversampling", 0.5),
        ("weight_exponent", 0.25),
    )
    finish: Settings = (
        ("batch_size", 32),
        ("initial_lr", 1e-4),
        ("max_epochs", 2),
        ("training_steps", 34),
        ("oversampling", 0.5),
        ("weight_exponent", 0.25),
    )
    sequence: Settings = (
        ("batch_size", 4),
        ("initial_lr", 1e-2),
        ("max_epochs", 20),
        ("weight_exponent", 0.25),
    )


#: Shows that everything runs; too little to learn anything.
SMALLEST = Effort(
    trials=2,
    n_frames=260,
    image_size=(32, 32),
    flow=(("batch_size", 2), ("max_epochs", 1), ("training_steps", 1), ("validation_steps", 1)),
    features=(("batch_size", 2), ("max_epochs", 1), ("training_steps", 2)),
    finish=(("batch_size", 2), ("max_epochs", 1), ("training_steps", 2)),
    sequence=(("batch_size", 2), ("max_epochs", 2)),
)


def run(out: Path, say: Say, *, effort: Effort | None = None, seed: int = 0) -> xr.Dataset:
    """Render three animals, learn from two of them, and judge the models on the third.

    Parameters
    ----------
    out : Path
        Folder for videos, store, models and pictures; an earlier demo in it is replaced.
    say : callable
        Told, line by line, what happens.
    effort : Effort, optional
        How much is done.
    seed : int
        Of the renderer and of training.

    Returns
    -------
    xarray.Dataset
        Scores on the animals that were kept back, as ``ds.soup.evaluate`` returns them.

    Raises
    ------
    ArgumentError
        If ``out`` holds something that is no demo.
    """
    effort = effort or Effort()
    videos, store = _fresh_folders(out)
    with _timed("1. Rendering three animals, seen from the side and from the front", say):
        ds = _rendered(videos, store, effort, seed)
    is_learnt_from = ds.animal.isin(LEARNT_FROM)
    known, new = ds.isel(trial=is_learnt_from), ds.isel(trial=~is_learnt_from)
    _learn(known, out / "models", effort, seed, say)
    others = " and ".join(HELD_OUT)
    with _timed(f"5. Inferring {others}, which no model has seen", say):
        new = new.soup.infer(mode=MODE)
    scores: xr.Dataset = new.soup.evaluate(mode=MODE, annotator=ANNOTATOR)
    say(f"\n{ds.soup.trials.to_string(index=False)}\n")
    say(f"On {others}, kept back from the models:\n{_table(scores).to_string()}\n")
    say(f"mean F1 {float(scores.f1_mean):.2f}\n")
    for name, picture in _draw(new, scores, out):
        say(f"{name:<12}{picture}")
    say(f"\nSee them beside the video:  soupxr view {store}")
    return scores


def _rendered(videos: Path, store: Path, effort: Effort, seed: int) -> xr.Dataset:
    """A store of all animals with the truth as annotation, and frames cached for training."""
    from soupxr.synthetic import write_dataset

    truth = write_dataset(
        videos,
        animals=(*LEARNT_FROM, *HELD_OUT),
        trials=effort.trials,
        n_frames=effort.n_frames,
        fps=effort.fps,
        difficulty=effort.difficulty,
        seed=seed,
    )
    ds: xr.Dataset = sx.create(store, data_root=videos)
    for animal in LEARNT_FROM:
        ds = ds.soup.add_item(animal, experiment="table")
    # Half as many are enough to judge by.
    judged = range(1, effort.trials // 2 + 1)
    for animal in HELD_OUT:
        for trial_id in judged:
            ds = ds.soup.add_item(animal, "S1", trial_id, experiment="table")
    is_there = truth.animal.isin(LEARNT_FROM) | truth.trial_id.isin(judged)
    ds = ds.soup.annotate(truth[is_there], annotator=ANNOTATOR, trials="selected")
    ds.isel(trial=ds.animal.isin(LEARNT_FROM)).soup.cache_frames(effort.image_size)
    return ds


def _learn(known: xr.Dataset, models: Path, effort: Effort, seed: int, say: Say) -> None:
    """Train all three stages."""
    from soupxr.training.augment import Augmentation

    # Pictures of this rig are grey and never mirrored; lamp and camera differ from day to day.
    augmentation = Augmentation(
        flip=0.0, gray=0.0, jitter=0.9, brightness=0.5, contrast=0.4, zoom=0.06, shift=0.05
    )
    # To keep back one of two animals for validation would leave one to learn from.
    common: dict[str, Any] = {"mode": MODE, "group": "trial", "seed": seed}
    common["stop_method"] = "num_epochs"
    with _timed("2. Training the flow generator, from video alone", say):
        known.soup.flow_generator.train(
            model_out=models / "flow",
            image_size=effort.image_size,
            augmentation=replace(augmentation, drift=1.0),
            **common,
            **dict(effort.flow),
        )
    told = " and ".join(LEARNT_FROM)
    with _timed(f"3. Training the feature extractor on the labels of {told}", say):
        known.soup.feature_extractor.train(
            model_out=models / "features-begun",
            augmentation=augmentation,
            **common,
            **dict(effort.features),
        )
        known.soup.feature_extractor.train(
            feature_model_in=models / "features-begun",
            model_out=models / "features",
            augmentation=augmentation,
            **common,
            **dict(effort.finish),
        )
    with _timed("4. Extracting features, and training the sequence model on them", say):
        known.soup.feature_extractor.infer(mode=MODE)
        known.soup.sequence.train(model_out=models / "sequence", **common, **dict(effort.sequence))


@contextmanager
def _timed(what: str, say: Say) -> Iterator[None]:
    """Say what is done, and how long it took."""
    say(what)
    started = time.perf_counter()
    yield
    say(f"   {time.perf_counter() - started:.0f} s")


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


def _table(scores: xr.Dataset) -> pd.DataFrame:
    """The scores that people ask for first."""
    names = ["f1", "precision", "recall", "bout_f1", "onset_absolute_error_ms"]
    table = scores[names].reset_coords(drop=True).to_dataframe()
    return table.rename(columns={"onset_absolute_error_ms": "onset off by (ms)"}).round(2)


def _draw(ds: xr.Dataset, scores: xr.Dataset, out: Path) -> Iterator[tuple[str, Path]]:
    """Draw the truth against the prediction, and the scores: as PNG, and as pages."""
    from soupxr.dashboard.ethogram import ethogram_overview, save_ethogram

    inferred, true = {}, {}
    for i, key in enumerate(ds.indexes["trial"]):
        trial = ds.isel(trial=i, frame=slice(int(ds.n_frames[i])))
        name = "/".join(map(str, key))
        inferred[name] = trial.ethogram.sel(mode=MODE)
        true[name] = np.asarray(trial.annotation.sel(annotator=ANNOTATOR))
    fps = float(ds.fps[0])
    title = f"{', '.join(HELD_OUT)}, kept back: the prediction (bright) and the truth (pale)"
    backends: tuple[tuple[Literal["matplotlib", "bokeh"], str], ...] = (
        ("matplotlib", "png"),
        ("bokeh", "html"),
    )
    for backend, ending in backends:
        picture = ethogram_overview(inferred, truth=true, fps=fps, title=title, backend=backend)
        yield "ethograms", save_ethogram(picture, out / f"ethograms.{ending}")
        yield "scores", scores.soup.plot(out / f"scores.{ending}")
