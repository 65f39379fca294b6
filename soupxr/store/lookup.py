"""Reading: which trials a store has, where, and what it says of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from soupxr import schema
from soupxr.errors import StoreError
from soupxr.modes import MODES
from soupxr.schema import Status
from soupxr.store.address import is_url
from soupxr.store.direct import numbers, places, text_at, texts, trial_rows
from soupxr.store.objects import is_object_store, numbered_below
from soupxr.store.zarrs import (
    Array,
    DamagedStore,
    array_of,
    dims_of,
    find_array,
    groups_below,
    open_group,
    telling_of_damage,
)

NO_MARK = bytes([127])
#: So many marks are read without a look at which there are.
FEW = 20
#: Requests to an object store at the same time, where many small ones are due.
REQUESTS = 128


@dataclass(frozen=True)
class StoredTrial:
    """What the store says of one trial."""

    key: str
    slot: int
    animal: str
    session: str
    trial_id: int
    video_paths: tuple[str, ...]
    n_frames: int
    fps: float
    experiment: str


class Store:
    """One store: where it is, what trials it has, and what it says of them.

    Cheap to make, and meant to be made anew for each piece of work: arrays keep the shape they had
    when they were opened. They are opened anew where trials are asked for that another process has
    added or lengthened since. Pickles as its address.

    Parameters
    ----------
    address : str
        From :func:`store_address`.

    Raises
    ------
    StoreError
        If there is no store, or it is not one of ours.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def __repr__(self) -> str:
        return f"Store({self.address!r})"

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return (Store, (self.address,))

    @cached_property
    def group(self) -> zarr.Group:
        """The Zarr group, opened for writing where that is possible."""
        return open_group(self.address)

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """All arrays of the root group, checked against the schema."""
        # By name, not by listing: Zarr warns of files it does not know, such as a .DS_Store. Those
        # that grow last, the labels of trials and annotators, first: no other is shorter then.
        found = {name: find_array(self.group, name) for name in reversed(schema.VARIABLES)}
        arrays = {n: array for n in schema.VARIABLES if (array := found[n]) is not None}
        schema.validate(self.group.attrs, arrays, self.address)
        return arrays

    @property
    def attrs(self) -> dict[str, Any]:
        """The group's attributes."""
        return dict(self.group.attrs)

    def labels(self, name: str) -> list[str]:
        """Labels along ``view``, ``behavior``, ``mode`` or ``annotator``."""
        labels: list[str] = texts(self.address, self.arrays[name]).tolist()
        return labels

    def keys(self) -> list[str]:
        """Keys of the trials there are at this moment, in the order in which they were added."""
        return list(self.slot_of_each_key())

    def slot(self, key: str) -> int:
        """Place of a trial as it stands on disk at this moment.

        Raises
        ------
        StoreError
            If the trial is not there (any more).
        """
        slot = self.slot_of_each_key().get(key)
        if slot is None:
            raise StoreError(f"{key}: this trial is not in {self.address}; was it removed?")
        return slot

    def slot_of_each_key(self) -> Mapping[str, int]:
        """Key of every trial there is, and its place along the ``trial`` dimension."""
        array = array_of(open_group(self.address), "trial")
        if "arrays" in vars(self) and self.arrays["trial"].shape[0] < array.shape[0]:
            self._open_arrays_anew()
        return places(self.address, array)

    def _open_arrays_anew(self) -> None:
        """Another process has lengthened them since."""
        vars(self).pop("arrays", None)

    def slots(self, keys: Iterable[str]) -> list[int]:
        """Places of several trials; see :meth:`slot`."""
        now = self.slot_of_each_key()
        try:
            return [now[key] for key in keys]
        except KeyError as missing:
            raise StoreError(
                f"{missing.args[0]}: this trial is not in {self.address}; was it removed?"
            ) from None

    def column(self, name: str, slots: Sequence[int] | npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        """Values of a per-trial column at these places."""
        array = self.arrays[name]
        is_text = schema.VARIABLES[name].dtype == "str"
        values = (texts if is_text else numbers)(self.address, array)
        with telling_of_damage(f"{self.address}/{name}"):
            return values[np.asarray(slots, dtype=np.intp)]

    def statuses(self, mode: str, slots: Sequence[int]) -> npt.NDArray[np.int8]:
        """Status codes at these places."""
        marks = self.marks(mode, slots)
        # What is no mark commits nothing.
        return np.where(np.isin(marks, tuple(Status)), marks, np.int8(Status.NONE))

    def marks(self, mode: str, slots: Sequence[int]) -> npt.NDArray[np.int8]:
        """What is written where status codes should be, whatever it is."""
        row = self.mode_index(mode)
        if is_url(self.address):
            return self._marks(row, slots)
        return _read_marks(Path(self.address, "status", "c", str(row)), slots)

    def _marks(self, row: int, slots: Sequence[int]) -> npt.NDArray[np.int8]:
        """Status marks of a store behind a URL."""
        array, wanted = self.arrays["status"], np.asarray(slots, dtype=np.intp)
        marks = np.full(len(wanted), Status.NONE, dtype=np.int8)
        written = np.ones(len(wanted), dtype=bool)
        if is_object_store(self.address):
            written = np.isin(wanted, list(numbered_below(self.address, f"status/c/{row}")))
        there = wanted[written]
        if there.size:
            # Each is an object of one byte: what takes time is waiting, which can be shared.
            with zarr.config.set({"async.concurrency": REQUESTS}):
                marks[written] = array.vindex[np.full(there.size, row), there]
        return marks

    def labelled(self, annotators: Sequence[str], slots: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Whether any of these annotators has labelled something of the trials at these places."""
        names, array = self.labels("annotator"), self.arrays["annotation"]
        found = np.zeros(len(slots), dtype=bool)
        for row in (names.index(name) for name in annotators):
            if is_object_store(self.address):
                prefix = f"annotation/c/{row}"
                found |= np.isin(slots, list(numbered_below(self.address, prefix)))
            elif is_url(self.address):
                labels = (np.asarray(array[row, slot]) for slot in slots)
                found |= _flags((one != array.fill_value).any() for one in labels)
            else:
                # Chunks in which nothing is labelled are not written: their folders tell.
                folder = Path(self.address, "annotation", "c", str(row))
                written = _listed(folder)
                found |= _flags(
                    str(slot) in written and _holds_chunks(folder / str(slot)) for slot in slots
                )
        return found

    def trial(self, key: str) -> StoredTrial:
        """Everything the store says of one trial; see :meth:`trials`."""
        return self.trials([key])[0]

    def trials(self, keys: Sequence[str]) -> list[StoredTrial]:
        """Everything the store says of these trials.

        Raises
        ------
        StoreError
            If one of them is not there, or what the store says of it cannot be.
        """
        found = self.told_of(keys)
        if any(trial.n_frames > self.arrays["ethogram"].shape[2] for trial in found):
            self._open_arrays_anew()
        for trial in found:
            self._check(trial)
        return found

    def told_of(self, keys: Sequence[str]) -> list[StoredTrial]:
        """What :meth:`trials` returns, whether it can be or not."""
        slots = self.slots(keys)
        names = ("animal", "session", "trial_id", "n_frames", "fps", "experiment", "video_path")
        columns = (self.column(name, slots) for name in names)
        return [
            StoredTrial(
                key=key,
                slot=slot,
                animal=animal,
                session=session,
                trial_id=int(trial_id),
                n_frames=int(n_frames),
                fps=float(fps),
                experiment=experiment,
                video_paths=tuple(paths),
            )
            for key, slot, animal, session, trial_id, n_frames, fps, experiment, paths in zip(
                keys, slots, *columns, strict=True
            )
        ]

    def _check(self, trial: StoredTrial) -> None:
        """Refuse a trial of which the store says what cannot be."""
        longest = self.arrays["ethogram"].shape[2]
        wrong = None
        if not 0 < trial.n_frames <= longest:
            wrong = f"n_frames: expected 1 to {longest}, but got {trial.n_frames}"
        elif not 0 < trial.fps < math.inf:
            wrong = f"fps: expected a rate in Hz, but got {trial.fps}"
        elif schema.trial_key(trial.animal, trial.session, trial.trial_id) != trial.key:
            wrong = f"it is called {trial.animal!r}, {trial.session!r}, {trial.trial_id} elsewhere"
        if wrong is not None:
            raise StoreError(
                f"{trial.key}: the store {self.address} is damaged: {wrong}. "
                "Remove the trial and add it again, or take the store from a backup."
            )

    def provenances(self, mode: str, slots: Iterable[int]) -> list[str]:
        """JSON texts on how results at these places came about; empty where there are none."""
        row = self.mode_index(mode)
        array = self.arrays["provenance"]
        return [text_at(self.address, array, (row, slot)) for slot in slots]

    def error(self, mode: str, slot: int) -> str:
        """Why the trial at this place failed last; empty where it did not."""
        return text_at(self.address, self.arrays["error"], (self.mode_index(mode), slot))

    def rows(self, name: str, row: int, trial: StoredTrial) -> npt.NDArray[Any]:
        """What ``probability``, ``ethogram`` or ``annotation`` say of a trial.

        Parameters
        ----------
        name : str
            Which of them.
        row : int
            Place of the mode or annotator.

        Returns
        -------
        ndarray, (n_frames, behavior)
        """
        place = (row, trial.slot)
        return trial_rows(self.address, self.arrays[name], place, trial.n_frames)

    def arrays_along(self, dim: str) -> Iterator[Array]:
        """Every array with this dimension, those of child groups included."""
        for array in self.arrays.values():
            if dim in dims_of(array):
                yield array
        for mode in self.modes:
            for array in self.features(mode).values():
                if dim in dims_of(array):
                    yield array
        for path in self.optional_groups():
            for array in self.optional(path).values():
                if dim in dims_of(array):
                    yield array

    def mode_index(self, mode: str) -> int:
        """Place of a mode along its dimension."""
        with telling_of_damage(f"{self.address}/mode"):
            return self.modes.index(mode)

    @cached_property
    def modes(self) -> list[str]:
        """Labels of the ``mode`` dimension; they never change."""
        labels = self.labels("mode")
        # They name groups, so that anything else could lead anywhere.
        if not set(labels) <= set(MODES):
            raise DamagedStore(
                f"{self.address}/mode: the store is damaged here: expected some of {list(MODES)}, "
                f"but got {labels}. Take it from a backup."
            )
        return labels

    def features(self, mode: str) -> dict[str, Array]:
        """Arrays of a mode's features: spatial, flow, logit."""
        names = schema.feature_variables()
        found = {name: array_of(self.group, f"features/{mode}/{name}") for name in names}
        _check_dims(found, names)
        widths = {"feature": schema.N_FEATURES, "class": 1 + self.arrays["behavior"].shape[0]}
        for array in found.values():
            if array.shape[-1] != widths[dims_of(array)[-1]]:
                raise DamagedStore(
                    f"{array.store_path}: the store is damaged here: expected "
                    f"{widths[dims_of(array)[-1]]} values a frame, but got {array.shape[-1]}. "
                    "Take it from a backup."
                )
        return found

    def optional_groups(self) -> list[str]:
        """Groups that only some stores have, such as ``out_of_fold/fast``."""
        return [
            f"{parent}/{name}"
            for parent in schema.OPTIONAL
            for name in groups_below(self.group, parent)
        ]

    def optional(self, path: str) -> dict[str, Array]:
        """Arrays of such a group by name; none where the store does not have it."""
        names = schema.OPTIONAL[path.partition("/")[0]]
        # By name, not by listing: a process that died may have left a folder that is no array yet.
        found = {name: find_array(self.group, f"{path}/{name}") for name in names}
        there = {name: array for name, array in found.items() if array is not None}
        _check_dims(there, names)
        return there


def _check_dims(arrays: Mapping[str, Array], known: Mapping[str, schema.Variable]) -> None:
    """Refuse arrays of a child group that are not along the dimensions that they should be."""
    for name, array in arrays.items():
        if dims_of(array) != known[name].dims:
            raise DamagedStore(
                f"{array.store_path}: the store is damaged here: expected the dimensions "
                f"{known[name].dims}, but got {dims_of(array)}. Take it from a backup."
            )


def _flags(values: Iterable[Any]) -> npt.NDArray[np.bool_]:
    """Truths, of which there may be none: NumPy takes an empty list for numbers."""
    return np.fromiter(values, dtype=bool)


def _listed(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()


def _holds_chunks(folder: Path) -> bool:
    """Whether a trial has chunks of frames.

    There may be empty folders of some, and a piece of one that a killed process had begun.
    """
    return any(chunk.isdecimal() for name in _listed(folder) for chunk in _listed(folder / name))


def _read_marks(folder: Path, slots: Sequence[int]) -> npt.NDArray[np.int8]:
    """Status marks straight from their one-byte chunk files.

    Through Zarr, one chunk at a time, 10,000 trials take seconds; so, a tenth of one.
    """
    # To list ten thousand names takes longer than to look for one.
    written = _listed(folder) if len(slots) > FEW else None

    def mark(slot: int) -> int:
        name = str(slot)
        if written is not None and name not in written:
            return int(Status.NONE)
        try:
            # Not through pathlib and buffers, which take three times as long.
            file = os.open(f"{folder}{os.sep}{name}", os.O_RDONLY)
        except FileNotFoundError:  # removed between listing and reading
            return int(Status.NONE)
        try:
            return (os.read(file, 1) or NO_MARK)[0] & 0x7F
        finally:
            os.close(file)

    return np.array([mark(slot) for slot in slots], dtype=np.int8)
