"""What network a state dict belongs to, told from its keys and shapes alone.

Published files say little about themselves. The names of the layers tell kind and mode, the shapes
classes, window and most of the rest; what no tensor shows is taken from the published models and
listed as assumed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from soupxr.models.flow import FLOW_GENERATORS
from soupxr.models.tgmj import TGMJ
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import MODES, get_mode

__all__ = [
    "KINDS",
    "Facts",
    "Kind",
    "Unidentified",
    "config_names",
    "embedded_flow_generator",
    "identify",
    "misfits",
    "network",
    "some",
]

Kind = Literal["flow_generator", "feature_extractor", "sequence"]

#: The kinds of checkpoint, and what people call them.
KINDS: dict[Kind, str] = {
    "flow_generator": "flow generator",
    "feature_extractor": "feature extractor",
    "sequence": "sequence model",
}

_FLOW = "flow_generator."
LONGEST_KEY = 100
_T = TypeVar("_T")


class Unidentified(Exception):
    """A state dict belongs to none of the networks; says what it looks like instead."""


@dataclass(frozen=True)
class Facts:
    """What a state dict shows of its network.

    Parameters
    ----------
    kind : str
        Key of :data:`KINDS`.
    mode : str or None
        None for sequence models, which are alike in all modes.
    n_classes : int or None
        Background included; None for flow generators.
    window : int or None
        Frames the network sees at once; None for sequence models.
    config : dict
        What the network's class has to be called with, beside these.
    assumed : tuple of str
        What the weights do not show and was taken from the published models.
    """

    kind: Kind
    mode: str | None
    n_classes: int | None = None
    window: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()


def identify(state: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None) -> Facts:
    """Tell which network a state dict belongs to.

    Parameters
    ----------
    state : mapping of str to Tensor
        State dict without prefixes.
    settings : mapping, optional
        Arguments of :class:`~soupxr.models.tgmj.TGMJ` that a file states beside its weights.

    Returns
    -------
    Facts

    Raises
    ------
    Unidentified
        If it is none of ours.
    """
    try:
        if "tgm_layers.0.center" in state:
            return _sequence(state, settings or {})
        if "spatial_classifier.0.conv1.weight" in state:
            return _feature_extractor(state)
        if "predict_flow2.weight" in state or "predict_flow2.0.weight" in state:
            return _flow_generator(state)
    except (KeyError, IndexError) as error:
        raise Unidentified(f"weights are missing or misshapen, {error} among them") from None
    if any(key.removeprefix("0.").startswith("layer4.0.conv1") for key in state):
        raise Unidentified("a plain residual network, of use only to start training from")
    raise Unidentified(f"none of our networks; its first keys are {some(list(state))}")


def network(facts: Facts) -> nn.Module:
    """Make the network that the facts tell of, with fresh weights."""
    if facts.kind == "sequence":
        return TGMJ(_known(facts.n_classes), **facts.config)
    mode = get_mode(_known(facts.mode))
    window = _known(facts.window)
    if facts.kind == "flow_generator":
        return FLOW_GENERATORS[mode.flow_generator](window)
    return HiddenTwoStream(mode, _known(facts.n_classes), window=window, **facts.config)


def _known(value: _T | None) -> _T:
    assert value is not None, "identify and the checkpoint's own checks see to it"
    return value


def config_names(kind: Kind) -> frozenset[str]:
    """Arguments that a network's class takes beside those which every checkpoint names."""
    if kind == "sequence":
        return frozenset(inspect.signature(TGMJ).parameters) - {"n_classes"}
    if kind == "feature_extractor":
        parameters = inspect.signature(HiddenTwoStream).parameters
        return frozenset(parameters) - {"mode", "n_classes", "window"}
    return frozenset()


