"""The viewers that ``ds.soup.view()`` and its siblings return."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import panel as pn
import xarray as xr

from soupxr.dashboard.keys import Editor
from soupxr.dashboard.page import has_notebook, in_notebook
from soupxr.dashboard.serve import Server, serve
from soupxr.dashboard.workbench import Workbench
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, StoreError, expected

__all__ = ["Viewer"]

TrialKey = str | tuple[str, str, int] | Mapping[str, Any]


class Viewer:
    """Trials on a page: ``.show()`` opens it in the browser; in a notebook it shows itself.

    Every tab and every output has a page of its own. :attr:`selection`, :attr:`frame`,
    :attr:`behavior`, :attr:`region` and :attr:`ethogram` are those of the page that was opened
    last; setting them moves it.

    Parameters
    ----------
    editor : {"view", "clean", "manual", "compare"}
        What it is for.
    open_page : callable
        Makes what stands behind one page.
    about : str
        What is shown, for ``repr``.
    """

    def __init__(self, editor: Editor, open_page: Callable[[], Workbench], about: str) -> None:
        self._editor, self._open_page, self._about = editor, open_page, about
        self._pages: list[weakref.ref[Workbench]] = []
        self._spare: Workbench | None = None

    def __repr__(self) -> str:
        return f"<soupxr viewer: {self._editor}, {self._about}; .show() opens it in the browser>"

    def __dir__(self) -> list[str]:
        # What Tab offers: no inner workings.
        return [name for name in vars(type(self)) if not name.startswith("_")]

    # ---------------------------------------------------------------- showing

    def panel(self) -> pn.viewable.Viewable:
        """A page of it as a Panel component, to be put into other layouts."""
        return self._new_page().page

    def show(
        self,
        port: int = 0,
        *,
        address: str = "127.0.0.1",
        password: str | None = None,
        open_browser: bool = True,
        wait: bool = True,
    ) -> Server:
        """Serve it and open the browser.

        Parameters
        ----------
        port : int
            Default: any that is free.
        address : str
            Default: this machine only. Any other demands a password.
        password : str, optional
            Asked of whoever opens the page.
        open_browser : bool
            Open the page.
        wait : bool
            Stay until Ctrl+C; otherwise serve from a thread.

        Returns
        -------
        Server
            With ``url`` and ``stop()``.

        Raises
        ------
        ArgumentError
            If the address is not this machine and there is no password, or the port is taken.
        """
        return serve(
            self.panel,
            port=port,
            address=address,
            password=password,
            open_browser=open_browser,
            wait=wait,
            title=f"soupxr: {self._editor}",
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if not has_notebook():
            return {"text/plain": repr(self)}
        return in_notebook(self._new_page().page)._repr_mimebundle_(include, exclude)

    def _new_page(self) -> Workbench:
        page, self._spare = self._spare or self._open_page(), None
        self._pages = [ref for ref in self._pages if ref() is not None]
        self._pages.append(weakref.ref(page))
        # A page lives as long as the Panel component that shows it.
        page.page.keep(page)
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.on_session_destroyed(lambda _: page.close())
        return page

    @property
    def _page(self) -> Workbench:
        """The page that was opened last and is still there; before any, one that will be it."""
        pages = [page for ref in self._pages if (page := ref()) is not None and page.is_open]
        if pages:
            return pages[-1]
        if self._spare is None:
            self._spare = self._open_page()
        return self._spare

    # ---------------------------------------------------------------- what is on the page

    @property
    def selection(self) -> dict[str, Any]:
        """Labels of the trial on the page: ``ds.sel(viewer.selection)``.

        Set it to such labels, to a tuple (animal, session, trial_id) or to a key
        ``"animal/session/trial_id"`` to turn to another trial.
        """
        trial = self._page.trial
        return {name: getattr(trial, name) for name in LEVELS}

    @selection.setter
    def selection(self, trial: TrialKey) -> None:
        self._page.open(self._key_of(trial))

    @property
    def frame(self) -> int:
        """Number of the frame on the page; set it to go there."""
        return self._page.frame

    @frame.setter
    def frame(self, frame: int) -> None:
        n_frames = self._page.trial.n_frames
        if not _is_frame(frame) or not 0 <= frame < n_frames:
            raise ArgumentError(expected("frame", f"0 to {n_frames - 1}", frame))
        self._page.go_to(frame)

    @property
    def behavior(self) -> str:
        """Name of the current behavior; set it to choose another."""
        edit = self._page.edit
        return edit.behaviors[edit.current]

    @behavior.setter
    def behavior(self, behavior: str) -> None:
        names = list(self._page.edit.behaviors)
        if behavior not in names:
            raise ArgumentError(expected("behavior", f"one of {names}", behavior))
        self._page.act("current", behavior=names.index(behavior))

    @property
    def region(self) -> tuple[int, int] | None:
        """Frames of the selected region (start, stop), half-open; set it, or None, to change it."""
        region = self._page.edit.region
        return None if region is None else (region[0], region[1])

    @region.setter
    def region(self, region: tuple[int, int] | None) -> None:
        if region is not None and not _are_edges(region):
            wanted = "two frames (start, stop), half-open, or None"
            raise ArgumentError(expected("region", wanted, region))
        start, stop = (None, None) if region is None else region
        self._page.act("region", start=start, stop=stop)

    @property
    def ethogram(self) -> xr.DataArray:
        """What the page shows: int8 (frame, behavior); 1 occurs, 0 does not, −1 unlabelled.

        In an editor it can be set, to an array of this shape; Y on the page, or :meth:`save`,
        writes it to the store.
        """
        page = self._page
        frame = np.arange(page.trial.n_frames)
        return xr.DataArray(
            page.edit.mask.copy(),
            dims=("frame", "behavior"),
            coords={
                "frame": frame,
                "time": ("frame", frame / page.trial.fps, {"units": "s"}),
                "behavior": list(page.edit.behaviors),
                **self.selection,
            },
            name="ethogram",
        )

    @ethogram.setter
    def ethogram(self, mask: npt.ArrayLike) -> None:
        self._require_editor("ethogram")
        self._page.act("assign", mask=np.asarray(mask))

    def save(self) -> None:
        """Write the labels on the page to the store, as Y does, and wait until they are there.

        Raises
        ------
        StoreError
            If they could not be written.
        """
        self._require_editor("save")
        self._page.save()
        self._page.wait_until_saved()

    def _require_editor(self, what: str) -> None:
        if self._page.use.annotator is None:
            remedy = "ds.soup.clean_ethograms() and ds.soup.manual_ethograms() edit."
            raise ArgumentError(expected(what, "a viewer that edits", self._editor, remedy))
        if self._page.read_only is not None:
            raise StoreError(self._page.read_only)

    def _key_of(self, trial: TrialKey) -> str:
        if isinstance(trial, Mapping):
            trial = tuple(trial.get(name, "?") for name in LEVELS)
        key = trial if isinstance(trial, str) else "/".join(map(str, trial))
        if key not in self._page.keys:
            remedy = "viewer.selection takes trials of the Dataset it was made of."
            raise ArgumentError(expected("selection", "a trial of this viewer", key, remedy))
        return key


def _is_frame(value: object) -> bool:
    return isinstance(value, int | np.integer)


def _are_edges(region: Any) -> bool:
    is_pair = isinstance(region, tuple | list | np.ndarray) and len(region) == 2
    return is_pair and all(_is_frame(edge) for edge in region)
