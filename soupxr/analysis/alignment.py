"""What happens around events: values cut out around each, on one axis of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from soupxr.analysis.cutting import cut_out
from soupxr.analysis.recorded import FrameRate, Recorded, labels_of, recorded_of
from soupxr.analysis.tables import bout_table, trial_places
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, expected

__all__ = ["align"]

Edge = Literal["start", "stop"]


def align(
    values: xr.Dataset | xr.DataArray,
    event: str | xr.DataArray | pd.DataFrame,
    window: tuple[float, float],
    *,
    mode: str | None = None,
    annotator: str | None = None,
    edge: Edge = "start",
    which: Literal["all", "first"] = "all",
    rate: float | None = None,
    fps: FrameRate | None = None,
) -> xr.DataArray:
    """Cut values out around events, as peri-event arrays.

    Parameters
    ----------
    values : xarray.DataArray (trial, frame, …) or (frame, …), or xarray.Dataset
        Anything that has frames: ethograms, probabilities, positions; or what
        :func:`soupxr.open` returned, whose ethograms or labels are meant then.
    event : str, xarray.DataArray or pandas.DataFrame
        Around what: the bouts of this behavior in ``values``, if those are an ethogram; the bouts
        of a mask (trial, frame) of 1, 0 and −1; or the rows of a table, such as
        :func:`ethogram_to_bouts` makes, with the column that ``edge`` names (frames) and whatever
        of animal, session and trial_id tells the trials apart. Several behaviors may be in one
        table.
    window : (float, float)
        From when to when, in seconds after the event; half-open. ``(-0.2, 0.5)`` begins 0.2 s
        before it.
    mode, annotator : str, optional
        Of a Dataset: whose ethograms, or whose labels.
    edge : {"start", "stop"}
        Time 0 is the first frame of a bout, or the frame after its last.
    which : {"all", "first"}
        All events, or the earliest of each trial.
    rate : float, optional
        Samples a second of the result; each is the nearest frame. Default: the trials' frame rate;
        needed where they differ.
    fps : float or array_like (trial,), optional
        Frames a second. Default: the Dataset's, or a coordinate of the DataArray.

    Returns
    -------
    xarray.DataArray, (event, time, …)
        ``time`` is in seconds after the event. ``event`` is indexed by animal, session, trial_id
        and ``occurrence`` (from 0 within its trial), so that ``.sel(animal="M1")`` and
        ``.groupby("animal")`` work; ``event_frame`` is the frame at time 0, ``event_behavior``,
        where it is known, the behavior. Beyond the trial, values are NaN; those of int8 (and of
        bool, which become int8) are −1, unlabelled. Other whole numbers become float64. Lazy if
        dask holds ``values``. Events are in the order of the trials, then of the frames.

    Raises
    ------
    ArgumentError
        If an argument is of no use, an event is of no trial of ``values``, or the frame rate is
        not known.

    Notes
    -----
    Every bout is an event, also one that begins in frame 0 or behind an unlabelled frame and may
    have begun earlier; just before it, the behavior is then −1 and not 0. Events themselves may lie
    beyond the frames that ``values`` has.

    Examples
    --------
    >>> around = sx.analysis.align(ds, "grab", (-0.2, 0.5), mode="fast")  # doctest: +SKIP
    >>> around.where(around >= 0).groupby("animal").mean()  # doctest: +SKIP
    >>> grabs = sx.analysis.ethogram_to_bouts(ds, mode="fast").query("behavior == 'grab'")
    ... # doctest: +SKIP
    >>> sx.analysis.align(ds.probability.sel(mode="fast"), grabs, (-0.2, 0.5), fps=ds.fps)
    ... # doctest: +SKIP
    """
    if edge not in ("start", "stop"):
        raise ArgumentError(expected("edge", "'start' or 'stop'", edge))
    if which not in ("all", "first"):
        raise ArgumentError(expected("which", "'all' or 'first'", which))
    read = _read(values, mode, annotator, fps)
    events = _events(read, values, event, mode, annotator, edge, which)
    time = _times(window, _rate(read, rate))
    picked = cut_out(read, events.trial, events.frame, time)
    result = xr.DataArray(picked, name=read.array.name, attrs=read.array.attrs)
    result = result.assign_coords(_coords(read, events))
    return result.assign_coords(time=("time", time, {"units": "s", "long_name": _told(event)}))


@dataclass(frozen=True, eq=False)
class _Events:
    """In the order of trials and frames: the trial's place, the frame, and perhaps the behavior."""

    trial: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    behavior: npt.NDArray[Any] | None


def _read(
    values: xr.Dataset | xr.DataArray,
    mode: str | None,
    annotator: str | None,
    fps: FrameRate | None,
) -> Recorded:
    # What is neither, labels_of refuses.
    if not isinstance(values, xr.DataArray) or mode is not None or annotator is not None:
        return labels_of(values, mode, annotator, fps)
    taken = {"event", "time"} & {str(dim) for dim in values.dims}
    if taken:
        raise ArgumentError(expected("values", "no dimension event or time", values.dims))
    return recorded_of(values, fps)


