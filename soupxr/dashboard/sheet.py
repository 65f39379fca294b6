"""Lays an ethogram out on a sheet: which bar, curve and name stands where. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Band", "Curve", "Sheet", "overview_sheet", "raster_sheet", "thinned"]

#: Points of a probability curve; longer ones keep the extremes of each stretch.
CURVE_POINTS = 4000

#: Heights in pixels: curve, bar among others, bar alone in its lane, what is left free.
CURVE, ROW, LONE_ROW, GAP, MARGIN = 36.0, 17.0, 26.0, 2.5, 5.0
#: The same in an overview: a behavior's lane, and what is free around it and around a trial.
THIN_LANE, THIN_GAP, BLOCK_GAP = 9.0, 1.2, 5.0


@dataclass(frozen=True, eq=False)
class Band:
    """One row of bars: a behavior of one ethogram, between two heights."""

    behavior: str
    row: str
    values: npt.NDArray[np.int8]
    bottom: float
    top: float
    faded: bool = False


@dataclass(frozen=True, eq=False)
class Curve:
    """The probability of a behavior, drawn between two heights."""

    behavior: str
    values: npt.NDArray[np.float32]
    threshold: float | None
    bottom: float
    top: float


@dataclass(frozen=True, eq=False)
class Sheet:
    """Everything in a picture, laid out; heights are in pixels, from the bottom."""

    bands: list[Band]
    curves: list[Curve]
    stripes: list[tuple[float, float, float, float]]
    ticks: list[tuple[float, str]]
    n_frames: int
    height: float
    colors: dict[str, str]
    named_lanes: bool


def raster_sheet(
    rows: Mapping[str, npt.NDArray[np.int8]],
    colors: Mapping[str, str],
    probability: npt.NDArray[np.float32] | None,
    limits: Sequence[float | None],
    with_truth: bool,
) -> Sheet:
    """One lane for each behavior, the first on top; in it the curve, the rows, the truth last."""
    bands, curves, stripes, ticks = [], [], [], []
    n_frames = max(len(values) for values in rows.values())
    tall = CURVE if probability is not None else 0.0
    bar = ROW if len(rows) > 1 or tall else LONE_ROW
    height = tall + len(rows) * bar + 2 * MARGIN
    for lane, behavior in enumerate(colors):
        ceiling = (len(colors) - lane) * height
        if lane % 2 == 0:
            stripes.append((0.0, ceiling - height, float(n_frames), ceiling))
        if probability is not None:
            values = probability[:n_frames, lane]
            curves.append(Curve(behavior, values, limits[lane], ceiling - tall, ceiling - MARGIN))
        for place, (row, ethogram) in enumerate(rows.items()):
            top = ceiling - MARGIN - tall - place * bar
            bottom = top - bar + (GAP if len(rows) > 1 else 0.0)
            faded = with_truth and row == "truth"
            bands.append(Band(behavior, row, ethogram[:, lane], bottom, top, faded))
            label = f"{behavior} · {row}" if place == 0 else row
            ticks.append(((bottom + top) / 2, label if len(rows) > 1 else behavior))
    return Sheet(bands, curves, stripes, ticks, n_frames, len(colors) * height, dict(colors), True)


def overview_sheet(
    trials: Mapping[str, tuple[npt.NDArray[np.int8], npt.NDArray[np.int8] | None]],
    colors: Mapping[str, str],
) -> Sheet:
    """A block for each trial, the first on top, with thin lanes in it."""
    bands, stripes, ticks = [], [], []
    block = len(colors) * THIN_LANE + 3 * BLOCK_GAP
    n_frames = max(len(rows) for pair in trials.values() for rows in pair if rows is not None)
    for place, (trial, (ethogram, truth)) in enumerate(trials.items()):
        ceiling = (len(trials) - place) * block - BLOCK_GAP / 2
        floor = ceiling - block + BLOCK_GAP
        ticks.append(((ceiling + floor) / 2, trial))
        stripes.append((0.0, floor, float(len(ethogram)), ceiling))
        for lane, behavior in enumerate(colors):
            top = ceiling - BLOCK_GAP - lane * THIN_LANE
            bottom = top - THIN_LANE + THIN_GAP
            split = bottom if truth is None else (top + bottom) / 2
            bands.append(Band(behavior, trial, ethogram[:, lane], split, top))
            if truth is not None:
                row = f"{trial}, truth"
                bands.append(Band(behavior, row, truth[:, lane], bottom, split, faded=True))
    height = len(trials) * block
    return Sheet(bands, [], stripes, ticks, n_frames, height, dict(colors), False)


def thinned(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Points of a curve, at most about CURVE_POINTS; each stretch keeps its extremes."""
    if len(values) <= CURVE_POINTS:
        return np.arange(len(values)) + 0.5, values
    starts = np.linspace(0, len(values), CURVE_POINTS // 2, endpoint=False).astype(int)
    extremes = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    return np.repeat(starts + 0.5, 2), np.stack(extremes, axis=1).ravel()
