"""Grouped cross-validation: every labelled trial is judged by models that never saw it.

Both stages that learn from labels have to be kept from a trial. So the feature extractor is trained
once for each fold, in ``model_out/fold0`` and so on, and the sequence model of a fold learns from
features of that fold's extractor. What it says of the trials that were kept back is stored as
out-of-fold probability. (Flow generators learn from video alone, so no label leaks through them.)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from soupxr.errors import ArgumentError, expected
from soupxr.inference.engine import FeatureEngine
from soupxr.inference.preprocess import Preprocessing
from soupxr.inference.sequence import class_probabilities
from soupxr.models import checkpoint
from soupxr.models.checkpoint import Checkpoint
from soupxr.models.tgmj import TGMJ
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.progress import progress_bar
from soupxr.store import clear_out_of_fold, write_out_of_fold
from soupxr.training.features import ArrayReader
from soupxr.training.gather import LabelledTrial, Material, open_clips
from soupxr.training.recordings import Recording
from soupxr.training.request import TrainingRequest
from soupxr.training.split import Split, make_folds, make_split

__all__ = ["Fold", "cross_validate_features", "cross_validate_sequence", "folds_of"]

#: Frames that are read at once.
BLOCK = 64

FloatArray = npt.NDArray[np.float32]
T = TypeVar("T")
#: Trains one network: trials, split, name of the folder in model_out, recordings.
TrainFold = Callable[["Fold", Split, "dict[str, Recording] | None"], Checkpoint]


@dataclass(frozen=True)
class Fold:
    """Trials that are kept back together.

    Parameters
    ----------
    index : int
        From 0.
    held_out : tuple of str
        Their keys.
    """

    index: int
    held_out: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its folder in ``model_out``."""
        return f"fold{self.index}"

    def split(self, material: Material, request: TrainingRequest) -> Split:
        """Divide the other trials, so that the best epoch is not chosen on those kept back."""
        rest = [s for s in material.summaries() if s.key not in self.held_out]
        return make_split(rest, validation=request.validation, seed=request.seed)


def cross_validate_features(
    material: Material, request: TrainingRequest, train_fold: TrainFold
) -> None:
    """Train a feature extractor for every fold."""
    assert request.folds is not None
    folds = make_folds(material.summaries(), request.folds, group=request.group, seed=request.seed)
    for index, held_out in enumerate(_shown(folds, request)):
        fold = Fold(index, held_out)
        train_fold(fold, fold.split(material, request), None)


def cross_validate_sequence(
    material: Material,
    recordings: dict[str, Recording],
    extractor: Checkpoint | None,
    request: TrainingRequest,
    train_fold: TrainFold,
    *,
    mode: str,
    device: torch.device,
) -> None:
    """Train a sequence model for every fold, and store what it says of the trials kept back.

    Parameters
    ----------
    recordings : mapping of str to Recording
        Stored features of every trial.
    extractor : Checkpoint or None
        What made them, where it is known to have learnt from some of these trials.
    """
    assert request.folds is not None
    if extractor is None:
        keys = make_folds(
            material.summaries(), request.folds, group=request.group, seed=request.seed
        )
        folds = [Fold(index, held_out) for index, held_out in enumerate(keys)]
        models: list[Checkpoint | None] = [None] * len(folds)
    else:
        pairs = folds_of(extractor, request.folds)
        folds, models = [fold for fold, _ in pairs], [found for _, found in pairs]
    clear_out_of_fold(material.store.address, mode)
    for fold, found in zip(_shown(folds, request), models, strict=True):
        workplace = Path(request.folder) / f".features-{fold.name}"
        try:
            known = recordings
            if found is not None:
                known = _extract(material, found, request, device, workplace)
            trained = train_fold(fold, fold.split(material, request), known)
            _predict(material, fold, trained, known, mode, device)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)


def folds_of(extractor: Checkpoint, n_folds: int) -> list[tuple[Fold, Checkpoint]]:
    """Folds with which a feature extractor was cross-validated, and the extractor of each.

    Raises
    ------
    ArgumentError
        If it was not, or with another number of folds.
    """
    had = extractor.extra["training"]["arguments"].get("folds")
    if had != n_folds:
        remedy = (
            f"Train it with folds={n_folds} too (ds.soup.feature_extractor.train(…, "
            f"folds={n_folds})): it has learnt from these trials, so what a sequence model says of "
            "its features would be flattered."
        )
        raise ArgumentError(expected("folds", f"{had}, as {extractor.path} has", n_folds, remedy))
    found = [
        checkpoint.read(extractor.path.parent / f"fold{index}" / "best.ckpt")
        for index in range(n_folds)
    ]
    return [
        (Fold(index, tuple(one.extra["training"]["held_out"])), one)
        for index, one in enumerate(found)
    ]


def _shown(folds: Sequence[T], request: TrainingRequest) -> Iterator[T]:
    """Go through folds, showing how many are done."""
    with progress_bar(len(folds), "cross-validation", "fold", enabled=request.show_progress) as bar:
        for fold in folds:
            yield fold
            bar.update(1)


def _extract(
    material: Material,
    found: Checkpoint,
    request: TrainingRequest,
    device: torch.device,
    workplace: Path,
) -> dict[str, Recording]:
    """Features of all trials by a fold's extractor, in files that are mapped into memory."""
    model = found.build()
    assert isinstance(model, HiddenTwoStream)
    assert found.image_size is not None
    assert found.preprocessing is not None
    assert found.normalization is not None
    engine = FeatureEngine(model, device, request.used_precision)
    preprocessing = Preprocessing(found.image_size, found.preprocessing, *found.normalization)
    workplace.mkdir(parents=True, exist_ok=True)
    recordings = {}
    for number, clips in enumerate(open_clips(material, material.trials, preprocessing)):
        blocks = (
            clips.reader.read(start, min(start + BLOCK, clips.n_frames))
            for start in range(0, clips.n_frames, BLOCK)
        )
        parts = [
            np.concatenate([part.spatial, part.flow], axis=1)
            for part in engine.extract(blocks, preprocessing)
        ]
        path = workplace / f"{number}.npy"
        np.save(path, np.concatenate(parts))
        assert clips.labels is not None
        values: FloatArray = np.load(path, mmap_mode="r")
        recordings[clips.key] = Recording(clips.key, ArrayReader(values), clips.labels)
    return recordings


def _predict(
    material: Material,
    fold: Fold,
    trained: Checkpoint,
    recordings: dict[str, Recording],
    mode: str,
    device: torch.device,
) -> None:
    """Store probabilities of the trials kept back."""
    model = trained.build().to(device)
    assert isinstance(model, TGMJ)
    for trial in _there(material.chosen(fold.held_out), recordings):
        features = np.asarray(recordings[trial.key].reader.read(0, trial.trial.n_frames))
        probability = class_probabilities(model, [features])
        write_out_of_fold(material.store.address, mode, trial.key, fold.index, probability[:, 1:])


def _there(
    trials: Sequence[LabelledTrial], recordings: dict[str, Recording]
) -> list[LabelledTrial]:
    return [trial for trial in trials if trial.key in recordings]
