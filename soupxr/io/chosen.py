"""What an export takes: the labels that are meant, of the trials that have any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.bouts import mask_to_bouts
from soupxr.dataset import keys_of, store_of
from soupxr.errors import ArgumentError, expected
from soupxr.files import whole_file
from soupxr.io.provenance import provenance_of
from soupxr.labels import LabelSource, label_source, read_labels
from soupxr.schema import Status
from soupxr.store import Store, StoredTrial

__all__ = ["Chosen", "choose", "new_file"]

Mask = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Chosen:
    """Labels that are exported.

    Parameters
    ----------
    trials : list of StoredTrial
        Those that have any, in the selection's order.
    """

    store: Store
    source: LabelSource
    trials: list[StoredTrial]
    behaviors: list[str]

    def masks(self) -> Iterator[tuple[StoredTrial, Mask]]:
        """Each trial with its labels (n_frames, behavior)."""
        return read_labels(self.store, self.source, self.trials)

    def provenance(self) -> dict[str, Any]:
        """Where the labels come from."""
        return provenance_of(self.store, self.source, self.trials)

    def unlabelled(self) -> dict[str, dict[str, list[list[int]]]]:
        """Stretches in which labels are −1, by trial and behavior."""
        found = {
            trial.key: {
                name: mask_to_bouts(mask[:, column] == -1).tolist()
                for column, name in enumerate(self.behaviors)
                if (mask[:, column] == -1).any()
            }
            for trial, mask in self.masks()
        }
        return {key: stretches for key, stretches in found.items() if stretches}


def choose(ds: xr.Dataset, mode: str | None, annotator: str | None, caller: str) -> Chosen:
    """Find what is to be exported.

    Raises
    ------
    ArgumentError
        If not exactly one of mode and annotator is given, or there is nothing of them.
    """
    store = store_of(ds)
    source = label_source(store, mode=mode, annotator=annotator, caller=caller)
    keys = list(dict.fromkeys(keys_of(ds))) if ds.sizes.get("trial", 1) else []
    trials = store.trials(keys)
    slots = [trial.slot for trial in trials]
    if source.variable == "ethogram":
        has_any = store.statuses(source.name, slots) == Status.COMPLETE
    else:
        has_any = store.labelled([source.name], slots)
    with_labels = [trial for trial, has in zip(trials, has_any, strict=True) if has]
    if not with_labels:
        what = f"trials with {source.variable}s of {source.name!r}"
        raise ArgumentError(expected(caller, what, f"{len(trials)} trial(s) without any"))
    return Chosen(store, source, with_labels, store.labels("behavior"))


@contextmanager
def new_file(path: Path, overwrite: bool) -> Iterator[Path]:
    """A file to write that takes its name when it is done.

    Raises
    ------
    ArgumentError
        If there is one already, or no folder for it.
    """
    if path.exists() and not overwrite:
        remedy = "Pass overwrite=True to replace it."
        raise ArgumentError(expected("path", "a new file", str(path), remedy))
    if not path.parent.is_dir():
        raise ArgumentError(expected("path", "a file in a folder that exists", str(path)))
    with whole_file(path) as unfinished:
        yield unfinished


def write_json(path: Path, record: object) -> None:
    """Write a record as JSON that people can read."""
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
