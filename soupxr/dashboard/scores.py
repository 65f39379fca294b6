"""Pictures of an evaluation: bars of F1, precision-recall curves, what is taken for what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from soupxr.dashboard.ethogram import behavior_colors
from soupxr.dashboard.panels import BokehPanel, MatplotlibPanel, Panel, figure_of, page_of
from soupxr.dashboard.picture import BACKENDS, INK, both_backends
from soupxr.errors import ArgumentError, expected
from soupxr.evaluation.scoring import EVALUATION_ATTR
from soupxr.files import whole_file
from soupxr.metrics import mean_known

if TYPE_CHECKING:
    import holoviews as hv

__all__ = ["evaluation_picture", "save_evaluation"]

SUFFIXES = (".png", ".svg", ".pdf", ".html")
#: Of the background's bar: no behavior has it.
GREY = "#8A94A0"
#: Bars of frames and of bouts, side by side in a lane of width 1.
BAR, PALE = 0.38, 0.45
#: From here on, white text on the matrix' colour is easier to read than black.
DARK = 0.55
#: Least width and height of a panel, and what a class and the text around it need; inches.
WIDTH, HEIGHT = 5.4, 5.8
CLASS_WIDTH, CLASS_HEIGHT, TEXT_HEIGHT = 0.72, 0.5, 2.2
#: Room for the legend beside the curves, inches.
LEGEND_WIDTH = 1.6
DPI, PIXELS_PER_INCH = 150, 84

Options = Mapping[str, Any]


def evaluation_picture(evaluation: xr.Dataset) -> hv.Layout:
    """Draw what ``ds.soup.evaluate`` returned.

    Parameters
    ----------
    evaluation : Dataset
        Of all trials together, or of one group: ``evaluation.sel(animal="M1")``.

    Returns
    -------
    holoviews.Layout
        Bars of F1 (frames, and paler ones of bouts), precision-recall curves with the threshold in
        use marked (where there are probabilities), and a confusion matrix. Styled for
        bokeh and matplotlib.

    Raises
    ------
    ArgumentError
        If it is another Dataset, or has several groups.
    """
    _check(evaluation)
    with both_backends() as hv:
        panels = _panels(hv, evaluation)
        layout = hv.Layout(panels).cols(len(panels))
        for backend in BACKENDS:
            layout = layout.opts(title=_title(evaluation), backend=backend)
        return layout.opts(shared_axes=False, backend="bokeh")


def save_evaluation(
    evaluation: xr.Dataset, path: str | os.PathLike[str], *, dpi: int = DPI
) -> Path:
    """Save the picture of an evaluation, whole or not at all.

    Parameters
    ----------
    evaluation : Dataset
        As for :func:`evaluation_picture`.
    path : path
        Ends in ``.png``, ``.svg`` or ``.pdf`` (matplotlib) or ``.html`` (bokeh; everything is in
        the one file, so that it opens without a network).
    dpi : int
        Dots per inch of a PNG.

    Returns
    -------
    pathlib.Path
        Where it is.

    Raises
    ------
    ArgumentError
        If the ending is another one, or the Dataset no evaluation.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        endings = ", ".join(SUFFIXES)
        raise ArgumentError(expected("path", f"a name that ends in {endings}", str(path)))
    _check(evaluation)
    with both_backends() as hv:
        panels, title = _panels(hv, evaluation), _title(evaluation)
        if suffix == ".html":
            content = page_of(hv, panels, title)
        else:
            content = figure_of(hv, panels, title, suffix[1:], dpi)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file:
        file.write_bytes(content)
    return target


def _check(evaluation: xr.Dataset) -> None:
    if EVALUATION_ATTR not in evaluation.attrs:
        remedy = "Draw what evaluate returned: ds.soup.evaluate(…).soup.plot()."
        raise ArgumentError(
            expected("plot", "an evaluation", f"a Dataset of {list(evaluation.data_vars)}", remedy)
        )
    if evaluation.f1.dims != ("behavior",):
        (group,) = [str(dim) for dim in evaluation.f1.dims if dim != "behavior"]
        one = str(evaluation[group].values[0])
        remedy = f"Select one: .sel({group}={one!r}).soup.plot(), or evaluate without by=."
        raise ArgumentError(
            expected("plot", "one group", evaluation[group].values.tolist(), remedy)
        )


