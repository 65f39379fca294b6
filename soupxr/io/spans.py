"""Bouts as other programs tell them, and the masks that they become. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["LENIENCE", "Painted", "Rest", "Span", "paint"]

Mask = npt.NDArray[np.int8]
Rest = Literal["absent", "unlabelled"]
#: A bout that ends this many frames after the trial ends there: programs round a video's length.
LENIENCE = 2


@dataclass(frozen=True)
class Span:
    """One bout of one trial.

    Parameters
    ----------
    behavior : str
        Of the store; empty for all behaviors.
    start, stop : int
        Frames, half-open.
    where : str
        File and row, for messages.
    value : {1, 0, -1}
        What is so from start to stop: it occurs, does not, is unlabelled.
    """

    behavior: str
    start: int
    stop: int
    where: str
    value: Literal[1, 0, -1] = 1


@dataclass(frozen=True)
class Painted:
    """A trial's mask, and what was found on the way."""

    mask: Mask
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def paint(
    spans: Iterable[Span],
    n_frames: int,
    behaviors: Sequence[str],
    rest: Rest = "absent",
    observed: Sequence[tuple[int, int]] | None = None,
) -> Painted:
    """The mask of one trial.

    Parameters
    ----------
    n_frames : int
        Of the trial. A bout that ends at most two frames later ends there, with a note.
    behaviors : sequence of str
        The store's.
    rest : {"absent", "unlabelled"}
        What a frame is that no bout covers.
    observed : sequence of (int, int), optional
        Stretches that were looked at; outside, everything is unlabelled.
    """
    problems: list[str] = []
    notes: list[str] = []
    mask = np.full((n_frames, len(behaviors)), 0 if rest == "absent" else -1, np.int8)
    by_behavior: Mapping[str, list[Span]] = defaultdict(list)
    # What occurs counts for more than what somebody did not look at.
    for span in sorted(spans, key=lambda span: span.value == 1):
        problem = _wrong(span, n_frames)
        if problem:
            problems.append(f"{span.where}: {problem}")
            continue
        stop = min(span.stop, n_frames)
        if stop < span.stop:
            notes.append(
                f"{span.where}: ends at the trial's end, {span.stop - stop} frame(s) early"
            )
        columns = slice(None) if not span.behavior else behaviors.index(span.behavior)
        mask[span.start : stop, columns] = span.value
        if span.value == 1:
            by_behavior[span.behavior].append(span)
    for same in by_behavior.values():
        notes += _overlaps(same)
    if observed is not None:
        seen = np.zeros(n_frames, dtype=bool)
        for start, stop in observed:
            seen[max(start, 0) : max(stop, 0)] = True
        outside = (mask[~seen] == 1).any()
        if outside:
            notes.append("some bouts reach beyond what was observed; there they are left out")
        mask[~seen] = -1
    return Painted(mask, tuple(problems), tuple(notes))


def _wrong(span: Span, n_frames: int) -> str:
    if span.start < 0:
        return f"starts before the trial, at frame {span.start}"
    if span.start >= span.stop:
        return f"starts at frame {span.start}, not before it stops, at {span.stop}"
    if span.start >= n_frames or span.stop > n_frames + LENIENCE:
        return (
            f"lasts from frame {span.start} to {span.stop}, but the trial has {n_frames} frames. "
            "Does it belong to another video, or is the unit of time another one?"
        )
    return ""


def _overlaps(spans: Sequence[Span]) -> Iterable[str]:
    before: Span | None = None
    for span in sorted(spans, key=lambda span: (span.start, span.stop)):
        if before is not None and span.start < before.stop:
            yield f"{before.where} and {span.where}: bouts of {span.behavior} overlap, and are one"
        if before is None or span.stop > before.stop:
            before = span
