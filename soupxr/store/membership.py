"""Which trials there are: adding, removing and correcting them, one process at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from soupxr.errors import StoreError
from soupxr.ingest import TrialRow
from soupxr.schema import Status
from soupxr.store.address import Check, exclusive
from soupxr.store.leases import forget, of_trial
from soupxr.store.lookup import Store
from soupxr.store.zarrs import Array, as_column, axis_of, dims_of, resize, write


def add_trials(
    address: str,
    rows: Sequence[TrialRow],
    experiment: str | Sequence[str] = "",
    notes: Sequence[str] | None = None,
) -> None:
    """Append trials; all of them or, if any is there already, none.

    Parameters
    ----------
    address : str
        The store.
    rows : sequence of TrialRow
        From :func:`soupxr.ingest.survey`.
    experiment : str or sequence of str
        Kind of experiment of all these trials, or of each.
    notes : sequence of str, optional
        Free text on each.

    Raises
    ------
    StoreError
        If another process added one of them meanwhile, or the store cannot be written.
    """
    with exclusive(address) as check:
        store = Store(address)
        known = store.slot_of_each_key()
        there = [row.key for row in rows if row.key in known]
        if there:
            raise StoreError(
                f"{', '.join(there)}: expected new trials, but another process added these "
                "meanwhile; nothing was added."
            )
        kinds = [experiment] * len(rows) if isinstance(experiment, str) else list(experiment)
        _append(store, rows, kinds, list(notes or [""] * len(rows)), check)


def _append(
    store: Store,
    rows: Sequence[TrialRow],
    experiments: Sequence[str],
    notes: Sequence[str],
    check: Check,
) -> None:
    first = store.arrays["trial"].shape[0]
    last = first + len(rows)
    _grow(store, "frame", max(row.n_frames for row in rows))
    _grow(store, "trial", last, but="trial")
    columns: dict[str, Any] = {
        "animal": [row.animal for row in rows],
        "session": [row.session for row in rows],
        "trial_id": [row.trial_id for row in rows],
        "video_path": [row.video_paths for row in rows],
        "n_frames": [row.n_frames for row in rows],
        "fps": [row.fps for row in rows],
        "experiment": experiments,
        "notes": notes,
    }
    for name, values in columns.items():
        write(store.arrays[name], slice(first, last), as_column(name, values))
    check()
    # The key array is the last to grow: only now are there more trials.
    _grow(store, "trial", last)
    keys = as_column("trial", [row.key for row in rows])
    write(store.arrays["trial"], slice(first, last), keys)


def remove_trials(address: str, keys: Iterable[str]) -> None:
    """Remove trials and free their data; the place of a removed trial is never used again."""
    keys = list(keys)
    with exclusive(address) as check:
        store = Store(address)
        slots = store.slots(keys)
        # All are opened before anything changes: one that cannot be would stop it half way.
        arrays = _with_own_chunks(store)
        column = np.asarray(store.arrays["trial"][...]).astype(object)
        column[slots] = ""
        check()
        write(store.arrays["trial"], ..., column)
        for slot in slots:
            _clear(arrays, slot)
        # Nobody would ever come to take over those that a killed process left.
        with suppress(StoreError):
            forget(address, [of_trial(mode, key) for mode in store.modes for key in keys])


def clear_slot(store: Store, slot: int) -> None:
    """Fill a trial's row in every array of its own chunks, which deletes those chunks."""
    _clear(_with_own_chunks(store), slot)


def _with_own_chunks(store: Store) -> list[Array]:
    """Arrays in which a trial shares no chunk with another."""
    along = store.arrays_along("trial")
    return [array for array in along if array.chunks[axis_of(array, "trial")] == 1]


def _clear(arrays: Iterable[Array], slot: int) -> None:
    for array in arrays:
        row = tuple(slot if dim == "trial" else slice(None) for dim in dims_of(array))
        write(array, row, array.fill_value)


def correct_trial(address: str, key: str, n_frames: int, fps: float) -> None:
    """Correct a trial whose video was replaced; results for the old video are void.

    Parameters
    ----------
    n_frames : int
        Frames of the new video.
    fps : float
        Its rate (Hz).
    """
    with exclusive(address):
        store = Store(address)
        trial = store.trial(key)
        if (trial.n_frames, trial.fps) == (n_frames, fps):
            return  # another process has corrected it
        _void(store, trial.slot)
        for mode in store.modes:
            row = (store.mode_index(mode), trial.slot)
            for name in ("provenance", "error", "probability", "ethogram"):
                write(store.arrays[name], row, store.arrays[name].fill_value)
            for array in store.features(mode).values():
                write(array, trial.slot, array.fill_value)
        for path in store.optional_groups():
            # What has one value a trial says whether the rest is whole, so it goes first.
            for array in sorted(store.optional(path).values(), key=lambda array: array.ndim):
                write(array, trial.slot, array.fill_value)
        _grow(store, "frame", n_frames)
        write(store.arrays["fps"], trial.slot, fps)
        # It is what tells that a correction is due.
        write(store.arrays["n_frames"], trial.slot, n_frames)
        # Again: who committed a result of the old video up to now has not noticed; later ones do.
        _void(store, trial.slot)


def _void(store: Store, slot: int) -> None:
    """Declare that a trial has no result in any mode."""
    for mode in store.modes:
        write(store.arrays["status"], (store.mode_index(mode), slot), int(Status.NONE))


def _grow(store: Store, dim: str, size: int, but: str | None = None) -> None:
    """Lengthen a dimension in every array that has it; never shorten."""
    for array in store.arrays_along(dim):
        axis = axis_of(array, dim)
        if array.shape[axis] < size and array.basename != but:
            resize(array, (*array.shape[:axis], size, *array.shape[axis + 1 :]))
