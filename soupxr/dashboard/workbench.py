"""What stands behind one open page: the trial on it, its edits, its frames, and their saving."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.dashboard.colors import dark_colors
from soupxr.dashboard.compare import agreement, disagreements
from soupxr.dashboard.curves import curves_of
from soupxr.dashboard.doubt import Review
from soupxr.dashboard.edit import Edit
from soupxr.dashboard.ethogram import behavior_colors
from soupxr.dashboard.frames import Answer, FrameServer, serve_trial
from soupxr.dashboard.keys import legend
from soupxr.dashboard.page import Message, Page
from soupxr.dashboard.rows import Row, lanes, read_row
from soupxr.dashboard.saving import Report, Saver
from soupxr.dashboard.triallist import TrialList, Watch
from soupxr.dashboard.uses import Use
from soupxr.errors import SoupError, StoreError
from soupxr.labels import LabelSource, check_annotator
from soupxr.store import Store, StoredTrial, why_read_only

__all__ = ["Workbench"]

Mask = npt.NDArray[np.int8]


class Workbench:
    """State of one page.

    The browser owns what moves with every frame (playhead, zoom, order of the list); here is
    everything else. Whatever the browser sends is handled under one lock, so that it may also be
    moved from a notebook.

    Parameters
    ----------
    address : str
        Of the store.
    keys : sequence of str
        Trials, in the order of the list.
    use : Use
        What the page is for.
    review : Review, optional
        Stretches to be looked at one after the other.
    """

    def __init__(
        self, address: str, keys: Sequence[str], use: Use, review: Review | None = None
    ) -> None:
        self._address, self._keys, self.use, self._review = address, list(keys), use, review
        self.lock = threading.RLock()
        self.page = Page(self._receive)
        self.frame = 0
        self.trial: StoredTrial
        self.edit: Edit
        self.saved: Report | None = None
        self._token = 0
        self._seen: dict[str, npt.NDArray[np.bool_]] = {}
        self._masks: list[Mask] = []
        self._disagreements: list[list[int]] | None = None
        self._frames: FrameServer | None = None
        self._opened: Store
        self._closed = False
        self._read_only = why_read_only(address) if use.annotator is not None else None
        self._saver: Saver | None = None
        if use.annotator is not None and self._read_only is None:
            self._saver = Saver(address, use.annotator, self._report)
        self._watch: Watch | None = None
        stretch = None if review is None else review.next()
        self._turn_to(*((keys[0], 0) if stretch is None else (stretch.key, stretch.start)))
        if stretch is not None:
            self.edit.set_region(stretch.start, stretch.stop)

    @property
    def keys(self) -> list[str]:
        """Trials that can be turned to."""
        return self._keys

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        return not self._closed

    @property
    def read_only(self) -> str | None:
        """Why nothing can be saved, where that is so."""
        return self._read_only

    @property
    def store(self) -> Store:
        """The store as it stands on disk."""
        return Store(self._address)

    def close(self) -> None:
        """Save what is pending, and let go of everything."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
        if self._watch is not None:
            self._watch.close()
        if self._frames is not None:
            self._frames.close(wait=True)
        if self._saver is not None:
            self._saver.close()

    # ---------------------------------------------------------------- from the browser

    def _receive(self, message: Message) -> None:
        handle = _HANDLERS.get(message["type"])
        with self.lock:
            if handle is None or self._closed:
                return
            if "token" in message and message["token"] != self._token:
                return
            try:
                handle(self, message)
            except SoupError as error:
                self.page.send("notice", text=str(error), kind="error")

    def _on_ready(self, _: Message) -> None:
        """The page is drawn, for the first time or again: tell it everything."""
        store, use = self.store, self.use
        names = store.labels("behavior")
        light, dark = behavior_colors(names), dark_colors(names)
        self.page.send(
            "hello",
            editor=use.editor,
            title=_TITLES[use.editor],
            behaviors=[{"name": n, "light": light[n], "dark": dark[n]} for n in names],
            views=store.labels("view"),
            keys=legend(use.editor, review=self._review is not None),
            controls=use.controls(),
            modes=store.modes,
            review=self._review is not None,
        )
        if self._watch is None:
            trials = TrialList(self._address, self._keys, use.annotator)
            columns = trials.columns()
            self.page.send("trials", **columns)
            self._watch = Watch(trials, lambda now: self.page.send("trials", **now), told=columns)
        else:
            self._watch.look(again=True)
        self._tell_trial()
        self._tell_review()

    def _on_ping(self, message: Message) -> None:
        self.page.send("pong", n=message.get("n"))

    def _on_open(self, message: Message) -> None:
        self.open(str(message["key"]))

    def _on_choose(self, message: Message) -> None:
        if message["id"] == "fill_absent":
            self.act("fill_absent")
            return
        self.use.choose(str(message["id"]), message.get("value"))
        self.page.send("controls", controls=self.use.controls())
        self._read_rows(self.store)
        self._tell_ethogram()
        self._tell_curves()

    def _on_want(self, message: Message) -> None:
        token = self._token

        def reply(answer: Answer) -> None:
            if token == self._token:
                told = {"jpeg": answer.jpeg, "error": answer.error, "dropped": answer.dropped}
                given = {name: value for name, value in told.items() if value}
                self.page.send("frame", token=token, frame=answer.frame, view=answer.view, **given)

        if self._frames is not None:
            self._frames.want(
                int(message["frame"]),
                str(message.get("view", "joined")),
                direction=int(message.get("direction", 0)),
                urgent=bool(message.get("urgent")),
                reply=reply,
            )

    def _on_playhead(self, message: Message) -> None:
        self.frame = min(max(int(message["frame"]), 0), self.trial.n_frames - 1)

    def _on_watched(self, message: Message) -> None:
        start, stop = max(int(message["start"]), 0), int(message["stop"])
        if self.edit.watch(start, min(stop, self.trial.n_frames)):
            self._tell_edit()

    def _on_action(self, message: Message) -> None:
        fields = {k: v for k, v in message.items() if k not in ("type", "token", "seq", "name")}
        token = self._token
        try:
            self.act(str(message["name"]), **fields)
        finally:
            self.page.send("acted", token=token, seq=message["seq"])

    def _on_resolve(self, message: Message) -> None:
        assert self._saver is not None
        key = self.trial.key
        if message["how"] == "reload":
            self._start_edit(self._saver.reload(key))
            self.saved = None
            self._tell_saved()
        elif message["how"] == "save_as":
            other = check_annotator(self.store, message["annotator"])
            self._saver.save_as(key, self.edit.mask, self.edit.version, other)
        self._tell_ethogram()

    # ---------------------------------------------------------------- what can be done

    def open(self, key: str, frame: int = 0) -> None:
        """Turn to a trial."""
        with self.lock:
            self._turn_to(key, frame)
            self._tell_trial()

    def act(self, name: str, **fields: Any) -> None:
        """Do what a key, a button or a drag asks for."""
        with self.lock:
            if name == "stretch":
                self._go_on(int(fields["step"]))
                return
            if name == "save":
                self.save()
                return
            changed = self._change(name, fields)
            if changed:
                self._masks[0] = self.edit.mask
                self._disagreements = self._compared()
                self._tell_ethogram(changed)
                if self._saver is not None and name != "assign":
                    self.save()
                elif self._saver is not None:
                    self._tell_unsaved()
            self._tell_edit()

    def save(self) -> None:
        """Write the labels on the page to the store."""
        with self.lock:
            if self._saver is not None:
                self._saver.save(self.trial.key, self.edit.mask, self.edit.version)

    def wait_until_saved(self, timeout: float = 60.0) -> None:
        """Wait until what was to be saved is on disk.

        Raises
        ------
        StoreError
            If it is not, and why.
        """
        assert self._saver is not None
        if not self._saver.flush(timeout):
            why = self.saved.text if self.saved is not None else "the store did not answer"
            raise StoreError(f"{self.trial.key}: the labels were not saved. {why}")

    def go_to(self, frame: int) -> None:
        """Show a frame."""
        with self.lock:
            self.frame = min(max(int(frame), 0), self.trial.n_frames - 1)
            self.page.send("goto", token=self._token, frame=self.frame)

    def _change(self, name: str, fields: Message) -> tuple[int, ...]:
        """Behaviors of which a label changed."""
        moves, edits = _MOVES.get(name), _EDITS.get(name)
        if moves is not None:
            moves(self.edit, fields)
            return ()
        if edits is None:
            raise SoupError(f"the page asked for {name!r}, which is not known here; reload it.")
        if self._saver is None:
            return ()
        return tuple(edits(self.edit, fields))

    def _go_on(self, step: int) -> None:
        if self._review is None:
            return
        stretch = self._review.next(step)
        if stretch is not None:
            if stretch.key == self.trial.key:
                self.go_to(stretch.start)
            else:
                self.open(stretch.key, stretch.start)
            self.edit.set_region(stretch.start, stretch.stop)
            self._tell_edit()
        self._tell_review()

    # ---------------------------------------------------------------- the trial on the page

    def _turn_to(self, key: str, frame: int) -> None:
        # Opening a store takes as long as reading a trial from it: this one serves until the next.
        self._opened = store = self.store
        trial = store.trial(key)
        if self.use.editor == "manual" and self._token:
            self._seen[self.trial.key] = self.edit.seen.copy()
        self.trial = trial
        self._token += 1
        self.frame = min(max(frame, 0), self.trial.n_frames - 1)
        if self._frames is not None:
            self._frames.close()
        self._frames = serve_trial(store, trial)
        self._read_rows(store, anew=True)

    def _rows(self) -> list[Row]:
        """Rows of the lanes; what was saved under another name has that name."""
        rows, saver = self.use.rows(), self._saver
        if saver is not None and saver.annotator_of(self.trial.key) != self.use.annotator:
            name = saver.annotator_of(self.trial.key)
            rows[0] = replace(rows[0], label=name, source=LabelSource("annotation", name))
        return rows

    def _read_rows(self, store: Store, *, anew: bool = False) -> None:
        """Read what the lanes show; ``anew``, or where nothing was edited, the first row too."""
        unsaved = None if self._saver is None else self._saver.unsaved(self.trial.key)
        self._masks = masks = [read_row(store, row, self.trial) for row in self._rows()]
        if anew or self.use.annotator is None or not self.edit.is_changed:
            if self._saver is not None:
                self._saver.open(self.trial.key, masks[0])
            self._start_edit(self.use.starting_mask(masks))
            if unsaved is not None:
                self.edit.assign(unsaved)
        self._masks[0] = self.edit.mask
        self._disagreements = self._compared()

    def _start_edit(self, mask: Mask) -> None:
        current = self.edit.current if hasattr(self, "edit") else 0
        seen = self._seen.get(self.trial.key)
        if seen is not None and len(seen) != len(mask):
            seen = None  # its video was replaced meanwhile
        self.edit = Edit(mask, self._opened.labels("behavior"), seen=seen)
        self.edit.select(current)
        if self._masks:
            self._masks[0] = self.edit.mask

    def _compared(self) -> list[list[int]] | None:
        return disagreements(self._masks) if self.use.editor == "compare" else None

    # ---------------------------------------------------------------- to the browser

    def _tell_trial(self) -> None:
        trial = self.trial
        views, error = self._pictures()
        self.page.send(
            "trial",
            token=self._token,
            key=trial.key,
            animal=trial.animal,
            session=trial.session,
            trial_id=trial.trial_id,
            n_frames=trial.n_frames,
            fps=trial.fps,
            width=sum(view["width"] for view in views),
            height=max(view["height"] for view in views),
            views=views,
            frame=self.frame,
            error=error,
            read_only=self._read_only,
        )
        self._tell_ethogram()
        self._tell_curves()
        self._tell_saved()

    def _pictures(self) -> tuple[list[Message], str | None]:
        """Names and sizes of the views' pictures, or why they cannot be had."""
        assert self._frames is not None
        names = self._opened.labels("view")
        try:
            infos = self._frames.infos()
        except SoupError as error:
            return [{"name": name, "width": 320, "height": 240} for name in names], str(error)
        return [
            {"name": name, "width": info.width, "height": info.height}
            for name, info in zip(names, infos, strict=True)
        ], None

    def _tell_ethogram(self, behaviors: Iterable[int] | None = None) -> None:
        rows = self._rows()
        every = range(len(self.edit.behaviors))
        shown = every if behaviors is None else behaviors
        self.page.send(
            "ethogram",
            token=self._token,
            version=self.edit.version,
            rows=[row.to_message() for row in rows],
            lanes=lanes(self._masks, shown, self._disagreements),
            full=behaviors is None,
            message=self.use.message(self._masks),
        )
        if behaviors is None:
            self._tell_edit()

    def _tell_edit(self) -> None:
        edit = self.edit
        told: Message = {
            "token": self._token,
            "version": edit.version,
            "current": edit.current,
            "region": list(edit.region) if edit.region else None,
            "can_undo": edit.can_undo,
            "can_redo": edit.can_redo,
        }
        if self.use.editor == "manual":
            told["seen"] = edit.seen_stretches()
        if self.use.editor == "compare" and len(self._masks) > 1:
            figures = agreement(self._masks, edit.behaviors)
            told["agreement"] = [
                {"behavior": place, "text": one.text} for place, one in enumerate(figures)
            ]
        self.page.send("edit", **told)

    def _tell_curves(self) -> None:
        mode = self.use.curve_mode
        curves = [] if mode is None else curves_of(self.store, self.trial, mode)
        self.page.send("curves", token=self._token, curves=curves)

    def _tell_review(self) -> None:
        review = self._review
        if review is not None:
            seen, errors = review.frames_done, review.errors_done
            text = f"{seen:.0%} of frames, {errors:.0%} of doubt reviewed"
            self.page.send("review", done=seen, text=text)

    # ---------------------------------------------------------------- saving

    def _report(self, report: Report) -> None:
        """What became of a save; called from the saver's thread."""
        with self.lock:
            if report.key == self.trial.key:
                self.saved = report
                self._tell_saved()
            elif report.state in ("failed", "conflict"):
                self.page.send("notice", text=f"{report.key}: {report.text}", kind="error")

    def _tell_saved(self) -> None:
        report = self.saved
        if self._read_only is not None and self.use.annotator is not None:
            self.page.send("saved", state="read-only", text=self._read_only, version=0)
        elif self._saver is None:
            self.page.send("saved", state="idle", text="", version=0)
        elif report is None or report.key != self.trial.key:
            text = f"Edits are saved as labels of {self.use.annotator}"
            self.page.send("saved", state="idle", text=text, version=self.edit.version)
        else:
            self.page.send("saved", state=report.state, text=report.text, version=report.version)

    def _tell_unsaved(self) -> None:
        text = "Changed from Python; Y saves it"
        self.page.send("saved", state="idle", text=text, version=self.edit.version)


