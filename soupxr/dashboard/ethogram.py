"""Still and standalone pictures of ethograms: pure functions of arrays, which know no store.

Every picture is one HoloViews overlay, styled for both of its backends: it can be shown in a
notebook, saved as PNG (matplotlib; no browser needed) or as a single HTML file (bokeh; hover,
zoom; nothing is fetched). Bouts are bars and not pixels of an image, so that short ones stay
visible when a long trial is zoomed out.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from soupxr.dashboard.picture import BACKENDS, draw, figure, is_styled, page
from soupxr.dashboard.sheet import Clock, overview_sheet, raster_sheet
from soupxr.errors import ArgumentError, expected
from soupxr.files import whole_file
from soupxr.modes import BEHAVIORS

if TYPE_CHECKING:
    import holoviews as hv

__all__ = [
    "PALETTE",
    "behavior_colors",
    "ethogram_overview",
    "ethogram_raster",
    "save_ethogram",
]

Backend = Literal["bokeh", "matplotlib"]

#: Okabe and Ito's colours, then three of Paul Tol's: told apart under every colour blindness.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#882255",
    "#999933",
    "#332288",
)
SUFFIXES = {".png": "matplotlib", ".svg": "matplotlib", ".pdf": "matplotlib", ".html": "bokeh"}


def behavior_colors(behaviors: Iterable[str]) -> dict[str, str]:
    """Colour of each behavior; those of the reach-to-grab task have the same one everywhere.

    Others take a colour that follows from their name, or the next that is free.

    Parameters
    ----------
    behaviors : iterable of str
        Names.

    Returns
    -------
    dict of str to str
        ``#RRGGBB`` by name, in the order given.
    """
    names = list(behaviors)
    colors = {name: PALETTE[BEHAVIORS.index(name)] for name in names if name in BEHAVIORS}
    for name in names:
        if name not in colors:
            first = zlib.crc32(name.encode())
            order = [PALETTE[(first + step) % len(PALETTE)] for step in range(len(PALETTE))]
            free = [color for color in order if color not in colors.values()]
            colors[name] = (free or order)[0]
    return {name: colors[name] for name in names}


def ethogram_raster(
    ethogram: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    *,
    behaviors: Sequence[str] | None = None,
    fps: float | None = None,
    title: str | None = None,
    probability: npt.ArrayLike | None = None,
    thresholds: float | Sequence[float] | None = None,
    truth: npt.ArrayLike | None = None,
    backend: Backend | None = None,
) -> hv.Overlay:
    """Draw the ethogram of one trial: a lane for each behavior, a bar for each bout.

    Parameters
    ----------
    ethogram : int8 array (frame, behavior), or mapping of str to such arrays
        1 occurs, 0 does not, -1 not inferred (grey). A labelled DataArray may have its two
        dimensions in either order. A mapping draws several, such as one for each mode, as rows
        within each lane. What is -1 throughout at the end counts as padding and is left out.
    behaviors : sequence of str, optional
        Names; by default the array's coordinate ``behavior``, or the reach-to-grab task's.
    fps : float, optional
        Frames a second; adds an upper axis in seconds.
    title : str, optional
        Heading.
    probability : float array (frame, behavior), optional
        Drawn as a curve above the bars of each lane.
    thresholds : float or sequence of float, optional
        Of the probability, one for all behaviors or one for each.
    truth : int8 array (frame, behavior), optional
        A person's labels, or the ground truth: pale bars below the others.
    backend : {"bokeh", "matplotlib"}, optional
        Style the picture for this backend alone; by default for both.

    Returns
    -------
    holoviews.Overlay
        For HoloViews to show, or :func:`save_ethogram` to save.

    Raises
    ------
    ArgumentError
        If arrays do not fit together or hold other values.
    """
    given = dict(ethogram) if isinstance(ethogram, Mapping) else {_mode_of(ethogram): ethogram}
    if truth is not None and "truth" in given:
        raise ArgumentError(expected("ethogram", "no row named 'truth' beside truth=", list(given)))
    if truth is not None:
        given["truth"] = truth
    names = _names(next(iter(given.values()), None), behaviors)
    rows = {
        name: _values("truth" if name == "truth" else "ethogram", array, names)
        for name, array in given.items()
    }
    if not rows:
        raise ArgumentError(expected("ethogram", "an array or more", ethogram))
    _check_fps(fps)
    curves = None if probability is None else _values("probability", probability, names, unit=True)
    limits = _thresholds(thresholds, len(names))
    colors = behavior_colors(names)
    pale = None if truth is None else "truth"
    sheet = raster_sheet(rows, colors, curves, limits, pale, Clock(fps))
    return draw(sheet, title, _backends(backend))


def ethogram_overview(
    ethograms: Mapping[str, npt.ArrayLike],
    *,
    behaviors: Sequence[str] | None = None,
    fps: float | None = None,
    title: str | None = None,
    truth: Mapping[str, npt.ArrayLike] | None = None,
    backend: Backend | None = None,
) -> hv.Overlay:
    """Draw several trials below one another, about ten at most, on one axis of frames.

    Parameters
    ----------
    ethograms : mapping of str to int8 array (frame, behavior)
        By the name that stands beside each trial; values as for :func:`ethogram_raster`.
    behaviors, fps, title
        As for :func:`ethogram_raster`.
    truth : mapping of str to int8 array (frame, behavior), optional
        Labels of some or all of the trials, by the same names: pale bars below the others.
    backend : {"bokeh", "matplotlib"}, optional
        As for :func:`ethogram_raster`.

    Returns
    -------
    holoviews.Overlay
        For HoloViews to show, or :func:`save_ethogram` to save.

    Raises
    ------
    ArgumentError
        If arrays do not fit together or hold other values.
    """
    if not isinstance(ethograms, Mapping) or not ethograms:
        raise ArgumentError(expected("ethograms", "a mapping with one trial or more", ethograms))
    truth = {} if truth is None else truth
    strangers = [name for name in truth if name not in ethograms]
    if strangers:
        raise ArgumentError(expected("truth", f"trials among {list(ethograms)}", strangers))
    _check_fps(fps)
    names = _names(next(iter(ethograms.values())), behaviors)
    trials = {
        str(name): (
            _values("ethograms", array, names),
            _values("truth", truth[name], names) if name in truth else None,
        )
        for name, array in ethograms.items()
    }
    sheet = overview_sheet(trials, behavior_colors(names), fps)
    return draw(sheet, title, _backends(backend))


def save_ethogram(picture: hv.Overlay, path: str | os.PathLike[str], *, dpi: int = 150) -> Path:
    """Save a picture whole or not at all.

    Parameters
    ----------
    picture : holoviews.Overlay
        From :func:`ethogram_raster` or :func:`ethogram_overview`.
    path : path
        Ends in ``.png``, ``.svg`` or ``.pdf`` (matplotlib) or ``.html`` (bokeh; everything is
        in the one file, so that it opens without a network).
    dpi : int
        Dots per inch of a PNG.

    Returns
    -------
    pathlib.Path
        Where it is.

    Raises
    ------
    ArgumentError
        If the ending is another one.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ArgumentError(
            expected("path", f"a name that ends in {', '.join(SUFFIXES)}", str(path))
        )
    if not is_styled(picture, SUFFIXES[suffix]):
        expectation = f"a picture of this module, styled for {SUFFIXES[suffix]}"
        remedy = "Draw it without backend=, then it can be saved either way."
        raise ArgumentError(expected("picture", expectation, type(picture).__name__, remedy))
    content = page(picture) if suffix == ".html" else figure(picture, suffix[1:], dpi)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file:
        file.write_bytes(content)
    return target


