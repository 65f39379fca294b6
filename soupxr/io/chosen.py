"""What an export takes: the labels that are meant, of the trials that have any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.bouts import mask_to_bouts
from soupxr.dataset import keys_of, store_of
from soupxr.errors import ArgumentError, expected
from soupxr.files import whole_file
from soupxr.labels import LabelSource, label_source, labelled, read_labels
from soupxr.origin import origin_of
from soupxr.store import Store, StoredTrial

__all__ = ["Chosen", "check_new", "choose", "new_file", "new_record", "write_json"]

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

    def probability(self, trial: StoredTrial) -> npt.NDArray[np.float32]:
        """A trial's probabilities (n_frames, behavior), of a mode."""
        return self.store.rows("probability", self.store.mode_index(self.source.name), trial)

    def provenance(self) -> dict[str, Any]:
        """Where the labels come from."""
        return origin_of(self.store, self.source, self.trials)

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
    with_labels = labelled(store, source, trials)
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
    check_new(path, overwrite)
    with whole_file(path) as unfinished:
        yield unfinished


@contextmanager
def new_record(place: Path | TextIO | None, record: object, overwrite: bool) -> Iterator[None]:
    """Write where something comes from, as soon as that is there, and not if it fails.

    Parameters
    ----------
    place : Path, open text file or None
        Where to; None writes nothing.

    Raises
    ------
    ArgumentError
        If there is such a file already, or no folder for it.
    """
    if not isinstance(place, Path):
        yield
        if place is not None:
            place.write(_as_json(record))
        return
    check_new(place, overwrite, "provenance")
    # Written before, so that of all that can fail, only its name is still to come.
    with whole_file(place) as unfinished:
        write_json(unfinished, record)
        yield


def check_new(
    path: Path,
    overwrite: bool,
    argument: str = "path",
    remedy: str = "Pass overwrite=True to replace it.",
) -> None:
    """Refuse a file that is there already, or has no folder.

    Raises
    ------
    ArgumentError
        If so.
    """
    if path.exists() and not overwrite:
        raise ArgumentError(expected(argument, "a new file", str(path), remedy))
    if not path.parent.is_dir():
        raise ArgumentError(expected(argument, "a file in a folder that exists", str(path)))


def write_json(path: Path, record: object) -> None:
    """Write a record as JSON that people can read."""
    path.write_text(_as_json(record), "utf-8")


def _as_json(record: object) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"
