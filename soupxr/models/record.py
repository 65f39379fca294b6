"""What a checkpoint says of itself, and whether that holds together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from soupxr.errors import ArgumentError, CheckpointError, expected
from soupxr.models.identify import (
    KINDS,
    Facts,
    Kind,
    config_names,
    embedded_flow_generator,
    network,
)
from soupxr.modes import MODES

__all__ = [
    "STORED",
    "Checkpoint",
    "Normalization",
    "Preprocessing",
    "contradictions",
    "named",
]

Preprocessing = Literal["antialias", "plain"]
Normalization = tuple[tuple[float, float, float], tuple[float, float, float]]

#: Fields that stand in our files as they are, beside the weights.
STORED = (
    "kind",
    "mode",
    "n_classes",
    "behaviors",
    "window",
    "image_size",
    "preprocessing",
    "normalization",
    "thresholds",
    "minimum_bout",
    "soupxr_version",
    "epoch",
    "config",
    "extra",
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Checkpoint:
    """A network's weights with everything that has to be known to use them.

    Parameters
    ----------
    path : Path
        File it was read from.
    sha256 : str
        Digest of that file.
    kind : {"flow_generator", "feature_extractor", "sequence"}
        Which network.
    mode : str or None
        Mode; None for sequence models of foreign origin, which are alike in all modes.
    n_classes : int or None
        Classes, background included; None for flow generators.
    behaviors : tuple of str or None
        Names of the classes, without the background.
    window : int or None
        Frames that the network sees at once; None for sequence models.
    image_size : (int, int) or None
        Height and width that pictures are brought to.
    preprocessing : {"antialias", "plain"} or None
        How: bilinear with or without antialiasing.
    normalization : (mean, std) or None
        Per colour, of values in [0, 1].
    thresholds : tuple of float or None
        Probability above which a class occurs, background first.
    minimum_bout : int or tuple of int or None
        Frames below which a bout or a gap is filtered away; for all classes or each.
    format : {"soupxr", "deepethogram", "lightning", "state_dict"}
        Who wrote the file.
    soupxr_version : str or None
        Version that wrote it.
    epoch : int or None
        Epoch of training it is from.
    config : dict
        What the network's class is called with, beside these.
    extra : dict
        Whatever else the writer kept: plain values.
    assumed : tuple of str
        Fields or parts of ``config`` that the file does not show and that were taken from the
        published models.
    state_dict : dict of str to Tensor
        The weights, in main memory.
    """

    path: Path
    sha256: str
    kind: Kind
    mode: str | None
    n_classes: int | None
    behaviors: tuple[str, ...] | None
    window: int | None
    image_size: tuple[int, int] | None
    preprocessing: Preprocessing | None
    normalization: Normalization | None
    thresholds: tuple[float, ...] | None
    minimum_bout: int | tuple[int, ...] | None
    format: Literal["soupxr", "deepethogram", "lightning", "state_dict"]
    soupxr_version: str | None
    epoch: int | None
    config: dict[str, Any]
    extra: dict[str, Any]
    assumed: tuple[str, ...]
    state_dict: dict[str, Tensor]

    def __repr__(self) -> str:
        parts = [named(self.kind, self.mode)]
        if self.n_classes is not None:
            parts.append(f"{self.n_classes} classes")
        if self.behaviors is not None:
            parts.append(", ".join(self.behaviors))
        if self.window is not None:
            parts.append(f"window {self.window}")
        if self.image_size is not None:
            parts.append("{}×{} pixels".format(*self.image_size))
        if self.assumed:
            parts.append(f"assumed: {', '.join(self.assumed)}")
        return (
            f"<Checkpoint {self.path.name} ({self.format}, {self.sha256[:8]}): {'; '.join(parts)}>"
        )

    def build(self, flow_generator: Checkpoint | None = None) -> nn.Module:
        """Make the network with these weights.

        Parameters
        ----------
        flow_generator : Checkpoint, optional
            For a feature extractor: weights to use in the place of its own copy of the flow
            generator, as older programs do at inference.

        Returns
        -------
        nn.Module
            In eval mode, on the CPU; it shares no memory with ``state_dict``.
        """
        weights = self.state_dict
        if flow_generator is not None:
            weights = weights | self._replacement(flow_generator)
        facts = Facts(self.kind, self.mode, self.n_classes, self.window, self.config)
        if self.kind == "sequence":
            # Two of its keys are one parameter, a tie that would not survive leaving "meta".
            with torch.random.fork_rng(devices=[]):
                model = network(facts)
        else:
            with torch.device("meta"):
                model = network(facts)
            model.to_empty(device="cpu")
        model.load_state_dict(weights)
        return model.eval()

    def flow_generator(self) -> Checkpoint | None:
        """The flow generator that a feature extractor's file holds, else None."""
        if self.kind != "feature_extractor":
            return None
        return dataclasses.replace(
            self,
            kind="flow_generator",
            n_classes=None,
            behaviors=None,
            thresholds=None,
            minimum_bout=None,
            config={},
            state_dict=embedded_flow_generator(self.state_dict),
        )

    def _replacement(self, flow: Checkpoint) -> dict[str, Tensor]:
        if self.kind != "feature_extractor":
            raise ArgumentError(
                expected("flow_generator", f"None, for a {KINDS[self.kind]} has none", flow)
            )
        wanted = ("flow_generator", self.mode, self.window)
        if (flow.kind, flow.mode, flow.window) != wanted:
            raise CheckpointError(
                expected(
                    str(flow.path),
                    f"{named('flow_generator', self.mode)} for windows of {self.window} frames",
                    flow,
                    "Give the flow generator that belongs to the feature extractor.",
                )
            )
        return {f"flow_generator.{key}": value for key, value in flow.state_dict.items()}


