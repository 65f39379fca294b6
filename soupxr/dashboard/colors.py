"""Colours of behaviors, the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from soupxr.dashboard.ethogram import PALETTE, behavior_colors

__all__ = ["dark_colors"]

#: The palette for a dark page: the same hues, lighter.
DARK_PALETTE = (
    "#3D9BE3",
    "#F2B134",
    "#1DC28C",
    "#E49BC8",
    "#F47B3B",
    "#8FD0F5",
    "#C6638D",
    "#C4C463",
    "#873DF5",
)


def dark_colors(behaviors: Iterable[str]) -> dict[str, str]:
    """Colour of each behavior on a dark page, ``#RRGGBB`` by name."""
    darker = dict(zip(PALETTE, DARK_PALETTE, strict=True))
    return {name: darker[light] for name, light in behavior_colors(behaviors).items()}
