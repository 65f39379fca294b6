"""One way in for every function: what is meant of a Dataset or DataArray, trial by trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from soupxr.bouts import mask_to_bouts
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, expected
from soupxr.schema import Status

__all__ = ["FrameRate", "Labels", "Mask", "Recorded", "labels_of", "recorded_of", "runs"]

Mask = npt.NDArray[np.int8]
FrameRate = float | npt.ArrayLike | xr.DataArray

#: Bytes read at once of an array that has no chunks of its own.
BLOCK = 4 * 2**20
SOURCES = {"mode": "ethogram", "annotator": "annotation"}


@dataclass(frozen=True, eq=False)
class Recorded:
    """Values of frames, and what is known of their trials.

    Parameters
    ----------
    array : xarray.DataArray
        The trials, where there are several, come first, then the frames.
    dim : str or None
        Dimension of the trials; None where there is one trial only.
    about : xarray.Dataset
        Where other facts about the trials stand.
    whole : ndarray of bool, (trial,)
        False where a mode's result is not committed: it counts as unlabelled.
    given_fps : optional
        Frame rate, as the caller says it.
    """

    array: xr.DataArray
    dim: str | None
    about: xr.Dataset
    whole: npt.NDArray[np.bool_]
    given_fps: FrameRate | None = None

    @property
    def n_trials(self) -> int:
        """How many trials there are."""
        return len(self.whole)

    @cached_property
    def first_frame(self) -> int:
        """Number of the first frame: above 0 in a selection of frames."""
        if "frame" not in self.array.coords or not self.array.sizes["frame"]:
            return 0
        frames = self.array["frame"].values
        if not np.array_equal(frames, frames[0] + np.arange(len(frames))):
            raise ArgumentError(expected("frame", "every frame from one to another", frames))
        return int(frames[0])

    @property
    def coords(self) -> xr.Coordinates:
        """Coordinates of the trials, and those that are the same for all."""
        dims = [dim for dim in self.array.dims if dim != self.dim]
        return self.array.coords.to_dataset().drop_dims(dims, errors="ignore").coords

    @cached_property
    def keys(self) -> pd.DataFrame:
        """One row a trial: animal, session, trial_id, as far as they are known."""
        known = {name: self.about_trials(name) for name in LEVELS if name in self.array.coords}
        if not known and self.dim is not None:
            index = self.array.indexes.get(self.dim, pd.RangeIndex(self.n_trials))
            names = [name or f"{self.dim}_{level}" for level, name in enumerate(index.names)]
            if index.nlevels == 1:
                names = [self.dim]
            known = {
                str(name): index.get_level_values(level).to_numpy()
                for level, name in enumerate(names)
            }
        return pd.DataFrame(known, index=pd.RangeIndex(self.n_trials))

    def about_trials(self, name: str) -> npt.NDArray[Any]:
        """One value for each trial, of a coordinate or variable.

        Raises
        ------
        ArgumentError
            If there is none of that name, or it is not one value a trial.
        """
        fits = {
            str(key)
            for key, value in self.about.variables.items()
            if value.dims in ((), (self.dim,)) and key != self.dim
        }
        if name not in fits and name == self.dim and name in self.about.coords:
            fits.add(name)
        if name not in fits:
            raise ArgumentError(expected("by", f"of each trial one of {sorted(fits)}", name))
        return np.broadcast_to(self.about[name].values, self.n_trials)

    @cached_property
    def fps(self) -> npt.NDArray[np.float64]:
        """Frame rate of each trial, Hz.

        Raises
        ------
        ArgumentError
            If nobody says it, or it is no frame rate.
        """
        given = self.given_fps
        if given is None:
            if "fps" not in self.about.variables:
                remedy = "Pass fps=ds.fps, or the whole Dataset with mode= or annotator=."
                raise ArgumentError(expected("fps", "frames a second", None, remedy))
            given = self.about_trials("fps")
        if isinstance(given, xr.DataArray):
            given = self._of_same_trials(given).values
        rates = np.asarray(given, dtype=np.float64)
        if rates.shape not in ((), (self.n_trials,)):
            expectation = f"one frame rate, or {self.n_trials}, one a trial"
            raise ArgumentError(expected("fps", expectation, rates.shape))
        if not (np.isfinite(rates) & (rates > 0)).all():
            raise ArgumentError(expected("fps", "frame rates above 0", given))
        return np.broadcast_to(rates, self.n_trials)

    @property
    def has_fps(self) -> bool:
        """Whether somebody says the frame rate."""
        return self.given_fps is not None or "fps" in self.about.variables

    def _of_same_trials(self, fps: xr.DataArray) -> xr.DataArray:
        """In the order of the array's trials, whatever the order in which they are given."""
        if self.dim is None or self.dim not in fps.indexes or self.dim not in self.array.indexes:
            return fps
        mine, theirs = self.array.indexes[self.dim], fps.indexes[self.dim]
        places = theirs.get_indexer(mine) if theirs.is_unique else np.array([-1])
        if mine.equals(theirs):
            return fps
        if (places < 0).any():
            remedy = "Select the same trials of both."
            raise ArgumentError(expected("fps", "a rate of each trial", fps.sizes, remedy))
        return fps.isel({self.dim: places})

    def blocks(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Some trials at a time, (trial, frame, …), and the number of the first of them."""
        variable = self.array.variable
        if self.dim is None:
            yield 0, variable.values[np.newaxis]
            return
        for start, stop in _stretches(variable):
            yield start, variable[start:stop].values


class Labels(Recorded):
    """An ethogram or an annotation: (trial, frame, behavior) or (frame, behavior)."""

    @cached_property
    def behaviors(self) -> list[Any]:
        """Their names; numbers where they have none."""
        if "behavior" not in self.array.coords:
            return list(range(self.array.sizes["behavior"]))
        return [str(name) for name in self.array["behavior"].values]

    @property
    def behavior_coord(self) -> dict[str, Any]:
        """The coordinate of a result that has a dimension of behaviors."""
        return {"behavior": self.array["behavior"]} if "behavior" in self.array.coords else {}

    def masks(self) -> Iterator[Mask]:
        """Each trial's labels in turn, (frame, behavior): 1, 0 and −1."""
        for start, block in self.blocks():
            for place, values in enumerate(as_masks(block), start):
                yield values if self.whole[place] else np.full_like(values, -1)


def as_masks(values: npt.NDArray[Any]) -> Mask:
    """Refuse other values than 1, 0 and −1; NaN is unlabelled."""
    if values.dtype == bool:
        return values.astype(np.int8)
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), -1, values)
    if values.dtype.kind not in "iuf" or not _are_labels(values):
        came = f"{values.min()} to {values.max()}" if values.dtype.kind in "iuf" else values.dtype
        remedy = "Probabilities need a threshold first."
        raise ArgumentError(expected("labels", "values 1, 0 and -1", came, remedy))
    return values.astype(np.int8, copy=False)


