"""What people say occurs in a trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from soupxr.errors import StoreError
from soupxr.schema import SCHEMA_VERSION
from soupxr.store.address import exclusive, is_url
from soupxr.store.direct import slots_with_labels, texts, trial_rows
from soupxr.store.lookup import Store, StoredTrial
from soupxr.store.permission import telling_of_permission
from soupxr.store.zarrs import Array, array_of, open_group, padded, resize, write

__all__ = [
    "Conflict",
    "PartlyWritten",
    "labelled_trials",
    "read_annotation",
    "withdraw_annotator",
    "write_annotations",
]

Mask = npt.NDArray[np.int8]
#: Slot of a trial, and its frames.
Place = tuple[int, int]


class Conflict(StoreError):
    """Other labels are in the store than the writer last saw there; nothing was written.

    Parameters
    ----------
    key : str
        The trial.
    annotator : str
        Whose labels they are.
    labels : ndarray of int8, (n_frames, behavior)
        Those that are stored now.
    """

    def __init__(self, key: str, annotator: str, labels: Mask) -> None:
        # The arguments as they are: so an exception pickles.
        super().__init__(key, annotator, labels)
        self.key, self.annotator, self.labels = key, annotator, labels

    def __str__(self) -> str:
        return (
            f"{self.key}: other labels of {self.annotator!r} have been saved since they were last "
            "read; nothing was written. Read them again, or write as another annotator."
        )


class PartlyWritten(StoreError):
    """The disk took some of the labels of an annotator and then no more.

    Parameters
    ----------
    message : str
        Why.
    labels : mapping of str to ndarray of int8, (n_frames, behavior)
        By key: what is stored now of those trials whose labels were ``expected``.
    """

    def __init__(self, message: str, labels: Mapping[str, Mask]) -> None:
        super().__init__(message, labels)
        self.labels = labels

    def __str__(self) -> str:
        return str(self.args[0])


def labelled_trials(store: Store, annotator: str, trials: Sequence[StoredTrial]) -> list[str]:
    """Keys of those trials of which this annotator has labelled something."""
    names = store.labels("annotator")
    if annotator not in names:
        return []
    row, array = names.index(annotator), store.arrays["annotation"]
    return [
        trial.key
        for trial in trials
        if (trial_rows(store.address, array, (row, trial.slot)) != array.fill_value).any()
    ]


def read_annotation(address: str, annotator: str, key: str) -> Mask:
    """Read an annotator's labels of a trial as they stand on disk at this moment.

    Returns
    -------
    ndarray of int8, (n_frames, behavior)
        −1 everywhere where this annotator has labelled nothing.

    Raises
    ------
    StoreError
        If the trial is not there.
    """
    table = _Table(address)
    slot, n_frames = table.place(key)
    return table.row(annotator, slot)[:n_frames]


def write_annotations(
    address: str,
    annotator: str,
    masks: Mapping[str, Mask],
    *,
    overwrite: bool = False,
    expected: Mapping[str, Mask | None] | None = None,
) -> None:
    """Write an annotator's labels of some trials.

    A new annotator is there with all these labels or, if the process is killed, not at all. Of one
    who is there already, trial after trial is replaced: after a kill, each block of
    ``schema.FRAME_CHUNK`` frames of a trial has either its labels from before or the new ones.

    Parameters
    ----------
    annotator : str
        Who labelled.
    masks : mapping of str to ndarray of int8, (n_frames, behavior)
        By key of the trial; 1 occurs, 0 does not, −1 unlabelled.
    overwrite : bool
        Replace labels of this annotator; those of trials that are not named stay in any case.
    expected : mapping of str to ndarray of int8 or None, (n_frames, behavior), optional
        By key: labels of this annotator that the writer last saw, None for none at all. They are
        replaced without ``overwrite``, block by block where they change, but only if each block
        is still what is stored, or what is to be written is stored already.

    Raises
    ------
    Conflict
        If other labels are stored than ``expected``; then no trial's are written.
    ReadOnly
        If the store cannot be written.
    PartlyWritten
        If the disk fails after some of the blocks of trials in ``expected``.
    StoreError
        If a trial was removed or its video replaced meanwhile, another process has written
        labels that would be overwritten, or the disk fails otherwise.
    """
    seen = {} if expected is None else expected
    with telling_of_permission(address), exclusive(address):
        table = _Table(address)
        places = {key: table.place(key) for key in masks}
        _check_lengths(places, masks)
        _check_lengths(places, {key: mask for key, mask in seen.items() if mask is not None})
        if not overwrite:
            _check_unlabelled(table, annotator, {k: v for k, v in places.items() if k not in seen})
        stored = {
            key: _known_row(table, annotator, key, place, (seen[key], masks[key]))
            for key, place in places.items()
            if key in seen
        }
        new = annotator not in table.names
        row = len(table.names) if new else table.names.index(annotator)
        if new:
            _make_room(table, row)
        changes = _changes(table.annotation, row, places, masks, stored)
        for number, (key, place, values) in enumerate(changes):
            try:
                write(table.annotation, place, values)
            except StoreError as error:
                if new or number == 0:
                    raise  # Nothing is there that readers would see.
                now = {key: labels[: places[key][1]] for key, labels in stored.items()}
                raise PartlyWritten(str(error), now) from error
            if key in stored:
                stored[key][place[2]] = values
        if new:
            _append_label(table.annotator, annotator)


def withdraw_annotator(address: str, annotator: str) -> None:
    """Take back the name of one who was new, once nothing is labelled by it any more.

    Raises
    ------
    StoreError
        If the store cannot be written, or the name has to stay: there are labels by it, or another
        name came after it.
    """
    with telling_of_permission(address), exclusive(address):
        table = _Table(address)
        if annotator not in table.names:
            return
        row, annotation = table.names.index(annotator), table.annotation
        labelled = any(
            (table.row(annotator, slot) != annotation.fill_value).any()
            for slot in slots_with_labels(address, annotation, row)
        )
        if labelled or row != len(table.names) - 1:
            raise StoreError(f"{annotator}: the name stays, for there are labels or a later name.")
        resize(table.annotator, (row,))


class _Table:
    """What writing labels needs of a store, read once under its lock.

    A :class:`Store` opens every array and reads every column of a trial, ten times as much.
    """

    def __init__(self, address: str) -> None:
        arrays = _arrays(address)
        self.address = address
        self.annotation, self.annotator = arrays["annotation"], arrays["annotator"]
        self.names: list[str] = texts(address, self.annotator).tolist()
        self._n_frames = arrays["n_frames"]
        keys = texts(address, arrays["trial"])
        self._slots = {key: slot for slot, key in enumerate(keys) if key}

    def place(self, key: str) -> Place:
        slot = self._slots.get(key)
        if slot is None:
            raise StoreError(f"{key}: this trial is not in {self.address}; was it removed?")
        return slot, int(np.asarray(self._n_frames[slot]))

    def row(self, annotator: str, slot: int) -> Mask:
        """Labels with their padding."""
        if annotator in self.names:
            row = self.names.index(annotator)
            return trial_rows(self.address, self.annotation, (row, slot))
        return padded(self.annotation, ())


def _arrays(address: str) -> dict[str, Array]:
    group = open_group(address)
    if group.attrs.get("soupxr_schema") == SCHEMA_VERSION:
        names = ("annotation", "annotator", "trial", "n_frames")
        with suppress(KeyError):
            return {name: array_of(group, name) for name in names}
    return Store(address).arrays  # which says what is wrong with it


def _check_lengths(places: Mapping[str, Place], masks: Mapping[str, Mask]) -> None:
    for key, (_, n_frames) in places.items():
        if key in masks and len(masks[key]) != n_frames:
            raise StoreError(
                f"{key}: expected labels of {n_frames} frames, but got {len(masks[key])}; "
                "was its video replaced meanwhile? Nothing was written."
            )


def _check_unlabelled(table: _Table, annotator: str, places: Mapping[str, tuple[int, int]]) -> None:
    there = [
        key
        for key, (slot, _) in places.items()
        if annotator in table.names
        and (table.row(annotator, slot) != table.annotation.fill_value).any()
    ]
    if there:
        raise StoreError(
            f"{', '.join(there)}: {annotator!r} has labelled these trials meanwhile; nothing "
            "was written. Pass overwrite=True to replace these labels."
        )


def _known_row(
    table: _Table, annotator: str, key: str, place: Place, known: tuple[Mask | None, Mask]
) -> Mask:
    """A trial's stored row, if each of its blocks is of one of two that the writer knows."""
    slot, n_frames = place
    row = table.row(annotator, slot)
    # Beyond n_frames may be labels of a longer video that was replaced; nobody sees those.
    labels = row[:n_frames]
    unlabelled = np.full_like(labels, table.annotation.fill_value)
    ours = [unlabelled if k is None else k for k in known]
    size = table.annotation.chunks[2]
    blocks = [slice(start, start + size) for start in range(0, n_frames, size)]
    # A process that died, or a full disk, may have left some blocks of the one, some of the other.
    if all(any(np.array_equal(labels[b], k[b]) for k in ours) for b in blocks):
        return row
    raise Conflict(key, annotator, labels)


