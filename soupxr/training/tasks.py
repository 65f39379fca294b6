"""What each of the three stages does with a batch, in Lightning's terms.

A task is a network, its loss, and how well it does on the validation part. The plateau scheduler is
stepped here, and not by Lightning, which saves checkpoints before it steps schedulers: a run that
is resumed would have forgotten its last epoch.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from soupxr.errors import TrainingError
from soupxr.inference.numbers import strict_float32
from soupxr.inference.preprocess import Preprocessing, frame_windows
from soupxr.models.folding import MEMORY_FORMATS, frozen_copy
from soupxr.training._lightning import pytorch_lightning as pl
from soupxr.training.augment import Augmentation
from soupxr.training.clips import ClipBatch
from soupxr.training.losses import FlowLoss, FocalLoss
from soupxr.training.penalty import ParameterPenalty
from soupxr.training.recordings import FeatureBatch
from soupxr.training.schedule import LOWEST_LR, Schedule
from soupxr.training.scoring import ValidationScores, validation_scores

__all__ = ["FeatureTask", "FlowTask", "SequenceTask", "Task"]

#: Keeps the epochs of one seed apart from those of the next.
EPOCH_STRIDE = 1_000_003


class Task(pl.LightningModule):
    """What the stages share.

    Parameters
    ----------
    network : Module
        To be trained.
    penalty : ParameterPenalty
        Added to the loss.
    schedule : Schedule
        How fast it learns, and when it stops.
    """

    metric: ClassVar[str]
    #: Whether more of the metric is better.
    rising: ClassVar[bool] = True

    def __init__(self, network: nn.Module, penalty: ParameterPenalty, schedule: Schedule) -> None:
        super().__init__()
        self.network = network
        self.penalty = penalty
        self.schedule = schedule
        self.history: list[dict[str, float]] = []
        self.scores: ValidationScores | None = None
        self.plateau: ReduceLROnPlateau
        self._plateau_state: dict[str, Any] | None = None
        self._losses: list[Tensor] = []

    # ---------------------------------------------------------------- what stages say

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Loss of a training batch, without the penalty."""

    @abstractmethod
    def validate_batch(self, batch: Any) -> None:
        """Take one batch of the validation part into account."""

    @abstractmethod
    def validation_figures(self) -> dict[str, float]:
        """Figures over the validation part, ``metric`` among them, and forget its batches."""

    # ---------------------------------------------------------------- Lightning's hooks

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, and a learning rate that falls where the metric stands still."""
        trainable = [p for p in self.network.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(trainable, lr=self.schedule.initial_lr)
        self.plateau = ReduceLROnPlateau(
            optimizer,
            mode="max" if self.rising else "min",
            factor=0.1,
            patience=self.schedule.patience,
            min_lr=LOWEST_LR,
        )
        if self._plateau_state is not None:
            self.plateau.load_state_dict(self._plateau_state)
        return optimizer

    def on_fit_start(self) -> None:
        """End a run at once that was over when it was interrupted."""
        lr = self.plateau.get_last_lr()[0]
        if self.history and self.schedule.is_over(int(self.history[-1]["epoch"]), lr):
            self.trainer.should_stop = True

    def transfer_batch_to_device(self, batch: Any, device: torch.device, _index: int) -> Any:
        """Batches know how they are moved."""
        return batch.to(device)

    def on_train_epoch_start(self) -> None:
        """Start the epoch's chance afresh, so that a resumed run draws what it would have drawn."""
        torch.manual_seed(self.schedule.seed * EPOCH_STRIDE + self.current_epoch)
        self._losses.clear()

    def training_step(self, batch: Any, _index: int) -> Tensor:
        """One step."""
        with strict_float32(self.device):
            loss: Tensor = self.loss(batch) + self.penalty(self.network)
        if not torch.isfinite(loss):
            self._refuse(batch)
        self._losses.append(loss.detach())
        self.log("loss", loss.detach(), prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Any, _index: int) -> None:
        """One batch of the validation part."""
        with strict_float32(self.device):
            self.validate_batch(batch)

    def on_validation_epoch_end(self) -> None:
        """Score the epoch, and lower the learning rate where it is due."""
        figures = self.validation_figures()
        value = figures[self.metric]
        if not math.isfinite(value):
            self._refuse(None)
        losses = torch.stack(self._losses).cpu() if self._losses else torch.full((1,), torch.nan)
        lr = float(self.plateau.optimizer.param_groups[0]["lr"])
        self.log(self.metric, value, prog_bar=True)
        self.plateau.step(value)
        self.history.append(
            {"epoch": self.current_epoch, "lr": lr, "loss": float(losses.mean()), **figures}
        )
        if self.schedule.is_over(self.current_epoch, self.plateau.get_last_lr()[0]):
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what Lightning does not know of."""
        checkpoint["plateau"] = self.plateau.state_dict()
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up again."""
        self._plateau_state = checkpoint["plateau"]
        self.history = list(checkpoint["history"])

    # ---------------------------------------------------------------- the best epoch

    def is_best(self) -> bool:
        """Whether the last epoch is better than all before it."""
        values = [row[self.metric] for row in self.history]
        sign = 1 if self.rising else -1
        return all(sign * values[-1] > sign * value for value in values[:-1])

    def _require_finite(self, values: Tensor, batch: Any) -> None:
        if not bool(torch.isfinite(values).all()):
            self._refuse(batch)

    def _refuse(self, batch: Any) -> None:
        """Stop a run whose numbers have become useless."""
        where = "on the validation part" if batch is None else f"at {batch.told()}"
        raise TrainingError(
            f"the loss became infinite or not a number in epoch {self.current_epoch} {where}. "
            "Look at these frames; else train with a smaller initial_lr, or in float32."
        )


