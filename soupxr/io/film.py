"""A trial as a film with its ethogram burnt in: mp4 that plays anywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import xarray as xr

__all__ = ["write"]

PathLike = str | os.PathLike[str]


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__


def write(
    ds: xr.Dataset,
    path: PathLike,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    start: int = 0,
    stop: int | None = None,
    every: int = 1,
    fps: float | None = None,
    behaviors: Sequence[str] | None = None,
    span: Literal["all", "window"] | int = "all",
    scale: int | None = None,
    quality: int = 18,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Path:
    """Write the one selected trial as a film: all views, the ethogram below, a playhead.

    Frame for frame: every frame of the trial that is asked for is one frame of the film. Names of
    the behaviors that occur are lit, and the frame's number and time stand beside them.

    Parameters
    ----------
    ds : Dataset
        A selection of one trial.
    path : path
        ``.mp4``.
    mode, annotator : str
        One of them: whose ethogram or labels are burnt in.
    start, stop : int
        Frames of the trial, half-open; default is all.
    every : int
        Take every n-th frame.
    fps : float, optional
        Frames that the film shows in a second. Default: real time (the trial's rate over
        ``every``) up to 60, else 30, which is slow motion: a trial of 500 Hz then lasts 17 times
        as long. The film tells its speed.
    behaviors : sequence of str, optional
        Which are shown; default is all.
    span : "all", "window" or int
        What the ethogram shows: all that is exported; or so many frames around the playhead
        (``"window"``: 500).
    scale : int, optional
        Each pixel of the video becomes so many squared; default makes small videos legible.
    quality : int
        0 (lossless) to 51; 18 can hardly be told from the original.
    overwrite : bool
        Replace a file that is there.
    progress : bool, optional
        Show a bar over frames; default is the option ``progress``.

    Returns
    -------
    Path
        The file. Its metadata hold the provenance, as the comment.

    Raises
    ------
    ArgumentError
        If not exactly one trial is selected, it has no such labels, or an argument is of no use.
    VideoError
        If a video cannot be read, or the film not be written.

    Examples
    --------
    >>> trial = ds.sel(animal="M1", session="S1", trial_id=3)  # doctest: +SKIP
    >>> sx.io.film.write(trial, "reach.mp4", mode="fast", fps=30)  # doctest: +SKIP
    """
    from soupxr.io._film_out import FilmRequest, make

    request = FilmRequest(
        start, stop, every, fps, behaviors, 500 if span == "window" else span, scale, quality
    )
    return make(ds, Path(path), mode, annotator, request, overwrite, progress)
