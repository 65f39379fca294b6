"""A new result beside the old one, until it has taken its place.

A result is many chunks, which no disk replaces at a stroke. So a new one is first written whole
beside the old one. Then the mark ``Status.REPLACING`` says that it is the one that counts, and
whoever finds this mark can move it to its place. Killed at any moment, one of the two is whole; on
a full disk, the old one stays as it is.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soupxr.errors import StoreError
from soupxr.schema import replacement_variables
from soupxr.store.direct import text_at, trial_rows
from soupxr.store.groups import require_group
from soupxr.store.lookup import Store
from soupxr.store.zarrs import Array, DamagedStore, padded, telling_of_damage, write

__all__ = ["ROWS", "NewResult", "Replacement", "replacement_path"]

ROWS = ("probability", "ethogram")


def replacement_path(mode: str) -> str:
    """Group of a mode's new results; only in a store in which one was ever replaced."""
    return f"replacement/{mode}"


@dataclass(frozen=True)
class NewResult:
    """What a mode says of one trial.

    Parameters
    ----------
    probability : ndarray of float32, (frame, behavior)
    ethogram : ndarray of int8, (frame, behavior)
    provenance : str
        JSON text on how they came about.
    """

    probability: npt.NDArray[np.float32]
    ethogram: npt.NDArray[np.int8]
    provenance: str


class Replacement:
    """Place for the new result of one trial in one mode.

    It counts only while the trial is marked as ``Status.REPLACING``.
    """

    def __init__(self, store: Store, mode: str, slot: int) -> None:
        self._store, self._path, self._slot = store, replacement_path(mode), slot

    def put(self, result: NewResult) -> None:
        """Write a result; what could not be written whole takes no room.

        Raises
        ------
        StoreError
            If the disk does not take it.
        """
        require_group(self._store.address, self._path, replacement_variables())
        arrays = self._arrays()
        try:
            for name in ROWS:
                write(arrays[name], self._slot, padded(arrays[name], getattr(result, name)))
            write(arrays["n_frames"], self._slot, len(result.probability))
            write(arrays["provenance"], self._slot, result.provenance)
        except StoreError:
            with contextlib.suppress(StoreError):  # the first failure is the one to tell
                self.clear()
            raise

    def read(self, n_frames: int) -> NewResult | None:
        """The result of a trial of so many frames.

        None where none is there, or it is damaged, or of another video.
        """
        arrays = self._arrays()
        if len(arrays) < len(replacement_variables()):
            return None
        address, place = self._store.address, (self._slot,)
        try:
            with telling_of_damage(f"{address}/{self._path}/n_frames"):
                length = int(np.asarray(arrays["n_frames"][self._slot]))
            if length != n_frames:
                return None
            probability, ethogram = (
                trial_rows(address, arrays[name], place, n_frames) for name in ROWS
            )
            # Last, for it is the first to go.
            provenance = text_at(address, arrays["provenance"], place)
        except DamagedStore:
            return None
        return NewResult(probability, ethogram, provenance) if provenance else None

    def clear(self) -> None:
        """Free its room."""
        arrays = self._arrays()
        for name in ("provenance", "n_frames", *ROWS):
            if name in arrays:
                write(arrays[name], self._slot, arrays[name].fill_value)

    def _arrays(self) -> dict[str, Array]:
        return self._store.optional(self._path)