class _PictureTask(Task):
    """A stage that sees pictures.

    Parameters
    ----------
    preprocessing : Preprocessing
        Size and normalisation.
    window : int
        Frames that the network sees at once.
    layout : {"stacked", "volume"}
        See :class:`soupxr.modes.Mode`.
    augmentation : Augmentation
        Of training clips.
    """

    def __init__(
        self,
        network: nn.Module,
        penalty: ParameterPenalty,
        schedule: Schedule,
        *,
        preprocessing: Preprocessing,
        window: int,
        layout: str,
        augmentation: Augmentation,
    ) -> None:
        super().__init__(network, penalty, schedule)
        self.memory_format = MEMORY_FORMATS[layout]
        laid_out: Any = network
        laid_out.to(memory_format=self.memory_format)
        self.preprocessing = preprocessing
        self.window = window
        self.layout = layout
        self.augmentation = augmentation
        self._chance = torch.Generator()

    def on_train_epoch_start(self) -> None:
        """Start the augmentation's chance afresh too."""
        super().on_train_epoch_start()
        self._chance.manual_seed(self.schedule.seed * EPOCH_STRIDE + self.current_epoch + 1)

    def windows(self, batch: ClipBatch, *, augment: bool) -> Tensor:
        """Clips as the network wants them: (N, 3·window, H, W) or (N, 3, window, H, W)."""
        clips = batch.frames.permute(0, 1, 4, 2, 3).float().div_(255)
        if augment:
            clips = self.augmentation(clips, self._chance)
        n, window, colors, height, width = clips.shape
        flat = self.preprocessing.normalize(clips.reshape(n * window, colors, height, width))
        clips = flat.view(n, window, colors, height, width)
        windows = clips.flatten(1, 2) if self.layout == "stacked" else clips.transpose(1, 2)
        return windows.contiguous(memory_format=self.memory_format)

    def consecutive_windows(self, batch: ClipBatch) -> Tensor:
        """All windows of consecutive frames, laid out likewise."""
        frames = batch.frames.permute(0, 3, 1, 2).float().div_(255)
        windows = frame_windows(self.preprocessing.normalize(frames), self.window, self.layout)
        return windows.contiguous(memory_format=self.memory_format)


