"""Ethograms as tables of bouts, and tables of bouts as ethograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from soupxr.analysis.made import made_by
from soupxr.analysis.recorded import FrameRate, Labels, Mask, as_masks, labels_of, runs
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, expected
from soupxr.schema import is_whole

__all__ = ["bouts_to_ethogram", "ethogram_to_bouts", "trial_places"]

#: Rows of a table that an error names.
TOLD = 5

ATTRS = {"long_name": "ethogram", "description": "1 occurs, 0 does not, -1 unlabelled"}


def ethogram_to_bouts(
    labels: xr.Dataset | xr.DataArray,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    value: Literal[1, 0, -1] = 1,
    fps: FrameRate | None = None,
) -> pd.DataFrame:
    """List the bouts of an ethogram.

    Parameters
    ----------
    labels : xarray.Dataset or xarray.DataArray (trial, frame, behavior) or (frame, behavior)
        What :func:`soupxr.open` returned, or labels: 1 occurs, 0 does not, −1 unlabelled.
    mode, annotator : str, optional
        Of a Dataset: whose ethograms, or whose labels.
    value : {1, 0, -1}
        List the stretches of this value: −1 lists what is unlabelled.
    fps : float or array_like (trial,), optional
        Frames a second. Default: the Dataset's, or a coordinate of the DataArray.

    Returns
    -------
    pandas.DataFrame
        One row a bout: animal, session, trial_id (as far as they are known), behavior, start and
        stop (frames, half-open), duration_s (s; NaN where nobody says the frame rate). Sorted by
        trial, then behavior, then start. A bout ends where an unlabelled frame begins. Of a Dataset
        whose store is there, ``attrs["provenance"]`` tells what made the labels in it (models,
        thresholds), as that of ``ds.soup.bouts``; of what was changed in memory since, it does not
        know.

    Raises
    ------
    ArgumentError
        If the labels are of another shape or other values, or it is not clear which are meant.

    Examples
    --------
    >>> table = sx.analysis.ethogram_to_bouts(ds, mode="fast")  # doctest: +SKIP
    >>> table.groupby(["animal", "behavior"]).duration_s.median()  # doctest: +SKIP
    """
    if value not in (1, 0, -1):
        raise ArgumentError(expected("value", "1, 0 or -1", value))
    read = labels_of(labels, mode, annotator, fps)
    table = bout_table(read, value)
    made = made_by(labels, read.array) if isinstance(labels, xr.Dataset) else None
    if made is not None:
        table.attrs["provenance"] = made
    return table


def bout_table(read: Labels, value: int = 1) -> pd.DataFrame:
    """The table of :func:`ethogram_to_bouts`, without attributes."""
    trials, behaviors, bouts = bouts_of(read, value)
    table = read.keys.iloc[trials].reset_index(drop=True)
    table["behavior"] = _named(read.behaviors, behaviors)
    table["start"], table["stop"] = (bouts + read.first_frame).T
    rates = read.fps[trials] if read.has_fps else np.nan
    table["duration_s"] = (bouts[:, 1] - bouts[:, 0]) / rates
    return table


def bouts_of(
    labels: Labels, value: int = 1
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Trial, behavior and (start, stop) of every bout, by their places."""
    trials, behaviors, bouts = [], [], [np.zeros((0, 2), dtype=np.int64)]
    for trial, mask in enumerate(labels.masks()):
        behavior, found = runs(mask, value)
        trials.append(np.full(len(behavior), trial, dtype=np.int64))
        behaviors.append(behavior)
        bouts.append(found)
    none = [np.zeros(0, dtype=np.int64)]
    return np.concatenate(none + trials), np.concatenate(none + behaviors), np.concatenate(bouts)


