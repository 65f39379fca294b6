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
from soupxr.dashboard.axes import FADED, INK, RULE, UNKNOWN, BokehFrame, MatplotlibFrame
from soupxr.dashboard.sheet import Band, Curve, Sheet, thinned

if TYPE_CHECKING:
    import holoviews as hv

__all__ = ["BACKENDS", "INK", "RULE", "both_backends", "draw", "figure", "is_styled", "page"]

BACKENDS = ("bokeh", "matplotlib")

STRIPE = "#F4F6F8"
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
BOUT = ["behavior", "row", "first", "end", "frames", "seconds"]
TOOLTIPS = [
    ("behavior", "@behavior"),
    ("of", "@row"),
    ("start", "frame @first"),
    ("stop", "frame @end"),
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


def draw(sheet: Sheet, title: str | None, backends: Sequence[str] = BACKENDS) -> hv.Overlay:
    """Draw a sheet.

    Parameters
    ----------
    sheet : Sheet
        What stands where.
    title : str or None
        Heading.
    backends : sequence of str
        To style for.
    """
    with both_backends() as hv:
        pen = _Pen(hv, backends)
        elements = [_boxes(pen, list(sheet.stripes), STRIPE, 0.0), _unknown(pen, sheet)]
        for faded in (True, False):
            for behavior in sheet.colors:
                bands = [b for b in sheet.bands if (b.behavior, b.faded) == (behavior, faded)]
                elements.append(_bars(pen, bands, sheet.colors[behavior], faded, sheet.edge))
        for curve in sheet.curves:
            elements += _curve(pen, curve, sheet.colors[curve.behavior])
        elements += [_rule(pen, [(x, 0.0), (x, sheet.height)], INK) for x in sheet.rules]
        overlay = hv.Overlay([element for element in elements if element is not None])
        return _frame(pen, overlay, sheet, title)


def is_styled(picture: object, backend: str) -> bool:
    """Whether this is a picture drawn here, for that backend."""
    with both_backends() as hv:
        if not isinstance(picture, hv.Overlay):
            return False
        options = hv.Store.lookup_options(backend, picture, "plot").kwargs
        hooks = options.get("hooks", ())
        return any(isinstance(hook, (BokehFrame, MatplotlibFrame)) for hook in hooks)


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
        title = hv.Store.lookup_options("bokeh", picture, "plot").kwargs.get("title")
    script, place = components(plot)
    # Without its own mathematics, a page whose names look like TeX would fetch some.
    parts: list[Any] = ["bokeh", *(["bokeh-mathjax"] if TEX.search(script) else [])]
    # bokeh's file_html also refers to files of every other package that extends bokeh.
    library = Resources(mode="inline", components=parts).js_raw
    return PAGE.format(escape(title or "Ethogram"), "\n".join(library), place, script).encode()


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


def _unknown(pen: _Pen, sheet: Sheet) -> Any:
    boxes = [box for band in sheet.bands for box in _band_boxes(band, -1)]
    if not boxes:
        return None
    boxes = [(*box[:4], f"{box[4]}: {sheet.unknown}", *box[5:]) for box in boxes]
    return _boxes(pen, boxes, UNKNOWN, 0.0, tools=["hover"], hover_tooltips=TOOLTIPS)


def _bars(pen: _Pen, bands: list[Band], color: str, faded: bool, edge: float) -> Any:
    boxes = [box for band in bands for box in _band_boxes(band, 1)]
    if not boxes:
        return None
    alpha = FADED if faded else 1.0
    return _boxes(pen, boxes, color, edge, alpha=alpha, tools=["hover"], hover_tooltips=TOOLTIPS)


def _band_boxes(band: Band, value: int) -> Iterator[tuple[Any, ...]]:
    clock = band.clock
    for start, stop in mask_to_bouts(band.values == value).tolist():
        frames = stop - start
        seconds = "" if clock.fps is None else f" ({frames / clock.fps:.3f} s)"
        box = (clock.at(start), band.bottom, clock.at(stop), band.top)
        yield *box, band.behavior, band.row, start, stop, frames, seconds


def _curve(pen: _Pen, curve: Curve, color: str) -> list[Any]:
    """Line, tint below it, and the threshold as a dashed rule."""
    hv = pen.hv
    frame, probability = thinned(curve.values)
    time = curve.clock.at(frame)
    rise = curve.top - curve.bottom
    height = curve.bottom + rise * probability
    tint = np.where(np.isfinite(height), height, curve.bottom)
    floor = np.full_like(tint, curve.bottom)
    area = hv.Area((time, tint, floor), "time", ["height", "floor"])
    line = hv.Curve((time, height), "time", "height")
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
        level, ends = curve.bottom + rise * curve.threshold, (0.0, float(len(curve.values)))
        rule = [(curve.clock.at(end), level) for end in ends]
        elements.append(_rule(pen, rule, RULE))
    return elements


def _rule(pen: _Pen, ends: list[tuple[float, float]], color: str) -> Any:
    return pen.styled(
        pen.hv.Curve(ends, "time", "height"),
        bokeh={"color": color, "line_width": 1, "line_dash": "dashed"},
        matplotlib={"color": color, "linewidth": 0.8, "linestyle": "--"},
    )


# ------------------------------------------------------------------ the frame around them


def _frame(pen: _Pen, overlay: Any, sheet: Sheet, title: str | None) -> Any:
    """Axes, names of the lanes, heading, legend."""
    common = {
        "xlim": (sheet.axis.left, sheet.axis.right),
        "ylim": (0, sheet.height),
        "xlabel": sheet.axis.label,
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
        "hooks": [BokehFrame(sheet)],
    }
    inches = (WIDTH_INCHES, (sheet.height + FRAME) / PIXELS_PER_INCH)
    matplotlib = {"fig_inches": inches, "hooks": [MatplotlibFrame(sheet)]}
    return pen.styled(overlay, bokeh=common | bokeh, matplotlib=common | matplotlib)