def misfits(state: Mapping[str, Tensor], facts: Facts) -> list[str]:
    """In what a state dict differs from the network it belongs to; empty where it fits."""
    try:
        with torch.device("meta"):
            wanted = network(facts).state_dict()
    except (ValueError, TypeError) as error:  # ArgumentError among them
        return [f"no network has such settings: {error}"]
    missing = [key for key in wanted if key not in state]
    unknown = [key for key in state if key not in wanted]
    problems = []
    if missing:
        problems.append(f"{some(missing)} missing")
    if unknown:
        problems.append(f"{some(unknown)} unknown to this network")
    problems.extend(
        f"{key} has shape {tuple(value.shape)} where {tuple(wanted[key].shape)} belongs"
        for key, value in state.items()
        if key in wanted and value.shape != wanted[key].shape
    )
    return problems


def some(keys: Sequence[str]) -> str:
    """The first of some keys; those that no program wrote can be long."""
    shown = ", ".join(key[:LONGEST_KEY] for key in keys[:3])
    return f"{shown} and {len(keys) - 3} more" if len(keys) > 3 else shown


def _flow_generator(state: Mapping[str, Tensor]) -> Facts:
    kernel = state["conv1.0.weight"]
    if kernel.ndim == 5:
        # Volumes of any length fit the same kernels.
        return Facts("flow_generator", "slow", window=MODES["slow"].window, assumed=("window",))
    mode = "medium" if "conv1_1.0.weight" in state else "fast"
    return Facts("flow_generator", mode, window=kernel.shape[1] // 3)


def _feature_extractor(state: Mapping[str, Tensor]) -> Facts:
    if state["spatial_classifier.0.conv1.weight"].ndim == 5:
        mode = "slow"
    elif "spatial_classifier.0.compression_fc.0.weight" in state:
        mode = "medium"
    else:
        mode = "fast"
    embedded = embedded_flow_generator(state)
    if not embedded:
        raise Unidentified("a feature extractor without the flow generator that belongs inside")
    flow = _flow_generator(embedded)
    if flow.mode != mode:
        raise Unidentified(
            f"a mixture: classifiers of mode {mode!r} beside a flow generator of {flow.mode!r}"
        )
    last = "fusion.fc.weight" if "fusion.fc.weight" in state else "spatial_classifier.1.weight"
    fusion = "average"
    if "fusion.fc.weight" in state:
        fusion = "concatenate"
    elif "fusion.flow_weight" in state:
        fusion = "weighted_average"
    return Facts(
        "feature_extractor",
        mode,
        n_classes=state[last].shape[0],
        window=flow.window,
        config={"fusion": fusion, "final_bn": "spatial_classifier.2.weight" in state},
        assumed=flow.assumed,
    )


def embedded_flow_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The flow generator within a feature extractor's state dict."""
    return {key[len(_FLOW) :]: value for key, value in state.items() if key.startswith(_FLOW)}


def _sequence(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> Facts:
    final_bn = "classify1.1.weight" in state
    nonlinear = "h.weight" in state
    classify = state["classify1.0.weight" if final_bn else "classify1.weight"]
    config: dict[str, Any] = {
        "n_features": state["h.weight"].shape[1] if nonlinear else classify.shape[1],
        "n_layers": sum(key.startswith("tgm_layers.") and ".center" in key for key in state),
        "n_filters": state["tgm_layers.0.center"].shape[0],
        "c_out": state["tgm_layers.0.soft_attn"].shape[0],
        "soft_attention": not any(".convs." in key for key in state),
        "nonlinear": nonlinear,
        "final_bn": final_bn,
        "use_logits": "weights" in state,
    }
    if nonlinear:
        config["hidden"] = state["h.weight"].shape[0]
    # No tensor has the filters' length for a dimension, nor tells a maximum from a mean.
    unseen: dict[str, Any] = {"filter_length": 15}
    if "reduction_layer.weight" in state:
        config["reduction"] = "conv1x1"
    else:
        unseen["reduction"] = "max"
    stated = {name: settings[name] for name in unseen if name in settings}
    config |= unseen | stated
    return Facts(
        "sequence",
        None,
        n_classes=classify.shape[0],
        config=config,
        assumed=tuple(name for name in unseen if name not in stated),
    )
