"""Grouped cross-validation: every labelled trial is judged by models that never saw it.

Both stages that learn from labels have to be kept from a trial. So the feature extractor is trained
once for each fold, in ``model_out/fold0`` and so on, and the sequence model of a fold learns from
features of that fold's extractor. What it says of the trials that were kept back is stored as
out-of-fold probability. (Flow generators learn from video alone, so no label leaks through them.)
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from soupxr.errors import ArgumentError, SoupWarning, expected, listed
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
from soupxr.training.runfolder import telling_of_disk
from soupxr.training.split import Split, make_folds, make_split

__all__ = ["Fold", "cross_validate_features", "cross_validate_sequence", "plan_folds"]

#: Frames that are read at once.
BLOCK = 64

FloatArray = npt.NDArray[np.float32]
T = TypeVar("T")
#: Trains one network, from a fold and, for a sequence model, recordings.
TrainFold = Callable[["Fold", "Mapping[str, Recording] | None"], Checkpoint]


@dataclass(frozen=True)
class Fold:
    """Trials that are kept back together, and how the others are divided.

    Parameters
    ----------
    index : int
        From 0.
    held_out : tuple of str
        Their keys.
    split : Split
        Of the others, so that the best epoch is not chosen on those kept back.
    extractor : Checkpoint or None
        For a sequence model, what makes its features, where the stored ones will not do.
    """

    index: int
    held_out: tuple[str, ...]
    split: Split
    extractor: Checkpoint | None = None

    @property
    def name(self) -> str:
        """Of its folder in ``model_out``."""
        return f"fold{self.index}"


def plan_folds(
    material: Material, request: TrainingRequest, extractor: Checkpoint | None
) -> list[Fold]:
    """Divide trials into folds; nothing is trained yet.

    Parameters
    ----------
    extractor : Checkpoint or None
        What made the features of a sequence model, where it has learnt from some of these trials:
        then its own folds are taken over.

    Raises
    ------
    ArgumentError
        If there are too few trials or groups, or the extractor was not cross-validated likewise.
    """
    assert request.folds is not None
    if extractor is not None:
        return _folds_taken_over(material, extractor, request)
    folds = make_folds(material.summaries(), request.folds, group=request.group, seed=request.seed)
    return [
        Fold(index, held_out, _split_of_others(material, held_out, request))
        for index, held_out in enumerate(folds)
    ]


def _split_of_others(
    material: Material, held_out: tuple[str, ...], request: TrainingRequest
) -> Split:
    rest = [summary for summary in material.summaries() if summary.key not in held_out]
    return make_split(rest, validation=request.validation, seed=request.seed)


def _folds_taken_over(
    material: Material, extractor: Checkpoint, request: TrainingRequest
) -> list[Fold]:
    """Folds with which a feature extractor was cross-validated, its own splits of the others too.

    Trials that were labelled since are learnt from by all and judged by none.
    """
    assert request.folds is not None
    folds = []
    for index, found in enumerate(_models_of_folds(extractor, request.folds)):
        held_out = tuple(found.extra["training"]["held_out"])
        old = Split.from_plain(found.extra["training"]["split"])
        others = [key for key in material.by_key if key not in held_out]
        validation = tuple(key for key in others if key in old.validation)
        training = tuple(key for key in others if key not in old.validation)
        split = Split(training, validation, old.group)
        if not (training and validation):  # of a smaller selection
            split = _split_of_others(material, held_out, request)
        folds.append(Fold(index, held_out, split, found))
    judged = {key for fold in folds for key in fold.held_out}
    late = [key for key in material.by_key if key not in judged]
    if late:
        warnings.warn(
            f"{len(late)} trial(s) were labelled after the feature extractor was cross-validated, "
            f"so no fold judges them. Train it again to have them judged too.{listed(late[:8])}",
            SoupWarning,
            stacklevel=5,
        )
    return folds


def _models_of_folds(extractor: Checkpoint, n_folds: int) -> list[Checkpoint]:
    """Feature extractors of the folds with which one was cross-validated."""
    had = extractor.extra["training"]["arguments"].get("folds")
    if had != n_folds:
        remedy = (
            f"Train it with folds={n_folds} too (ds.soup.feature_extractor.train(…, "
            f"folds={n_folds})): it has learnt from these trials, so what a sequence model says of "
            "its features would be flattered."
        )
        raise ArgumentError(expected("folds", f"{had}, as {extractor.path} has", n_folds, remedy))
    return [
        checkpoint.read(extractor.path.parent / f"fold{index}" / "best.ckpt")
        for index in range(n_folds)
    ]


def cross_validate_features(
    folds: Sequence[Fold], request: TrainingRequest, train_fold: TrainFold
) -> None:
    """Train a feature extractor for every fold."""
    for fold in _shown(folds, request):
        train_fold(fold, None)


def cross_validate_sequence(
    material: Material,
    recordings: Mapping[str, Recording],
    folds: Sequence[Fold],
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
        Stored features of every trial, for folds without an extractor of their own.
    """
    clear_out_of_fold(material.store.address, mode)
    for fold in _shown(folds, request):
        workplace = Path(request.folder) / f".features-{fold.name}"
        try:
            known = recordings
            if fold.extractor is not None:
                known = _extract(material, fold.extractor, request, device, workplace)
            trained = train_fold(fold, known)
            _predict(material, fold, trained, known, mode, device)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)


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
    with telling_of_disk(Path(request.folder)):
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
        with telling_of_disk(Path(request.folder)):
            np.save(path, np.concatenate(parts))
        assert clips.labels is not None
        values: FloatArray = np.load(path, mmap_mode="r")
        recordings[clips.key] = Recording(clips.key, ArrayReader(values), clips.labels)
    return recordings


def _predict(
    material: Material,
    fold: Fold,
    trained: Checkpoint,
    recordings: Mapping[str, Recording],
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
    trials: Sequence[LabelledTrial], recordings: Mapping[str, Recording]
) -> list[LabelledTrial]:
    return [trial for trial in trials if trial.key in recordings]
