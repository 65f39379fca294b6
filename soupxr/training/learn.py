"""``ds.soup.….train``: from a selection of trials to a trained model that the store knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from soupxr.dataset import keys_of, store_of
from soupxr.errors import ArgumentError, CheckpointError, expected
from soupxr.inference.engine import choose_device
from soupxr.inference.roles import Roles
from soupxr.known_models import newest_model
from soupxr.models import checkpoint
from soupxr.models.checkpoint import Checkpoint
from soupxr.modes import Mode, get_mode
from soupxr.options import get_option
from soupxr.store import ModelRecord, Store, add_model, models
from soupxr.training.crossval import (
    Fold,
    cross_validate_features,
    cross_validate_sequence,
    plan_folds,
)
from soupxr.training.features import stored_recordings
from soupxr.training.fit import fit
from soupxr.training.gather import LabelledTrial, Material, labelled_trials
from soupxr.training.recordings import Recording
from soupxr.training.request import TrainingRequest
from soupxr.training.runfolder import RunFolder
from soupxr.training.split import Split, make_split
from soupxr.training.stages import FeatureStage, FlowStage, SequenceStage, Stage

__all__ = ["train"]


def train(ds: xr.Dataset, mode: str, request: TrainingRequest) -> Checkpoint:
    """Train one stage of a mode on a selection of trials; see the accessor for the arguments.

    Returns
    -------
    Checkpoint
        The best epoch's. The store knows it from now on.
    """
    folder = RunFolder.open(request.folder, resume=request.resume)
    run = _Run(ds, get_mode(mode), request)
    split = Split.from_plain(folder.recorded_split) if folder.recorded_split else run.split()
    folds = None if request.folds is None else run.folds()
    with folder.taken():
        if folds is not None:
            run.begin(folder, split)
            run.cross_validate(folds)
        found = run.train(folder, split)
        run.register(found, folder)
    return found


@dataclass(frozen=True)
class _Inputs:
    """Checkpoints that a run builds on.

    Parameters
    ----------
    start : Checkpoint or None
        Weights that the trained network starts from.
    flow : Checkpoint or None
        Flow generator of a feature extractor.
    extractor : Checkpoint or None
        What made the features that a sequence model learns from, where it is a model of the
        store's own.
    """

    start: Checkpoint | None = None
    flow: Checkpoint | None = None
    extractor: Checkpoint | None = None

    def digests(self) -> dict[str, Any]:
        """For the record."""
        return {
            "model_in": self.start and self.start.sha256,
            "flow_model": self.flow and self.flow.sha256,
            "feature_model": self.extractor and self.extractor.sha256,
        }


class _Run:
    """One call of ``train``: its trials, labels and inputs."""

    def __init__(self, ds: xr.Dataset, mode: Mode, request: TrainingRequest) -> None:
        self.mode, self.request = mode, request
        self.store = store_of(ds)
        self.device = choose_device(request.device or get_option("device"))
        self.inputs = _Inputs(start=_start(self.store, mode, request))
        self.labels: dict[str, str] = {}
        self.recordings: dict[str, Recording] = {}
        self.made_by: dict[str, Any] = {}
        self.material = self._material(ds)
        if request.kind == "feature_extractor":
            flow = _flow_generator(self.store, mode, request, self.inputs.start)
            self.inputs = replace(self.inputs, flow=flow)
        if request.kind == "sequence":
            self.recordings, self.made_by = stored_recordings(self.material, mode.name)
            extractor = _known(self.store, str(self.made_by["feature_model"]))
            self.inputs = replace(self.inputs, extractor=extractor)

    def _material(self, ds: xr.Dataset) -> Material:
        if self.request.kind == "flow_generator":
            selected = self.store.trials(list(dict.fromkeys(keys_of(ds))))
            return Material(ds, [LabelledTrial(trial) for trial in selected])
        source, trials = labelled_trials(
            ds, self.request.source, self.request.annotator, self.mode.name
        )
        self.labels = {"variable": source.variable, "name": source.name}
        return Material(ds, trials)

    # ---------------------------------------------------------------- dividing

    def split(self) -> Split:
        """Divide the trials; a sequence model takes over how its features' extractor did."""
        request = self.request
        taken_over = _split_of(self.inputs.extractor, self.material)
        return taken_over or make_split(
            self.material.summaries(),
            group=request.group,
            validation=request.validation,
            seed=request.seed,
        )

    def folds(self) -> list[Fold]:
        """Divide the trials for cross-validation."""
        extractor = self.inputs.extractor
        has_seen = _has_seen(extractor, self.material)
        return plan_folds(self.material, self.request, extractor if has_seen else None)

    def cross_validate(self, folds: Sequence[Fold]) -> None:
        """Train once for every fold."""
        if self.request.kind == "feature_extractor":
            cross_validate_features(folds, self.request, self._train_fold)
            return
        cross_validate_sequence(
            self.material,
            self.recordings,
            folds,
            self.request,
            self._train_fold,
            mode=self.mode.name,
            device=self.device,
        )

    def _train_fold(self, fold: Fold, recordings: Mapping[str, Recording] | None) -> Checkpoint:
        path = Path(self.request.folder) / fold.name
        folder = RunFolder.open(path, resume=self.request.resume)
        if folder.facts.get("finished"):
            return checkpoint.read(folder.best)
        return self.train(folder, fold.split, held_out=fold.held_out, recordings=recordings)

    # ---------------------------------------------------------------- training

    def begin(self, folder: RunFolder, split: Split, held_out: tuple[str, ...] = ()) -> None:
        """Record what is going to be done, or check that it is what was begun."""
        folder.begin(
            {
                "kind": self.request.kind,
                "mode": self.mode.name,
                "store": self.store.address,
                "arguments": self.request.arguments(),
                "inputs": self.inputs.digests()
                | {
                    "labels": self.labels,
                    "trials": self.material.digest(),
                    "features": self.made_by,
                },
                "split": split.to_plain(),
                "held_out": list(held_out),
            }
        )

    def train(
        self,
        folder: RunFolder,
        split: Split,
        *,
        held_out: tuple[str, ...] = (),
        recordings: Mapping[str, Recording] | None = None,
    ) -> Checkpoint:
        """Train one network in one folder."""
        request = self.request
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(request.seed)
            stage = self._stage(split, self.recordings if recordings is None else recordings)
            task = stage.task()
        # Not before: a call that cannot begin must not occupy the folder.
        self.begin(folder, split, held_out)
        facts = {name: value for name, value in folder.facts.items() if name != "finished"}

        def save(path: Path, epoch: int) -> None:
            stage.save(path, task, epoch, facts | {"history": list(task.history)})

        stopped = fit(
            task,
            stage.data(),
            folder,
            save,
            device=self.device,
            precision=request.used_precision,
            progress=request.show_progress,
        )
        folder.finish(stopped)
        return checkpoint.read(folder.best)

    def _stage(self, split: Split, recordings: Mapping[str, Recording]) -> Stage:
        common = (self.mode, self.material, split, self.request)
        if self.request.kind == "flow_generator":
            return FlowStage(*common, start=self.inputs.start)
        if self.request.kind == "feature_extractor":
            assert self.inputs.flow is not None
            return FeatureStage(*common, flow=self.inputs.flow, start=self.inputs.start)
        return SequenceStage(*common, start=self.inputs.start, recordings=recordings)

    def register(self, found: Checkpoint, folder: RunFolder) -> None:
        """Let the store know the model."""
        metric = "ssim_loss" if found.kind == "flow_generator" else "f1_mean"
        record = ModelRecord(
            mode=self.mode.name,
            kind=found.kind,
            path=str(found.path),
            sha256=found.sha256,
            trained=str(folder.facts["finished"]),
            metric=metric,
            value=float(found.extra["training"]["history"][-1][metric]),
        )
        add_model(self.store.address, record)


