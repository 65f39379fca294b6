"""Lazy frames: dask arrays over videos, views joined side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, VideoError, expected
from soupxr.video.pool import this_process
from soupxr.video.probe import VideoInfo, probe_many
from soupxr.video.reader import VideoReader

if TYPE_CHECKING:
    import dask.array as da
    import xarray as xr

__all__ = ["FrameSource", "as_dataarray", "frame_source", "lazy_frames"]

# Below 32 MiB the memory of one block is used again for the next; above, Linux hands out and
# clears new pages for each, which costs a tenth of the speed.
BLOCK_BYTES = 32_000_000
BLOCK_FRAMES = 64
STRIP_BYTES = 8_000_000

Join = Literal["equal", "pad"]
Path = str | os.PathLike[str]


class FrameSource:
    """Reads frames of one trial, its views side by side.

    It holds paths and facts only, so it can be pickled and sent to a worker; decoders come from
    the pool of the process it is used in.

    Parameters
    ----------
    infos : sequence of VideoInfo
        One for each view, left to right.
    n_frames : int
        Frames of the trial.
    """

    def __init__(self, infos: Sequence[VideoInfo], n_frames: int) -> None:
        self.infos = tuple(infos)
        self.shape = (
            n_frames,
            max(info.height for info in infos),
            sum(info.width for info in infos),
            3,
        )

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return ("soupxr.video.FrameSource", self.infos, self.shape)

    def read(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Read frames of all views and put them side by side, black below shorter ones.

        Returns
        -------
        array of uint8, shape (stop - start, height, width, 3)
        """
        out = np.empty((stop - start, *self.shape[1:]), np.uint8)
        rights = np.cumsum([info.width for info in self.infos])
        pictures = [
            out[:, :, right - info.width : right]
            for info, right in zip(self.infos, rights, strict=True)
        ]
        if len(pictures) == 1:
            self._read_view(self.infos[0], start, stop, out)
            return out
        with ThreadPoolExecutor(len(pictures), thread_name_prefix="soupxr-view") as executor:
            jobs = [
                executor.submit(self._read_view, info, start, stop, picture)
                for info, picture in zip(self.infos, pictures, strict=True)
            ]
        for job in jobs:
            job.result()
        return out

    def _read_view(
        self, info: VideoInfo, start: int, stop: int, picture: npt.NDArray[np.uint8]
    ) -> None:
        picture[:, info.height :] = 0
        with this_process().lend(info, start, stop) as reader:
            if picture.flags.c_contiguous:
                reader.read(start, stop, out=picture)
            else:
                _read_in_strips(reader, start, stop, picture[:, : info.height])
            if stop == self.shape[0]:
                reader.close()


