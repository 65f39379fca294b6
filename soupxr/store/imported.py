"""Results that another program made, kept as a mode's, and known to be imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.errors import StoreError
from soupxr.schema import WITH_RESULT, Status
from soupxr.store.leases import holding_trial
from soupxr.store.lookup import Store
from soupxr.store.replacement import ROWS
from soupxr.store.results import TrialResults
from soupxr.store.zarrs import padded, write

__all__ = ["ImportedResult", "has_result", "write_imported"]


@dataclass(frozen=True)
class ImportedResult:
    """What another program says of one trial.

    Parameters
    ----------
    probability : ndarray of float32, (n_frames, behavior)
        NaN where the program kept none.
    ethogram : ndarray of int8, (n_frames, behavior)
        1 occurs, 0 does not, −1 not inferred.
    origin : mapping
        Where it comes from, as JSON takes it: ``format``, ``file``, ``sha256`` and what else the
        file tells, such as thresholds.
    """

    probability: npt.NDArray[np.float32]
    ethogram: npt.NDArray[np.int8]
    origin: Mapping[str, Any]


def has_result(store: Store, mode: str, key: str) -> bool:
    """Whether there is a whole result, imported or not."""
    (mark,) = store.statuses(mode, [store.slot(key)])
    return int(mark) in WITH_RESULT


def write_imported(
    address: str,
    mode: str,
    key: str,
    result: ImportedResult,
    *,
    overwrite: bool = False,
    undo: list[Callable[[], object]] | None = None,
) -> None:
    """Commit a result of another program.

    Its record names no checkpoint, so that inference takes it neither for its own nor replaces it
    unless it is told to. Stored features stay, with what vouches for them.

    Parameters
    ----------
    overwrite : bool
        Replace a result that is there.
    undo : list, optional
        Gets a call that puts back what the trial had, before anything is written. It leaves alone
        what another process has begun to make of the trial since.

    Raises
    ------
    InUse
        If another process is at work on the trial.
    StoreError
        If there is a result already, or the store cannot be written.
    """
    with holding_trial(address, mode, key):
        store = Store(address)
        results = TrialResults(store, mode, key)
        results.finish_replacement()
        if not overwrite and has_result(store, mode, key):
            raise StoreError(
                f"{key}: there is a result in mode {mode} already; nothing was written. "
                "Pass overwrite=True to replace it."
            )
        provenance = _provenance(results, result)
        if undo is not None:
            before = _state(store, mode, key)
            undo.append(partial(_put_back, address, mode, key, before, written=provenance))
        results.commit(result.probability, result.ethogram, provenance)


def _provenance(results: TrialResults, result: ImportedResult) -> str:
    known = json.loads(results.provenance or "{}")
    sequence = {
        "identity": {},
        "features": {},
        "sequence_model": None,
        "imported": dict(result.origin),
        "role": "unknown",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "soupxr": version("soupxr"),
    }
    return json.dumps({"features": known.get("features"), "sequence": sequence})


@dataclass(frozen=True)
class _State:
    """A trial's row in one mode."""

    n_frames: int
    status: int
    provenance: str
    error: str
    rows: Mapping[str, npt.NDArray[Any]]


def _state(store: Store, mode: str, key: str) -> _State:
    row = (store.mode_index(mode), store.slot(key))
    return _State(
        n_frames=store.trial(key).n_frames,
        status=int(np.asarray(store.arrays["status"][row])),
        provenance=store.provenances(mode, row[1:])[0],
        error=store.error(mode, row[1]),
        rows={name: np.asarray(store.arrays[name][row]) for name in ROWS},
    )


def _put_back(address: str, mode: str, key: str, before: _State, *, written: str) -> None:
    """Put back what a trial had before the result with the provenance ``written``."""
    with holding_trial(address, mode, key):
        store = Store(address)
        row = (store.mode_index(mode), store.slot(key))
        (provenance,) = store.provenances(mode, row[1:])
        if provenance not in (written, before.provenance):
            return  # Somebody has begun anew.
        if before.status in WITH_RESULT:
            status = int(np.asarray(store.arrays["status"][row]))
            if (status, provenance) == (before.status, before.provenance):
                return  # Nothing was written.
            rows = {name: values[: before.n_frames] for name, values in before.rows.items()}
            TrialResults(store, mode, key).commit(**rows, provenance=before.provenance)
        else:
            write(store.arrays["status"], row, int(Status.NONE))
            for name, values in before.rows.items():
                # A longer trial may have come meanwhile, which makes all rows longer.
                there = padded(store.arrays[name], values[: before.n_frames])
                write(store.arrays[name], row, there)
            write(store.arrays["provenance"], row, before.provenance)
        write(store.arrays["error"], row, before.error)
        write(store.arrays["status"], row, before.status)
