"""Stored features of labelled trials, for the sequence model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, StoreError, listed
from soupxr.inference.provenance import Record
from soupxr.store import TrialResults
from soupxr.training.gather import Material
from soupxr.training.recordings import Recording

__all__ = ["ArrayReader", "stored_recordings"]

FloatArray = npt.NDArray[np.float32]

#: Features of a selection that are held in memory; more are read from the store as they are needed.
MEMORY_BYTES = 4 * 2**30
BYTES_PER_FRAME = 4096


class ArrayReader:
    """Features that are in memory, or mapped into it: (frame, 1024)."""

    def __init__(self, values: FloatArray) -> None:
        self.values = values

    def read(self, start: int, stop: int) -> FloatArray:
        """Frames ``[start, stop)``."""
        return self.values[start:stop]


class StoredReader:
    """Features that are read from the store when they are needed.

    Parameters
    ----------
    key : str
        Whose they are.
    results : TrialResults
        Of that trial.
    record : Record
        What vouches for them; it must not change while they are learnt from.
    """

    def __init__(self, key: str, results: TrialResults, record: Record) -> None:
        self.key, self.results, self.record = key, results, record

    def read(self, start: int, stop: int) -> FloatArray:
        """Frames ``[start, stop)``: spatial, then flow.

        Raises
        ------
        StoreError
            If the trial was removed since, or its features were made anew.
        """
        stored = self.results.read_features(start, stop)
        # Looked at after reading: what was cleared or replaced on the way is noticed.
        self.results.check_there()
        if Record.parse(self.results.provenance).features != self.record.features:
            raise StoreError(
                f"{self.key}: its features are made anew while they are learnt from. "
                "Call train again, with resume=True, when that inference is done."
            )
        return np.concatenate([stored["spatial"], stored["flow"]], axis=1)


def stored_recordings(material: Material, mode: str) -> tuple[dict[str, Recording], dict[str, Any]]:
    """Features and labels of every trial, and what made the features.

    Raises
    ------
    ArgumentError
        If trials have no features, or features of different models.
    """
    results = {
        trial.key: TrialResults(material.store, mode, trial.key) for trial in material.trials
    }
    records = {key: Record.parse(found.provenance) for key, found in results.items()}
    lacking = [
        key
        for key, record in records.items()
        if record.features is None or record.features["kept"] == "none"
    ]
    if lacking:
        raise ArgumentError(
            f"features: {len(lacking)} labelled trial(s) have none in mode {mode!r}. "
            f"Make them first: ds.soup.feature_extractor.infer(mode={mode!r})."
            f"{listed(_some(lacking))}"
        )
    identities = {key: _made_by(record) for key, record in records.items()}
    first = next(iter(identities.values()))
    others = [key for key, identity in identities.items() if identity != first]
    if others:
        raise ArgumentError(
            f"features: {len(others)} trial(s) have features of another model or other settings "
            f"than {next(iter(identities))}. Make them alike: "
            f"ds.soup.feature_extractor.infer(mode={mode!r}, overwrite=True)."
            f"{listed(_some(others))}"
        )
    in_memory = BYTES_PER_FRAME * sum(t.trial.n_frames for t in material.trials) <= MEMORY_BYTES
    recordings = {}
    for trial in material.trials:
        assert trial.labels is not None
        reader: Any = StoredReader(trial.key, results[trial.key], records[trial.key])
        if in_memory:
            reader = ArrayReader(reader.read(0, trial.trial.n_frames))
        recordings[trial.key] = Recording(trial.key, reader, trial.labels)
    return recordings, dict(first)


def _made_by(record: Record) -> Mapping[str, Any]:
    """What features depend on, but for the video."""
    assert record.features is not None
    return {name: value for name, value in record.features["identity"].items() if name != "video"}


def _some(keys: list[str], most: int = 8) -> list[str]:
    return keys[:most] + ([f"and {len(keys) - most} more"] if len(keys) > most else [])