class FlowTask(_PictureTask):
    """Flow generator: learns without labels that a frame is the next one pulled back."""

    metric: ClassVar[str] = "ssim_loss"
    rising: ClassVar[bool] = False

    def __init__(self, *arguments: Any, flow_loss: FlowLoss, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.flow_loss = flow_loss
        self._parts: list[Tensor] = []

    def loss(self, batch: ClipBatch) -> Tensor:
        """Flow loss of a batch."""
        windows = self.windows(batch, augment=True)
        total: Tensor = self.flow_loss(windows, self.network(windows)).total
        return total

    def validate_batch(self, batch: ClipBatch) -> None:
        """Keep the parts of the loss, pair by pair."""
        windows = self.windows(batch, augment=False)
        parts = self.flow_loss(windows, self.network(windows))
        values = torch.stack([parts.ssim, parts.l1, parts.smoothness]).cpu()
        self._require_finite(values, batch)
        self._parts.append(values)

    def validation_figures(self) -> dict[str, float]:
        """Mean of every part over all pairs of frames."""
        _require_validation(self._parts)
        means = torch.cat(self._parts, dim=1).mean(dim=1).tolist()
        self._parts.clear()
        return dict(zip(("ssim_loss", "l1_loss", "smoothness_loss"), means, strict=True))


class _Classified:
    """What a network said of the validation part, until the epoch is scored."""

    def __init__(self) -> None:
        self.probabilities: list[npt.NDArray[np.float32]] = []
        self.labels: list[npt.NDArray[np.int8]] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Take in frames: logits and labels, both (frame, class)."""
        self.probabilities.append(torch.sigmoid(logits.float()).cpu().numpy())
        self.labels.append(labels.cpu().numpy())

    def score(self) -> ValidationScores | None:
        """Score all of it and forget it; None where a probability is not a number."""
        _require_validation(self.labels)
        probability, label = np.concatenate(self.probabilities), np.concatenate(self.labels)
        self.probabilities, self.labels = [], []
        return validation_scores(probability, label) if np.isfinite(probability).all() else None


def _require_validation(parts: Sequence[Any]) -> None:
    """Stop where all trials of the validation part have become unreadable."""
    if not parts:
        raise TrainingError(
            "no trial of the validation part can be read; the warnings say why. "
            "Put them right, or remove these trials."
        )


def _figures(
    scores: ValidationScores | None, mean: str, behaviors: Sequence[str]
) -> dict[str, float]:
    """Figures of an epoch by name: the mean that counts, then F1 of each class."""
    if scores is None:
        return {"f1_mean": math.nan}
    each = zip(("background", *behaviors), scores.f1.tolist(), strict=True)
    return {"f1_mean": getattr(scores, mean)} | {f"f1_{name}": value for name, value in each}


class FeatureTask(_PictureTask):
    """Feature extractor: learns from labels, over a frozen flow generator.

    Parameters
    ----------
    focal_loss : FocalLoss
        Of the fused logits.
    behaviors : tuple of str
        Names of the classes, without the background.
    """

    metric: ClassVar[str] = "f1_mean"

    def __init__(
        self, *arguments: Any, focal_loss: FocalLoss, behaviors: tuple[str, ...], **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self.focal_loss = focal_loss
        self.behaviors = behaviors
        self._classified = _Classified()
        # In a list, or it would become a part of what is trained and saved.
        generator: Any = self.network.flow_generator
        self._frozen = [frozen_copy(generator, self.layout)]

    def on_fit_start(self) -> None:
        """Bring the frozen flow generator to where the rest is."""
        super().on_fit_start()
        self._frozen[0].to(self.device)

    def _logits(self, windows: Tensor) -> Tensor:
        network: Any = self.network
        with torch.no_grad():
            flows = self._frozen[0](windows)
        logits: Tensor = network.classify(windows, flows).logits
        return logits

    def loss(self, batch: ClipBatch) -> Tensor:
        """Focal loss of a batch."""
        logits = self._logits(self.windows(batch, augment=True))
        loss: Tensor = self.focal_loss(logits, batch.labels)
        return loss

    def validate_batch(self, batch: ClipBatch) -> None:
        """Classify consecutive frames."""
        assert batch.labels is not None
        logits = self._logits(self.consecutive_windows(batch))
        self._require_finite(logits, batch)
        self._classified.add(logits, batch.labels)

    def validation_figures(self) -> dict[str, float]:
        """Mean F1 of the behaviors at their best thresholds."""
        self.scores = self._classified.score()
        return _figures(self.scores, "mean_without_background", self.behaviors)


class SequenceTask(Task):
    """Sequence model: learns from labels and stored features.

    Parameters
    ----------
    focal_loss : FocalLoss
        Of its logits.
    behaviors : tuple of str
        Names of the classes, without the background.
    """

    metric: ClassVar[str] = "f1_mean"

    def __init__(self, *arguments: Any, focal_loss: FocalLoss, behaviors: tuple[str, ...]) -> None:
        super().__init__(*arguments)
        self.focal_loss = focal_loss
        self.behaviors = behaviors
        self._classified = _Classified()

    def loss(self, batch: FeatureBatch) -> Tensor:
        """Focal loss of a batch."""
        loss: Tensor = self.focal_loss(self.network(batch.features), batch.labels)
        return loss

    def validate_batch(self, batch: FeatureBatch) -> None:
        """Classify windows of a recording, as inference does."""
        logits, labels = self.network(batch.features), batch.labels
        self._require_finite(logits, batch)
        self._classified.add(*(values.transpose(1, 2).flatten(0, 1) for values in (logits, labels)))

    def validation_figures(self) -> dict[str, float]:
        """Mean F1 of all classes, background included, at the thresholds of the checkpoint."""
        self.scores = self._classified.score()
        return _figures(self.scores, "mean", self.behaviors)
