"""Lays an ethogram out on a sheet: which bar, curve and name stands where. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Band",
    "Clock",
    "Curve",
    "Sheet",
    "TimeAxis",
    "bar_height",
    "block",
    "overview_sheet",
    "raster_sheet",
    "thinned",
]

#: Points of a probability curve; longer ones keep the extremes of each stretch.
CURVE_POINTS = 4000

#: Heights in pixels: curve, bar among others, bar alone in its lane, what is left free.
CURVE, ROW, LONE_ROW, GAP, MARGIN = 36.0, 17.0, 26.0, 2.5, 5.0
#: The same in an overview: a behavior's lane, and what is free around it and around a trial.
THIN_LANE, THIN_GAP, BLOCK_GAP = 9.0, 1.2, 5.0
#: No bar of an overview is lower.
THIN_BAR = 2.6


@dataclass(frozen=True)
class Clock:
    """Where the frames of a trial stand along the axis of time; by default at their numbers."""

    fps: float | None = None
    start: float = 0.0
    step: float = 1.0

    def at(self, frame: Any) -> Any:
        """Place of a frame's beginning, or of several frames'."""
        return self.start + self.step * frame


@dataclass(frozen=True)
class TimeAxis:
    """The axis of time, and a second one above it in another unit."""

    left: float
    right: float
    label: str = "frame"
    above: tuple[str, float] | None = None  # its label, and how much of it is 1 of the axis below

    @classmethod
    def of_frames(cls, n_frames: int, fps: float | None) -> TimeAxis:
        """Frames, and seconds above where the rate is known."""
        above = None if fps is None else ("time (s)", 1 / fps)
        return cls(0.0, float(max(n_frames, 1)), above=above)


@dataclass(frozen=True, eq=False)
class Band:
    """One row of bars: a behavior of one ethogram, between two heights."""

    behavior: str
    row: str
    values: npt.NDArray[np.int8]
    bottom: float
    top: float
    faded: bool = False
    clock: Clock = Clock()


@dataclass(frozen=True, eq=False)
class Curve:
    """The probability of a behavior, drawn between two heights."""

    behavior: str
    values: npt.NDArray[np.float32]
    threshold: float | None
    bottom: float
    top: float
    clock: Clock = Clock()


@dataclass(frozen=True, eq=False)
class Sheet:
    """Everything in a picture, laid out; heights are in pixels, from the bottom."""

    bands: list[Band]
    curves: list[Curve]
    stripes: list[tuple[float, float, float, float]]
    ticks: list[tuple[float, str]]
    axis: TimeAxis
    height: float
    colors: dict[str, str]
    named_lanes: bool
    rules: tuple[float, ...] = ()
    #: Width of the edge that keeps short bouts visible; rows that are thin bear a thin one only.
    edge: float = 1.0
    #: What is said of frames that are neither 1 nor 0.
    unknown: str = "not inferred"


def raster_sheet(
    rows: Mapping[str, npt.NDArray[np.int8]],
    colors: Mapping[str, str],
    probability: npt.NDArray[np.float32] | None,
    limits: Sequence[float | None],
    truth: str | None,
    clock: Clock,
    axis: TimeAxis | None = None,
    rules: tuple[float, ...] = (),
    unknown: str = "not inferred",
) -> Sheet:
    """One lane for each behavior, the first on top; in it the curve, then the rows; truth pale."""
    bands, curves, stripes, ticks = [], [], [], []
    n_frames = max(len(values) for values in rows.values())
    tall = CURVE if probability is not None else 0.0
    bar = ROW if len(rows) > 1 or tall else LONE_ROW
    height = tall + len(rows) * bar + 2 * MARGIN
    for lane, behavior in enumerate(colors):
        ceiling = (len(colors) - lane) * height
        if lane % 2 == 0:
            stripes.append((clock.at(0.0), ceiling - height, clock.at(float(n_frames)), ceiling))
        if probability is not None:
            curve, floor = probability[:n_frames, lane], ceiling - tall
            curves.append(Curve(behavior, curve, limits[lane], floor, ceiling - MARGIN, clock))
        for place, (row, ethogram) in enumerate(rows.items()):
            top = ceiling - MARGIN - tall - place * bar
            bottom = top - bar + (GAP if len(rows) > 1 else 0.0)
            values = ethogram[:, lane]
            bands.append(Band(behavior, row, values, bottom, top, row == truth, clock))
            label = f"{behavior} · {row}" if place == 0 else row
            ticks.append(((bottom + top) / 2, label if len(rows) > 1 else behavior))
    axis = axis or TimeAxis.of_frames(n_frames, clock.fps)
    total = len(colors) * height
    return Sheet(
        bands, curves, stripes, ticks, axis, total, dict(colors), True, rules, unknown=unknown
    )


def overview_sheet(
    trials: Mapping[str, tuple[npt.NDArray[np.int8], npt.NDArray[np.int8] | None]],
    colors: Mapping[str, str],
    fps: float | None,
) -> Sheet:
    """A block for each trial, the first on top, with thin lanes in it."""
    bands, stripes, ticks = [], [], []
    height = len(colors) * THIN_LANE + 3 * BLOCK_GAP
    n_frames = max(len(rows) for pair in trials.values() for rows in pair if rows is not None)
    for place, (trial, (ethogram, truth)) in enumerate(trials.items()):
        ceiling = (len(trials) - place) * height - BLOCK_GAP / 2
        floor = ceiling - height + BLOCK_GAP
        ticks.append(((ceiling + floor) / 2, trial))
        stripes.append((0.0, floor, float(len(ethogram)), ceiling))
        top = ceiling - BLOCK_GAP
        bands += block(trial, ethogram, truth, list(colors), top, THIN_LANE, Clock(fps))
    axis = TimeAxis.of_frames(n_frames, fps)
    return Sheet(bands, [], stripes, ticks, axis, len(trials) * height, dict(colors), False)


def bar_height(lane: float) -> float:
    """Height of the bars in a lane of an overview."""
    return max(lane - THIN_GAP * lane / THIN_LANE, THIN_BAR)


def block(
    trial: str,
    ethogram: npt.NDArray[np.int8],
    truth: npt.NDArray[np.int8] | None,
    behaviors: Sequence[str],
    ceiling: float,
    lane: float,
    clock: Clock,
) -> list[Band]:
    """The lanes of one trial from a height downwards; below each ethogram, half as high, truth.

    Bars stay as high as can be seen: where lanes are lower, each covers part of the one above.
    """
    bands = []
    for column, behavior in enumerate(behaviors):
        top = ceiling - column * lane
        bottom = top - bar_height(lane)
        split = bottom if truth is None else (top + bottom) / 2
        bands.append(Band(behavior, trial, ethogram[:, column], split, top, False, clock))
        if truth is not None:
            row = f"{trial}, truth"
            bands.append(Band(behavior, row, truth[:, column], bottom, split, True, clock))
    return bands


def thinned(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Points of a curve, at most about CURVE_POINTS; each stretch keeps its extremes."""
    if len(values) <= CURVE_POINTS:
        return np.arange(len(values)) + 0.5, values
    starts = np.linspace(0, len(values), CURVE_POINTS // 2, endpoint=False).astype(int)
    extremes = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    return np.repeat(starts + 0.5, 2), np.stack(extremes, axis=1).ravel()
