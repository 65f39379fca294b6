"""Which behavior follows which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.analysis.groups import By, groups_of
from soupxr.analysis.recorded import FrameRate, Mask, labels_of, runs
from soupxr.errors import ArgumentError, expected

__all__ = ["transition_matrix"]

FROM, TO = "from_behavior", "to_behavior"


def transition_matrix(
    labels: xr.Dataset | xr.DataArray,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    by: By = None,
    normalize: bool = False,
    max_gap: float | None = None,
    fps: FrameRate | None = None,
) -> xr.DataArray:
    """Count which behavior begins next after each.

    Parameters
    ----------
    labels : xarray.Dataset or xarray.DataArray (trial, frame, behavior) or (frame, behavior)
        What :func:`soupxr.open` returned, or labels: 1 occurs, 0 does not, −1 unlabelled.
    mode, annotator : str, optional
        Of a Dataset: whose ethograms, or whose labels.
    by : str, sequence of str or None
        One matrix for all trials (None), or one each of ``"trial"``, ``"animal"``, ``"session"``
        or others, as in :func:`bout_statistics`.
    normalize : bool
        Give probabilities in place of counts: of all transitions out of a behavior, those into
        each. Counts of the group are added first.
    max_gap : float, optional
        Seconds. Count a transition only if the second bout begins at most so long after the end of
        the first. Default: however long nothing occurs in between.
    fps : float or array_like (trial,), optional
        Frames a second, for ``max_gap``. Default: the Dataset's, or a coordinate of the DataArray.

    Returns
    -------
    xarray.DataArray, (…, from_behavior, to_behavior)
        int64 counts; or float64 probabilities, NaN in the row of a behavior that nothing follows.

    Raises
    ------
    ArgumentError
        If the labels are of another shape or other values, it is not clear which are meant, or
        the frame rate is needed and not known.

    Notes
    -----
    The rules:

    - Bouts follow one another in the order in which they **begin**. A transition leads from each to
      those that begin next; whether the first has ended by then does not matter.
    - **At once**: bouts that begin in the same frame do not follow one another. Each of them
      follows all that began last before, and is followed by all that begin next; every such pair
      counts one.
    - **Gaps** in which nothing occurs are no state of their own: what begins after one follows what
      began before it, unless ``max_gap`` forbids. A behavior that stops and begins again before any
      other does follows itself.
    - **Unlabelled**: a frame in which *any* of the behaviors is −1 ends the count, for something
      may have begun there. What goes on when labels begin (again) counts as beginning there. Where
      only some behaviors were labelled, select those first: ``ds.sel(behavior=["grab", "chew"])``.

    Examples
    --------
    >>> counts = sx.analysis.transition_matrix(ds, mode="fast", by="trial")  # doctest: +SKIP
    >>> counts.groupby("animal").sum()  # doctest: +SKIP
    """
    if max_gap is not None and not max_gap >= 0:
        raise ArgumentError(expected("max_gap", "seconds from 0, or None", max_gap))
    read = labels_of(labels, mode, annotator, fps)
    groups, n_behaviors = groups_of(read, by), len(read.behaviors)
    counts = np.zeros((groups.count, n_behaviors, n_behaviors), dtype=np.int64)
    for trial, mask in enumerate(read.masks()):
        # Seconds are rounded to a millionth of a frame, so that 0.3 s at 10 Hz are 3 frames.
        reach = None if max_gap is None else round(max_gap * float(read.fps[trial]), 6)
        counts[groups.of_trial[trial]] += _transitions(mask, reach)
    names = dict.fromkeys((FROM, TO), read.array["behavior"].values) if read.behavior_coord else {}
    result = xr.DataArray(
        counts.reshape((*groups.shape, n_behaviors, n_behaviors)),
        coords=groups.coords,
        dims=(*groups.dims, FROM, TO),
        name="transitions",
        attrs={"units": "1", "long_name": "transitions"},
    ).assign_coords(names)
    return _normalized(result) if normalize else result


def _normalized(counts: xr.DataArray) -> xr.DataArray:
    out = counts.sum(TO)
    attrs = {"units": "1", "long_name": "probability of transition"}
    return (counts / out.where(out > 0)).rename("transition_probability").assign_attrs(attrs)


def _transitions(mask: Mask, max_gap: float | None) -> npt.NDArray[np.int64]:
    """Counts (from, to) of one trial; the gap in frames."""
    labelled = np.asarray((mask >= 0).all(axis=1))
    behavior, bouts = runs(np.where(labelled[:, np.newaxis], mask, 0).astype(np.int8))
    frames, moment = np.unique(bouts[:, 0], return_inverse=True)
    begins = np.zeros((len(frames), mask.shape[1]), dtype=np.int64)
    begins[moment, behavior] = 1
    ends = np.zeros_like(begins)
    ends[moment, behavior] = bouts[:, 1]
    stretch = np.cumsum(~labelled)[frames]
    leads = np.where(np.diff(stretch)[:, np.newaxis] == 0, begins[:-1], 0)
    if max_gap is not None:
        leads = leads * (frames[1:, np.newaxis] - ends[:-1] <= max_gap)
    counts: npt.NDArray[np.int64] = leads.T @ begins[1:]
    return counts
