"""Undoing what is broken: marks go back to "not done", so that the next run does the work again.

Nothing here touches annotations, and what is whole stays. Each reset names the provenance that its
caller found. Whoever finds another has been overtaken by a run that is at work on the trial, and
leaves it alone; that run in turn finds the provenance of the reset, and gives up the trial.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soupxr.schema import Status, out_of_fold_variables
from soupxr.store.address import exclusive
from soupxr.store.lookup import Store
from soupxr.store.membership import clear_slot
from soupxr.store.ondisk import abandoned, unfinished_neighbours
from soupxr.store.replacement import Replacement
from soupxr.store.zarrs import write

__all__ = ["Reset", "free_abandoned", "remove_unfinished", "reset_trial", "withdraw_out_of_fold"]

#: What belongs to one trial in one mode and may be emptied.
RESULTS = ("probability", "ethogram", "error")


@dataclass(frozen=True)
class Reset:
    """What is to be undone of one trial in one mode.

    Parameters
    ----------
    mode, key : str
        Which mode, which trial.
    found : str or None
        Provenance that the trial had when it was found broken; None if it could not be read.
    provenance : str
        What takes its place; like no other, and vouches for what is whole and for nothing else.
    status : Status
        What the trial is marked as afterwards.
    empty : sequence of {"probability", "ethogram", "error", "features", "replacement"}
        What is thrown away.
    """

    mode: str
    key: str
    found: str | None
    provenance: str
    status: Status
    empty: Sequence[str] = ()


def reset_trial(address: str, reset: Reset) -> bool:
    """Undo what is broken of one trial; False if another process is at work on it.

    Killed at any moment, it leaves a trial that is not marked as more than it is.
    """
    store = Store(address)
    slot = store.slot_of_each_key().get(reset.key)
    if slot is None or provenance_of(store, reset.mode, slot) != reset.found:
        return False
    row = (store.mode_index(reset.mode), slot)
    status = store.arrays["status"]
    if reset.status != Status.COMPLETE:
        write(status, row, int(Status.NONE))
    write(store.arrays["provenance"], row, reset.provenance)
    for name in RESULTS:
        if name in reset.empty:
            write(store.arrays[name], row, store.arrays[name].fill_value)
    if "features" in reset.empty:
        for array in store.features(reset.mode).values():
            write(array, slot, array.fill_value)
    if "replacement" in reset.empty:
        Replacement(store, reset.mode, slot).clear()
    if reset.status != Status.COMPLETE:
        write(status, row, int(reset.status))
    return True


def provenance_of(store: Store, mode: str, slot: int) -> str | None:
    """JSON text on how a result came about; None if it cannot be read."""
    try:
        return store.provenances(mode, [slot])[0]
    except Exception:  # whatever a codec makes of damaged bytes
        return None


def withdraw_out_of_fold(address: str, mode: str, key: str) -> None:
    """Withdraw what cross-validation said of one trial."""
    store = Store(address)
    slot, arrays = store.slot(key), store.optional(f"out_of_fold/{mode}")
    for name in sorted(out_of_fold_variables(), key="fold".__ne__):  # the mark first
        if name in arrays:
            write(arrays[name], slot, arrays[name].fill_value)


def free_abandoned(address: str) -> None:
    """Free what is still on disk of trials that were removed."""
    with exclusive(address):
        store = Store(address)
        for slot in sorted({slot for _, slots in abandoned(store) for slot in slots}):
            if slot < store.arrays["trial"].shape[0]:
                clear_slot(store, slot)


def remove_unfinished(address: str) -> None:
    """Remove what writers that were killed long ago left unfinished."""
    with exclusive(address):
        for place in unfinished_neighbours(address):
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                Path(place).unlink(missing_ok=True)
