"""A viewer's page in a real browser, and films whose pictures carry their numbers."""

from __future__ import annotations

import base64
import io
import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

import soupxr as sx

#: Cells of a numbered picture, each a bit: those of frame and view, and one of parity.
ROWS, COLUMNS, CELL = 4, 5, 16
PATIENCE_MS = 60_000

#: Frame and view of each part of a picture of numbered films; null where it is none of them.
READ = f"""
  const size = {CELL}, columns = {COLUMNS}, rows = {ROWS};
  const read = (canvas) => {{
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const pen = copy.getContext("2d", {{ willReadFrequently: true }});
    pen.drawImage(canvas, 0, 0);
    const {{ data, width }} = pen.getImageData(0, 0, canvas.width, canvas.height);
    const parts = [];
    for (let left = 0; left < width; left += columns * size) {{
      let word = 0, ones = 0, isClear = true;
      for (let cell = 0; cell < rows * columns; cell += 1) {{
        const x = left + (cell % columns) * size + size / 2;
        const y = Math.floor(cell / columns) * size + size / 2;
        const grey = data[4 * (y * width + x)];
        isClear = isClear && Math.abs(grey - 127) > 60;
        ones += grey > 127;
        if (grey > 127 && cell < rows * columns - 1) word += 2 ** cell;
      }}
      parts.push(isClear && ones % 2 === 0 ? [Math.floor(word / 2), word % 2] : null);
    }}
    return parts;
  }};
"""
#: Note of each picture that is drawn the frame it is named by, and what it shows.
WATCH = f"""(canvas) => {{
  {READ}
  window.drawn = [];
  if (window.watching !== undefined) window.watching.disconnect();
  window.watching = new MutationObserver(() => {{
    if (canvas.dataset.frame !== undefined) {{
      window.drawn.push({{ named: Number(canvas.dataset.frame), shown: read(canvas) }});
    }}
  }});
  window.watching.observe(canvas, {{ attributeFilter: ["data-frame"] }});
}}"""
#: All that is written on the raster.
READ_TEXTS = """(raster) => {
  window.texts = [];
  const { prototype } = CanvasRenderingContext2D;
  const write = prototype.fillText;
  prototype.fillText = function (text, ...rest) {
    window.texts.push(text);
    return write.call(this, text, ...rest);
  };
  raster.soupPaint();
  prototype.fillText = write;
  return window.texts;
}"""
#: What the canvas below what moves shows.
READ_BARS = """(raster) => {
  raster.soupPaint();
  return raster.parentElement.querySelector("canvas").toDataURL();
}"""


def numbered(frame: int, view: int) -> np.ndarray:
    """uint8 (height, width): black and white cells that spell frame and view."""
    word = frame * 2 + view
    bits = [word >> bit & 1 for bit in range(ROWS * COLUMNS - 1)]
    cells = np.array([*bits, sum(bits) % 2], np.uint8).reshape(ROWS, COLUMNS) * 255
    return cells.repeat(CELL, axis=0).repeat(CELL, axis=1)


def labels_of(
    ds: Any, key: str, *, annotator: str | None = None, mode: str | None = None
) -> np.ndarray:
    """Labels of one trial as they are on disk now, int8 (frame, behavior)."""
    ds = sx.open(ds.attrs["soupxr_store"])
    animal, session, trial_id = key.split("/")
    trial = {"animal": animal, "session": session, "trial_id": int(trial_id)}
    if mode is not None:
        return ds.ethogram.sel(mode=mode, **trial).values
    return ds.annotation.sel(annotator=annotator, **trial).values


def until(condition: Callable[[], object], seconds: float = PATIENCE_MS / 1000) -> None:
    """Wait until something holds on the Python side."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class Complaints(logging.Handler):
    """Whatever should not have been said by a page or logged by its server."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.all: list[str] = []
        self._forgiven: list[str] = []
        # Panel's and Bokeh's loggers may keep to themselves what they log.
        names = ("bokeh", "panel", "tornado", "asyncio", "soupxr")
        loggers = [logging.getLogger(name) for name in names]
        self._loggers = [logging.getLogger(), *(one for one in loggers if not one.propagate)]

    def __enter__(self) -> Complaints:
        for logger in self._loggers:
            logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        for logger in self._loggers:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.all.append(f"log: {logging.Formatter().format(record)}")

    def forgive(self, *texts: str) -> None:
        """Do not mind what contains one of these, before or after."""
        self._forgiven += texts

    @property
    def left(self) -> list[str]:
        """Those that nobody forgave."""
        return [one for one in self.all if not any(text in one for text in self._forgiven)]

    def listen(self, page: Any, home: str) -> None:
        """Hear what a page says, and keep it from asking anybody but its server."""

        def route(route: Any) -> None:
            if route.request.url.startswith((home, "data:", "blob:")):
                route.continue_()
            else:
                self.all.append(f"request: {route.request.url}")
                route.abort()

        def say(message: Any) -> None:
            if message.type in ("error", "warning"):
                self.all.append(f"{message.type}: {message.text}")

        page.route("**/*", route)
        page.on("console", say)
        page.on("pageerror", lambda error: self.all.append(f"exception: {error}"))


