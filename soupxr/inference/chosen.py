"""Which checkpoints a run of inference takes: those given, trained on the store, or published."""

from __future__ import annotations

import os
import warnings
from typing import NamedTuple, Protocol

import torch

from soupxr.downloads import NotFetched, default_weights
from soupxr.errors import ArgumentError, CheckpointError, SoupWarning, expected
from soupxr.known_models import newest_model
from soupxr.models import checkpoint
from soupxr.models.checkpoint import Checkpoint
from soupxr.modes import Mode
from soupxr.options import set_options
from soupxr.store import Store

__all__ = ["ChosenModels", "choose_checkpoints", "learnt_from"]

PathLike = str | os.PathLike[str]


class ModelRequest(Protocol):
    """What choosing needs to know of what the user typed."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Which of "features" and "sequence" run."""

    @property
    def flow_model_in(self) -> PathLike | None:
        """Flow generator."""

    @property
    def feature_model_in(self) -> PathLike | None:
        """Feature extractor."""

    @property
    def sequence_model_in(self) -> PathLike | None:
        """Sequence model."""

    @property
    def show_progress(self) -> bool:
        """Whether bars are wanted."""

    @property
    def fetch(self) -> bool:
        """Whether published models may be fetched."""


class ChosenModels(NamedTuple):
    """The checkpoints of a run.

    Parameters
    ----------
    flow, feature, sequence : Checkpoint or None
        Without ``flow``, the flow generator inside ``feature``; the other two are None where their
        stage does not run.
    unfetched : set of {"feature", "sequence"}
        Published models that are to be used, are not there, and must not be fetched.
    """

    flow: Checkpoint | None
    feature: Checkpoint | None
    sequence: Checkpoint | None
    unfetched: frozenset[str]


def choose_checkpoints(
    store: Store, mode: Mode, request: ModelRequest, experiment: str, behaviors: tuple[str, ...]
) -> ChosenModels:
    """Choose what was given, else trained on this store, else published; and read it."""
    # What was given is looked at before anything is downloaded.
    feature = _given(request.feature_model_in, "feature_extractor", mode, behaviors)
    sequence = _given(request.sequence_model_in, "sequence", mode, behaviors)
    flow_path = request.flow_model_in
    if feature is not None and sequence is None and "sequence" in request.stages:
        raise ArgumentError(
            expected("sequence_model_in", "the model that goes with feature_model_in", None)
        )
    wants_features = "features" in request.stages and feature is None
    wants_sequence = "sequence" in request.stages and sequence is None
    if wants_features or wants_sequence:
        weights = _defaults(store, mode, request, experiment, wants_features, wants_sequence)
        if wants_features:
            feature = _given(weights.feature_model, "feature_extractor", mode, behaviors)
            flow_path = flow_path or weights.flow_model
        if wants_sequence:
            sequence = _given(weights.sequence_model, "sequence", mode, behaviors)
    flow = None if feature is None else _flow_generator(flow_path, feature, mode)
    _refuse_strangers(feature, sequence)
    asked = [("feature", wants_features, feature), ("sequence", wants_sequence, sequence)]
    unfetched = frozenset(name for name, is_wanted, found in asked if is_wanted and found is None)
    return ChosenModels(flow, feature, sequence, unfetched)


def learnt_from(sequence: Checkpoint | None) -> str | None:
    """SHA-256 of the feature extractor whose features a sequence model learnt from, if it says."""
    training = sequence.extra.get("training", {}) if sequence else {}
    told = training.get("inputs", {}).get("features", {}).get("feature_model")
    return None if told is None else str(told)


def _refuse_strangers(feature: Checkpoint | None, sequence: Checkpoint | None) -> None:
    """A sequence model can make nothing of another extractor's features, however alike."""
    wanted = learnt_from(sequence)
    if feature is None or sequence is None or wanted in (None, feature.sha256):
        return
    raise CheckpointError(
        f"{sequence.path}: expected a sequence model for the features of {feature.path}, but it "
        "learnt from those of another feature extractor. Give the two that belong together, or "
        "train the sequence model anew on ds.soup.feature_extractor.infer(…)."
    )