def _title(evaluation: xr.Dataset) -> str:
    attrs = evaluation.attrs
    groups = [
        str(evaluation[name].item())
        for name in ("animal", "session", "trial")
        if name in evaluation.coords
    ]
    n_trials, on = attrs["n_trials"], {"all": ""}.get(attrs["on"], f"{attrs['on']} ")
    where = groups or [f"{n_trials} {on}trial{'s' * (n_trials != 1)}"]
    return f"{attrs['prediction']} against {attrs['annotator']} · {', '.join(where)}"


# ------------------------------------------------------------------ panels


def _panels(hv: Any, evaluation: xr.Dataset) -> list[Any]:
    colors = behavior_colors(str(name) for name in evaluation.behavior.values)
    panels = [_bars(hv, evaluation, colors)]
    if bool(evaluation.average_precision.notnull().any()):
        panels.append(_curves(hv, evaluation, colors))
    return [*panels, _matrix(hv, evaluation)]


def _styled(element: Any, bokeh: Options, matplotlib: Options, **both: Any) -> Any:
    for backend, options in (("bokeh", bokeh), ("matplotlib", matplotlib)):
        element = element.opts(backend=backend, **options, **both)
    return element


def _framed(overlay: Any, panel: Panel, **both: Any) -> Any:
    """Give a panel its size, axes and heading."""
    bokeh = {
        "width": round(panel.width * PIXELS_PER_INCH),
        "height": round(panel.height * PIXELS_PER_INCH),
        "hooks": [BokehPanel(panel)],
        "default_tools": ["pan", "wheel_zoom", "reset", "save"],
        "active_tools": [],
    }
    matplotlib = {"hooks": [MatplotlibPanel(panel)], "aspect": None}
    return _styled(overlay, bokeh, matplotlib, show_legend=False, title=panel.title, **both)


def _bars(hv: Any, evaluation: xr.Dataset, colors: Mapping[str, str]) -> Any:
    """F1 of every behavior by frames and, paler, by bouts; then the background's."""
    names = [*colors, "background"]
    by_frame = [*evaluation.f1.values, float(evaluation.f1_background)]
    by_bout = [*evaluation.bout_f1.values, np.nan]
    elements, texts = [], []
    for lane, name in enumerate(names):
        color = colors.get(name, GREY)
        left = lane + 0.5 - BAR
        for value, alpha, kind in ((by_frame[lane], 1.0, "frames"), (by_bout[lane], PALE, "bouts")):
            if name == "background":
                left = lane + 0.5 - BAR / 2
            if np.isfinite(value):
                box = hv.Rectangles(
                    [(left, 0.0, left + BAR, value, name, kind, value)],
                    kdims=["left", "bottom", "right", "top"],
                    vdims=["behavior", "of", "F1"],
                )
                elements.append(
                    _styled(
                        box,
                        {"fill_color": color, "line_color": color, "tools": ["hover"]},
                        {"facecolor": color, "edgecolor": color},
                        alpha=alpha,
                    )
                )
                texts.append((left + BAR / 2, value + 0.015, _short(value)))
            elif kind == "frames":
                texts.append((left + BAR / 2, 0.015, "–"))
            left += BAR
    labels = hv.Labels(texts, ["x", "y"], "text")
    elements.append(
        _styled(
            labels,
            {"text_font_size": "8.5pt", "text_color": INK, "text_baseline": "bottom"},
            {"size": 8.5, "color": INK, "verticalalignment": "bottom"},
        )
    )
    mean, kappa = float(evaluation.f1_mean), float(mean_known(evaluation.kappa.values)[0])
    overlap = evaluation.attrs["overlap"]
    note = f"left: frames; right, pale: bouts (overlap of {overlap:g} or more)"
    panel = Panel(f"F1 (mean {mean:.2f}, mean kappa {kappa:.2f})", *_size(len(names)), slanted=True)
    return _framed(
        hv.Overlay(elements),
        panel,
        xlim=(0, len(names)),
        ylim=(0, 1.09),
        xlabel=note,
        ylabel="F1",
        xticks=[(lane + 0.5, name) for lane, name in enumerate(names)],
    )


