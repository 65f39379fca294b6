"""Draws a sheet with HoloViews, styled for bokeh and for matplotlib, and turns it into bytes.

HoloViews and its backends are imported when something is drawn, not before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from soupxr.bouts import mask_to_bouts
from soupxr.dashboard.sheet import Band, Curve, Sheet, thinned

if TYPE_CHECKING:
    import holoviews as hv

__all__ = ["BACKENDS", "both_backends", "draw", "figure", "is_styled", "page"]

BACKENDS = ("bokeh", "matplotlib")

UNKNOWN, STRIPE, RULE, INK = "#D5D9DF", "#F4F6F8", "#9AA5B1", "#1F2933"
FADED = 0.45
WIDTH_INCHES, PIXELS_PER_INCH = 11.0, 72
#: Height of axes and heading, in pixels.
FRAME = 110

TEX = re.compile(r"\$\$|\\\\[(\[]")
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{}</title>
<style>body {{ margin: 16px }}</style>
<script>{}</script>
</head>
<body>
{}
{}
</body>
</html>
"""

BOX = ["start", "bottom", "stop", "top"]
BOUT = ["behavior", "row", "frames", "seconds"]
TOOLTIPS = [
    ("behavior", "@behavior"),
    ("of", "@row"),
    ("start", "@start"),
    ("stop", "@stop"),
    ("duration", "@frames frames@seconds"),
]


@dataclass(frozen=True)
class _Pen:
    """HoloViews, and the backends to style for."""

    hv: Any
    backends: Sequence[str]

    def styled(self, element: Any, **options: Mapping[str, Any]) -> Any:
        """Give an element its options, by the name of the backend."""
        for backend in self.backends:
            element = element.opts(backend=backend, **options[backend])
        return element


def draw(
    sheet: Sheet, fps: float | None, title: str | None, backends: Sequence[str] = BACKENDS
) -> hv.Overlay:
    """Draw a sheet.

    Parameters
    ----------
    sheet : Sheet
        What stands where.
    fps : float or None
        Frames a second; adds an axis in seconds.
    title : str or None
        Heading.
    backends : sequence of str
        To style for.
    """
    with both_backends() as hv:
        pen = _Pen(hv, backends)
        elements = [_boxes(pen, list(sheet.stripes), STRIPE, 0.0), _unknown(pen, sheet, fps)]
        for faded in (True, False):
            for behavior in sheet.colors:
                bands = [b for b in sheet.bands if (b.behavior, b.faded) == (behavior, faded)]
                elements.append(_bars(pen, bands, sheet.colors[behavior], faded, fps))
        for curve in sheet.curves:
            elements += _curve(pen, curve, sheet.colors[curve.behavior])
        overlay = hv.Overlay([element for element in elements if element is not None])
        return _frame(pen, overlay, sheet, fps, title)


def is_styled(picture: object, backend: str) -> bool:
    """Whether this is a picture drawn here, for that backend."""
    with both_backends() as hv:
        if not isinstance(picture, hv.Overlay):
            return False
        options = hv.Store.lookup_options(backend, picture, "plot").kwargs
        hooks = options.get("hooks", ())
        return any(isinstance(hook, (_BokehFrame, _MatplotlibFrame)) for hook in hooks)


def figure(picture: hv.Overlay, kind: str, dpi: int) -> bytes:
    """Render with matplotlib: a PNG, SVG or PDF."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    content = BytesIO()
    # Names of trials are no mathematics, though there be a dollar in them.
    with both_backends() as hv, matplotlib.rc_context({"text.parse_math": False}):
        size = hv.Store.lookup_options("matplotlib", picture, "plot").kwargs["fig_inches"]
        # A figure of our own: pyplot neither opens a window for it nor keeps it.
        sheet = Figure(figsize=size, facecolor="white", layout="constrained")
        FigureCanvasAgg(sheet)
        hv.renderer("matplotlib").get_plot(picture, fig=sheet, axis=sheet.add_subplot())
        sheet.set_size_inches(size)
        sheet.savefig(content, format=kind, dpi=dpi)
    return content.getvalue()


def page(picture: hv.Overlay) -> bytes:
    """Render with bokeh: one HTML file that fetches nothing."""
    from bokeh.embed import components
    from bokeh.resources import Resources

    with both_backends() as hv:
        plot = hv.renderer("bokeh").get_plot(picture).state
    script, place = components(plot)
    # Without its own mathematics, a page whose names look like TeX would fetch some.
    parts: list[Any] = ["bokeh", *(["bokeh-mathjax"] if TEX.search(script) else [])]
    # bokeh's file_html also refers to files of every other package that extends bokeh.
    library = Resources(mode="inline", components=parts).js_raw
    heading = escape(str(plot.title.text or "Ethogram"))
    return PAGE.format(heading, "\n".join(library), place, script).encode()


@contextmanager
def both_backends() -> Iterator[Any]:
    """HoloViews with both backends loaded; the caller's choice of one is left as it was."""
    import holoviews as hv

    chosen = hv.Store.current_backend if hv.Store.renderers else "bokeh"
    import holoviews.plotting.bokeh
    import holoviews.plotting.mpl

    try:
        yield hv
    finally:
        hv.Store.set_current_backend(chosen)


