"""The four uses of the page: which rows each shows, what is edited, what can be chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from soupxr.dashboard.keys import Editor
from soupxr.dashboard.rows import EDITED, Row, source_id
from soupxr.labels import LabelSource
from soupxr.store import Store

__all__ = ["Clean", "Compare", "Manual", "Use", "View", "sources_of"]

Mask = npt.NDArray[np.int8]
Message = dict[str, Any]

NOTHING = ""


class Use(ABC):
    """What a page shows of each trial, and what it edits.

    Parameters
    ----------
    store : Store
        For its modes, and its annotators as they come to be.
    """

    editor: ClassVar[Editor]
    #: Whose labels edits become; None where nothing is edited.
    annotator: str | None = None

    def __init__(self, store: Store) -> None:
        self._store = store
        self.curves = False

    @abstractmethod
    def rows(self) -> list[Row]:
        """Rows of each lane, top first; the first is the one that keys speak of."""

    @abstractmethod
    def controls(self) -> list[Message]:
        """What can be chosen above the ethogram."""

    def choose(self, control: str, value: Any) -> None:
        """Take a choice that was made there."""
        if control == "curves":
            self.curves = bool(value)
        elif control in self._choices:
            self._choices[control](value)

    @property
    def _choices(self) -> dict[str, Callable[[Any], None]]:
        return {}

    @property
    def curve_mode(self) -> str | None:
        """Mode whose probabilities are drawn, where they are wanted."""
        sources = [row.source for row in self.rows() if row.source is not None]
        modes = [source.name for source in sources if source.variable == "ethogram"]
        return modes[0] if self.curves and modes else None

    def starting_mask(self, masks: Sequence[Mask]) -> Mask:
        """What the first row shows at first, of the masks of all rows."""
        return masks[0]

    def message(self, masks: Sequence[Mask]) -> str | None:
        """What is to be said of a trial's rows."""
        silent = [
            f"{row.label}: not inferred yet"
            for row, mask in zip(self.rows(), masks, strict=True)
            if row.source is not None
            and row.source.variable == "ethogram"
            and not (mask >= 0).any()
        ]
        return "; ".join(silent) or None


class View(Use):
    """A mode's ethograms, and an annotator's labels below them; or neither."""

    editor = "view"

    def __init__(self, store: Store, mode: str | None, annotator: str | None) -> None:
        super().__init__(store)
        self.mode, self.shown = mode, annotator

    def rows(self) -> list[Row]:
        """The mode's and the annotator's, as chosen."""
        rows = []
        if self.mode:
            rows.append(Row("mode", self.mode, LabelSource("ethogram", self.mode)))
        if self.shown:
            source = LabelSource("annotation", self.shown)
            rows.append(Row("annotator", self.shown, source, faded=bool(rows)))
        return rows or [Row("none", "", None)]

    def controls(self) -> list[Message]:
        """Which mode, whose labels, and curves."""
        modes = [(mode, mode) for mode in self._store.modes]
        people = [(name, name) for name in self._store.labels("annotator")]
        return [
            _select("mode", "Mode", [*modes, (NOTHING, "no ethogram")], self.mode),
            _select("annotator", "Labels", [*people, (NOTHING, "no labels")], self.shown),
            _toggle("curves", "Probabilities", self.curves),
        ]

    @property
    def _choices(self) -> dict[str, Callable[[Any], None]]:
        return {"mode": self._choose_mode, "annotator": self._choose_annotator}

    def _choose_mode(self, value: Any) -> None:
        if value in (*self._store.modes, NOTHING):
            self.mode = value or None

    def _choose_annotator(self, value: Any) -> None:
        if value in (*self._store.labels("annotator"), NOTHING):
            self.shown = value or None


class Clean(Use):
    """An annotator's labels, which begin as a mode's ethograms or another annotator's labels."""

    editor = "clean"

    def __init__(self, store: Store, annotator: str, source: LabelSource) -> None:
        super().__init__(store)
        self.annotator, self.source = annotator, source

    def rows(self) -> list[Row]:
        """The labels that are edited, and what they began as."""
        mine = Row(EDITED, str(self.annotator), _mine(self.annotator), editable=True)
        return [mine, Row("source", self.source.name, self.source, faded=True)]

    def controls(self) -> list[Message]:
        """What to begin with, and curves."""
        others = [one for one in sources_of(self._store) if one.name != self.annotator]
        options = [(source_id(one), one.name) for one in others]
        return [
            _select("source", "Begin with", options, source_id(self.source)),
            _toggle("curves", "Probabilities", self.curves),
        ]

    def starting_mask(self, masks: Sequence[Mask]) -> Mask:
        """What was saved before, else what to begin with."""
        mine, source = masks
        return mine if (mine >= 0).any() else source

    @property
    def _choices(self) -> dict[str, Callable[[Any], None]]:
        return {"source": self._choose_source}

    def _choose_source(self, value: Any) -> None:
        for source in sources_of(self._store):
            if source_id(source) == value and source.name != self.annotator:
                self.source = source


class Manual(Use):
    """An annotator's labels, from nothing."""

    editor = "manual"

    def __init__(self, store: Store, annotator: str) -> None:
        super().__init__(store)
        self.annotator = annotator

    def rows(self) -> list[Row]:
        """The labels that are made."""
        return [Row(EDITED, str(self.annotator), _mine(self.annotator), editable=True)]

    def controls(self) -> list[Message]:
        """A button for the rest of what was watched."""
        hint = "What was watched and has no label yet becomes absent (A)"
        return [
            {
                "id": "fill_absent",
                "kind": "button",
                "label": "Rest of what was watched: absent",
                "hint": hint,
            }
        ]


class Compare(Use):
    """Two sources or more, one below the other."""

    editor = "compare"

    def __init__(self, store: Store, sources: Sequence[LabelSource]) -> None:
        super().__init__(store)
        self._sources = list(sources)
        self._hidden: set[str] = set()

    def rows(self) -> list[Row]:
        """One for each source that is not hidden."""
        shown = [one for one in self._sources if source_id(one) not in self._hidden]
        return [Row(source_id(one), one.name, one) for one in shown]

    def controls(self) -> list[Message]:
        """A switch for each source, and curves."""
        shown = [
            _toggle(source_id(one), one.name, source_id(one) not in self._hidden)
            for one in self._sources
        ]
        return [*shown, _toggle("curves", "Probabilities", self.curves)]

    def choose(self, control: str, value: Any) -> None:
        """Show or hide a source; two are always shown."""
        known = {source_id(one) for one in self._sources}
        if control not in known:
            super().choose(control, value)
        elif value:
            self._hidden.discard(control)
        elif len(known) - len(self._hidden) > 2:  # below two there is nothing to compare
            self._hidden.add(control)


def sources_of(store: Store) -> list[LabelSource]:
    """Whatever has ethograms or labels: modes first."""
    modes = [LabelSource("ethogram", mode) for mode in store.modes]
    return modes + [LabelSource("annotation", name) for name in store.labels("annotator")]


def _mine(annotator: str | None) -> LabelSource:
    return LabelSource("annotation", str(annotator))


def _select(
    control: str, label: str, options: Sequence[tuple[str, str]], value: str | None
) -> Message:
    told = [{"value": key, "label": text} for key, text in options]
    return {
        "id": control,
        "kind": "select",
        "label": label,
        "options": told,
        "value": value or NOTHING,
    }


def _toggle(control: str, label: str, value: bool) -> Message:
    return {"id": control, "kind": "toggle", "label": label, "value": value}