class Tab:
    """A page of a viewer in the browser, and what a test does with it."""

    def __init__(self, browser: Any, server: Any, complaints: Complaints, size: tuple[int, int]):
        self.server, self._browser, self._complaints, self._size = (
            server,
            browser,
            complaints,
            size,
        )
        viewport = {"width": size[0], "height": size[1]}
        self.page = browser.new_page(viewport=viewport)
        self.page.set_default_timeout(PATIENCE_MS)
        complaints.listen(self.page, server.url)
        self.root = self.get("page")
        self.picture = self.get("picture")
        self.load()

    def load(self) -> None:
        """Open the page (again), and wait until its first trial is there."""
        self.page.goto(self.server.url)
        self.wait(ready="true")
        self.root.and_(self.page.locator("[data-version]")).wait_for()

    def twin(self) -> Tab:
        """Another tab of the same server."""
        return Tab(self._browser, self.server, self._complaints, self._size)

    def forgive(self, *texts: str) -> None:
        """Do not fail for complaints that contain one of these."""
        self._complaints.forgive(*texts)

    # ---------------------------------------------------------------- parts of the page

    def get(self, test: str, **data: object) -> Any:
        """Part of the page by its ``data-test`` name, with these other ``data-`` values."""
        others = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
        return self.page.locator(f'[data-test="{test}"]{others}')

    def data(self, name: str) -> str | None:
        """What the page says of itself: ``trial``, ``version``, ``current``, ``region`` …"""
        value: str | None = self.root.get_attribute(f"data-{name}")
        return value

    def text(self, test: str) -> str:
        """Text of a part."""
        text: str = self.get(test).text_content()
        return text

    @property
    def version(self) -> int:
        """Version of the ethogram that is drawn."""
        return int(self.data("version") or -1)

    @property
    def frame(self) -> int:
        """Frame that is on screen."""
        return int(self.picture.get_attribute("data-frame"))

    # ---------------------------------------------------------------- waiting

    def wait(self, **data: object) -> None:
        """Wait until the page says so of itself: ``wait(region="3-7", current=2)``."""
        self.get("page", **data).wait_for()

    def wait_frame(self, frame: int) -> None:
        """Wait until a frame is on screen."""
        self.get("picture", frame=frame).wait_for()

    def wait_saved(self, version: int) -> None:
        """Wait until the page says of a version that it is on disk."""
        self.get("saved", state="saved", version=version).wait_for()

    def wait_trial(self, key: str) -> None:
        """Wait until a trial, its ethogram and its first picture are on screen."""
        self.wait(trial=key)
        self.root.and_(self.page.locator("[data-version]")).wait_for()
        self.page.locator('[data-test="picture"][data-frame]').wait_for()

    # ---------------------------------------------------------------- keys

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def edit(self, *keys: str, changes: int = 1) -> None:
        """Press keys that change labels so many times, and wait until that is on disk."""
        wanted = self.version + changes
        self.press(*keys)
        self.wait_saved(wanted)
        self.wait(version=wanted)

    def go(self, frame: int) -> None:
        """Turn to a frame by its number."""
        self.get("jump").fill(str(frame))
        self.press("Enter")
        self.wait_frame(frame)

    def select(self, start: int, stop: int) -> None:
        """Make frames the region, with I and O."""
        self.go(stop - 1)
        self.press("o")
        self.go(start)
        self.press("i")
        self.wait(region=f"{start}-{stop}")

    # ---------------------------------------------------------------- mouse

    def geometry(self) -> dict[str, Any]:
        """Where frames and lanes lie on the raster."""
        where: dict[str, Any] = self.get("raster").evaluate("raster => raster.soupGeometry()")
        return where

    def at(self, edge: float, lane: int, up: float = 0.5) -> tuple[float, float]:
        """Place on the page of an edge of frames, at a height within a lane: 0 top, 1 bottom."""
        where, box = self.geometry(), self.get("raster").bounding_box()
        share = (edge - where["start"]) / (where["stop"] - where["start"])
        top, bottom = where["lanes"][lane]["top"], where["lanes"][lane]["bottom"]
        x = where["x0"] + share * (where["x1"] - where["x0"])
        return box["x"] + x, box["y"] + top + up * (bottom - top)

    def click(self, place: tuple[float, float], count: int = 1) -> None:
        """Click so many times at a place."""
        self.page.mouse.click(*place, click_count=count)

    def hold(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Drag from place to place, and keep the button down."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2)
        mouse.move(*stop)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Drag from place to place."""
        self.hold(start, stop)
        self.page.mouse.up()

    def written(self) -> list[str]:
        """Texts on the raster."""
        texts: list[str] = self.get("raster").evaluate(READ_TEXTS)
        return texts

    def bars(self) -> str:
        """The raster without what moves on it, as a URL of its pixels."""
        url: str = self.get("raster").evaluate(READ_BARS)
        return url

    # ---------------------------------------------------------------- what the pictures show

    def spelt(self) -> list[list[int] | None]:
        """Frame and view that each part of the picture shows."""
        parts: list[list[int] | None] = self.picture.evaluate(
            f"(canvas) => {{ {READ} return read(canvas); }}"
        )
        return parts

    def pixels(self) -> np.ndarray:
        """The picture, uint8 (y, x, 3)."""
        url = self.picture.evaluate("(canvas) => canvas.toDataURL()")
        data = io.BytesIO(base64.b64decode(url.split(",")[1]))
        return np.asarray(Image.open(data).convert("RGB"))

    def watch(self) -> None:
        """Begin to note every picture that is drawn."""
        self.picture.evaluate(WATCH)

    def drawn(self, views: tuple[int, ...] = (0, 1)) -> list[int]:
        """Frames drawn since :meth:`watch`, each of which showed what it was named."""
        drawn = self.page.evaluate("window.drawn")
        for one in drawn:
            assert one["shown"] == [[one["named"], view] for view in views], one
        return [one["named"] for one in drawn]
