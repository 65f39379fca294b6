"""Where labels come from: the record that goes along with every table and file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import PurePath
from typing import Any

from soupxr.inference.provenance import Record
from soupxr.labels import LabelSource
from soupxr.store import Store, StoredTrial
from soupxr.store.zarrs import DamagedStore

__all__ = ["in_brief", "origin_of"]


def origin_of(store: Store, source: LabelSource, trials: Sequence[StoredTrial]) -> dict[str, Any]:
    """How the labels of these trials came about, as JSON takes it.

    Returns
    -------
    dict
        ``soupxr`` (version), ``exported`` (ISO 8601, UTC), ``store``, ``labels`` ("annotation" or
        "ethogram"), ``annotator`` or ``mode``, ``trials`` (frames and rate of each); for a mode,
        ``made``: what the trials have in common that were made alike, checkpoints' SHA-256 and
        thresholds among it; ``unreadable`` of those of which the store tells no more.
    """
    record: dict[str, Any] = {
        "soupxr": version("soupxr"),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "store": PurePath(store.address).name,
        "labels": source.variable,
        "mode" if source.variable == "ethogram" else "annotator": source.name,
        "trials": {t.key: {"n_frames": t.n_frames, "fps": t.fps} for t in trials},
    }
    if source.variable == "ethogram":
        record["made"] = _made(store, source.name, trials)
    return record


def in_brief(origin: dict[str, Any]) -> dict[str, Any]:
    """The same with numbers in place of lists of trials: pandas copies it at every step."""
    brief = origin | {"n_trials": len(origin["trials"])}
    del brief["trials"]
    if "made" in origin:
        brief["made"] = [part | {"trials": len(part["trials"])} for part in origin["made"]]
    return brief


def _made(store: Store, mode: str, trials: Sequence[StoredTrial]) -> list[dict[str, Any]]:
    """What made the results; one entry for all trials that were made alike."""
    alike: dict[str, dict[str, Any]] = {}
    for trial in trials:
        facts = _facts(store, mode, trial)
        same = alike.setdefault(json.dumps(facts, sort_keys=True), {**facts, "trials": []})
        same["trials"].append(trial.key)
    return list(alike.values())


def _facts(store: Store, mode: str, trial: StoredTrial) -> dict[str, Any]:
    """What made one trial's results."""
    try:
        (text,) = store.provenances(mode, [trial.slot])
        sequence = Record.parse(text).sequence or {}
        facts = {**sequence.get("features", {}), **sequence.get("identity", {})}
    except (DamagedStore, TypeError):
        # The labels are whole, and are wanted all the same; check() tells more.
        return {"unreadable": True}
    facts.pop("video", None)
    return facts | {name: sequence[name] for name in ("imported", "soupxr") if name in sequence}
