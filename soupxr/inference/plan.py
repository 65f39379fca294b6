"""With which models and settings a mode is inferred: decided once, before any trial.

A :class:`Request` is what the user typed. A :class:`Plan` is what it comes to with the store, the
options and the checkpoints at hand; it is small and pickles, so that it can travel to any worker.
Its identities say what matters to a result, so that a result made otherwise can be told.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from soupxr.errors import ArgumentError, CheckpointError, expected, one_of
from soupxr.inference.chosen import choose_checkpoints, learnt_from
from soupxr.inference.decision import DEFAULT_MINIMUM_BOUT, DEFAULT_THRESHOLD, Decision
from soupxr.inference.numbers import choose_precision
from soupxr.inference.preprocess import STYLES, Style
from soupxr.inference.roles import Roles
from soupxr.models.checkpoint import Checkpoint
from soupxr.modes import BEHAVIORS, Mode
from soupxr.options import PRECISIONS, get_option
from soupxr.schema import is_whole
from soupxr.store import Store, fitted_decision

__all__ = ["ModelFile", "Plan", "Planned", "Request", "make_plan"]

KEEPS = ("float32", "float16", "none")
DEFAULT_SIZE = (224, 224)
DEFAULT_STYLE: Style = "antialias"
#: The networks halve the picture up to six times.
SMALLEST_SIDE = 32

Moments = tuple[tuple[float, float, float], tuple[float, float, float]]
T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """Arguments of ``infer`` as they were typed; see ``ds.soup.infer`` for their meaning.

    Without ``fetch``, published models are not fetched: it is only asked what would be done.
    """

    stages: tuple[Literal["features", "sequence"], ...] = ("features", "sequence")
    flow_model_in: str | os.PathLike[str] | None = None
    feature_model_in: str | os.PathLike[str] | None = None
    sequence_model_in: str | os.PathLike[str] | None = None
    overwrite: bool = False
    features: str = "float32"
    thresholds: Mapping[str, float] | float | None = None
    minimum_bout: int | Mapping[str, int] | None = None
    image_size: int | tuple[int, int] | None = None
    preprocessing: Style | None = None
    normalization: str | tuple[Sequence[float], Sequence[float]] | None = None
    device: str | None = None
    precision: str | None = None
    batch_size: int | str = "auto"
    every: int = 1
    errors: str = "raise"
    progress: bool | None = None
    client: Any = None
    log: str | os.PathLike[str] | None = None
    fetch: bool = True

    def __post_init__(self) -> None:
        one_of("features", self.features, KEEPS if len(self.stages) > 1 else KEEPS[:2])
        one_of("errors", self.errors, ("raise", "warn"))
        if self.client is not None and not hasattr(self.client, "scheduler_info"):
            raise ArgumentError(expected("client", "a distributed.Client", self.client))
        if self.preprocessing is not None:
            one_of("preprocessing", self.preprocessing, STYLES)
        if self.precision is not None:
            one_of("precision", self.precision, PRECISIONS)
        if self.batch_size != "auto" and not _is_count(self.batch_size, 1):
            raise ArgumentError(expected("batch_size", '"auto" or 1 or more', self.batch_size))
        if not _is_count(self.every, 1):
            raise ArgumentError(expected("every", "a number of frames, 1 or more", self.every))
        if self.image_size is not None and not _is_size(self.image_size):
            raise ArgumentError(
                expected(
                    "image_size",
                    f"a side, or (height, width), of {SMALLEST_SIDE} pixels or more",
                    self.image_size,
                )
            )
        if self.normalization is not None and not _is_trial(self.normalization):
            _moments(self.normalization)

    @property
    def show_progress(self) -> bool:
        """Whether bars are wanted."""
        return bool(get_option("progress") if self.progress is None else self.progress)


@dataclass(frozen=True)
class ModelFile:
    """A checkpoint by its place and its contents."""

    path: str
    sha256: str


#: Stands for a published model that is not on this machine yet.
UNFETCHED = ModelFile("", "")


@dataclass(frozen=True)
class Plan:
    """Models and settings of one run of one mode.

    Parameters
    ----------
    flow, feature, sequence : ModelFile or None
        Checkpoints. Without ``flow``, the flow generator inside ``feature``; the other two are
        None where their stage does not run.
    sequence_wants : str or None
        SHA-256 of the feature extractor whose features the sequence model learnt from, where it
        says so.
    normalization : (mean, std) or None
        None means statistics of each trial's own video.
    keep : {"float32", "float16", "none"}
        How features are kept.
    every : int
        The networks look at each so manyth frame.
    behaviors : tuple of str
        Without background.
    """

    mode: Mode
    behaviors: tuple[str, ...]
    flow: ModelFile | None
    feature: ModelFile | None
    sequence: ModelFile | None
    sequence_wants: str | None
    image_size: tuple[int, int]
    preprocessing: Style
    normalization: Moments | None
    keep: str
    every: int
    decision: Decision | None
    device: str
    precision: str
    batch_size: int | str

    @property
    def is_fetched(self) -> bool:
        """Whether all models are on this machine."""
        return UNFETCHED not in (self.feature, self.sequence)

    def features_identity(self) -> dict[str, Any]:
        """What features depend on, beside the video."""
        return {
            "flow_model": self.flow and self.flow.sha256,
            "feature_model": self.feature and self.feature.sha256,
            "image_size": list(self.image_size),
            "preprocessing": self.preprocessing,
            "normalization": self.normalization and [list(part) for part in self.normalization],
            "precision": self.precision,
            "every": self.every,
        }

    def sequence_identity(self) -> dict[str, Any]:
        """What an ethogram depends on, beside the features."""
        if self.sequence is None or self.decision is None:
            return {}
        bout = self.decision.minimum_bout
        return {
            "sequence_model": self.sequence.sha256,
            "thresholds": dict(zip(self.behaviors, self.decision.thresholds[1:], strict=True)),
            "minimum_bout": bout if isinstance(bout, int) else list(bout),
        }


class Planned(NamedTuple):
    """A plan, and what its models say of the trials they learnt from.

    The latter stays behind when a plan travels: it may name every trial there is.
    """

    plan: Plan
    feature_roles: Roles
    sequence_roles: Roles


def make_plan(store: Store, mode: Mode, request: Request, experiment: str) -> Planned:
    """Decide everything that the trials of one experiment need.

    Raises
    ------
    CheckpointError
        If a checkpoint cannot be read, is of another mode, or has other classes than the store.
    DownloadError
        If default weights are needed and cannot be had.
    ArgumentError
        If an argument is of no use.
    """
    behaviors = tuple(store.labels("behavior"))
    chosen = choose_checkpoints(store, mode, request, experiment, behaviors)
    flow, feature, sequence = chosen.flow, chosen.feature, chosen.sequence
    decides = sequence is not None or "sequence" in chosen.unfetched
    device = request.device or get_option("device")
    plan = Plan(
        mode=mode,
        behaviors=behaviors,
        flow=_model_file(flow),
        feature=UNFETCHED if "feature" in chosen.unfetched else _model_file(feature),
        sequence=UNFETCHED if "sequence" in chosen.unfetched else _model_file(sequence),
        sequence_wants=learnt_from(sequence),
        image_size=_image_size(request, flow, feature),
        preprocessing=request.preprocessing or _said(feature, "preprocessing") or DEFAULT_STYLE,
        normalization=_normalization(request, feature),
        keep=request.features,
        every=int(request.every),
        decision=_decision(store, request, sequence, mode, behaviors) if decides else None,
        device=device,
        precision=choose_precision(request.precision or get_option("precision"), mode.name, device),
        batch_size=request.batch_size,
    )
    return Planned(plan, Roles.told_by(feature), Roles.told_by(sequence))


# ------------------------------------------------------------------ settings


def _model_file(found: Checkpoint | None) -> ModelFile | None:
    return None if found is None else ModelFile(os.path.abspath(found.path), found.sha256)


def _said(found: Checkpoint | None, name: str) -> Any:
    return None if found is None else getattr(found, name)


def _image_size(
    request: Request, flow: Checkpoint | None, feature: Checkpoint | None
) -> tuple[int, int]:
    asked = request.image_size
    if asked is not None:
        height, width = asked if isinstance(asked, (tuple, list)) else (asked, asked)
        return int(height), int(width)
    sizes = {size for found in (flow, feature) if (size := _said(found, "image_size"))}
    if len(sizes) > 1:
        raise CheckpointError(
            f"flow_model_in and feature_model_in were trained at different sizes {sorted(sizes)}. "
            "Use the two that belong together, or pass image_size=(height, width)."
        )
    return tuple(sizes.pop()) if sizes else DEFAULT_SIZE


def _normalization(request: Request, feature: Checkpoint | None) -> Moments | None:
    asked = request.normalization
    if asked is None:
        asked = _said(feature, "normalization") or "trial"
    return None if _is_trial(asked) else _moments(asked)


def _decision(
    store: Store,
    request: Request,
    sequence: Checkpoint | None,
    mode: Mode,
    behaviors: tuple[str, ...],
) -> Decision:
    """Thresholds and shortest bouts; without the checkpoint, those that are published."""
    if sequence is not None and sequence.thresholds is not None:
        thresholds = tuple(sequence.thresholds)
    elif behaviors == BEHAVIORS:
        thresholds = mode.published_thresholds
    else:
        thresholds = (DEFAULT_THRESHOLD,) * (1 + len(behaviors))
    bout = _said(sequence, "minimum_bout")
    shortest = DEFAULT_MINIMUM_BOUT if bout is None else bout
    each = shortest[1:] if isinstance(shortest, tuple) else (shortest,) * len(behaviors)
    fitted = fitted_decision(store, mode.name)
    if fitted is not None and fitted.sequence_model == _said(sequence, "sha256"):
        thresholds = (thresholds[0], *(fitted.thresholds[name] for name in behaviors))
        each = tuple(fitted.minimum_bout[name] for name in behaviors)
    chosen = _per_behavior("thresholds", request.thresholds, thresholds[1:], behaviors)
    if not all(0 <= value < 1 for value in chosen):
        raise ArgumentError(expected("thresholds", "values from 0 to below 1", chosen))
    bouts = _per_behavior("minimum_bout", request.minimum_bout, each, behaviors)
    if not all(_is_count(value, 0) for value in bouts):
        raise ArgumentError(expected("minimum_bout", "whole frames, 0 or more", bouts))
    # The background follows from the others, whatever its own threshold and bouts.
    return Decision((thresholds[0], *chosen), (0, *bouts))


def _per_behavior(
    argument: str, given: Mapping[str, T] | T | None, default: Sequence[T], behaviors: Sequence[str]
) -> tuple[T, ...]:
    """One value a behavior, from one for all, some by name, or the default."""
    if given is None:
        return tuple(default)
    if not isinstance(given, Mapping):
        return (_number(argument, given),) * len(behaviors)
    strangers = sorted(set(given) - set(behaviors))
    if strangers:
        raise ArgumentError(expected(argument, f"behaviors among {list(behaviors)}", strangers))
    return tuple(
        _number(argument, given[name]) if name in given else value
        for name, value in zip(behaviors, default, strict=True)
    )


def _number(argument: str, given: object) -> Any:
    """A plain number, for NumPy's are none to JSON."""
    value: Any = given
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        raise ArgumentError(expected(argument, "a number, or numbers by behavior", value))
    return int(value) if is_whole(value) else float(value)


def _moments(given: Any) -> Moments:
    try:
        (r, g, b), (sr, sg, sb) = given
        mean, std = (float(r), float(g), float(b)), (float(sr), float(sg), float(sb))
    except (TypeError, ValueError):
        mean, std = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    if not all(0 <= value <= 1 for value in mean) or not all(value > 0 for value in std):
        raise ArgumentError(
            expected(
                "normalization",
                '"trial", or three means and three standard deviations of pixel values in [0, 1]',
                given,
            )
        )
    return mean, std


def _is_count(value: Any, least: int) -> bool:
    return is_whole(value) and bool(value >= least)


def _is_trial(value: object) -> bool:
    return isinstance(value, str) and value == "trial"


def _is_size(value: object) -> bool:
    sides = value if isinstance(value, (tuple, list)) else (value, value)
    return len(sides) == 2 and all(_is_count(side, SMALLEST_SIDE) for side in sides)