# ------------------------------------------------------------------ which events


def _events(
    read: Recorded,
    values: xr.Dataset | xr.DataArray,
    event: str | xr.DataArray | pd.DataFrame,
    mode: str | None,
    annotator: str | None,
    edge: Edge,
    which: str,
) -> _Events:
    if isinstance(event, str):
        table = bout_table(labels_of(_of_behavior(values, event), mode, annotator))
    elif isinstance(event, xr.DataArray):
        table = _of_mask(event)
    else:
        table = event
    return _in_order(table, read, edge, which)


def _of_mask(event: xr.DataArray) -> pd.DataFrame:
    if "behavior" in event.dims:
        remedy = "Select one: .sel(behavior=…)."
        raise ArgumentError(expected("event", "(trial, frame)", event.dims, remedy))
    mask = event.drop_vars("behavior", errors="ignore").expand_dims("behavior")
    table = bout_table(labels_of(mask)).drop(columns="behavior")
    return table.assign(behavior=event["behavior"].item()) if "behavior" in event.coords else table


def _of_behavior(values: xr.Dataset | xr.DataArray, behavior: str) -> xr.Dataset | xr.DataArray:
    known = [str(n) for n in values["behavior"].values] if "behavior" in values.dims else []
    if behavior not in known:
        remedy = "Of other values than ethograms, pass a mask or a table of events."
        raise ArgumentError(expected("event", f"one of {known}", behavior, remedy))
    return values.isel(behavior=[known.index(behavior)])


def _in_order(table: object, read: Recorded, edge: Edge, which: str) -> _Events:
    if not isinstance(table, pd.DataFrame):
        expectation = "a behavior, a mask (trial, frame), or a table of events"
        raise ArgumentError(expected("event", expectation, type(table).__name__))
    if edge not in table or (len(table) and not pd.api.types.is_integer_dtype(table[edge])):
        expectation = f"a column {edge} of whole frames"
        raise ArgumentError(expected("event", expectation, dict(table.dtypes)))
    trial = trial_places(table, read.keys)
    frame = table[edge].to_numpy(np.int64)
    order = np.lexsort((frame, trial))
    if which == "first":
        order = order[np.diff(trial[order], prepend=-1) > 0]
    behavior = table["behavior"].to_numpy()[order] if "behavior" in table else None
    return _Events(trial[order], frame[order], behavior)


# ------------------------------------------------------------------ which times


def _rate(read: Recorded, rate: float | None) -> float:
    if rate is not None:
        if not (np.isfinite(rate) and rate > 0):
            raise ArgumentError(expected("rate", "samples a second, above 0", rate))
        return float(rate)
    rates = np.unique(read.fps)
    if len(rates) != 1:
        remedy = "Pass rate=…: each sample is then the nearest frame."
        raise ArgumentError(expected("values", "trials of one frame rate", rates.tolist(), remedy))
    return float(rates[0])


def _times(window: tuple[float, float], rate: float) -> npt.NDArray[np.float64]:
    try:
        left, right = (float(end) for end in window)
    except (TypeError, ValueError):
        left = right = np.nan
    if not (np.isfinite([left, right]).all() and left < right):
        raise ArgumentError(expected("window", "seconds (from, to), from < to", window))
    # Rounded to a millionth of a sample, so that 0.3 s at 10 Hz are three samples and not four.
    first, last = (int(np.ceil(round(end * rate, 6))) for end in (left, right))
    return np.arange(first, last) / rate


# ------------------------------------------------------------------ labelling them


def _coords(read: Recorded, events: _Events) -> xr.Coordinates:
    """The index of events, and what is known of their trials."""
    keys = read.keys.iloc[events.trial]
    starts = np.searchsorted(events.trial, events.trial)
    occurrence = np.arange(len(events.trial)) - starts
    if keys.shape[1]:
        levels = [*(keys[name].to_numpy() for name in keys), occurrence]
        index = pd.MultiIndex.from_arrays(levels, names=[*keys.columns, "occurrence"])
        found = xr.Coordinates.from_pandas_multiindex(index, "event")
    else:
        found = xr.Coordinates({"event": occurrence})
    return found.assign(
        _carried(read, events, {*keys.columns, *LEVELS, read.dim, "trial", "frame"})
    )


def _carried(read: Recorded, events: _Events, gone: set[Any]) -> dict[str, Any]:
    coords: dict[str, Any] = {
        "event_frame": ("event", events.frame, {"description": "frame of the trial at time 0"})
    }
    if events.behavior is not None:
        coords["event_behavior"] = ("event", events.behavior)
    for name, coord in read.array.coords.items():
        if name in gone or "frame" in coord.dims or name in coords:
            continue
        if coord.dims == (read.dim,):
            coords[str(name)] = ("event", coord.values[events.trial])
        elif read.dim not in coord.dims:
            coords[str(name)] = coord.variable
    return coords


def _told(event: object) -> str:
    return f"time from {event}" if isinstance(event, str) else "time from the event"
