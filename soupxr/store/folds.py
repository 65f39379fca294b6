"""What models say of trials that were kept from their training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soupxr.schema import out_of_fold_variables
from soupxr.store.direct import trial_rows
from soupxr.store.groups import require_group
from soupxr.store.lookup import Store, StoredTrial
from soupxr.store.zarrs import padded, write

__all__ = ["OutOfFold", "clear_out_of_fold", "read_out_of_fold", "write_out_of_fold"]

FloatArray = npt.NDArray[np.float32]


def write_out_of_fold(
    address: str, mode: str, key: str, fold: int, probability: FloatArray
) -> None:
    """Keep what the fold that did not see a trial says of it.

    Parameters
    ----------
    probability : ndarray of float32, (frame, behavior)
        As long as the trial.
    """
    path, variables = f"out_of_fold/{mode}", out_of_fold_variables()
    store = Store(address)
    require_group(address, path, variables)
    slot, arrays = store.slot(key), store.optional(path)
    write(arrays["fold"], slot, -1)
    write(arrays["probability"], slot, padded(arrays["probability"], probability))
    write(arrays["fold"], slot, fold)


def clear_out_of_fold(address: str, mode: str) -> None:
    """Withdraw what an earlier cross-validation left."""
    store = Store(address)
    arrays = store.optional(f"out_of_fold/{mode}")
    # The mark first: without it, what is left of the probabilities counts for nothing.
    for name in ("fold", "probability"):
        if name in arrays:
            write(arrays[name], ..., arrays[name].fill_value)


class OutOfFold:
    """What a mode's folds say of trials: opened once, read trial by trial."""

    def __init__(self, store: Store, mode: str) -> None:
        self._address = store.address
        self._arrays = store.optional(f"out_of_fold/{mode}")

    def read(self, trial: StoredTrial) -> FloatArray | None:
        """Out-of-fold probabilities (frame, behavior) of a trial; None where there are none."""
        if not self._arrays or int(np.asarray(self._arrays["fold"][trial.slot])) < 0:
            return None
        place = (trial.slot,)
        return trial_rows(self._address, self._arrays["probability"], place, trial.n_frames)


def read_out_of_fold(store: Store, mode: str, key: str) -> FloatArray | None:
    """Out-of-fold probabilities (frame, behavior) of a trial; None where there are none."""
    return OutOfFold(store, mode).read(store.trial(key))
