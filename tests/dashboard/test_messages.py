"""Messages to a page in a notebook, where each goes over the wire in pieces."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bokeh.document import Document
from pyviz_comms import Comm

from soupxr.dashboard.page import Page

PICTURES = {f"{worker}-{n}": bytes([worker, n]) * 8 for worker in range(3) for n in range(5)}


class Wire(Comm):  # type: ignore[misc]
    """Keeps the pieces in the order in which they came, and gives way to others after each."""

    def __init__(self) -> None:
        super().__init__()
        self._comm = self
        self.pieces: list[Any] = []

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = ()) -> None:
        self.pieces.append(buffers[0] if buffers else json.loads(data))
        time.sleep(0.001)


def test_those_of_several_threads_arrive_whole():
    page, wire, document = Page(lambda message: None), Wire(), Document()
    document.add_root(page.get_root(document, comm=wire))
    document.hold()

    def send(worker: int) -> None:
        for n in range(5):
            page.send("frame", name=f"{worker}-{n}", picture=PICTURES[f"{worker}-{n}"])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(send, range(3)))

    pieces, got = iter(wire.pieces), {}
    for header in pieces:
        assert (header["msgtype"], header["num_buffers"]) == ("PATCH-DOC", 1)
        assert next(pieces) == {"use_buffers": True}
        fields = _fields(next(pieces))
        assert next(pieces) == fields["picture"]["data"]
        got[fields["name"]] = next(pieces)
    assert got == PICTURES


def _fields(content: dict[str, Any]) -> dict[str, Any]:
    """What a message says, as it was sent."""
    (event,) = content["events"]
    return dict(dict(event["msg_data"]["values"]["entries"])["data"]["entries"])
