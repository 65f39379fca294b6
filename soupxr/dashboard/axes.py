"""What stands around a picture of ethograms: axes, legend, quiet lines; hooks of HoloViews."""

from __future__ import annotations

from typing import Any

from soupxr.dashboard.sheet import Sheet

__all__ = ["FADED", "GRID", "INK", "RULE", "UNKNOWN", "BokehFrame", "MatplotlibFrame"]

UNKNOWN, GRID, RULE, INK = "#D5D9DF", "#E3E6EA", "#9AA5B1", "#1F2933"
FADED = 0.45
#: From the lower end of matplotlib's axes down to the legend, past numbers and name; inches.
LEGEND_DROP = 0.55


class BokehFrame:
    """Finishes a bokeh figure: seconds above, legend, quiet lines."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet

    def __call__(self, plot: Any, element: Any) -> None:
        """Finish it, once."""
        figure = plot.state
        if "above" in figure.extra_x_ranges or figure.select(name="legend"):
            return
        figure.toolbar.logo = None
        figure.outline_line_color = None
        figure.ygrid.visible = False
        figure.xgrid.grid_line_color = GRID
        figure.yaxis.major_tick_line_color = None
        figure.axis.axis_line_color = RULE
        figure.axis.major_label_text_color = INK
        figure.yaxis.major_label_text_font_size = "12px"
        self._write_plainly(figure)
        if self.sheet.axis.above is not None:
            self._add_axis_above(figure, *self.sheet.axis.above)
        keys = _legend_keys(self.sheet)
        if keys:
            self._add_legend(figure, keys)

    def _write_plainly(self, figure: Any) -> None:
        """Names are no mathematics, though there be dollars in them."""
        from bokeh.models import PlainText

        names = {at: PlainText(text=name) for at, name in self.sheet.ticks}
        figure.yaxis.major_label_overrides = names
        if isinstance(figure.title.text, str):
            figure.title.text = PlainText(text=figure.title.text)

    def _add_axis_above(self, figure: Any, label: str, factor: float) -> None:
        from bokeh.models import CustomJS, LinearAxis, Range1d

        below, shown = figure.x_range, self.sheet.axis
        above = Range1d(start=shown.left * factor, end=shown.right * factor)
        figure.extra_x_ranges = {"above": above}
        axis = LinearAxis(x_range_name="above", axis_label=label)
        axis.axis_line_color, axis.major_label_text_color = RULE, INK
        figure.add_layout(axis, "above")
        follow = CustomJS(
            args={"below": below, "above": above, "factor": factor},
            code="above.setv({start: below.start * factor, end: below.end * factor})",
        )
        below.js_on_change("start", follow)
        below.js_on_change("end", follow)

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


class MatplotlibFrame:
    """Finishes matplotlib axes the same way."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet

    def __call__(self, plot: Any, element: Any) -> None:
        """Finish them."""
        axis = plot.handles["axis"]
        for side in ("left", "right", "top"):
            axis.spines[side].set_visible(False)
        axis.spines["bottom"].set_color(RULE)
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.tick_params(axis="x", color=RULE, labelcolor=INK)
        axis.set_box_aspect(None)
        axis.set_aspect("auto")
        axis.grid(axis="x", color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
        if self.sheet.edge < 1:
            # Drawn to whole pixels, thin rows would be of uneven height.
            for boxes in axis.collections:
                boxes.set_snap(False)
        if self.sheet.axis.above is not None:
            label, factor = self.sheet.axis.above
            there_and_back = (lambda x: x * factor, lambda x: x / factor)
            above = axis.secondary_xaxis("top", functions=there_and_back)
            above.set_xlabel(label, parse_math=False)
            above.spines["top"].set_color(RULE)
            above.tick_params(color=RULE, labelcolor=INK)
        keys = _legend_keys(self.sheet)
        if keys:
            self._add_legend(axis, keys)
        # Names are no mathematics here either.
        places, names = zip(*self.sheet.ticks, strict=True)
        axis.set_yticks(places, names, parse_math=False)
        for text in (axis.title, axis.xaxis.label, *_legend_texts(axis)):
            text.set_parse_math(False)

    def _add_legend(self, axis: Any, keys: list[tuple[str, str, float]]) -> None:
        from matplotlib.patches import Patch
        from matplotlib.transforms import ScaledTranslation

        boxes = [Patch(color=color, alpha=alpha, label=label) for label, color, alpha in keys]
        below = ScaledTranslation(0, -LEGEND_DROP, axis.figure.dpi_scale_trans)
        axis.legend(
            handles=boxes, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(boxes),
            bbox_transform=axis.transAxes + below, borderaxespad=0, frameon=False,
        )  # fmt: skip


def _legend_texts(axis: Any) -> list[Any]:
    legend = axis.get_legend()
    return [] if legend is None else list(legend.get_texts())


def _legend_keys(sheet: Sheet) -> list[tuple[str, str, float]]:
    """Label, colour and opacity of what the lanes do not name themselves."""
    keys = [(name, color, 1.0) for name, color in sheet.colors.items() if not sheet.named_lanes]
    if keys and any(band.faded for band in sheet.bands):
        keys.append(("truth", INK, FADED))
    if any((band.values == -1).any() for band in sheet.bands):
        keys.append((sheet.unknown, UNKNOWN, 1.0))
    return keys