class _Defaults(NamedTuple):
    """Checkpoints that are used where none are given."""

    flow_model: str | os.PathLike[str] | None
    feature_model: str | os.PathLike[str] | None
    sequence_model: str | os.PathLike[str] | None


def _defaults(
    store: Store,
    mode: Mode,
    request: ModelRequest,
    experiment: str,
    wants_features: bool,
    wants_sequence: bool,
) -> _Defaults:
    """What was trained on this store last, else what is published for the experiment."""
    feature = newest_model(store, mode.name, "feature_extractor") if wants_features else None
    sequence = newest_model(store, mode.name, "sequence") if wants_sequence else None
    if feature is not None and sequence is None and wants_sequence:
        raise ArgumentError(
            f"sequence_model_in: the feature extractor of mode {mode.name!r} was trained on this "
            "store, but no sequence model that goes with it. Train one: "
            f"ds.soup.feature_extractor.infer(mode={mode.name!r}), then ds.soup.sequence.train(…)."
        )
    own = [None if known is None else known.path for known in (feature, sequence)]
    if (feature is not None or not wants_features) and (sequence is not None or not wants_sequence):
        return _Defaults(None, *own)
    if not experiment:
        raise ArgumentError(
            "experiment: these trials were added without one, so there are no default models "
            "for them. Pass the checkpoints, train models on this store, or add trials with "
            'experiment="table".'
        )
    try:
        with set_options(progress=request.show_progress):
            weights = default_weights(experiment, mode.name, fetch=request.fetch)
    except NotFetched:
        return _Defaults(None, *own)
    published = (weights.feature_model, weights.sequence_model)
    return _Defaults(weights.flow_model, *(a or b for a, b in zip(own, published, strict=True)))


def _given(
    path: str | os.PathLike[str] | None, kind: str, mode: Mode, behaviors: tuple[str, ...]
) -> Checkpoint | None:
    """Read a classifying checkpoint and compare its classes with the store's behaviors."""
    if path is None:
        return None
    found = checkpoint.read(path, kind=kind, mode=mode.name, n_classes=1 + len(behaviors))
    if found.behaviors is not None and tuple(found.behaviors) != behaviors:
        raise CheckpointError(
            f"{path}: expected a model of the store's behaviors {list(behaviors)}, but it was "
            f"trained on {list(found.behaviors)}. Use a store made with those behaviors, or "
            "another checkpoint."
        )
    return found


def _flow_generator(
    path: str | os.PathLike[str] | None, feature: Checkpoint, mode: Mode
) -> Checkpoint | None:
    inside = feature.flow_generator()
    if path is None:
        if inside is None:
            raise CheckpointError(
                f"{feature.path}: expected a flow generator inside, but there is none. "
                "Pass flow_model_in= too."
            )
        return None
    flow = checkpoint.read(path, kind="flow_generator", mode=mode.name)
    if flow.window != feature.window:
        raise CheckpointError(
            f"{path}: expected a flow generator for {feature.window} frames as {feature.path} "
            f"needs, but it is for {flow.window}. Use the two that were trained together."
        )
    if inside is not None and _equal_weights(inside, flow):
        return None
    if inside is not None:
        warnings.warn(
            f"flow_model_in ({path}) differs from the flow generator that feature_model_in "
            f"({feature.path}) was trained with; flow_model_in is used. Leave it out to use the "
            "one inside feature_model_in.",
            SoupWarning,
            stacklevel=2,
        )
    return flow


def _equal_weights(one: Checkpoint, other: Checkpoint) -> bool:
    return one.state_dict.keys() == other.state_dict.keys() and all(
        torch.equal(tensor, other.state_dict[key])
        for key, tensor in one.state_dict.items()
        if not key.endswith("num_batches_tracked")
    )
