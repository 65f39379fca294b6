"""What made the labels of a Dataset, as its store tells."""

from __future__ import annotations

from typing import Any

import xarray as xr

from soupxr.analysis.recorded import SOURCES
from soupxr.dataset import keys_of, store_of
from soupxr.errors import SoupError
from soupxr.labels import label_source, labelled
from soupxr.origin import in_brief, origin_of

__all__ = ["made_by"]


def made_by(ds: xr.Dataset, labels: xr.DataArray) -> dict[str, Any] | None:
    """Where labels that were chosen from a Dataset come from; None where nobody can tell.

    Parameters
    ----------
    ds : Dataset
        A selection of what :func:`soupxr.open` returned, or another.
    labels : DataArray
        Its labels of one mode or annotator.
    """
    dim = {name: dim for dim, name in SOURCES.items()}[str(labels.name)]
    if dim not in labels.coords:
        return None
    try:
        store = store_of(ds)
        source = label_source(store, **{dim: str(labels[dim].item())})
        trials = store.trials(list(dict.fromkeys(keys_of(ds))))
        return in_brief(origin_of(store, source, labelled(store, source, trials)))
    except SoupError:
        # No store, or one that was moved or lacks these trials: the labels are here all the same.
        return None
