"""The three stages: what each is made of, learns from, and leaves behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from soupxr import bouts
from soupxr.errors import CheckpointError
from soupxr.inference.decision import DEFAULT_MINIMUM_BOUT
from soupxr.inference.plan import DEFAULT_SIZE, DEFAULT_STYLE
from soupxr.inference.preprocess import Preprocessing
from soupxr.models import checkpoint
from soupxr.models.checkpoint import Checkpoint
from soupxr.models.flow import FLOW_GENERATORS
from soupxr.models.initialise import start_still_, xavier_uniform_
from soupxr.models.tgmj import TGMJ, WINDOW
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import Mode
from soupxr.training.augment import Augmentation
from soupxr.training.clips import Clips, in_order, random_batches
from soupxr.training.fit import Batches, EpochData
from soupxr.training.gather import (
    LabelledTrial,
    Material,
    class_counts,
    frame_places,
    known_frames,
    open_clips,
    pixel_statistics,
    warn_of_missing,
)
from soupxr.training.imagenet import imagenet_weights
from soupxr.training.losses import FlowLoss, FocalLoss, positive_weights
from soupxr.training.penalty import ParameterPenalty
from soupxr.training.recordings import FeatureBatch, Recording, window_batches, window_places
from soupxr.training.request import TrainingRequest
from soupxr.training.schedule import epoch_batches, evenly_spaced, oversampling_weights
from soupxr.training.split import Split
from soupxr.training.tasks import FeatureTask, FlowTask, SequenceTask, Task

__all__ = ["FeatureStage", "FlowStage", "SequenceStage", "Stage"]

#: Pull towards zero, of what has no weights to start from (DeepEthogram's values).
DECAY = 1e-3
SEQUENCE_DECAY = 0.01
#: Pull towards the weights that training starts from.
ANCHOR = 1e-5


class Stage(ABC):
    """A network to be trained, and its data.

    Parameters
    ----------
    mode : Mode
        Which networks.
    material : Material
        Trials.
    split : Split
        Which of them are learnt from.
    request : TrainingRequest
        How.
    """

    def __init__(
        self, mode: Mode, material: Material, split: Split, request: TrainingRequest
    ) -> None:
        self.mode, self.material, self.split, self.request = mode, material, split, request
        self.schedule = request.schedule
        self.training = material.chosen(split.training)
        self.validation = material.chosen(split.validation)

    @property
    def n_classes(self) -> int:
        """Classes, background included."""
        return 1 + len(self.material.behaviors)

    @abstractmethod
    def task(self) -> Task:
        """The network with its loss, as it starts."""

    @abstractmethod
    def data(self) -> EpochData:
        """Its batches."""

    @abstractmethod
    def save(self, path: Path, task: Task, epoch: int, facts: dict[str, Any]) -> Checkpoint:
        """Write a checkpoint of the task as it stands.

        Parameters
        ----------
        facts : dict
            What the run is; kept in the file as ``extra["training"]``.
        """

    def _class_loss(self, labels: Sequence[LabelledTrial], network: Any) -> FocalLoss:
        """Focal loss for how often classes occur; the network's biases start there too."""
        masks = [trial.labels for trial in labels if trial.labels is not None]
        positive, negative = class_counts(masks)
        warn_of_missing(positive, self.material.behaviors)
        network.start_at_frequencies(positive, negative)
        return FocalLoss(positive_weights(positive, negative, self.request.weight_exponent))


class _PictureStage(Stage):
    """A stage that sees pictures."""

    preprocessing: Preprocessing
    window: int
    #: Where nothing else is asked for.
    augmentation = Augmentation()

    def _open(self) -> tuple[list[Clips], list[Clips]]:
        """Clips of both parts."""
        training = open_clips(self.material, self.training, self.preprocessing)
        return training, open_clips(self.material, self.validation, self.preprocessing)

    def _random(self, clips: list[Clips], batches: Sequence[Any]) -> Batches[Any]:
        edge, threads = self.preprocessing.edge_color, self.request.threads
        return Batches(
            len(batches), lambda: random_batches(clips, batches, self.window, edge, threads)
        )

    def _task_settings(self) -> dict[str, Any]:
        return {
            "preprocessing": self.preprocessing,
            "window": self.window,
            "layout": self.mode.layout,
            "augmentation": self.request.augmentation or self.augmentation,
        }

    def _statistics_of(self, found: Checkpoint | None) -> tuple[Any, Any]:
        """Normalisation that a checkpoint states, else that of the training part."""
        if found is not None and found.normalization is not None:
            return found.normalization
        statistics = pixel_statistics(self.material, self.training)
        return statistics.mean, statistics.std


