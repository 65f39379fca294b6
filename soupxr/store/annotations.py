"""What people say occurs in a trial."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from soupxr.errors import StoreError
from soupxr.store.address import exclusive
from soupxr.store.lookup import Store, StoredTrial
from soupxr.store.zarrs import Array, write

__all__ = ["labelled_trials", "write_annotations"]

Mask = npt.NDArray[np.int8]


def labelled_trials(store: Store, annotator: str, trials: Sequence[StoredTrial]) -> list[str]:
    """Keys of those trials of which this annotator has labelled something."""
    names = store.labels("annotator")
    if annotator not in names:
        return []
    row, array = names.index(annotator), store.arrays["annotation"]
    return [
        trial.key
        for trial in trials
        if (np.asarray(array[row, trial.slot]) != array.fill_value).any()
    ]


def write_annotations(
    address: str, annotator: str, masks: Mapping[str, Mask], *, overwrite: bool = False
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

    Raises
    ------
    StoreError
        If a trial was removed or its video replaced meanwhile, or another process has written
        labels that would be overwritten.
    """
    with exclusive(address):
        store = Store(address)
        trials = store.trials(list(masks))
        _check_lengths(trials, masks)
        there = [] if overwrite else labelled_trials(store, annotator, trials)
        if there:
            raise StoreError(
                f"{', '.join(there)}: {annotator!r} has labelled these trials meanwhile; nothing "
                "was written. Pass overwrite=True to replace these labels."
            )
        names = store.labels("annotator")
        new = annotator not in names
        row = len(names) if new else names.index(annotator)
        annotation = store.arrays["annotation"]
        if new:
            _make_room(annotation, row)
        for trial in trials:
            write(annotation, (row, trial.slot), _padded(annotation, masks[trial.key]))
        if new:
            _append_label(store.arrays["annotator"], annotator)


def _check_lengths(trials: Sequence[StoredTrial], masks: Mapping[str, Mask]) -> None:
    for trial in trials:
        if len(masks[trial.key]) != trial.n_frames:
            raise StoreError(
                f"{trial.key}: expected labels of {trial.n_frames} frames, but got "
                f"{len(masks[trial.key])}; was its video replaced meanwhile? Nothing was written."
            )


def _make_room(annotation: Array, row: int) -> None:
    """Make an empty row for a new annotator."""
    if annotation.shape[0] > row:
        # A process that died here left labels of an annotator who never came to be.
        write(annotation, slice(row, None), annotation.fill_value)
    else:
        annotation.resize((row + 1, *annotation.shape[1:]))


def _padded(annotation: Array, mask: Mask) -> Mask:
    """A trial's full row: shorter labels must leave no tail of longer ones."""
    row = np.full(annotation.shape[2:], annotation.fill_value, dtype=np.int8)
    row[: len(mask)] = mask
    return row


def _append_label(array: Array, label: str) -> None:
    """Lengthen a coordinate by one label at a stroke.

    The label is written where it will stand while readers still see the array as it was; the new
    shape, one small file, then makes it valid. The other way round, they would see an empty name.
    """
    size = array.shape[0]
    longer: Any = array.metadata.update_shape((size + 1,))
    ahead: Array = zarr.Array(dataclasses.replace(array.async_array, metadata=longer))
    write(ahead, size, label)
    array.resize((size + 1,))