def bouts_to_ethogram(
    bouts: pd.DataFrame,
    like: xr.Dataset | xr.DataArray | None = None,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    behaviors: Sequence[str] | None = None,
    n_frames: int | None = None,
) -> xr.DataArray:
    """Make an ethogram of a table of bouts: the way back from :func:`ethogram_to_bouts`.

    Parameters
    ----------
    bouts : pandas.DataFrame
        One row a bout, in any order; they may overlap: behavior, start, stop (frames, half-open),
        and whatever of animal, session and trial_id tells the trials apart.
    like : xarray.Dataset or xarray.DataArray, optional
        Labels of the same trials, frames and behaviors, as in :func:`ethogram_to_bouts`. What is
        unlabelled in them stays so, unless a bout covers it. If dask holds them, the result is
        lazy.
    mode, annotator : str, optional
        Of a Dataset: whose labels.
    behaviors : sequence of str, optional
        Without ``like``: the behaviors. Default: those of the table, as they come.
    n_frames : int, optional
        Without ``like``: length of every trial; needed. Trials are those of the table.

    Returns
    -------
    xarray.DataArray of int8, (trial, frame, behavior) or (frame, behavior)
        1 in a bout, 0 elsewhere, −1 unlabelled.

    Raises
    ------
    ArgumentError
        If columns are missing, or a bout is of another trial or behavior or leaves its trial.

    Examples
    --------
    >>> table = sx.analysis.ethogram_to_bouts(ds, mode="fast")  # doctest: +SKIP
    >>> long = table[table.duration_s > 0.05]  # doctest: +SKIP
    >>> cleaned = sx.analysis.bouts_to_ethogram(long, ds, mode="fast")  # doctest: +SKIP
    """
    _check_columns(bouts, ("behavior", "start", "stop"))
    if like is None:
        template = labels_of(_blank(bouts, behaviors, n_frames))
    elif behaviors is not None or n_frames is not None:
        raise ArgumentError(
            expected("behaviors, n_frames", "None with like=", (behaviors, n_frames))
        )
    else:
        template = labels_of(like, mode, annotator)
    brush = _Brush(bouts, template)
    array = template.array
    if array.chunks is None:
        painted = [brush(b, np.arange(n, n + len(b))) for n, b in template.blocks()]
        whole = np.concatenate(painted) if painted else np.zeros(array.shape, np.int8)
        result = array.copy(data=whole.reshape(array.shape))
    else:
        result = _lazily(brush, template)
    return result.rename("ethogram").assign_attrs(ATTRS)


class _Brush:
    """Paints the bouts of a table over the labels of some trials."""

    def __init__(self, bouts: pd.DataFrame, template: Labels) -> None:
        trial = trial_places(bouts, template.keys)
        behavior = pd.Index(template.behaviors).get_indexer(pd.Index(bouts["behavior"]))
        _check_rows(bouts, behavior >= 0, f"behaviors among {template.behaviors}")
        spans = _spans(bouts, template)
        order = np.argsort(trial, kind="stable")
        self.rows = np.column_stack([behavior, spans])[order]
        self.edges = np.searchsorted(trial[order], np.arange(template.n_trials + 1))
        self.whole = template.whole

    def __call__(self, block: npt.NDArray[Any], trials: npt.NDArray[np.int64]) -> Mask:
        """Labels (trial, frame, behavior) of the trials with these numbers."""
        numbers = np.ravel(trials)
        painted = np.minimum(as_masks(block), 0).reshape((len(numbers), *block.shape[-2:]))
        for place, trial in enumerate(numbers):
            if not self.whole[trial]:
                painted[place] = -1
            for behavior, start, stop in self.rows[self.edges[trial] : self.edges[trial + 1]]:
                painted[place, start:stop, behavior] = 1
        return painted.reshape(block.shape)


def _lazily(brush: _Brush, template: Labels) -> xr.DataArray:
    array = template.array.chunk({"frame": -1, "behavior": -1})
    number = xr.Variable((), 0)
    if template.dim is not None:
        number = xr.Variable(template.dim, np.arange(template.n_trials))
        number = number.chunk({template.dim: array.chunksizes[template.dim]})
    core = ["frame", "behavior"]
    result: xr.DataArray = xr.apply_ufunc(
        brush,
        array,
        number,
        input_core_dims=[core, []],
        output_core_dims=[core],
        dask="parallelized",
        output_dtypes=[np.int8],
    )
    return result