def _curves(hv: Any, evaluation: xr.Dataset, colors: Mapping[str, str]) -> Any:
    """Precision against recall of every behavior, and where its threshold puts it."""
    elements, legend = [], []
    grid = evaluation.curve_threshold.values
    _, height = _size(1 + len(colors))
    for name, color in colors.items():
        one = evaluation.sel(behavior=name)
        score = float(one.average_precision)
        if not np.isfinite(score):
            continue
        recall, precision = one.curve_recall.values, one.curve_precision.values
        there = np.isfinite(precision)
        curve = hv.Curve((recall[there], precision[there]), "recall", "precision")
        elements.append(_styled(curve, {"line_width": 2}, {"linewidth": 1.8}, color=color))
        legend.append((f"{score:.2f}  {name}", color))
        place = int(np.argmin(np.abs(grid - float(one.threshold)))) if one.threshold >= 0 else -1
        if place >= 0 and there[place]:
            point = hv.Scatter([(recall[place], precision[place])], "recall", "precision")
            elements.append(
                _styled(
                    point,
                    {"size": 10, "line_color": "white", "line_width": 1.5},
                    {"s": 70, "edgecolors": "white", "linewidth": 1.3},
                    color=color,
                )
            )
    panel = Panel(
        "Precision and recall", WIDTH + LEGEND_WIDTH, height, legend=tuple(legend), grid=True
    )
    return _framed(
        hv.Overlay(elements),
        panel,
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.05),
        xlabel="recall (dot: threshold in use)",
        ylabel="precision",
    )


def _matrix(hv: Any, evaluation: xr.Dataset) -> Any:
    """What is predicted where each class occurs."""
    names = [str(name) for name in evaluation["class"].values]
    rate = evaluation.confusion_rate.transpose("class", "predicted_class").values
    size = len(names)
    image = hv.Image(rate, ["x", "y"], "share", bounds=(0, 0, size, size))
    image = _styled(
        image,
        {"tools": [], "nodata": None, "clipping_colors": {"NaN": "#F4F6F8"}},
        {"clipping_colors": {"NaN": "#F4F6F8"}},
        cmap="Blues",
        clim=(0, 1),
    )
    cells = [
        (column + 0.5, size - row - 0.5, rate[row, column])
        for row in range(size)
        for column in range(size)
    ]
    elements = [image]
    for color, chosen in (
        ("white", [cell for cell in cells if cell[2] >= DARK]),
        (INK, [cell for cell in cells if not cell[2] >= DARK]),
    ):
        texts = [(x, y, _short(v)) for x, y, v in chosen]
        labels = hv.Labels(texts, ["x", "y"], "text")
        elements.append(
            _styled(
                labels,
                {"text_font_size": "9pt", "text_color": color},
                {"size": 9} | {"color": color},
            )
        )
    panel = Panel("What is predicted where it occurs", *_size(size), slanted=True, square=True)
    return _framed(
        hv.Overlay(elements),
        panel,
        xlim=(0, size),
        ylim=(0, size),
        xlabel="prediction (rows may exceed 1: behaviors co-occur)",
        ylabel="truth",
        xticks=[(place + 0.5, name) for place, name in enumerate(names)],
        yticks=[(size - place - 0.5, name) for place, name in enumerate(names)],
    )


def _size(n_classes: int) -> tuple[float, float]:
    """Width and height that leave room for so many names on an axis."""
    height = n_classes * CLASS_HEIGHT + TEXT_HEIGHT
    return max(WIDTH, n_classes * CLASS_WIDTH), max(HEIGHT, height)


def _short(share: float) -> str:
    """A share in the least room: bars and cells are narrow."""
    if np.isnan(share):
        return "–"
    return "1" if share >= 0.995 else f"{share:.2f}".removeprefix("0")
