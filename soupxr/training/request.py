"""What a user asks of training, checked; ``ds.soup.feature_extractor.train`` says what it means."""

from __future__ import annotations

import dataclasses
import numbers
import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

import numpy as np

from soupxr.errors import ArgumentError, expected
from soupxr.inference.plan import SMALLEST_SIDE
from soupxr.inference.preprocess import STYLES, Style
from soupxr.options import PRECISIONS, get_option
from soupxr.schema import is_whole
from soupxr.training.augment import Augmentation
from soupxr.training.schedule import Schedule, StopMethod
from soupxr.training.split import GROUPS

__all__ = ["TrainingRequest"]

Path = str | os.PathLike[str]
Kind = Literal["flow_generator", "feature_extractor", "sequence"]

MOST_EPOCHS = {"flow_generator": 10, "feature_extractor": 20, "sequence": 100}
PATIENCE = {"flow_generator": 3, "feature_extractor": 3, "sequence": 5}
VALIDATION_STEPS = {"flow_generator": 200, "feature_extractor": 1000, "sequence": 1000}


@dataclass(frozen=True)
class TrainingRequest:
    """Arguments of a ``train`` as they were typed; what a stage does not have stays at None."""

    kind: Kind
    model_out: Path | None
    model_in: Path | None = None
    flow_model_in: Path | None = None
    annotator: str | None = None
    source: str = "annotation"
    init: str = "random"
    batch_size: int = 32
    initial_lr: float = 1e-4
    stop_method: StopMethod = "learning_rate"
    max_epochs: int | None = None
    patience: int | None = None
    training_steps: int = 1000
    validation_steps: int | None = None
    flow_window: int | None = None
    image_size: int | tuple[int, int] | None = None
    preprocessing: Style | None = None
    augmentation: Augmentation | None = None
    weight_exponent: float = 1.0
    oversampling: float = 0.0
    group: str | None = None
    validation: float = 0.2
    folds: int | None = None
    seed: int = 0
    num_workers: int | str = "auto"
    device: str | None = None
    precision: str | None = None
    resume: bool = False
    progress: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model_out, (str, os.PathLike)):
            told = "a folder for the trained model"
            remedy = 'Name a new one, such as model_out="models/fast/flow".'
            raise ArgumentError(expected("model_out", told, self.model_out, remedy))
        for name, choices in {
            "source": ("annotation", "ethogram"),
            "init": ("random", "imagenet"),
            "stop_method": ("learning_rate", "num_epochs"),
            "preprocessing": (None, *STYLES),
            "precision": (None, *PRECISIONS),
            "group": (None, *GROUPS),
        }.items():
            if getattr(self, name) not in choices:
                told = " or ".join(map(repr, choices))
                raise ArgumentError(expected(name, told, getattr(self, name)))
        for name, least in {
            "batch_size": 2,
            "max_epochs": 1,
            "patience": 0,
            "training_steps": 1,
            "validation_steps": 1,
            "flow_window": 2,
            "folds": 2,
            "seed": 0,
        }.items():
            value = getattr(self, name)
            if value is not None and not (is_whole(value) and value >= least):
                raise ArgumentError(expected(name, f"a whole number from {least}", value))
        if self.num_workers != "auto" and not (
            is_whole(self.num_workers) and int(self.num_workers) >= 1
        ):
            raise ArgumentError(
                expected("num_workers", '"auto", or threads from 1', self.num_workers)
            )
        for name, low, high in (
            ("initial_lr", 0.0, 1.0),
            ("weight_exponent", -1e-9, 10.0),
            ("oversampling", -1e-9, 10.0),
            ("validation", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not low < float(value) < high:
                told = f"a number between {max(low, 0):g} and {high:g}"
                raise ArgumentError(expected(name, told, value))
        augmentation: Any = self.augmentation
        if not isinstance(augmentation, Augmentation | None):
            raise ArgumentError(expected("augmentation", "None or an Augmentation", augmentation))
        if self.image_size is not None and not all(
            is_whole(side) and side >= SMALLEST_SIDE for side in self.sides or (0,)
        ):
            told = f"a side, or (height, width), of {SMALLEST_SIDE} pixels or more"
            raise ArgumentError(expected("image_size", told, self.image_size))

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width that were asked for."""
        size = self.image_size
        if size is None:
            return None
        if isinstance(size, (tuple, list)):
            if len(size) != 2:
                raise ArgumentError(expected("image_size", "a side, or (height, width)", size))
            return size[0], size[1]
        return size, size

    @property
    def folder(self) -> PurePath:
        """Where the result goes."""
        assert self.model_out is not None
        return PurePath(self.model_out)

    @property
    def schedule(self) -> Schedule:
        """How fast and how long."""
        return Schedule(
            batch_size=int(self.batch_size),
            initial_lr=float(self.initial_lr),
            stop_method=self.stop_method,
            max_epochs=self.max_epochs or MOST_EPOCHS[self.kind],
            patience=PATIENCE[self.kind] if self.patience is None else self.patience,
            training_steps=self.training_steps,
            validation_steps=self.validation_steps or VALIDATION_STEPS[self.kind],
            seed=int(self.seed),
        )

    @property
    def threads(self) -> int:
        """Threads that read clips."""
        if self.num_workers == "auto":
            return min(8, os.cpu_count() or 1)
        return int(self.num_workers)

    @property
    def show_progress(self) -> bool:
        """Whether bars are wanted."""
        return bool(get_option("progress") if self.progress is None else self.progress)

    @property
    def used_precision(self) -> str:
        """Number format, the option's where none was given; nothing faster of its own accord."""
        named = str(self.precision or get_option("precision"))
        return "float32" if named == "auto" else named

    def arguments(self) -> dict[str, Any]:
        """The call, in plain values, for the record."""
        own = dataclasses.asdict(self)
        for name in ("kind", "model_out", "resume", "progress"):
            del own[name]
        schedule = self.schedule
        own |= {"precision": self.used_precision, "max_epochs": schedule.max_epochs}
        own |= {"patience": schedule.patience, "validation_steps": schedule.validation_steps}
        return {name: _plain(value) for name, value in own.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return value
