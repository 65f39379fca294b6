"""Lays many trials out below one another, on one axis of time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from soupxr.dashboard.sheet import (
    BLOCK_GAP,
    THIN_LANE,
    Clock,
    Sheet,
    TimeAxis,
    bar_height,
    block,
)

__all__ = ["Stacked", "stack_sheet"]

#: Height in pixels that lanes shrink to keep to, and what they do not shrink below.
AIM, THINNEST = 900.0, 0.5
#: Height of a group's heading, and of what parts groups where trials are too thin to be named.
HEADING, PARTING = 22.0, 9.0
#: Height that a name takes, and how many names stand beside trials that are thinner.
NAME, NAMES = 13.0, 24


@dataclass(frozen=True, eq=False)
class Stacked:
    """One of the trials: its name among all and within its group, and its labels."""

    key: str
    name: str
    group: str | None
    ethogram: npt.NDArray[np.int8]
    truth: npt.NDArray[np.int8] | None
    clock: Clock


def stack_sheet(
    trials: Sequence[Stacked],
    colors: Mapping[str, str],
    axis: TimeAxis,
    rules: tuple[float, ...],
    unknown: str,
) -> Sheet:
    """A block for each trial, the first on top; lanes as high as so many trials leave them."""
    lane = min(max(AIM / (len(trials) * len(colors)), THINNEST), THIN_LANE)
    gap = BLOCK_GAP * lane / THIN_LANE
    height = (len(colors) - 1) * lane + bar_height(lane) + 2 * gap
    named = height >= NAME
    grouped = [(name, list(members)) for name, members in groupby(trials, lambda t: t.group)]
    parting = 0.0 if grouped[0][0] is None else HEADING if named else PARTING
    total = ceiling = len(trials) * height + len(grouped) * parting
    bands, stripes, ticks, places = [], [], [], []
    for group, members in grouped:
        if group is not None:
            told = f"{group} · {len(members)} trial" + ("s" if len(members) > 1 else "")
            middle = parting / 2 if named else parting + len(members) * height / 2
            ticks.append((ceiling - middle, told))
        ceiling -= parting
        for trial in members:
            left, right = trial.clock.at(0.0), trial.clock.at(float(len(trial.ethogram)))
            stripes.append((left, ceiling - height + gap / 2, right, ceiling - gap / 2))
            bands += block(
                trial.key, trial.ethogram, trial.truth, list(colors), ceiling - gap, lane,
                trial.clock,
            )  # fmt: skip
            places.append((ceiling - height / 2, trial.name))
            ceiling -= height
    ticks += places if named else []
    if not ticks:
        ticks = places[:: -(-len(places) // NAMES)]
    edge = min(1.0, 2 * lane / THIN_LANE)
    return Sheet(bands, [], stripes, ticks, axis, total, dict(colors), False, rules, edge, unknown)