def _are_labels(values: npt.NDArray[Any]) -> bool:
    if not values.size:
        return True
    whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    return whole and bool(values.min() >= -1 and values.max() <= 1)


def runs(mask: Mask, value: int = 1) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Stretches of a value in labels (frame, behavior), by behavior and then start.

    Returns
    -------
    behavior : ndarray of int64, (n,)
    bouts : ndarray of int64, (n, 2)
        Start and stop, half-open.
    """
    n_frames, n_behaviors = mask.shape
    # Behind one another, with a frame between them that ends what the last frame would leave open.
    lanes = np.zeros((n_behaviors, n_frames + 1), dtype=bool)
    lanes[:, :n_frames] = np.equal(mask.T, value)
    found = mask_to_bouts(lanes.ravel())
    behavior = found[:, 0] // (n_frames + 1)
    return behavior, found - (behavior * (n_frames + 1))[:, np.newaxis]


# ------------------------------------------------------------------ reading the arguments


def labels_of(
    labels: xr.Dataset | xr.DataArray,
    mode: str | None = None,
    annotator: str | None = None,
    fps: FrameRate | None = None,
) -> Labels:
    """The labels that a call means.

    Raises
    ------
    ArgumentError
        If they are not (trial, frame, behavior) or (frame, behavior), or it is not clear which.
    """
    if isinstance(labels, xr.Dataset):
        array, committed = _chosen(labels, mode, annotator)
        about = labels
    elif isinstance(labels, xr.DataArray):
        if mode is not None or annotator is not None:
            remedy = "Select with .sel(…), or pass the whole Dataset."
            raise ArgumentError(
                expected("mode, annotator", "None with a DataArray", mode or annotator, remedy)
            )
        array, committed, about = labels, None, labels.coords.to_dataset()
    else:
        raise ArgumentError(expected("labels", "a Dataset or a DataArray", type(labels).__name__))
    dim = trial_dim(array, "labels", {"frame", "behavior"}, exactly=True)
    array = array.transpose(*([dim] if dim else []), "frame", "behavior")
    whole = _whole(array, dim, committed)
    return Labels(array, dim, about, whole, fps)


def recorded_of(values: xr.DataArray, fps: FrameRate | None) -> Recorded:
    """Values of frames of any kind: (trial, frame, …) or (frame, …)."""
    dim = trial_dim(values, "values", {"frame"}, exactly=False)
    array = values.transpose(*([dim] if dim else []), "frame", ...)
    return Recorded(array, dim, values.coords.to_dataset(), _whole(array, dim, None), fps)


def trial_dim(array: xr.DataArray, argument: str, core: set[str], *, exactly: bool) -> str | None:
    """Dimension of the trials: ``trial``, or what a selection of a session's trials leaves."""
    dims = {str(dim) for dim in array.dims}
    candidates = [dim for dim in ("trial", *LEVELS) if dim in dims]
    too_many = dims - core - set(candidates) if exactly else set()
    if core <= dims and not too_many and len(candidates) < 2:
        return candidates[0] if candidates else None
    wanted = "(trial, frame, behavior) or (frame, behavior)" if exactly else "(trial, frame, …)"
    remedy = f"Select one of {sorted(too_many)}." if too_many else ""
    if len(candidates) > 1:
        remedy = f"Join the trials first: .stack(trial={candidates})."
    raise ArgumentError(expected(argument, f"the dimensions {wanted}", array.dims, remedy))


