"""Statistics of ethograms, for plain xarray to go on with.

Short, pure functions. Each takes what :func:`soupxr.open` returned, or a selection of it, with
``mode=`` or ``annotator=``; or any DataArray of 1 (occurs), 0 (does not) and −1 (unlabelled) over
(trial, frame, behavior) or (frame, behavior). None writes anything. −1 is never taken for 0.

Trials are read a few at a time, so memory does not grow with their number; results are small and in
memory. What is as large as its input (:func:`align`, :func:`bouts_to_ethogram`) is lazy where the
input is chunked by dask.

Seconds need a frame rate. A Dataset has it; a DataArray taken out of one has not:
``fps=ds.fps`` says it, or ``ds.set_coords("fps").ethogram`` carries it along.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soupxr.analysis.alignment import align
    from soupxr.analysis.pictures import peri_event_plot, raster
    from soupxr.analysis.statistics import bout_statistics
    from soupxr.analysis.tables import bouts_to_ethogram, ethogram_to_bouts
    from soupxr.analysis.transitions import transition_matrix

__all__ = [
    "align",
    "bout_statistics",
    "bouts_to_ethogram",
    "ethogram_to_bouts",
    "peri_event_plot",
    "raster",
    "transition_matrix",
]

MODULES = {
    "align": "alignment",
    "bout_statistics": "statistics",
    "bouts_to_ethogram": "tables",
    "ethogram_to_bouts": "tables",
    "peri_event_plot": "pictures",
    "raster": "pictures",
    "transition_matrix": "transitions",
}


def __getattr__(name: str) -> Callable[..., Any]:
    # Imported when asked for, so that ``import soupxr`` stays light.
    if name in MODULES:
        found: Callable[..., Any] = getattr(import_module(f"soupxr.analysis.{MODULES[name]}"), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
