"""Results that another program made, kept as a mode's, and known to be imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.errors import StoreError
from soupxr.schema import WITH_PROBABILITIES, Status
from soupxr.store.lookup import Store
from soupxr.store.results import TrialResults
from soupxr.store.zarrs import write

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
    return int(mark) in WITH_PROBABILITIES


def write_imported(
    address: str, mode: str, key: str, result: ImportedResult, *, overwrite: bool = False
) -> Callable[[], None]:
    """Commit a result of another program.

    Its record names no checkpoint, so that inference takes it neither for its own nor replaces it
    unless it is told to. Stored features stay, with what vouches for them.

    Parameters
    ----------
    overwrite : bool
        Replace a result that is there.

    Returns
    -------
    callable
        Puts back what was there.

    Raises
    ------
    StoreError
        If there is a result already, or the store cannot be written.
    """
    store = Store(address)
    before = _state(store, mode, key)
    if before.status in WITH_PROBABILITIES and not overwrite:
        raise StoreError(
            f"{key}: there is a result in mode {mode} already; nothing was written. "
            "Pass overwrite=True to replace it."
        )
    results = TrialResults(store, mode, key)
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
    record = json.dumps({"features": known.get("features"), "sequence": sequence})
    results.commit(result.probability, result.ethogram, record)
    return lambda: _put_back(address, mode, key, before)


@dataclass(frozen=True)
class _State:
    """A trial's row in one mode."""

    status: int
    arrays: Mapping[str, Any]


def _state(store: Store, mode: str, key: str) -> _State:
    row = (store.mode_index(mode), store.slot(key))
    names = ("probability", "ethogram", "provenance", "error")
    arrays = {name: np.asarray(store.arrays[name][row]) for name in names}
    return _State(int(np.asarray(store.arrays["status"][row])), arrays)


def _put_back(address: str, mode: str, key: str, state: _State) -> None:
    store = Store(address)
    row = (store.mode_index(mode), store.slot(key))
    write(store.arrays["status"], row, int(Status.NONE))
    for name, values in state.arrays.items():
        write(store.arrays[name], row, values if values.ndim else values.item())
    write(store.arrays["status"], row, state.status)