def _read_in_strips(
    reader: VideoReader, start: int, stop: int, picture: npt.NDArray[np.uint8]
) -> None:
    """Read into a part of wider rows, a few frames at a time, so that they are still in cache."""
    size = max(1, STRIP_BYTES // reader.info.frame_bytes)
    strip = np.empty((min(size, stop - start), *reader.shape[1:]), np.uint8)
    for at in range(start, stop, size):
        until = min(at + size, stop)
        picture[at - start : until - start] = reader.read(at, until, out=strip[: until - at])


def lazy_frames(
    paths: Sequence[Path],
    n_frames: int,
    infos: Sequence[VideoInfo] | None = None,
    *,
    join: Join = "equal",
    block: int | None = None,
) -> da.Array:
    """Frames of a trial as a dask array that decodes when computed.

    Parameters
    ----------
    paths : sequence of paths
        Videos of the views, left to right.
    n_frames : int
        Frames of the trial; no view may have fewer.
    infos : sequence of VideoInfo, optional
        Their facts, if they have been probed before.
    join : {"equal", "pad"}, optional
        ``"equal"`` wants pictures of one height; ``"pad"`` puts black below shorter ones.
    block : int, optional
        Frames a block. Default: as many as make 32 MB, and 64 at most.

    Returns
    -------
    dask array of uint8, shape (frame, y, x, 3)
        RGB, views side by side.

    Raises
    ------
    VideoError
        If a video cannot be read, is shorter than the trial, or the heights do not go together.
    """
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    from soupxr.video.graph import BlockLayer

    source = frame_source(paths, n_frames, infos, join)
    if block is None:
        block = min(BLOCK_FRAMES, max(1, BLOCK_BYTES // int(np.prod(source.shape[1:]))))
    elif block < 1:
        raise ArgumentError(expected("block", "a number of frames from 1", block))
    spans = [(start, min(start + block, n_frames)) for start in range(0, n_frames, block)]
    name = f"video-{tokenize(source, block)}"
    layer = BlockLayer(name, source, spans)
    return da.Array(
        HighLevelGraph({name: layer}, {name: set()}),
        name,
        chunks=(tuple(stop - start for start, stop in spans), *((n,) for n in source.shape[1:])),
        meta=np.empty((0, 0, 0, 0), np.uint8),
    )


def as_dataarray(
    paths: Sequence[Path],
    n_frames: int,
    *,
    fps: float | None = None,
    views: Sequence[str] | None = None,
    infos: Sequence[VideoInfo] | None = None,
    join: Join = "equal",
    block: int | None = None,
) -> xr.DataArray:
    """Frames of a trial as a labelled lazy array.

    Parameters
    ----------
    paths, n_frames, infos, join, block
        As for :func:`lazy_frames`.
    fps : float, optional
        Frame rate (Hz). Default: that of the first view's file.
    views : sequence of str, optional
        Names of the views, left to right. Default: the names of the files.

    Returns
    -------
    DataArray of uint8, dims (frame, y, x, channel)
        ``video``, with coordinates `frame` (index), `time` (s) and `channel` (red, green, blue),
        and attributes `fps` and `views`.
    """
    import xarray as xr

    infos = _infos(paths, infos)
    fps = infos[0].fps if fps is None else float(fps)
    names = [os.path.basename(info.path) for info in infos] if views is None else list(views)
    if len(names) != len(infos):
        raise ArgumentError(expected("views", f"{len(infos)} names, one for each path", names))
    frame = np.arange(n_frames)
    return xr.DataArray(
        lazy_frames(paths, n_frames, infos, join=join, block=block),
        dims=("frame", "y", "x", "channel"),
        coords={
            "frame": frame,
            "time": ("frame", frame / fps, {"units": "s"}),
            "channel": ["red", "green", "blue"],
        },
        name="video",
        attrs={"fps": fps, "views": names},
    )


def _infos(paths: Sequence[Path], infos: Sequence[VideoInfo] | None) -> list[VideoInfo]:
    if isinstance(paths, (str, os.PathLike)) or not len(paths):
        raise ArgumentError(expected("paths", "a list of one or more paths", paths))
    if infos is not None:
        if len(infos) != len(paths):
            raise ArgumentError(
                expected("infos", f"{len(paths)} of them, one for each path", len(infos))
            )
        return list(infos)
    probed: list[VideoInfo] = []
    for outcome in probe_many(paths):
        if isinstance(outcome, VideoError):
            raise outcome
        probed.append(outcome)
    return probed


def frame_source(
    paths: Sequence[Path], n_frames: int, infos: Sequence[VideoInfo] | None, join: Join
) -> FrameSource:
    """Find out what is needed to read a trial; arguments and errors as of :func:`lazy_frames`."""
    if join not in ("equal", "pad"):
        raise ArgumentError(expected("join", "'equal' or 'pad'", join))
    infos = _infos(paths, infos)
    for info in infos:
        if not 0 < n_frames <= info.n_frames:
            raise VideoError(
                f"{info.path}: expected {n_frames} frames, but the video has {info.n_frames}. "
                "If it was replaced, add the trial again."
            )
    if join == "equal" and len({info.height for info in infos}) > 1:
        told = ", ".join(f"{info.height} ({info.path})" for info in infos)
        raise VideoError(
            f"views: expected pictures of one height to put side by side, but got {told}. "
            'Use join="pad" to put black below the shorter ones.'
        )
    return FrameSource(infos, n_frames)
