"""The keys of the page, as its legend tells them; the page's script acts on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["EDITORS", "KEYS", "Editor", "Key", "legend"]

#: What a page is for.
Editor = Literal["view", "clean", "manual", "compare"]
EDITORS: tuple[Editor, ...] = get_args(Editor)
EDITING: tuple[Editor, ...] = ("clean", "manual")


@dataclass(frozen=True)
class Key:
    """What one key, or several that belong together, do."""

    keys: tuple[str, ...]
    action: str
    label: str
    editors: tuple[Editor, ...] = EDITORS


KEYS = (
    Key(("1",), "mark", "occurring", EDITING),
    Key(("2",), "mark", "not occurring", EDITING),
    Key(("3",), "mark", "unlabelled", EDITING),
    Key(("Q", "S"), "current", "behavior"),
    Key(("I", "O"), "region_edge", "region from / to"),
    Key(("[", "]"), "edge", "bout edges"),
    Key(("A",), "fill_absent", "rest absent", ("manual",)),
    Key(("D", "⇧D"), "disagreement", "disagreement", ("compare",)),
    Key(("R", "T"), "reset", "reset all / one", EDITING),
    Key(("Ctrl Z", "Ctrl ⇧Z"), "undo", "undo / redo", EDITING),
    Key(("Y",), "save", "save", EDITING),
    Key(("←", "→"), "step", "frame"),
    Key(("⇧←", "⇧→"), "step", "ten"),
    Key(("Space",), "play", "play"),
    Key(("N", "P"), "trial", "trial"),
)


def legend(editor: Editor, *, review: bool = False) -> list[dict[str, object]]:
    """Keys that do something on such a page, for its legend.

    Parameters
    ----------
    editor : {"view", "clean", "manual", "compare"}
        What the page is for.
    review : bool
        Whether N and P go from one doubtful stretch to the next.
    """
    shown = [key for key in KEYS if editor in key.editors]
    return [
        {
            "keys": list(key.keys),
            "action": key.action,
            "label": "stretch" if review and key.action == "trial" else key.label,
        }
        for key in shown
    ]
