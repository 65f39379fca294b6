"""Panels side by side: what HoloViews leaves to be finished, and how they become one file."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Any

from soupxr.dashboard.picture import INK, PAGE, RULE, TEX

__all__ = ["GRID", "BokehPanel", "MatplotlibPanel", "Panel", "figure_of", "page_of"]

GRID = "#E3E6EA"
LEGEND = "average precision"


@dataclass(frozen=True)
class Panel:
    """What a panel wants beyond HoloViews' options."""

    title: str
    width: float
    height: float
    legend: tuple[tuple[str, str], ...] = ()
    slanted: bool = False
    grid: bool = False
    square: bool = False


@dataclass(frozen=True)
class BokehPanel:
    """Finishes a bokeh figure; a hook of HoloViews."""

    panel: Panel

    def __call__(self, plot: Any, element: Any) -> None:
        """Finish it, once."""
        figure = plot.state
        if figure.select(name="legend"):
            return
        figure.toolbar.logo = None
        figure.outline_line_color = None
        figure.grid.visible = self.panel.grid
        figure.grid.grid_line_color = GRID
        figure.axis.axis_line_color = figure.axis.major_tick_line_color = RULE
        figure.axis.minor_tick_line_color = None
        figure.axis.major_label_text_color = INK
        figure.axis.axis_label_text_font_style = "normal"
        if self.panel.slanted:
            figure.xaxis.major_label_orientation = 0.7
        if self.panel.legend:
            self._add_legend(figure)

    def _add_legend(self, figure: Any) -> None:
        from bokeh.models.annotations import Legend, LegendItem

        nowhere = [float("nan")]
        items = [
            LegendItem(
                label={"value": label},
                renderers=[figure.line(nowhere, nowhere, color=color, line_width=3)],
            )
            for label, color in self.panel.legend
        ]
        legend = Legend(items=items, name="legend", title=LEGEND)
        legend.border_line_color = None
        legend.title_text_font_style = "normal"
        figure.add_layout(legend, "right")


@dataclass(frozen=True)
class MatplotlibPanel:
    """Finishes matplotlib axes the same way."""

    panel: Panel

    def __call__(self, plot: Any, element: Any) -> None:
        """Finish them."""
        axis = plot.handles["axis"]
        for side in ("right", "top"):
            axis.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axis.spines[side].set_color(RULE)
        axis.tick_params(color=RULE, labelcolor=INK, labelsize=10)
        axis.set_axisbelow(True)
        if self.panel.grid:
            axis.grid(color=GRID, linewidth=0.7)
        axis.set_aspect("equal" if self.panel.square else "auto")
        axis.set_title(self.panel.title, fontsize=12, color=INK, pad=10)
        for label in (axis.xaxis.label, axis.yaxis.label):
            label.set(fontsize=10, color=INK)
        if self.panel.slanted:
            for tick in axis.get_xticklabels():
                tick.set(rotation=35, ha="right", rotation_mode="anchor")
        if self.panel.legend:
            self._add_legend(axis)

    def _add_legend(self, axis: Any) -> None:
        from matplotlib.lines import Line2D

        lines = [
            Line2D([], [], color=color, linewidth=2.5, label=label)
            for label, color in self.panel.legend
        ]
        axis.legend(
            handles=lines,
            title=LEGEND,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            fontsize=10,
            frameon=False,
            alignment="left",
        )


def figure_of(hv: Any, panels: list[Any], title: str, kind: str, dpi: int) -> bytes:
    """Render panels side by side with matplotlib."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    sizes = [_panel_of(hv, panel) for panel in panels]
    widths = [panel.width for panel in sizes]
    size = (sum(widths), max(panel.height for panel in sizes))
    margins = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    content = BytesIO()
    # Names are no mathematics, though there be a dollar in them.
    with matplotlib.rc_context({"text.parse_math": False}):
        sheet = Figure(figsize=size, facecolor="white", layout=margins)
        FigureCanvasAgg(sheet)
        axes = sheet.subplots(1, len(panels), width_ratios=widths)
        for panel, axis in zip(panels, axes, strict=True):
            hv.renderer("matplotlib").get_plot(panel, fig=sheet, axis=axis)
        sheet.suptitle(title, fontsize=15, color=INK)
        sheet.set_size_inches(size)
        sheet.savefig(content, format=kind, dpi=dpi)
    return content.getvalue()


def _panel_of(hv: Any, overlay: Any) -> Panel:
    hooks = hv.Store.lookup_options("matplotlib", overlay, "plot").kwargs["hooks"]
    return next(hook.panel for hook in hooks if isinstance(hook, MatplotlibPanel))


def page_of(hv: Any, panels: list[Any], title: str) -> bytes:
    """Render panels side by side with bokeh: one HTML file that fetches nothing."""
    from bokeh.embed import components
    from bokeh.layouts import row
    from bokeh.resources import Resources

    figures = [hv.renderer("bokeh").get_plot(panel).state for panel in panels]
    script, place = components(row(*figures))
    parts: list[Any] = ["bokeh", *(["bokeh-mathjax"] if TEX.search(script) else [])]
    library = Resources(mode="inline", components=parts).js_raw
    heading = escape(title)
    shown = f'<h2 style="font-family: sans-serif; color: {INK}">{heading}</h2>\n{place}'
    return PAGE.format(heading, "\n".join(library), shown, script).encode()
