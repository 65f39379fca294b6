"""Where exported labels come from: the record that goes along with every file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import PurePath
from typing import Any

from soupxr.labels import LabelSource
from soupxr.store import Store, StoredTrial

__all__ = ["provenance_of"]


def provenance_of(
    store: Store, source: LabelSource, trials: Sequence[StoredTrial]
) -> dict[str, Any]:
    """How the labels of these trials came about, as JSON takes it.

    Returns
    -------
    dict
        ``soupxr`` (version), ``exported`` (ISO 8601, UTC), ``store``, ``labels`` ("annotation" or
        "ethogram"), ``annotator`` or ``mode``, ``trials`` (frames and rate of each); for a mode,
        ``made``: what the trials have in common that were made alike, checkpoints' SHA-256 and
        thresholds among it.
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


def _made(store: Store, mode: str, trials: Sequence[StoredTrial]) -> list[dict[str, Any]]:
    """What made the results; one entry for all trials that were made alike."""
    texts = store.provenances(mode, [trial.slot for trial in trials])
    alike: dict[str, dict[str, Any]] = {}
    for trial, text in zip(trials, texts, strict=True):
        sequence = (json.loads(text or "{}").get("sequence")) or {}
        facts = {**sequence.get("features", {}), **sequence.get("identity", {})}
        facts.pop("video", None)
        if "imported" in sequence:
            facts["imported"] = sequence["imported"]
        if "soupxr" in sequence:
            facts["soupxr"] = sequence["soupxr"]
        same = alike.setdefault(json.dumps(facts, sort_keys=True), {**facts, "trials": []})
        same["trials"].append(trial.key)
    return list(alike.values())
