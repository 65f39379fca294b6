"""The functions of ``import soupxr as sx``; everything else is reached through ``ds.soup``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from soupxr import dataset, store
from soupxr.modes import BEHAVIORS

if TYPE_CHECKING:
    import distributed

__all__ = ["create", "local_client", "open", "sample_data"]


def create(
    path: str | os.PathLike[str],
    data_root: str | os.PathLike[str],
    *,
    behaviors: Sequence[str] = BEHAVIORS,
    views: Sequence[str] = ("side", "front"),
    join: str = "equal",
    pattern: str | None = None,
) -> xr.Dataset:
    r"""Make an empty store and open it.

    Parameters
    ----------
    path : path or URL
        Where the store shall be, such as ``"reach.zarr"``. Nothing may be there yet.
    data_root : path
        Folder with the videos, as ``<animal>/<session>/<name>_<view>_v<trial>.<ext>``. The store
        keeps it relative to itself, so both can move together; where they can't, see
        :func:`set_options`.
    behaviors : sequence of str
        Behaviors of the ethogram, in the order of the models' classes without background.
    views : sequence of str
        Camera roles, left to right as they are joined. One view, or three, work too.
    join : {"equal", "pad"}
        Views of different height are an error, or are padded with black below.
    pattern : str, optional
        Regular expression for the names of video files, with groups ``view`` and ``trial_id``,
        such as ``r"(?P<view>side|front)-(?P<trial_id>\d+)"``. By default the view may stand
        anywhere in the name, and the last run of digits is the trial.

    Returns
    -------
    xarray.Dataset
        With no trials; go on with ``ds = ds.soup.add_item(...)``.

    Raises
    ------
    StoreError
        If there is something at ``path`` already.
    ArgumentError
        If an argument is of no use.

    Examples
    --------
    >>> import soupxr as sx
    >>> ds = sx.create("reach.zarr", data_root="/data/videos")  # doctest: +SKIP
    """
    address = store.create(
        path, data_root, behaviors=behaviors, views=views, join=join, pattern=pattern
    )
    return dataset.open_dataset(address)


def open(path: str | os.PathLike[str], *, chunks: Any = None) -> xr.Dataset:
    """Open a store as a Dataset over (trial, frame, behavior, mode, annotator).

    Parameters
    ----------
    path : path or URL
        The store.
    chunks : int, dict or None
        As in :meth:`xarray.Dataset.chunk`. None reads lazily without dask; for work over more
        than fits in memory pass for instance ``{"trial": 100}``.

    Returns
    -------
    xarray.Dataset
        Lazy; it sees results that are written after it was opened. ``trial`` is indexed by
        ``animal``, ``session`` and ``trial_id``: ``ds.sel(animal="M1")``,
        ``ds.sel(animal="M1", session="S1", trial_id=3)`` and ``ds.unstack("trial")`` work.

    Raises
    ------
    StoreError
        If there is no store, or it is not one of ours.
    """
    return dataset.open_dataset(store.store_address(path), chunks=chunks)


def local_client(
    workers: int | None = None, gpus: Literal["all"] | Sequence[int] | None = None
) -> AbstractContextManager[distributed.Client]:
    """Start worker processes on this machine, for ``ds.soup.infer(client=…)``.

    Parameters
    ----------
    workers : int, optional
        Processes that share the CPU's cores. Default without ``gpus``: one for each core.
    gpus : "all" or sequence of int, optional
        One process for each of these GPUs, which has it for itself.

    Returns
    -------
    context manager of distributed.Client
        The processes end with the block.

    Raises
    ------
    ArgumentError
        If both are given, or there is no such GPU.

    Examples
    --------
    >>> import soupxr as sx
    >>> with sx.local_client(gpus="all") as client:  # doctest: +SKIP
    ...     ds = ds.soup.infer("medium", client=client)
    """
    from soupxr.inference import workers as processes

    return processes.local_client(workers, gpus)


def sample_data() -> Path:
    """Fetch the published sample videos, once, and say where they are.

    Returns
    -------
    pathlib.Path
        The folder into which the archive was unpacked.

    Raises
    ------
    DownloadError
        If they cannot be fetched; the message says what to do on a machine without a network.
    """
    from soupxr import downloads

    return downloads.sample_data()
