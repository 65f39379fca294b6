"""What an ethogram's lanes show: rows of bouts, each read from an annotator or a mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.bouts import mask_to_bouts
from soupxr.labels import LabelSource, read_labels
from soupxr.store import Store, StoredTrial

__all__ = ["EDITED", "Row", "lanes", "read_row", "source_id"]

Mask = npt.NDArray[np.int8]

#: The row that is being edited.
EDITED = "edited"


@dataclass(frozen=True)
class Row:
    """One row in every lane.

    Parameters
    ----------
    id : str
        Tells it from the others.
    label : str
        For people.
    source : LabelSource, optional
        Where it is read from; None where there is nothing to read.
    editable, faded : bool
        Whether it is what is being edited, or only shown for comparison.
    """

    id: str
    label: str
    source: LabelSource | None
    editable: bool = False
    faded: bool = False

    def to_message(self) -> dict[str, Any]:
        """As the page wants it."""
        return {
            "id": self.id,
            "label": self.label,
            "editable": self.editable,
            "faded": self.faded,
        }


def source_id(source: LabelSource) -> str:
    """A name for a source that no other has: an annotator may be called ``fast``."""
    return f"{source.variable}:{source.name}"


def read_row(store: Store, row: Row, trial: StoredTrial) -> Mask:
    """Labels of a trial, all −1 where there are none: int8 (n_frames, behavior)."""
    known = store.labels("annotator")
    source = row.source
    if source is None or (source.variable == "annotation" and source.name not in known):
        return np.full((trial.n_frames, len(store.labels("behavior"))), -1, np.int8)
    return next(mask for _, mask in read_labels(store, source, [trial]))


def lanes(
    masks: Sequence[Mask],
    behaviors: Iterable[int],
    disagreements: Sequence[Sequence[int]] | None = None,
) -> list[dict[str, Any]]:
    """Lanes as the page wants them: of each row, where a behavior occurs and where nobody knows.

    Parameters
    ----------
    masks : sequence of int8 arrays, (n_frames, behavior)
        One for each row.
    behaviors : iterable of int
        Which lanes.
    disagreements : sequence of flat stretches, optional
        Of each behavior.
    """
    made = []
    for behavior in behaviors:
        rows = [
            {"on": _stretches(mask, behavior, 1), "unknown": _stretches(mask, behavior, -1)}
            for mask in masks
        ]
        lane: dict[str, Any] = {"behavior": behavior, "rows": rows}
        if disagreements is not None:
            lane["disagree"] = list(disagreements[behavior])
        made.append(lane)
    return made


def _stretches(mask: Mask, behavior: int, value: int) -> list[int]:
    found: list[int] = mask_to_bouts(mask[:, behavior] == value).ravel().tolist()
    return found
