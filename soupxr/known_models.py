"""Models that a store knows: which is the default, and the table that users see."""

from __future__ import annotations

import os

import pandas as pd
import xarray as xr

from soupxr.dataset import store_of
from soupxr.errors import CheckpointError
from soupxr.store import ModelRecord, Store, models

__all__ = ["models_table", "newest_model"]

COLUMNS = ("mode", "kind", "trained", "metric", "value", "path", "there", "default")


def newest_model(store: Store, mode: str, kind: str) -> ModelRecord | None:
    """The model of a mode and kind that was trained last on this store; None if none was.

    Raises
    ------
    CheckpointError
        If its file has gone.
    """
    known = [record for record in models(store) if (record.mode, record.kind) == (mode, kind)]
    if not known:
        return None
    newest = known[-1]
    if not os.path.exists(newest.path):
        raise CheckpointError(
            f"{newest.path}: expected the {kind.replace('_', ' ')} that was trained on this store "
            f"last (mode {mode!r}, {newest.trained}), but the file has gone. Put it back, pass "
            "another checkpoint, or train anew."
        )
    return newest


def models_table(ds: xr.Dataset) -> pd.DataFrame:
    """List the models that a store knows; see ``ds.soup.models``."""
    known = models(store_of(ds))
    newest = {(record.mode, record.kind): record for record in known}
    rows = [
        (
            record.mode,
            record.kind,
            record.trained,
            record.metric,
            record.value,
            record.path,
            os.path.exists(record.path),
            newest[record.mode, record.kind] is record,
        )
        for record in known
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