_TITLES = {
    "view": "Trials",
    "clean": "Cleaning",
    "manual": "Labelling",
    "compare": "Comparing",
}

_HANDLERS: dict[str, Callable[[Workbench, Message], None]] = {
    "ready": Workbench._on_ready,
    "ping": Workbench._on_ping,
    "open": Workbench._on_open,
    "choose": Workbench._on_choose,
    "want": Workbench._on_want,
    "playhead": Workbench._on_playhead,
    "watched": Workbench._on_watched,
    "action": Workbench._on_action,
    "resolve": Workbench._on_resolve,
}


def _select(edit: Edit, fields: Message) -> None:
    if "behavior" in fields:
        edit.select(int(fields["behavior"]))
    else:
        edit.cycle(int(fields["step"]))


def _set_region(edit: Edit, fields: Message) -> None:
    if fields.get("start") is None:
        edit.clear_region()
    else:
        edit.set_region(fields["start"], fields["stop"])


def _reset(edit: Edit, fields: Message) -> tuple[int, ...]:
    return edit.reset(edit.current if fields.get("scope") == "behavior" else None)


#: What moves the region or the current behavior, in any page.
_MOVES: dict[str, Callable[[Edit, Message], object]] = {
    "current": _select,
    "region": _set_region,
    "region_edge": lambda edit, f: edit.region_edge(f["which"], f["frame"]),
    "select_bout": lambda edit, f: edit.select_bout(int(f["behavior"]), f["frame"]),
}

#: What changes labels, and which behaviors' labels it changed.
_EDITS: dict[str, Callable[[Edit, Message], Sequence[int]]] = {
    "mark": lambda edit, f: edit.mark(int(f["value"])),
    "reset": _reset,
    "undo": lambda edit, f: edit.undo(),
    "redo": lambda edit, f: edit.redo(),
    "move_edge": lambda edit, f: edit.move_edge(int(f["behavior"]), int(f["edge"]), int(f["to"])),
    "fill_absent": lambda edit, f: edit.fill_absent(),
    "assign": lambda edit, f: edit.assign(f["mask"]),
}