# ------------------------------------------------------------------ elements


def _boxes(pen: _Pen, boxes: list[tuple[Any, ...]], color: str, edge: float, **more: Any) -> Any:
    """Filled boxes; an edge of their own colour keeps the thinnest visible."""
    told = BOUT if boxes and len(boxes[0]) > len(BOX) else []
    alpha, edges = more.pop("alpha", 1.0), {"line_color": color, "line_width": edge}
    return pen.styled(
        pen.hv.Rectangles(boxes, kdims=BOX, vdims=told),
        bokeh={"fill_color": color, "alpha": alpha, **edges, **more},
        matplotlib={
            "facecolor": color,
            "edgecolor": color,
            "linewidth": 0.7 * edge,
            "alpha": alpha,
        },
    )


def _unknown(pen: _Pen, sheet: Sheet, fps: float | None) -> Any:
    boxes = [box for band in sheet.bands for box in _band_boxes(band, -1, fps)]
    if not boxes:
        return None
    boxes = [(*box[:4], f"{box[4]}: not inferred", *box[5:]) for box in boxes]
    return _boxes(pen, boxes, UNKNOWN, 0.0, tools=["hover"], hover_tooltips=TOOLTIPS)


def _bars(pen: _Pen, bands: list[Band], color: str, faded: bool, fps: float | None) -> Any:
    boxes = [box for band in bands for box in _band_boxes(band, 1, fps)]
    if not boxes:
        return None
    alpha = FADED if faded else 1.0
    return _boxes(pen, boxes, color, 1.0, alpha=alpha, tools=["hover"], hover_tooltips=TOOLTIPS)


def _band_boxes(band: Band, value: int, fps: float | None) -> Iterator[tuple[Any, ...]]:
    for start, stop in mask_to_bouts(band.values == value).tolist():
        frames = stop - start
        seconds = "" if fps is None else f" ({frames / fps:.3f} s)"
        yield start, band.bottom, stop, band.top, band.behavior, band.row, frames, seconds


def _curve(pen: _Pen, curve: Curve, color: str) -> list[Any]:
    """Line, tint below it, and the threshold as a dashed rule."""
    hv = pen.hv
    frame, probability = thinned(curve.values)
    rise = curve.top - curve.bottom
    height = curve.bottom + rise * probability
    tint = np.where(np.isfinite(height), height, curve.bottom)
    floor = np.full_like(tint, curve.bottom)
    area = hv.Area((frame, tint, floor), "frame", ["height", "floor"])
    line = hv.Curve((frame, height), "frame", "height")
    elements = [
        pen.styled(
            area,
            bokeh={"fill_color": color, "fill_alpha": 0.18, "line_alpha": 0},
            # HoloViews has a cycle of its own for both names of the colour.
            matplotlib={"color": color, "facecolor": color, "alpha": 0.18, "linewidth": 0},
        ),
        pen.styled(
            line,
            bokeh={"color": color, "line_width": 1.4},
            matplotlib={"color": color, "linewidth": 1.0},
        ),
    ]
    if curve.threshold is not None and len(frame):
        level = curve.bottom + rise * curve.threshold
        rule = hv.Curve([(0, level), (len(curve.values), level)], "frame", "height")
        elements.append(
            pen.styled(
                rule,
                bokeh={"color": RULE, "line_width": 1, "line_dash": "dashed"},
                matplotlib={"color": RULE, "linewidth": 0.8, "linestyle": "--"},
            )
        )
    return elements


# ------------------------------------------------------------------ the frame around them


def _frame(pen: _Pen, overlay: Any, sheet: Sheet, fps: float | None, title: str | None) -> Any:
    """Axes, names of the lanes, heading, legend."""
    common = {
        "xlim": (0, max(sheet.n_frames, 1)),
        "ylim": (0, sheet.height),
        "xlabel": "frame",
        "ylabel": "",
        "yticks": sheet.ticks,
        "title": title or "",
        "show_legend": False,
    }
    bokeh = {
        "responsive": True,
        "min_width": 480,
        "height": round(sheet.height) + FRAME,
        "default_tools": ["xpan", "xwheel_zoom", "reset", "save"],
        "active_tools": ["xpan", "xwheel_zoom"],
        "hooks": [_BokehFrame(sheet, fps)],
    }
    inches = (WIDTH_INCHES, (sheet.height + FRAME) / PIXELS_PER_INCH)
    matplotlib = {"fig_inches": inches, "hooks": [_MatplotlibFrame(sheet, fps)]}
    return pen.styled(overlay, bokeh=common | bokeh, matplotlib=common | matplotlib)


