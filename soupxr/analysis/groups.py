"""Which trials belong together, and the labelled dimensions that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.analysis.recorded import Labels
from soupxr.errors import ArgumentError, expected

__all__ = ["By", "Groups", "groups_of"]

By = str | Sequence[str] | None


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups as dimensions and coordinates, and the flat number of each trial's group."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: Any
    of_trial: npt.NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many cells there are, those of no trial included."""
        return int(np.prod(self.shape, dtype=np.int64))


def groups_of(labels: Labels, by: By) -> Groups:
    """Group the trials.

    Parameters
    ----------
    labels : Labels
        The trials.
    by : str, sequence of str or None
        ``"trial"`` keeps each; None puts all together. ``"session"`` is an animal's session, for
        others may have one of the same name.

    Raises
    ------
    ArgumentError
        If there is no such fact about the trials.
    """
    if by == "trial":
        alone = labels.dim is None
        dims = () if labels.dim is None else (labels.dim,)
        every = np.arange(labels.n_trials)
        return Groups(dims, () if alone else every.shape, labels.coords, every)
    names = _names(by, labels)
    found = [np.unique(labels.about_trials(name), return_inverse=True) for name in names]
    coords = dict(_shared(labels, names)) | {
        name: values for name, (values, _) in zip(names, found, strict=True)
    }
    shape = tuple(len(values) for values, _ in found)
    of_trial = np.zeros(labels.n_trials, dtype=np.int64)
    for values, place in found:
        of_trial = of_trial * len(values) + place
    return Groups(names, shape, coords, of_trial)


def _names(by: By, labels: Labels) -> tuple[str, ...]:
    if by is None:
        return ()
    names = (by,) if isinstance(by, str) else tuple(by)
    if names == ("session",) and "animal" in labels.about.variables:
        names = ("animal", "session")
    taken = {"trial", "frame", "behavior"} & set(names)
    if taken or len(set(names)) < len(names):
        expectation = "'trial', 'animal', 'session', names of other facts about trials, or None"
        raise ArgumentError(expected("by", expectation, by))
    return names


def _shared(labels: Labels, names: Sequence[str]) -> dict[str, Any]:
    """Coordinates that all trials have in common, such as the mode."""
    return {
        str(name): coord.variable
        for name, coord in labels.array.coords.items()
        if not coord.dims and name not in (*names, "trial")
    }
