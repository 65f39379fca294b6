"""What was really computed, whatever a run says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from soupxr.inference.engine import FeatureEngine

__all__ = ["counted"]


def counted(seen: list[int]) -> Callable[..., Any]:
    """The engine's forward pass, counting the frames that it sees."""
    forward = FeatureEngine._forward

    def counting(self: FeatureEngine, frames: Any, every: int) -> Any:
        seen.append(len(frames) - self.network.window + 1)
        return forward(self, frames, every)

    return counting