def _blank(
    bouts: pd.DataFrame, behaviors: Sequence[str] | None, n_frames: int | None
) -> xr.DataArray:
    """All 0: the trials of a table."""
    if not is_whole(n_frames) or n_frames is None or n_frames < 0:
        remedy = "Or pass like=…, labels of the same trials."
        raise ArgumentError(expected("n_frames", "frames of each trial", n_frames, remedy))
    names = list(dict.fromkeys(bouts["behavior"])) if behaviors is None else list(behaviors)
    levels = [level for level in LEVELS if level in bouts]
    coords: dict[str, Any] = {"frame": np.arange(n_frames), "behavior": np.array(names, dtype=str)}
    if not levels:
        shape: tuple[int, ...] = (n_frames, len(names))
        return xr.DataArray(np.zeros(shape, np.int8), coords, ("frame", "behavior"))
    index = pd.MultiIndex.from_frame(bouts[levels].drop_duplicates())
    shape = (len(index), n_frames, len(names))
    blank = xr.DataArray(np.zeros(shape, np.int8), coords, ("trial", "frame", "behavior"))
    return blank.assign_coords(xr.Coordinates.from_pandas_multiindex(index, "trial"))


# ------------------------------------------------------------------ reading a table


def trial_places(table: pd.DataFrame, keys: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Place of each row's trial among those with these keys.

    Raises
    ------
    ArgumentError
        If a row is of no trial, or it can't be told of which.
    """
    if keys.shape[1] == 0:
        return np.zeros(len(table), dtype=np.int64)
    # What is the same for all trials may be left out of a table.
    names = [str(name) for name in keys]
    telling = [name for name in names if name in table or keys[name].nunique() > 1]
    _check_columns(table, telling)
    if not telling:
        _check_rows(table, np.full(len(table), len(keys) == 1), "trials of the selection")
        return np.zeros(len(table), dtype=np.int64)
    known = _index(keys, telling)
    if not known.is_unique:
        twice = known[known.duplicated()][:TOLD].tolist()
        raise ArgumentError(expected("trial", "each trial once", twice))
    places = known.get_indexer(_index(table, telling))
    _check_rows(table, places >= 0, "trials of the selection")
    return places.astype(np.int64)


def _index(table: pd.DataFrame, columns: Sequence[str]) -> pd.Index[Any]:
    if len(columns) == 1:
        found: pd.Index[Any] = pd.Index(table[columns[0]])
        return found
    return pd.MultiIndex.from_frame(table[list(columns)])


def _spans(bouts: pd.DataFrame, template: Labels) -> npt.NDArray[np.int64]:
    spans = bouts[["start", "stop"]].to_numpy()
    if len(spans) and not np.issubdtype(spans.dtype, np.integer):
        remedy = "Multiply seconds by the frame rate, and round."
        raise ArgumentError(expected("bouts", "start and stop in whole frames", spans[0], remedy))
    spans = spans.astype(np.int64)
    first, length = template.first_frame, template.array.sizes["frame"]
    inside = (first <= spans[:, 0]) & (spans[:, 0] <= spans[:, 1]) & (spans[:, 1] <= first + length)
    _check_rows(bouts, inside, f"{first} <= start <= stop <= {first + length}")
    return spans - first


def _check_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    if not isinstance(table, pd.DataFrame):
        raise ArgumentError(expected("bouts", "a pandas DataFrame", type(table).__name__))
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ArgumentError(expected("bouts", f"the columns {lacking} too", list(table.columns)))


def _check_rows(table: pd.DataFrame, fine: npt.NDArray[np.bool_], expectation: str) -> None:
    if not fine.all():
        wrong = table[~fine].head(TOLD).to_dict("records")
        raise ArgumentError(expected("bouts", expectation, wrong))


def _named(names: Sequence[Any], places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    kind = object if names and isinstance(names[0], str) else np.int64
    return np.array(names, dtype=kind)[places]