def _chosen(
    ds: xr.Dataset, mode: str | None, annotator: str | None
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """What a mode or an annotator says, and of a mode, the status of each trial."""
    asked = {"mode": mode, "annotator": annotator}
    wanted = [dim for dim, label in asked.items() if label is not None]
    if not wanted:
        wanted = [d for d, name in SOURCES.items() if name in ds and d not in ds[name].dims]
    if len(wanted) != 1:
        remedy = "Say whose labels are meant."
        raise ArgumentError(
            expected("labels", "either mode= or annotator=", (mode, annotator), remedy)
        )
    (dim,) = wanted
    if SOURCES[dim] not in ds:
        raise ArgumentError(expected("labels", f"a Dataset with {SOURCES[dim]}", list(ds)))
    array = _one_of(ds[SOURCES[dim]], dim, asked[dim])
    status = _one_of(ds["status"], dim, asked[dim]) if dim == "mode" and "status" in ds else None
    return array, status


def _one_of(array: xr.DataArray, dim: str, label: str | None) -> xr.DataArray:
    known = [str(name) for name in np.atleast_1d(array[dim].values)] if dim in array.coords else []
    if label is not None and label not in known:
        raise ArgumentError(expected(dim, f"one of {known}", label))
    return array.isel({dim: known.index(str(label))}) if dim in array.dims else array


def _whole(
    array: xr.DataArray, dim: str | None, status: xr.DataArray | None
) -> npt.NDArray[np.bool_]:
    n_trials = array.sizes[dim] if dim else 1
    if status is None:
        return np.ones(n_trials, dtype=bool)
    return np.broadcast_to(status.values == Status.COMPLETE, n_trials)


def _stretches(variable: xr.Variable) -> Iterator[tuple[int, int]]:
    """Bounds along the first dimension: dask's chunks, else as many as are read at once."""
    if variable.chunks:
        edges = np.cumsum([0, *variable.chunks[0]]).tolist()
        yield from pairwise(edges)
        return
    total = variable.shape[0]
    bytes_each = max(1, variable.dtype.itemsize * int(np.prod(variable.shape[1:])))
    step = max(1, BLOCK // bytes_each)
    for start in range(0, total, step):
        yield start, min(start + step, total)