# -------------------------------------------------------------------- checkpoints


def _start(store: Store, mode: Mode, request: TrainingRequest) -> Checkpoint | None:
    """Weights to start from, checked against the store's behaviors."""
    if request.model_in is None:
        return None
    behaviors = tuple(store.labels("behavior"))
    n_classes = None if request.kind == "flow_generator" else 1 + len(behaviors)
    start = checkpoint.read(
        request.model_in, kind=request.kind, mode=mode.name, n_classes=n_classes
    )
    if start.behaviors is not None and tuple(start.behaviors) != behaviors:
        raise CheckpointError(
            f"{start.path}: expected a model of the store's behaviors {list(behaviors)}, but it "
            f"was trained on {list(start.behaviors)}."
        )
    return start


def _flow_generator(
    store: Store, mode: Mode, request: TrainingRequest, start: Checkpoint | None
) -> Checkpoint:
    """The flow generator that was given, that was trained last, or that is inside ``start``."""
    path = request.flow_model_in
    if path is None and (known := newest_model(store, mode.name, "flow_generator")):
        path = known.path
    if path is not None:
        return checkpoint.read(path, kind="flow_generator", mode=mode.name)
    inside = start and start.flow_generator()
    if inside is None:
        raise ArgumentError(
            expected(
                "flow_model_in",
                f"a flow generator of mode {mode.name!r}",
                None,
                "Train one first, ds.soup.flow_generator.train(…), or pass a checkpoint.",
            )
        )
    return inside


def _known(store: Store, sha256: str) -> Checkpoint | None:
    """A model of the store's own by its digest, if its file is still there."""
    for record in models(store):
        if record.sha256 == sha256 and Path(record.path).exists():
            return checkpoint.read(record.path)
    return None


def _has_seen(extractor: Checkpoint | None, material: Material) -> bool:
    """Whether a feature extractor learnt from any of these trials, or was validated on it."""
    roles = Roles.told_by(extractor)
    return not material.by_key.keys().isdisjoint(roles.training | roles.validation)


def _split_of(extractor: Checkpoint | None, material: Material) -> Split | None:
    """How a feature extractor divided these trials; None if it never saw them.

    Trials that are new since then are learnt from.
    """
    if extractor is None:
        return None
    old = Split.from_plain(extractor.extra["training"]["split"])
    keys = [trial.key for trial in material.trials]
    validation = tuple(key for key in keys if key in old.validation)
    training = tuple(key for key in keys if key not in old.validation)
    if not validation or not training:
        return None
    return Split(training, validation, old.group)
