"""Which models a store knows: those trained on its trials, and the thresholds fitted on them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

from soupxr.store.address import exclusive, is_url
from soupxr.store.lookup import Store
from soupxr.store.zarrs import open_group, telling_of_damage, telling_of_disk

__all__ = [
    "FittedDecision",
    "ModelRecord",
    "add_model",
    "fitted_decision",
    "models",
    "set_decision",
]

GROUP = "models"
KNOWN, DECISIONS = "known", "decisions"


@dataclass(frozen=True)
class ModelRecord:
    """One trained model.

    Parameters
    ----------
    mode : str
        Mode that it belongs to.
    kind : {"flow_generator", "feature_extractor", "sequence"}
        Which of the three.
    path : str
        Its checkpoint, absolute.
    sha256 : str
        Digest of that file.
    trained : str
        When, ISO 8601 in UTC.
    metric : str
        What was best about it on the validation part: ``"f1_mean"`` or ``"ssim_loss"``.
    value : float
        That metric.
    """

    mode: str
    kind: str
    path: str
    sha256: str
    trained: str
    metric: str
    value: float


@dataclass(frozen=True)
class FittedDecision:
    """Thresholds and minimum bouts that were fitted to labels.

    Parameters
    ----------
    sequence_model : str
        SHA-256 of the checkpoint whose probabilities they were fitted on; valid for it alone.
    thresholds : mapping of behavior to float
        Probability above which it occurs.
    minimum_bout : mapping of behavior to int
        Frames.
    annotator : str
        Whose labels.
    fitted_on : {"validation", "out of fold", "all"}
        Which of the trials.
    fitted : str
        When, ISO 8601 in UTC.
    """

    sequence_model: str
    thresholds: Mapping[str, float]
    minimum_bout: Mapping[str, int]
    annotator: str
    fitted_on: str
    fitted: str


def models(store: Store) -> list[ModelRecord]:
    """Models that a store knows, the newest last."""
    with telling_of_damage(f"{store.address}/{GROUP}"):
        records = _attributes(store).get(KNOWN, [])
        return [
            ModelRecord(**{**row, "path": _here(store.address, row["path"])}) for row in records
        ]


def add_model(address: str, record: ModelRecord) -> None:
    """Let a store know a model; from now on it is the default of its mode and kind."""
    row = dataclasses.asdict(record) | {"path": _portable(address, record.path)}
    with exclusive(address), telling_of_disk(address):
        group = _group(address)
        known = [old for old in _list(group, KNOWN) if old["path"] != row["path"]]
        group.attrs[KNOWN] = [*known, row]


def fitted_decision(store: Store, mode: str) -> FittedDecision | None:
    """Thresholds that were fitted for a mode, if any were."""
    with telling_of_damage(f"{store.address}/{GROUP}"):
        row = _attributes(store).get(DECISIONS, {}).get(mode)
        return None if row is None else FittedDecision(**row)


def set_decision(address: str, mode: str, decision: FittedDecision) -> None:
    """Keep thresholds that were fitted for a mode."""
    with exclusive(address), telling_of_disk(address):
        group = _group(address)
        known: Any = group.attrs.get(DECISIONS, {})
        group.attrs[DECISIONS] = {**known, mode: dataclasses.asdict(decision)}


def _attributes(store: Store) -> dict[str, Any]:
    # Opened anew: an open group keeps the attributes it had.
    group = open_group(store.address).get(GROUP)
    return dict(group.attrs) if isinstance(group, zarr.Group) else {}


def _group(address: str) -> zarr.Group:
    return open_group(address).require_group(GROUP)


def _list(group: zarr.Group, name: str) -> list[dict[str, Any]]:
    rows: Any = group.attrs.get(name, [])
    return list(rows)


def _portable(address: str, path: str) -> str:
    """A path relative to the store's folder where that is possible, so that both can move."""
    if is_url(address):
        return path
    try:
        return Path(os.path.relpath(path, Path(address).parent)).as_posix()
    except ValueError:  # another drive of a Windows machine
        return path


def _here(address: str, path: str) -> str:
    if is_url(address) or os.path.isabs(path):
        return path
    return os.path.normpath(Path(address).parent / path)
