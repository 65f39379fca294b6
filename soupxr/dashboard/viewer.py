"""A first look at trials in a browser: the frame, and the ethogram below it.

Reads only. Everything is served from this machine; the page asks nothing of any other.
"""

from __future__ import annotations

import io
from typing import Any

import holoviews as hv
import numpy as np
import numpy.typing as npt
import panel as pn
import xarray as xr
from bokeh.models.annotations import Span
from PIL import Image

from soupxr.dashboard.ethogram import ethogram_raster
from soupxr.dataset import keys_of, open_dataset, store_of
from soupxr.errors import ArgumentError, expected
from soupxr.labels import label_source, read_labels
from soupxr.modes import get_mode
from soupxr.store import Store, StoredTrial

__all__ = ["Viewer"]

JPEG_QUALITY = 85
#: Milliseconds between frames while playing.
PACE_MS = 40
HEIGHT = 360

Mask = npt.NDArray[np.int8]


class Viewer:
    """Trials of a selection, one at a time; shows itself in a notebook.

    Parameters
    ----------
    ds : xarray.Dataset
        The selection.
    mode : str, optional
        Mode whose ethograms are drawn; default is the first that has any, else annotations alone.
    annotator : str, optional
        Whose labels are drawn below; default is the first annotator, if there is one.
    """

    def __init__(
        self, ds: xr.Dataset, mode: str | None = None, annotator: str | None = None
    ) -> None:
        self._arguments = (ds, mode, annotator)
        self._store: Store = store_of(ds)
        self._whole = open_dataset(self._store.address)
        keys = keys_of(ds)
        if not keys:
            remedy = 'ds = ds.soup.add_item("<animal>") adds some.'
            raise ArgumentError(expected("view", "a selection with trials", "none", remedy))
        if mode is not None:
            get_mode(mode)
        annotators = self._store.labels("annotator")
        if annotator is not None:
            label_source(self._store, annotator=annotator)
        self._annotator = annotator or next(iter(annotators), None)
        self._mode = pn.widgets.Select(label="Mode", options=self._store.modes)
        self._mode.value = mode or self._mode_with_results(keys)
        self._trial = pn.widgets.Select(label="Trial", options=keys)
        self._player = pn.widgets.Player(
            label="Frame", start=0, end=1, interval=PACE_MS, show_value=True, width=500
        )
        self._picture = pn.pane.JPG(None, height=HEIGHT, alt_text="frame")
        self._raster = pn.pane.Bokeh(None, sizing_mode="stretch_width")
        self._playhead = Span(location=0, dimension="height", line_color="red")
        self._video: xr.DataArray | None = None
        self._trial.param.watch(self._open, "value")
        self._mode.param.watch(self._draw, "value")
        self._player.param.watch(self._step, "value")
        self._open()

    def panel(self) -> pn.viewable.Viewable:
        """Layout, to be put into other layouts."""
        choice = pn.Row(self._trial, self._mode, self._player)
        return pn.Column(choice, self._picture, self._raster, sizing_mode="stretch_width")

    def show(self, port: int = 0, *, open_browser: bool = True, wait: bool = True) -> Any:
        """Serve the page to this machine's browsers.

        Parameters
        ----------
        port : int
            Default: any that is free.
        open_browser : bool
            Open the page.
        wait : bool
            Stay until Ctrl+C; otherwise serve from a thread and return its server.
        """
        return pn.serve(
            # One for each tab: a figure belongs to one page.
            lambda: Viewer(*self._arguments).panel(),
            port=port,
            address="127.0.0.1",
            show=open_browser,
            threaded=not wait,
            title="soupxr",
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        pn.extension()
        return self.panel()._repr_mimebundle_(include, exclude)

    # ---------------------------------------------------------------- what is shown

    def _mode_with_results(self, keys: list[str]) -> str:
        slots = self._store.slots(keys)
        done = (mode for mode in self._store.modes if self._store.statuses(mode, slots).any())
        return next(done, self._store.modes[0])

    def _open(self, *_: object) -> None:
        """Turn to the chosen trial."""
        trial = self._stored()
        chosen = {
            "animal": trial.animal,
            "session": trial.session,
            "trial_id": trial.trial_id,
        }
        self._video = self._whole.sel(chosen).soup.video()
        self._player.param.update(end=trial.n_frames - 1, value=0)
        self._step()
        self._draw()

    def _stored(self) -> StoredTrial:
        return self._store.trial(self._trial.value)

    def _step(self, *_: object) -> None:
        """Show one frame, and move the playhead to it."""
        assert self._video is not None
        frame = int(self._player.value)
        file = io.BytesIO()
        Image.fromarray(self._video[frame].values).save(file, "JPEG", quality=JPEG_QUALITY)
        self._picture.object = file.getvalue()
        self._playhead.location = frame

    def _draw(self, *_: object) -> None:
        """Draw the trial's ethogram, and a person's labels below it."""
        trial, mode = self._stored(), self._mode.value
        # A figure keeps what is drawn on it: each has a playhead of its own.
        self._playhead = Span(location=self._player.value, dimension="height", line_color="red")
        (ethogram,) = self._masks(trial, mode=mode)
        truth = None
        if self._annotator is not None:
            (truth,) = self._masks(trial, annotator=self._annotator)
        inferred = (ethogram >= 0).any()
        title = f"{trial.key}, mode {mode}" + ("" if inferred else ": not inferred yet")
        raster = ethogram_raster(
            {mode: ethogram},
            behaviors=self._store.labels("behavior"),
            fps=trial.fps,
            title=title,
            truth=truth,
            backend="bokeh",
        )
        figure = hv.render(raster, backend="bokeh")
        figure.add_layout(self._playhead)
        figure.sizing_mode = "stretch_width"
        self._raster.object = figure

    def _masks(self, trial: StoredTrial, **source: str) -> list[Mask]:
        labels = label_source(self._store, **source)
        return [mask for _, mask in read_labels(self._store, labels, [trial])]
