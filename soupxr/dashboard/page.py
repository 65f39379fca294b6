"""The page in the browser, as Panel knows it: one component, and the messages to and from it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import panel as pn
from panel.custom import JSComponent

from soupxr.dashboard import js

__all__ = ["Message", "Page", "has_notebook", "in_notebook"]

Message = dict[str, Any]

log = logging.getLogger(__name__)


class Page(JSComponent):
    """One page; what it says is handed on, and what it is told is sent.

    Parameters
    ----------
    receive : callable
        Gets each message of the browser, one after the other.
    """

    _esm = js.source()
    _stylesheets = [js.style()]  # noqa: RUF012  (Panel's own declaration)

    def __init__(self, receive: Callable[[Message], None]) -> None:
        super().__init__(sizing_mode="stretch_width")  # type: ignore[no-untyped-call]
        self._receive = receive
        self._sending = threading.Lock()
        self._kept: object = None

    def keep(self, owner: object) -> None:
        """Keep what stands behind the page for as long as the page is there."""
        self._kept = owner

    def send(self, kind: str, /, **fields: Any) -> None:
        """Tell the browser something; may be called from any thread."""
        # A notebook gets a message in pieces, which must not mix with those of another.
        with self._sending:
            self._send_msg({"type": kind, **fields})

    def _handle_msg(self, data: Any) -> None:
        """Hand on what the browser said; called by Panel."""
        if isinstance(data, dict) and isinstance(data.get("type"), str):
            self._receive(data)
        else:
            log.warning("a page sent something that is no message: %.80r", data)


def has_notebook() -> bool:
    """Whether what is displayed goes to a notebook, and not to the terminal of a shell."""
    return "ipykernel" in sys.modules


def in_notebook(page: Page) -> pn.viewable.Viewable:
    """The page as it is shown in a notebook's output."""
    # Each output brings the scripts with it: others may be cleared, or their tab be reloaded.
    pn.extension(inline=True)
    return page