class FlowStage(_PictureStage):
    """Flow generator, from video alone."""

    augmentation = Augmentation(drift=1.0)

    def __init__(self, *arguments: Any, start: Checkpoint | None) -> None:
        super().__init__(*arguments)
        self.start = start
        size = self.request.sides or (start and start.image_size) or DEFAULT_SIZE
        style = self.request.preprocessing or (start and start.preprocessing) or DEFAULT_STYLE
        self.window = self.request.flow_window or (start and start.window) or self.mode.window
        if start is not None and start.window != self.window:
            raise CheckpointError(
                f"{start.path}: expected a flow generator for windows of {self.window} frames, but "
                f"it is for {start.window}. Leave flow_window out."
            )
        self.preprocessing = Preprocessing(size, style, *self._statistics_of(start))

    def task(self) -> FlowTask:
        """The generator, from scratch or from the weights given."""
        if self.start is not None:
            network: nn.Module = self.start.build()
            penalty = ParameterPenalty(
                DECAY,
                pretrained=self.start.state_dict,
                pretrained_weight=ANCHOR,
                model=network,
            )
        else:
            network = FLOW_GENERATORS[self.mode.flow_generator](self.window)
            if self.mode.flow_generator == "MotionNet":
                xavier_uniform_(network)
            start_still_(network)
            penalty = ParameterPenalty(DECAY)
        # DeepEthogram's preset for its slow models; flow between volumes is else too rough.
        preset = (
            {"smoothness_multiplier": 0.25, "sparsity_weight": 0.05}
            if self.mode.layout == "volume"
            else {}
        )
        loss = FlowLoss(self.preprocessing.mean, self.preprocessing.std, **preset)
        return FlowTask(
            network.train(), penalty, self.schedule, flow_loss=loss, **self._task_settings()
        )

    def data(self) -> EpochData:
        """Clips from anywhere in the training part; evenly spaced ones for validation."""
        training, validation = self._open()
        places, schedule = frame_places(training), self.schedule
        most = schedule.validation_steps * schedule.batch_size
        judged = evenly_spaced(frame_places(validation), most)
        batches = np.array_split(judged, -(-len(judged) // schedule.batch_size))
        return EpochData(
            lambda epoch: self._random(training, epoch_batches(places, schedule, epoch)),
            lambda: self._random(validation, batches),
        )

    def save(self, path: Path, task: Task, epoch: int, facts: dict[str, Any]) -> Checkpoint:
        """Write the generator."""
        return checkpoint.write(
            path,
            kind="flow_generator",
            mode=self.mode.name,
            model=task.network,
            behaviors=None,
            window=self.window,
            image_size=self.preprocessing.size,
            preprocessing=self.preprocessing.style,
            normalization=(self.preprocessing.mean, self.preprocessing.std),
            epoch=epoch,
            extra={"training": facts},
            overwrite=True,
        )


class FeatureStage(_PictureStage):
    """Feature extractor, from labels, over a flow generator that stays as it is."""

    def __init__(self, *arguments: Any, flow: Checkpoint, start: Checkpoint | None) -> None:
        super().__init__(*arguments)
        self.flow, self.start = flow, start
        assert flow.window is not None
        self.window = flow.window
        if start is not None and start.window != self.window:
            raise CheckpointError(
                f"{start.path}: expected a feature extractor for windows of {self.window} frames "
                f"as {flow.path} is, but it is for {start.window}."
            )
        size = self.request.sides or flow.image_size or DEFAULT_SIZE
        style = self.request.preprocessing or flow.preprocessing or DEFAULT_STYLE
        self.preprocessing = Preprocessing(size, style, *self._statistics_of(flow))

    def task(self) -> FeatureTask:
        """Both classifiers, from scratch, from pictures, or from the weights given."""
        network = HiddenTwoStream(self.mode, self.n_classes, window=self.window)
        pretrained = None
        if self.request.init == "imagenet":
            weights = imagenet_weights(self.mode.backbone)
            network.spatial_classifier.start_from_pictures(weights)
            network.flow_classifier.start_from_pictures(weights)
            pretrained = network.state_dict()
        loss = self._class_loss(self.training, network)
        if self.start is not None:
            network.load_state_dict(self.start.state_dict)
            pretrained = self.start.state_dict
        network.flow_generator.load_state_dict(self.flow.state_dict)
        penalty = ParameterPenalty(
            DECAY,
            pretrained=pretrained,
            pretrained_weight=ANCHOR,
            model=None if pretrained is None else network,
        )
        return FeatureTask(
            network.train(),
            penalty,
            self.schedule,
            focal_loss=loss,
            behaviors=self.material.behaviors,
            **self._task_settings(),
        )

    def data(self) -> EpochData:
        """Clips around labelled frames; whole trials for validation."""
        training, validation = self._open()
        places, schedule = frame_places(training), self.schedule
        labels = [clips.labels for clips in training if clips.labels is not None]
        rows = np.concatenate([mask[known_frames(mask)] for mask in labels])
        weights = oversampling_weights(rows, self.request.oversampling)
        size = schedule.batch_size
        judged = _up_to(validation, schedule.validation_steps * size, schedule.seed)
        count = sum(-(-clips.n_frames // size) for clips in judged)
        edge = self.preprocessing.edge_color
        return EpochData(
            lambda epoch: self._random(training, epoch_batches(places, schedule, epoch, weights)),
            lambda: Batches(count, lambda: in_order(judged, size, self.window, edge)),
        )

    def save(self, path: Path, task: Task, epoch: int, facts: dict[str, Any]) -> Checkpoint:
        """Write the extractor, generator included."""
        return checkpoint.write(
            path,
            kind="feature_extractor",
            mode=self.mode.name,
            model=task.network,
            behaviors=self.material.behaviors,
            window=self.window,
            image_size=self.preprocessing.size,
            preprocessing=self.preprocessing.style,
            normalization=(self.preprocessing.mean, self.preprocessing.std),
            thresholds=_thresholds(task),
            epoch=epoch,
            extra={"training": facts},
            overwrite=True,
        )


class SequenceStage(Stage):
    """Sequence model, from labels and stored features.

    Parameters
    ----------
    recordings : mapping of str to Recording
        Features and labels of every trial.
    """

    def __init__(
        self,
        *arguments: Any,
        start: Checkpoint | None,
        recordings: Mapping[str, Recording],
    ) -> None:
        super().__init__(*arguments)
        self.start = start
        self.recordings = recordings

    def task(self) -> SequenceTask:
        """The model, from scratch or from the weights given."""
        network = TGMJ(self.n_classes) if self.start is None else self.start.build()
        assert isinstance(network, TGMJ)
        state = {name: value.clone() for name, value in network.state_dict().items()}
        loss = self._class_loss(self.training, network)
        penalty = ParameterPenalty(SEQUENCE_DECAY)
        if self.start is not None:
            network.load_state_dict(state)
        return SequenceTask(
            network.train(),
            penalty,
            self.schedule,
            focal_loss=loss,
            behaviors=self.material.behaviors,
        )

    def data(self) -> EpochData:
        """Windows that start elsewhere in every epoch; those of inference for validation."""
        training = [self.recordings[trial.key] for trial in self.training]
        validation = [self.recordings[trial.key] for trial in self.validation]
        schedule = self.schedule
        judged = window_places(validation, [0] * len(validation))
        judged = evenly_spaced(judged, schedule.validation_steps * schedule.batch_size)
        kept = np.array_split(judged, -(-len(judged) // schedule.batch_size))

        def learnt(epoch: int) -> Batches[FeatureBatch]:
            chance = np.random.default_rng((schedule.seed, epoch, 1))
            phases = chance.integers(0, WINDOW, len(training))
            places = window_places(training, phases.tolist())
            batches = epoch_batches(places, schedule, epoch)
            return Batches(len(batches), lambda: window_batches(training, batches))

        return EpochData(
            learnt, lambda: Batches(len(kept), lambda: window_batches(validation, kept))
        )

    def save(self, path: Path, task: Task, epoch: int, facts: dict[str, Any]) -> Checkpoint:
        """Write the model with thresholds and the labels' own shortest bouts."""
        return checkpoint.write(
            path,
            kind="sequence",
            mode=self.mode.name,
            model=task.network,
            behaviors=self.material.behaviors,
            window=None,
            image_size=None,
            preprocessing=None,
            normalization=None,
            thresholds=_thresholds(task),
            minimum_bout=self._minimum_bout(),
            epoch=epoch,
            extra={"training": facts},
            overwrite=True,
        )

    def _minimum_bout(self) -> tuple[int, ...]:
        """Frames below which bouts and gaps go, background first.

        Those of the published models, or less where labelled bouts are as short. The first
        percentile of the labelled lengths, as DeepEthogram has it, also closes every gap as short,
        and so joins what is one short pause apart; ``optimize_thresholds`` tries both.
        """
        masks = [trial.labels[:, 1:] for trial in self.training if trial.labels is not None]
        known = [np.where(mask < 0, 0, mask) for mask in masks]
        shortest = bouts.bout_length_percentile(known) - 1
        return (0, *(min(int(length), DEFAULT_MINIMUM_BOUT) for length in shortest))


def _thresholds(task: Task) -> tuple[float, ...] | None:
    scores = task.scores
    return None if scores is None else tuple(float(value) for value in scores.thresholds)


def _up_to(clips: list[Clips], most: int, seed: int) -> list[Clips]:
    """Trials of at most so many frames together, one at least, drawn at random."""
    chosen: list[int] = []
    frames = 0
    for index in np.random.default_rng(seed).permutation(len(clips)):
        if chosen and frames + clips[index].n_frames > most:
            break
        chosen.append(int(index))
        frames += clips[index].n_frames
    return [clips[index] for index in sorted(chosen)]
