"""Where several ethograms of one trial differ, and how well they agree. Pure NumPy.

All of it is about one whole trial. Masks are int8 (n_frames, behavior): 1 occurs, 0 does not,
−1 unlabelled. What is unlabelled in one mask neither agrees nor disagrees with anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soupxr.bouts import mask_to_bouts
from soupxr.errors import ArgumentError, expected
from soupxr.metrics import confusion_counts, mean_known, scores_from

__all__ = ["Agreement", "agreement", "disagreements", "next_stretch"]

Mask = NDArray[np.int8]


@dataclass(frozen=True)
class Agreement:
    """How well masks agree on one behavior.

    Parameters
    ----------
    behavior : str
        Its name.
    kappa : float
        Cohen's kappa of frames; NaN where both masks have one and the same value throughout.
    f1 : float
        F1 of frames; NaN where it neither occurs in one mask nor in the other.
    n_pairs : int
        Pairs of masks. Of more than one, both figures are means over those pairs that have them.
    """

    behavior: str
    kappa: float
    f1: float
    n_pairs: int = 1

    @property
    def text(self) -> str:
        """Both figures, for the end of a lane; a dash where one is not defined."""
        if np.isnan(self.kappa) and np.isnan(self.f1):
            return "–"
        told = f"κ {_told(self.kappa)} · F1 {_told(self.f1)}"
        return told if self.n_pairs == 1 else f"{told} (mean of {self.n_pairs} pairs)"


def disagreements(masks: Sequence[ArrayLike]) -> list[list[int]]:
    """Find the stretches in which any two masks differ.

    Parameters
    ----------
    masks : sequence of array_like of int8, each (n_frames, behavior)
        Two or more.

    Returns
    -------
    list of list of int
        For each behavior ``[start, stop, start, stop, …]``, half-open and rising: frames that one
        mask says it occurs in and another that it does not.

    Raises
    ------
    ArgumentError
        If there are fewer than two masks, or they differ in shape.
    """
    rows = _rows(masks)
    occurs = np.any([row == 1 for row in rows], axis=0)
    absent = np.any([row == 0 for row in rows], axis=0)
    return [mask_to_bouts(column).ravel().tolist() for column in (occurs & absent).T]


def agreement(masks: Sequence[ArrayLike], behaviors: Sequence[str]) -> list[Agreement]:
    """Say how well masks agree, as ``ds.soup.evaluate`` would say of this trial.

    A frame counts for a behavior where both masks of a pair have labelled it. Kappa and F1 are
    the same whichever of two masks is held to be the truth.

    Parameters
    ----------
    masks : sequence of array_like of int8, each (n_frames, behavior)
        Two or more; of more than two, every pair is compared, and the figures are the means.
    behaviors : sequence of str
        Names of the columns.

    Returns
    -------
    list of Agreement
        One a behavior.

    Raises
    ------
    ArgumentError
        If there are fewer than two masks, or they differ in shape.
    """
    rows = _rows(masks)
    if rows[0].shape[1] != len(behaviors):
        told = f"{rows[0].shape[1]} names, one for each column of the masks"
        raise ArgumentError(expected("behaviors", told, list(behaviors)))
    pairs = [scores_from(confusion_counts(*pair)) for pair in combinations(rows, 2)]
    kappa, _ = mean_known(np.array([scores.kappa for scores in pairs]), axis=0)
    f1, _ = mean_known(np.array([scores.f1 for scores in pairs]), axis=0)
    return [
        Agreement(name, float(k), float(f), len(pairs))
        for name, k, f in zip(behaviors, kappa, f1, strict=True)
    ]


def next_stretch(stretches: Sequence[int], frame: int, step: int) -> tuple[int, int] | None:
    """Find the stretch to jump to from a frame.

    Parameters
    ----------
    stretches : sequence of int
        ``[start, stop, start, stop, …]``, rising, as :func:`disagreements` has them.
    frame : int
        Where the playhead is.
    step : {1, -1}
        Forwards to the first stretch that starts after the frame, or backwards to the last that
        starts before it: from within a stretch, to its start.

    Returns
    -------
    (start, stop) or None
        None where there is none in that direction.
    """
    if step not in (1, -1):
        raise ArgumentError(expected("step", "1 or -1", step))
    starts = np.asarray(stretches[::2], dtype=np.int64)
    if step == 1:
        place = int(np.searchsorted(starts, frame, side="right"))
    else:
        place = int(np.searchsorted(starts, frame, side="left")) - 1
    if not 0 <= place < len(starts):
        return None
    return int(stretches[2 * place]), int(stretches[2 * place + 1])


def _told(figure: float) -> str:
    return "–" if np.isnan(figure) else f"{figure:.2f}"


def _rows(masks: Sequence[ArrayLike]) -> list[Mask]:
    rows = [np.asarray(mask) for mask in masks]
    if len(rows) < 2:
        remedy = "Choose another mode or annotator to compare with."
        raise ArgumentError(expected("masks", "two or more", f"{len(rows)}", remedy))
    shapes = [row.shape for row in rows]
    if len(shapes[0]) != 2 or len(set(shapes)) > 1:
        raise ArgumentError(expected("masks", "all of one shape (n_frames, behavior)", shapes))
    return rows