def named(kind: Kind, mode: str | None) -> str:
    """What people call such a model."""
    if mode is None:
        return KINDS[kind]
    record = MODES[mode]
    parts = {
        "flow_generator": record.flow_generator,
        "feature_extractor": f"{record.backbone}, {record.flow_generator}",
        "sequence": "TGMJ",
    }
    return f"{KINDS[kind]} of mode {mode!r} ({parts[kind]})"


def contradictions(checkpoint: Checkpoint, seen: Facts) -> list[str]:
    """In what a checkpoint of ours lacks something or contradicts its weights.

    Parameters
    ----------
    checkpoint : Checkpoint
        As written or to be written.
    seen : Facts
        What its weights show.

    Returns
    -------
    list of str
        Each worded by :func:`soupxr.errors.expected`; empty where all is well.
    """
    return [
        *_against_weights(checkpoint, seen),
        *_of_classes(checkpoint),
        *_of_pictures(checkpoint),
    ]


def _against_weights(checkpoint: Checkpoint, seen: Facts) -> Iterator[str]:
    modes = tuple(MODES) if seen.mode is None else (seen.mode,)
    if checkpoint.kind != seen.kind:
        yield expected("kind", f"{seen.kind!r}, as the weights are", checkpoint.kind)
    if checkpoint.mode not in modes:
        yield expected("mode", " or ".join(map(repr, modes)), checkpoint.mode)
    if checkpoint.n_classes != seen.n_classes:
        yield expected("behaviors", f"names for {seen.n_classes} classes", checkpoint.n_classes)
    if "window" in seen.assumed:
        if not isinstance(checkpoint.window, int) or checkpoint.window < 2:
            yield expected("window", "two frames or more", checkpoint.window)
    elif checkpoint.window != seen.window:
        yield expected("window", f"{seen.window}, as the weights have", checkpoint.window)
    known = config_names(seen.kind)
    unknown = set(checkpoint.config) - known
    differing = [
        name
        for name, value in seen.config.items()
        if name not in seen.assumed and checkpoint.config.get(name) != value
    ]
    lacking = [name for name in seen.assumed if name in known - set(checkpoint.config)]
    for name in (*sorted(unknown), *differing, *lacking):
        yield expected(f"config[{name!r}]", str(seen.config.get(name)), checkpoint.config.get(name))


def _of_classes(checkpoint: Checkpoint) -> Iterator[str]:
    n_classes, behaviors = checkpoint.n_classes, checkpoint.behaviors
    if n_classes is None:
        return
    names = set(behaviors or ())
    if len(names) != n_classes - 1 or len(names) != len(behaviors or ()) or "background" in names:
        yield expected(
            "behaviors", f"{n_classes - 1} different names, without the background", behaviors
        )
    thresholds = checkpoint.thresholds
    if thresholds is not None and (
        len(thresholds) != n_classes or not all(0 <= value <= 1 for value in thresholds)
    ):
        yield expected("thresholds", f"{n_classes} numbers in [0, 1], background first", thresholds)
    minimum = checkpoint.minimum_bout
    each = minimum if isinstance(minimum, tuple) else (minimum or 0,)
    fits = len(each) == n_classes or not isinstance(minimum, tuple)
    if not fits or not all(isinstance(n, int) and n >= 0 for n in each):
        yield expected("minimum_bout", f"frames, one number or {n_classes}", minimum)


def _of_pictures(checkpoint: Checkpoint) -> Iterator[str]:
    optional = checkpoint.kind == "sequence"
    size, normalization = checkpoint.image_size, checkpoint.normalization
    if not ((optional and size is None) or _positive(size, 2)):
        yield expected("image_size", "(height, width) in pixels", size)
    if not ((optional and normalization is None) or _is_normalization(normalization)):
        yield expected("normalization", "(mean, std), three numbers each", normalization)
    preprocessings = ("antialias", "plain") + ((None,) if optional else ())
    if checkpoint.preprocessing not in preprocessings:
        yield expected(
            "preprocessing", " or ".join(map(repr, preprocessings)), checkpoint.preprocessing
        )


def _is_normalization(value: Any) -> bool:
    pair = isinstance(value, tuple) and len(value) == 2
    return pair and len(value[0]) == 3 and _positive(value[1], 3)


def _positive(values: Any, count: int) -> bool:
    return isinstance(values, tuple) and len(values) == count and all(v > 0 for v in values)
