"""Results of one trial in one mode, and the marks that commit them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.errors import StoreError
from soupxr.schema import WITH_PROBABILITIES, WITH_RESULT, Status
from soupxr.store.lookup import Store
from soupxr.store.replacement import NewResult, Replacement
from soupxr.store.zarrs import Array, padded, write

FloatArray = npt.NDArray[np.float32]


class Overtaken(StoreError):
    """Another process began to write the same trial in the same mode, or removed it."""


class TrialResults:
    """Reads and writes what belongs to one trial in one mode.

    Two processes may work on one trial, each not knowing of the other. The provenance tells: who
    begins to replace features writes one of his own, and whoever finds another than he last saw
    has been overtaken and writes no more.

    Parameters
    ----------
    store : Store
        Opened for this piece of work.
    mode, key : str
        Which mode, which trial.
    """

    def __init__(self, store: Store, mode: str, key: str) -> None:
        self._store = store
        self._mode, self._key = mode, key
        self._place = (store.mode_index(mode), store.slot(key))
        self._replacement = Replacement(store, mode, self._place[1])
        self._seen = self.provenance

    @cached_property
    def _features(self) -> dict[str, Array]:
        return self._store.features(self._mode)

    @property
    def provenance(self) -> str:
        """JSON text on how the results came about; empty where there are none."""
        (text,) = self._store.provenances(self._mode, self._place[1:])
        return text

    def check_there(self) -> None:
        """Make sure that what was read is of this trial, and of no other in its place.

        Raises
        ------
        StoreError
            If the trial was removed; as :class:`Overtaken` if it was added again since.
        """
        if self._store.slot(self._key) != self._place[1]:
            raise Overtaken(f"{self._key}: the trial was removed and added again meanwhile")

    def start_features(self, provenance: str) -> None:
        """Clear the features.

        ``provenance`` is written first. It must not vouch for them, and be like no other.
        """
        row = self._row()
        if self._status(row) not in {*WITH_RESULT, Status.NONE}:
            self._mark(row, Status.NONE)
        # Features come after a provenance. To clear what never was is a request for each chunk.
        begun = bool(self._seen)
        self._say(row, provenance)
        for array in self._features.values() if begun else ():
            write(array, row[1], array.fill_value)

    def write_features(self, start: int, features: Mapping[str, FloatArray]) -> None:
        """Write a block of features.

        Parameters
        ----------
        start : int
            First frame; a multiple of ``schema.FEATURE_CHUNK``, so that no chunk is written twice.
        features : mapping
            ``spatial`` and ``flow`` (frame, feature), ``logit`` (frame, class).
        """
        # A removed trial has lost its provenance too: this one look tells both.
        if not self._seen or self.provenance != self._seen:
            self._row()
        slot = self._place[1]
        for name, values in features.items():
            write(self._features[name], (slot, slice(start, start + len(values))), values)

    def read_features(self, start: int, stop: int) -> dict[str, FloatArray]:
        """Stored features of the frames ``[start, stop)``, laid out as in ``write_features``."""
        _, slot = self._place
        return {name: np.asarray(array[slot, start:stop]) for name, array in self._features.items()}

    def commit_features(self, provenance: str) -> None:
        """Declare the features whole."""
        row = self._row()
        self._say(row, provenance)
        if self._status(row) not in WITH_RESULT:
            self._write("error", row, "")
            self._mark(row, Status.FEATURES)

    def commit(
        self, probability: FloatArray, ethogram: npt.NDArray[np.int8], provenance: str
    ) -> None:
        """Write the results and, last, the mark that says they are whole.

        Where there is a result already, this one is written beside it and then takes its place, so
        that at any moment one of the two is whole.

        Parameters
        ----------
        probability, ethogram : ndarray
            (frame, behavior), as long as the trial.
        provenance : str
            JSON text.
        """
        row = self._row()
        self._check_length(row, len(probability))
        result = NewResult(probability, ethogram, provenance)
        status = self._status(row)
        if status == Status.REPLACING and self.finish_replacement():
            status = Status.COMPLETE
        if status in WITH_PROBABILITIES:
            self._replacement.put(result)
            row = self._row()
            self._check_length(row, len(probability))  # that took a while
            self._mark(row, Status.REPLACING)
        elif status != Status.NONE:
            self._mark(row, Status.NONE)
        self._put(row, result)
        if status in WITH_RESULT:
            self._replacement.clear()

    def finish_replacement(self) -> bool:
        """Finish what died while it replaced a result; whether that was so, and could be done.

        Hold the trial's lease. Where the new result is damaged, or of another video, the trial
        stays as it is: it has to be inferred anew.
        """
        row = self._row()
        if self._status(row) != Status.REPLACING:
            return False
        result = self._replacement.read(int(self._store.column("n_frames", row[1:])[0]))
        if result is None:
            return False
        self._put(row, result)
        self._replacement.clear()
        return True

    def _put(self, row: tuple[int, int], result: NewResult) -> None:
        self._write_rows("probability", row, result.probability)
        self._write_rows("ethogram", row, result.ethogram)
        self._say(row, result.provenance)
        self._write("error", row, "")
        self._finish(row, len(result.probability))

    def decide_anew(self, ethogram: npt.NDArray[np.int8], provenance: str) -> None:
        """Replace the ethogram of a complete result; its probabilities stay as they are.

        Until this is done the trial is not complete. After a kill, its mark says that the
        probabilities are whole: the same call, or inference, finishes it.

        Parameters
        ----------
        ethogram : ndarray
            (frame, behavior), as long as the trial.
        provenance : str
            JSON text.
        """
        row = self._row()
        self._check_length(row, len(ethogram))
        self._mark(row, Status.DECIDING)
        self._write_rows("ethogram", row, ethogram)
        self._say(row, provenance)
        self._finish(row, len(ethogram))

    def fail(self, reason: str) -> None:
        """Say why the trial failed, and mark it so unless an earlier, whole result is still there.

        That result is not thrown away because it could not be made again.
        """
        row = self._row()
        self._write("error", row, reason)
        if self._status(row) not in WITH_RESULT:
            self._mark(row, Status.FAILED)

    def _finish(self, row: tuple[int, int], length: int) -> None:
        """Declare the result whole, unless the trial got another video while it was written."""
        self._mark(row, Status.COMPLETE)
        try:
            self._check_length(row, length)
        except Overtaken:
            self._mark(row, Status.NONE)
            raise

    def _check_length(self, row: tuple[int, int], length: int) -> None:
        """Whether the trial still has so many frames."""
        if self._store.column("n_frames", row[1:])[0] != length:
            raise Overtaken(f"{self._key}: its video was replaced meanwhile")

    def _row(self) -> tuple[int, int]:
        """The trial's place, if it is still there and still ours to write."""
        self.check_there()
        if self.provenance != self._seen:
            raise Overtaken(f"{self._key}: another process has begun on this trial")
        return self._place

    def _say(self, row: tuple[int, int], provenance: str) -> None:
        self._write("provenance", row, provenance)
        self._seen = provenance

    def _status(self, row: tuple[int, int]) -> Status:
        mark = int(np.asarray(self._store.arrays["status"][row]))
        # What is no mark commits nothing.
        return Status(mark) if mark in tuple(Status) else Status.NONE

    def _mark(self, row: tuple[int, int], status: Status) -> None:
        self._write("status", row, int(status))

    def _write(self, name: str, row: tuple[int, int], values: Any) -> None:
        write(self._store.arrays[name], row, values)

    def _write_rows(self, name: str, row: tuple[int, int], values: npt.NDArray[Any]) -> None:
        self._write(name, row, padded(self._store.arrays[name], values))
