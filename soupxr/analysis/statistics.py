"""How often behaviors occur, for how long, and how soon."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from soupxr.analysis.groups import By, Groups, groups_of
from soupxr.analysis.recorded import FrameRate, Labels, labels_of, runs

__all__ = ["bout_statistics"]

Numbers = npt.NDArray[np.float64]

ATTRS = {
    "n_bouts": {"units": "1", "long_name": "bouts"},
    "mean_duration": {"units": "s", "long_name": "mean duration of a bout"},
    "median_duration": {"units": "s", "long_name": "median duration of a bout"},
    "total_duration": {"units": "s", "long_name": "time in which the behavior occurs"},
    "labelled_time": {"units": "s", "long_name": "time for which the behavior is labelled"},
    "rate": {"units": "min-1", "long_name": "bouts per minute of labelled time"},
    "latency": {"units": "s", "long_name": "time from the start of the trial to the first bout"},
    "n_trials": {"units": "1", "long_name": "trials with a labelled frame"},
    "n_trials_with": {"units": "1", "long_name": "trials in which the behavior occurs"},
}


def bout_statistics(
    labels: xr.Dataset | xr.DataArray,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    by: By = "trial",
    fps: FrameRate | None = None,
) -> xr.Dataset:
    """Count and measure bouts, of each behavior by itself.

    Parameters
    ----------
    labels : xarray.Dataset or xarray.DataArray (trial, frame, behavior) or (frame, behavior)
        What :func:`soupxr.open` returned, or labels: 1 occurs, 0 does not, −1 unlabelled.
    mode, annotator : str, optional
        Of a Dataset: whose ethograms, or whose labels.
    by : str, sequence of str or None
        What the numbers are of: ``"trial"``; ``"animal"``; ``"session"``, which gives dimensions
        (animal, session); any other fact about trials, such as ``"experiment"``, or several; or
        None, all trials together.
    fps : float or array_like (trial,), optional
        Frames a second. Default: the Dataset's, or a coordinate of the DataArray.

    Returns
    -------
    xarray.Dataset, (…, behavior)
        n_bouts : int64
            Bouts. One that an unlabelled frame parts counts as two.
        mean_duration, median_duration, total_duration : float64, s
            Of all bouts of the group; NaN, NaN and 0 where there is none. A bout that the trial's
            end or an unlabelled frame cuts off is as long as it is seen.
        labelled_time : float64, s
            Time for which it is known whether the behavior occurs.
        rate : float64, per minute
            Bouts by labelled time; NaN where there is none.
        latency : float64, s
            From frame 0 to the first frame in which the behavior occurs. NaN where it does not, and
            where a frame before that is unlabelled, for it may have occurred there. Of a group: the
            mean over the trials that have one.
        n_trials, n_trials_with : int64
            Trials in which a frame is labelled; those in which the behavior occurs.

    Raises
    ------
    ArgumentError
        If the labels are of another shape or other values, it is not clear which are meant, or
        the frame rate is not known.

    Notes
    -----
    A group's numbers are of all its bouts and all its time, so long trials weigh more than short
    ones. Where each trial shall weigh the same, average the trials' own:
    ``bout_statistics(ds, mode="fast").rate.groupby("animal").mean()``.

    Examples
    --------
    >>> stats = sx.analysis.bout_statistics(ds, mode="fast", by="animal")  # doctest: +SKIP
    >>> stats.rate.sel(behavior="grab").to_series()  # doctest: +SKIP
    """
    read = labels_of(labels, mode, annotator, fps)
    groups = groups_of(read, by)
    values = _pooled(read, groups)
    dims, shape = (*groups.dims, "behavior"), (*groups.shape, len(read.behaviors))
    return xr.Dataset(
        {name: (dims, values[name].reshape(shape), attrs) for name, attrs in ATTRS.items()},
        coords=groups.coords,
    ).assign_coords(read.behavior_coord)


def _pooled(labels: Labels, groups: Groups) -> dict[str, npt.NDArray[np.generic]]:
    """All statistics, by group and behavior, flat."""
    n_behaviors = len(labels.behaviors)
    cells, seconds, labelled, latency, occurs = _measured(labels, groups)
    size = groups.count * n_behaviors
    n_bouts = np.bincount(cells, minlength=size)
    total = np.bincount(cells, weights=seconds, minlength=size)
    medians = pd.Series(seconds).groupby(cells).median()
    median = medians.reindex(range(size)).to_numpy(np.float64)

    def summed(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        sums = np.zeros((groups.count, n_behaviors), dtype=values.dtype)
        np.add.at(sums, groups.of_trial, values)
        return sums.ravel()

    time = summed(labelled)
    return {
        "n_bouts": n_bouts,
        "mean_duration": _ratio(total, n_bouts),
        "median_duration": median,
        "total_duration": total,
        "labelled_time": time,
        "rate": _ratio(60.0 * n_bouts, time),
        "latency": _ratio(
            summed(np.nan_to_num(latency)), summed(np.isfinite(latency).astype(np.int64))
        ),
        "n_trials": summed((labelled > 0).astype(np.int64)),
        "n_trials_with": summed(occurs.astype(np.int64)),
    }


def _measured(
    labels: Labels, groups: Groups
) -> tuple[npt.NDArray[np.int64], Numbers, Numbers, Numbers, npt.NDArray[np.bool_]]:
    """Cell and duration of each bout; labelled time, latency, occurrence (trial, behavior)."""
    n_behaviors = len(labels.behaviors)
    labelled = np.zeros((labels.n_trials, n_behaviors))
    latency = np.full((labels.n_trials, n_behaviors), np.nan)
    occurs = np.zeros((labels.n_trials, n_behaviors), dtype=bool)
    cells, seconds = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for trial, (mask, rate) in enumerate(zip(labels.masks(), labels.fps, strict=True)):
        behavior, bouts = runs(mask)
        cells.append(groups.of_trial[trial] * n_behaviors + behavior)
        seconds.append((bouts[:, 1] - bouts[:, 0]) / rate)
        labelled[trial] = (mask >= 0).sum(axis=0) / rate
        occurs[trial, behavior] = True
        if len(mask):
            # The first frame that is no plain absence decides whether the latency is known.
            told = (mask != 0).argmax(axis=0)
            known = mask[told, np.arange(n_behaviors)] == 1
            latency[trial, known] = (labels.first_frame + told[known]) / rate
    return np.concatenate(cells), np.concatenate(seconds), labelled, latency, occurs


def _ratio(over: npt.NDArray[np.generic], under: npt.NDArray[np.generic]) -> Numbers:
    """NaN where nothing is divided by."""
    there = under != 0
    ratio: Numbers = np.full(over.shape, np.nan)
    np.divide(over, under, out=ratio, where=there)
    return ratio
