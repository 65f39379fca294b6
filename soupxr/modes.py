"""The three modes: the one place that pairs networks (DESIGN: "The three modes").

Plain records that import nothing heavy; ``soupxr.models`` turns the names into networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from soupxr.errors import ArgumentError, expected

__all__ = ["BEHAVIORS", "MODES", "Layout", "Mode", "ModeName", "get_mode"]

ModeName = Literal["fast", "medium", "slow"]
FlowGeneratorName = Literal["TinyMotionNet", "MotionNet", "TinyMotionNet3D"]
BackboneName = Literal["resnet18", "resnet50", "resnet3d_34"]
Layout = Literal["stacked", "volume"]

#: Behaviors of the reach-to-grab task, in the order of the published models' classes.
BEHAVIORS = ("lift", "handopen", "grab", "supinate", "atmouth", "chew")


@dataclass(frozen=True)
class Mode:
    """Which networks work together, and how they want their input.

    Parameters
    ----------
    name : {"fast", "medium", "slow"}
        What the user types.
    flow_generator : str
        Network that estimates optic flow.
    backbone : str
        Residual network of both classifiers.
    layout : {"stacked", "volume"}
        ``"stacked"``: the window's frames stand in the channels, (N, 3·window, H, W), frame-major;
        ``"volume"``: (N, 3, window, H, W).
    published_thresholds : tuple of float
        Thresholds of the published reach-to-grab models: background, then :data:`BEHAVIORS`.
    window : int
        Frames that the networks see at once, centred on the classified one.
    feature_width : int
        Width of the spatial and, likewise, of the flow features.
    """

    name: ModeName
    flow_generator: FlowGeneratorName
    backbone: BackboneName
    layout: Layout
    published_thresholds: tuple[float, ...]
    window: int = 11
    feature_width: int = 512


MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode(
            name="fast",
            flow_generator="TinyMotionNet",
            backbone="resnet18",
            layout="stacked",
            published_thresholds=(
                0.5628578,
                0.8090643,
                0.5678824,
                0.5327101,
                0.4121191,
                0.42216834,
                0.63822716,
            ),
        ),
        Mode(
            name="medium",
            flow_generator="MotionNet",
            backbone="resnet50",
            layout="stacked",
            published_thresholds=(
                0.5226608,
                0.71359646,
                0.7387196,
                0.71862113,
                0.5327101,
                0.4121191,
                0.5327101,
            ),
        ),
        Mode(
            name="slow",
            flow_generator="TinyMotionNet3D",
            backbone="resnet3d_34",
            layout="volume",
            published_thresholds=(
                0.44729146,
                0.8090643,
                0.81408894,
                0.7889658,
                0.6332025,
                0.5528085,
                0.72364575,
            ),
        ),
    )
}

assert tuple(MODES) == get_args(ModeName)


def get_mode(mode: str) -> Mode:
    """Look a mode up by name.

    Raises
    ------
    ArgumentError
        If there is no such mode.
    """
    try:
        return MODES[mode]
    except (KeyError, TypeError):
        names = ", ".join(repr(name) for name in MODES)
        raise ArgumentError(expected("mode", f"one of {names}", mode)) from None