class _BokehFrame:
    """Finishes a bokeh figure: seconds above, legend, quiet lines."""

    def __init__(self, sheet: Sheet, fps: float | None) -> None:
        self.sheet, self.fps = sheet, fps

    def __call__(self, plot: Any, element: Any) -> None:
        figure = plot.state
        if "seconds" in figure.extra_x_ranges or figure.select(name="legend"):
            return
        figure.toolbar.logo = None
        figure.outline_line_color = None
        figure.ygrid.visible = False
        figure.xgrid.grid_line_color = "#E3E6EA"
        figure.yaxis.major_tick_line_color = None
        figure.axis.axis_line_color = RULE
        figure.axis.major_label_text_color = INK
        figure.yaxis.major_label_text_font_size = "12px"
        if self.fps is not None:
            self._add_seconds(figure, self.fps)
        keys = _legend_keys(self.sheet)
        if keys:
            self._add_legend(figure, keys)

    def _add_seconds(self, figure: Any, fps: float) -> None:
        from bokeh.models import CustomJS, LinearAxis, Range1d

        frames = figure.x_range
        seconds = Range1d(start=0, end=max(self.sheet.n_frames, 1) / fps)
        figure.extra_x_ranges = {"seconds": seconds}
        axis = LinearAxis(x_range_name="seconds", axis_label="time (s)")
        axis.axis_line_color, axis.major_label_text_color = RULE, INK
        figure.add_layout(axis, "above")
        follow = CustomJS(
            args={"frames": frames, "seconds": seconds, "fps": fps},
            code="seconds.setv({start: frames.start / fps, end: frames.end / fps})",
        )
        frames.js_on_change("start", follow)
        frames.js_on_change("end", follow)

    def _add_legend(self, figure: Any, keys: list[tuple[str, str, float]]) -> None:
        from bokeh.models.annotations import Legend, LegendItem

        nowhere = [float("nan")]
        items = []
        for label, color, alpha in keys:
            box = figure.quad(
                nowhere, nowhere, nowhere, nowhere, color=color, alpha=alpha, line_color=color
            )
            items.append(LegendItem(label=label, renderers=[box]))
        legend = Legend(items=items, orientation="horizontal", name="legend", location="left")
        legend.border_line_width, legend.spacing = 0, 14
        figure.add_layout(legend, "below")


class _MatplotlibFrame:
    """Finishes matplotlib axes the same way."""

    def __init__(self, sheet: Sheet, fps: float | None) -> None:
        self.sheet, self.fps = sheet, fps

    def __call__(self, plot: Any, element: Any) -> None:
        axis = plot.handles["axis"]
        for side in ("left", "right", "top"):
            axis.spines[side].set_visible(False)
        axis.spines["bottom"].set_color(RULE)
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.tick_params(axis="x", color=RULE, labelcolor=INK)
        axis.set_box_aspect(None)
        axis.set_aspect("auto")
        axis.grid(axis="x", color="#E3E6EA", linewidth=0.6)
        axis.set_axisbelow(True)
        if self.fps is not None:
            fps = self.fps
            above = axis.secondary_xaxis("top", functions=(lambda f: f / fps, lambda s: s * fps))
            above.set_xlabel("time (s)")
            above.spines["top"].set_color(RULE)
            above.tick_params(color=RULE, labelcolor=INK)
        keys = _legend_keys(self.sheet)
        if keys:
            self._add_legend(axis, keys)

    def _add_legend(self, axis: Any, keys: list[tuple[str, str, float]]) -> None:
        from matplotlib.patches import Patch

        boxes = [Patch(color=color, alpha=alpha, label=label) for label, color, alpha in keys]
        axis.figure.legend(
            handles=boxes, loc="outside lower center", ncols=len(boxes), frameon=False
        )


def _legend_keys(sheet: Sheet) -> list[tuple[str, str, float]]:
    """Label, colour and opacity of what the lanes do not name themselves."""
    keys = [(name, color, 1.0) for name, color in sheet.colors.items() if not sheet.named_lanes]
    if keys and any(band.faded for band in sheet.bands):
        keys.append(("truth", INK, FADED))
    if any((band.values == -1).any() for band in sheet.bands):
        keys.append(("not inferred", UNKNOWN, 1.0))
    return keys
