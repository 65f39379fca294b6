"""The picture of a run: loss and metric over its epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

__all__ = ["save_curves"]

FINE, PALE = 2.0, 0.9


def save_curves(
    history: Sequence[dict[str, float]], metric: str, title: str, path: Path, *, rising: bool
) -> None:
    """Draw the training loss, the metric, and its parts by class, over epochs.

    Parameters
    ----------
    history : sequence of dict
        One an epoch: ``epoch``, ``lr``, ``loss``, ``metric``; what else begins like the metric is
        drawn pale.
    metric : str
        Name of the figure that decides which epoch is the best.
    title : str
        Above the picture.
    path : Path
        PNG to write.
    rising : bool
        Whether more of the metric is better.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    left.plot(epochs, [row["loss"] for row in history], color="black", marker=".", lw=FINE)
    left.set(xlabel="epoch", ylabel="loss, training part")
    stem = metric.split("_")[0] + "_"
    for name in history[-1]:
        if name.startswith(stem) and name != metric:
            values = [row.get(name, float("nan")) for row in history]
            label = name.removeprefix(stem)
            right.plot(epochs, values, marker=".", ms=4, lw=PALE, alpha=0.8, label=label)
    values = [row[metric] for row in history]
    right.plot(epochs, values, color="black", marker=".", lw=FINE, label=metric)
    numbers = [value for value in values if not math.isnan(value)]
    if numbers:
        best = values.index(max(numbers) if rising else min(numbers))
        right.axvline(epochs[best], color="0.6", ls=":", label=f"best: {values[best]:.3f}")
    right.set(xlabel="epoch", ylabel=f"{metric.replace('_', ' ')}, validation part")
    if rising:
        right.set_ylim(-0.02, 1.02)
    right.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