# ------------------------------------------------------------------ reading the arguments


def _mode_of(ethogram: Any) -> str:
    mode = getattr(ethogram, "coords", {}).get("mode")
    return "ethogram" if mode is None or mode.ndim else str(mode.item())


def _names(array: Any, behaviors: Sequence[str] | None) -> list[str]:
    if behaviors is None and "behavior" in getattr(array, "coords", {}):
        behaviors = [str(name) for name in array.coords["behavior"].values]
    if isinstance(behaviors, str):
        raise ArgumentError(expected("behaviors", "a sequence of names", behaviors))
    return list(BEHAVIORS if behaviors is None else behaviors)


def _values(argument: str, array: Any, names: Sequence[str], *, unit: bool = False) -> Any:
    """Check one array; return it as (frame, behavior) without the padding at its end."""
    if hasattr(array, "dims"):
        if set(array.dims) != {"frame", "behavior"}:
            remedy = "Select one trial (and mode) first."
            raise ArgumentError(
                expected(argument, "dimensions frame and behavior", array.dims, remedy)
            )
        array = array.transpose("frame", "behavior")
        if "behavior" in array.coords:
            lacking = [name for name in names if name not in array["behavior"].values]
            if lacking:
                there = array["behavior"].values.tolist()
                raise ArgumentError(expected(argument, f"the behaviors {lacking}", there))
            array = array.sel(behavior=list(names))
    values = np.asarray(array)
    if values.ndim != 2 or values.shape[1] != len(names):
        remedy = "Name the columns with behaviors=."
        raise ArgumentError(
            expected(argument, f"shape (frame, {len(names)})", values.shape, remedy)
        )
    if unit:
        missing = ~np.isfinite(values.astype(np.float32))
        if ((values < 0) | (values > 1))[~missing].any():
            raise ArgumentError(expected(argument, "values from 0 to 1, or NaN", _range(values)))
        return values.astype(np.float32)
    if not np.isin(values, (-1, 0, 1)).all():
        raise ArgumentError(expected(argument, "values 1, 0 and -1", _range(values)))
    known = np.flatnonzero((values != -1).any(axis=1))
    return values[: known[-1] + 1 if len(known) else None].astype(np.int8)


def _range(values: npt.NDArray[Any]) -> str:
    return f"{np.nanmin(values)} to {np.nanmax(values)}"


def _thresholds(thresholds: float | Sequence[float] | None, count: int) -> list[float | None]:
    if thresholds is None:
        return [None] * count
    limits = np.atleast_1d(np.asarray(thresholds, float))
    if limits.shape == (1,):
        limits = np.repeat(limits, count)
    if limits.shape != (count,) or not ((limits >= 0) & (limits <= 1)).all():
        expectation = f"one number from 0 to 1, or {count} of them"
        raise ArgumentError(expected("thresholds", expectation, thresholds))
    return [float(limit) for limit in limits]


def _backends(backend: str | None) -> tuple[str, ...]:
    if backend is not None and backend not in BACKENDS:
        raise ArgumentError(expected("backend", "'bokeh', 'matplotlib' or None", backend))
    return BACKENDS if backend is None else (backend,)


def _check_fps(fps: float | None) -> None:
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ArgumentError(expected("fps", "a frame rate above 0, or None", fps))
