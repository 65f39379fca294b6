"""Pictures: one row a trial or an event, and what happens around events on average."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.analysis.recorded import FrameRate, Labels, as_masks, labels_of
from soupxr.dashboard.ethogram import behavior_colors
from soupxr.dashboard.picture import INK, both_backends, draw
from soupxr.dashboard.sheet import Clock, TimeAxis
from soupxr.dashboard.stack import Stacked, stack_sheet
from soupxr.errors import ArgumentError, SoupWarning, expected

if TYPE_CHECKING:
    import holoviews as hv

__all__ = ["peri_event_plot", "raster"]

PER_BACKEND = ("bokeh", "matplotlib")


def raster(
    labels: xr.Dataset | xr.DataArray,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    by: str | None = None,
    title: str | None = None,
    limit: int = 500,
    fps: FrameRate | None = None,
) -> hv.Overlay:
    """Draw a row for each trial, or for each event: bars where behaviors occur.

    Parameters
    ----------
    labels : xarray.Dataset or xarray.DataArray
        Trials: what :func:`soupxr.open` returned, or labels (trial, frame, behavior). Events: what
        :func:`align` made of ethograms, (event, time, behavior) or, of one behavior, (event, time).
    mode, annotator : str, optional
        Of a Dataset: whose ethograms, or whose labels.
    by : str, optional
        Put the rows of each of these together, under its name: ``"animal"``, ``"session"``, or
        another coordinate of trials or events.
    title : str, optional
        Heading.
    limit : int
        Draw so many rows at most: the first ones.
    fps : float or array_like (trial,), optional
        Frames a second of trials. Default: the Dataset's, or a coordinate of the DataArray.

    Returns
    -------
    holoviews.Overlay
        Styled for both bokeh and matplotlib: ``hv.save(picture, "raster.html")``,
        ``hv.save(picture, "raster.png", backend="matplotlib")``.

    Warns
    -----
    SoupWarning
        If there are more rows than ``limit``.

    Raises
    ------
    ArgumentError
        If the labels are of another shape or other values, or there are none.
    """
    if isinstance(labels, xr.DataArray) and "event" in labels.dims:
        read, clocks = _around_events(labels)
        told = str(labels["time"].attrs.get("long_name", "time from the event"))
    else:
        read = labels_of(labels, mode, annotator, fps)
        clocks = [Clock(fps, read.first_frame / fps, 1 / fps) for fps in read.fps.tolist()]
        told = "time"
    if read.n_trials == 0 or read.array.sizes["frame"] == 0:
        raise ArgumentError(expected("labels", "a trial or an event or more", read.array.sizes))
    _check_limit(read.n_trials, limit)
    rows = list(islice(_rows(read, clocks, by), limit))
    order = {group: place for place, group in reversed(list(enumerate(r.group for r in rows)))}
    rows.sort(key=lambda row: order[row.group])
    axis = TimeAxis(
        min(row.clock.at(0) for row in rows),
        max(row.clock.at(len(row.ethogram)) for row in rows),
        f"{told} (s)",
    )
    colors = behavior_colors(str(name) for name in read.behaviors)
    rules = () if told == "time" else (0.0,)
    return draw(stack_sheet(rows, colors, axis, rules, "not labelled"), title)


def peri_event_plot(
    aligned: xr.DataArray,
    *,
    by: str | None = None,
    title: str | None = None,
) -> hv.Overlay:
    """Draw the mean around events, with its standard error.

    Parameters
    ----------
    aligned : xarray.DataArray, (event, time) or (event, time, behavior)
        What :func:`align` made. −1 (of int8) and NaN are left out, time by time.
    by : str, optional
        Average the events of each of these first, such as ``"animal"``. The mean and its error are
        then over animals, each of which weighs the same.
    title : str, optional
        Heading.

    Returns
    -------
    holoviews.Overlay
        A line and a band (mean ± standard error, where there are two or more) for each behavior;
        styled for both bokeh and matplotlib, as :func:`raster`'s.

    Raises
    ------
    ArgumentError
        If there are other dimensions, or no events.
    """
    mean, error = _mean(aligned, by)
    names = [str(name) for name in mean["behavior"].values]
    label = str(aligned["time"].attrs.get("long_name", "time from the event"))
    value = "fraction of events" if aligned.dtype == np.int8 else str(aligned.name or "value")
    with both_backends() as hv:
        time = hv.Dimension("time", label=label, unit="s")
        elements = []
        for place, color in enumerate(behavior_colors(names).values()):
            line, half = mean[:, place].values, error[:, place].values
            data = {"time": mean["time"].values, "value": line, "error": half}
            elements += _drawn(
                hv, data, time, hv.Dimension("value", label=value), color, names[place]
            )
        rule = hv.VLine(0)
        rule = rule.opts(color=INK, line_width=1, line_dash="dashed", backend="bokeh")
        elements.append(rule.opts(color=INK, linewidth=0.8, linestyle="--", backend="matplotlib"))
        return _framed(hv.Overlay(elements), label, value, title or "", len(names) > 1)


# ------------------------------------------------------------------ rows


def _around_events(aligned: xr.DataArray) -> tuple[Labels, list[Clock]]:
    """Events as if they were trials whose frames are the times."""
    if "behavior" not in aligned.dims:
        name = aligned.coords["behavior"].item() if "behavior" in aligned.coords else "event"
        aligned = aligned.drop_vars("behavior", errors="ignore").expand_dims(behavior=[str(name)])
    if set(aligned.dims) != {"event", "time", "behavior"}:
        raise ArgumentError(expected("labels", "(event, time, behavior)", aligned.dims))
    times = aligned["time"].values
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    array = aligned.rename(time="frame").drop_vars("frame").transpose("event", "frame", "behavior")
    clock = Clock(1 / step, float(times[0]) if len(times) else 0.0, step)
    whole = np.ones(aligned.sizes["event"], dtype=bool)
    return Labels(array, "event", array.coords.to_dataset(), whole), [clock] * len(whole)


def _rows(read: Labels, clocks: list[Clock], by: str | None) -> Iterator[Stacked]:
    groups: npt.NDArray[Any] | list[None] = [None] * read.n_trials
    if by is not None:
        groups = read.about_trials(by).astype(str)
        if by == "session" and "animal" in read.about.variables:
            animals = read.about_trials("animal").astype(str)
            groups = np.array([f"{a}/{s}" for a, s in zip(animals, groups, strict=True)])
    keys = read.keys
    if read.dim == "event" and "occurrence" in read.about.variables:
        keys = keys.assign(occurrence=read.about_trials("occurrence"))
    names = ["/".join(map(str, row)) for row in keys.itertuples(index=False)]
    for place, mask in enumerate(read.masks()):
        known = np.flatnonzero((mask >= 0).any(axis=1))
        # What is unlabelled up to the end of a trial is padding; around events it is a finding.
        shown = mask if read.dim == "event" else mask[: known[-1] + 1 if len(known) else None]
        group = groups[place]
        yield Stacked(
            names[place] or "trial", names[place] or "trial",
            None if group is None else str(group), shown, None, clocks[place],
        )  # fmt: skip


def _check_limit(n_rows: int, limit: int) -> None:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ArgumentError(expected("limit", "a number of rows from 1", limit))
    if n_rows > limit:
        warnings.warn(
            f"raster: the first {limit} of {n_rows} rows are drawn. "
            f"Select others, or pass limit={n_rows}.",
            SoupWarning,
            stacklevel=3,
        )


# ------------------------------------------------------------------ means


def _mean(aligned: xr.DataArray, by: str | None) -> tuple[xr.DataArray, xr.DataArray]:
    """Mean and standard error, (time, behavior)."""
    if not isinstance(aligned, xr.DataArray) or not {"event", "time"} <= set(aligned.dims):
        came = getattr(aligned, "dims", type(aligned).__name__)
        remedy = "sx.analysis.align(…) makes it."
        raise ArgumentError(expected("aligned", "(event, time, behavior)", came, remedy))
    if "behavior" not in aligned.dims:
        name = aligned.coords["behavior"].item() if "behavior" in aligned.coords else aligned.name
        aligned = aligned.drop_vars("behavior", errors="ignore")
        aligned = aligned.expand_dims(behavior=[str(name or "value")])
    if set(aligned.dims) != {"event", "time", "behavior"}:
        raise ArgumentError(expected("aligned", "(event, time, behavior)", aligned.dims))
    if not aligned.sizes["event"] or not aligned.sizes["time"]:
        raise ArgumentError(expected("aligned", "an event or more", dict(aligned.sizes)))
    aligned = aligned.transpose("event", "time", "behavior")
    if aligned.dtype == np.int8:
        aligned = aligned.copy(data=as_masks(aligned.values))
        aligned = aligned.where(aligned >= 0)
    over = "event"
    if by is not None:
        known = [str(name) for name, c in aligned.coords.items() if c.dims == ("event",)]
        if by not in known or by == "event":
            raise ArgumentError(expected("by", f"one of {known}", by))
        aligned, over = aligned.groupby(by).mean("event"), by
    count = aligned.notnull().sum(over)
    spread = ((aligned - aligned.mean(over)) ** 2).sum(over) / (count - 1).where(count > 1)
    error = (spread / count) ** 0.5
    return aligned.mean(over).transpose("time", "behavior"), error.transpose("time", "behavior")


def _drawn(
    hv: Any, data: dict[str, npt.NDArray[Any]], time: Any, value: Any, color: str, name: str
) -> list[Any]:
    band = hv.Spread(
        (data["time"], data["value"], np.nan_to_num(data["error"])), time, [value, "error"]
    )
    line = hv.Curve((data["time"], data["value"]), time, value, label=name)
    return [
        band.opts(fill_color=color, fill_alpha=0.2, line_alpha=0, backend="bokeh").opts(
            # HoloViews has a cycle of its own for both names of the colour.
            color=color,
            facecolor=color,
            alpha=0.2,
            linewidth=0,
            backend="matplotlib",
        ),
        line.opts(color=color, line_width=2, backend="bokeh").opts(
            color=color, linewidth=1.4, backend="matplotlib"
        ),
    ]


def _framed(overlay: Any, label: str, value: str, title: str, legend: bool) -> Any:
    common = {"xlabel": f"{label} (s)", "ylabel": value, "title": title, "show_legend": legend}
    bokeh = {"responsive": True, "min_width": 480, "height": 360, "legend_position": "right"}
    matplotlib = {"fig_inches": (8, 4), "aspect": 2.2, "legend_position": "right"}
    overlay = overlay.opts(**common, **bokeh, backend="bokeh")
    return overlay.opts(**common, **matplotlib, backend="matplotlib")