def _changes(
    annotation: Array,
    row: int,
    places: Mapping[str, Place],
    masks: Mapping[str, Mask],
    stored: Mapping[str, Mask],
) -> Iterator[tuple[str, tuple[int, int, slice], Mask]]:
    """What is to be written, where; of trials of which the stored row is known, what changes.

    That comes block by block, to be written one after the other: of blocks that are written at
    once, some may reach the disk after another has failed.
    """
    length = annotation.chunks[2]
    for key, (slot, _) in places.items():
        after = padded(annotation, masks[key])
        if key not in stored:
            yield key, (row, slot, slice(None)), after
            continue
        for start in range(0, len(after), length):
            block = slice(start, start + length)
            if not np.array_equal(stored[key][block], after[block]):
                yield key, (row, slot, block), after[block]


def _make_room(table: _Table, row: int) -> None:
    """Make an empty row for a new annotator."""
    annotation = table.annotation
    if annotation.shape[0] == row:
        resize(annotation, (row + 1, *annotation.shape[1:]))
    elif is_url(table.address):
        write(annotation, slice(row, None), annotation.fill_value)
    else:
        # A process that died here, or a full disk, left labels of one who never came to be.
        for slot in slots_with_labels(table.address, annotation, row):
            write(annotation, (row, slot), annotation.fill_value)


def _append_label(array: Array, label: str) -> None:
    """Lengthen a coordinate by one label at a stroke.

    The label is written where it will stand while readers still see the array as it was; the new
    shape, one small file, then makes it valid. The other way round, they would see an empty name.
    """
    size = array.shape[0]
    longer: Any = array.metadata.update_shape((size + 1,))
    ahead: Array = zarr.Array(dataclasses.replace(array.async_array, metadata=longer))
    write(ahead, size, label)
    resize(array, (size + 1,))
