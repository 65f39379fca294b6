"""A served viewer in a process of its own, and its page in headless Chromium with a stopwatch.

The stopwatch runs inside the page: from the time stamp that the browser gives a key press to the
animation frame after the one in which the page drew the answer. Playwright only presses the keys.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

__all__ = ["Bench", "Served", "chromium"]

PATIENCE_MS = 60_000
MB = 1e6

STOPWATCH = Path(__file__).with_name("_stopwatch.js")


@contextmanager
def chromium(path: str | None) -> Iterator[Any]:
    """Headless Chromium, at ``path`` or the system's, started and warm."""
    from playwright.sync_api import sync_playwright

    found = path or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        sys.exit("no chromium is installed here; pass --chromium PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        warm = browser.new_page()
        warm.goto("data:text/html,<canvas></canvas>")
        warm.close()
        yield browser
        browser.close()


class Served:
    """``ds.soup.clean_ethograms().show()`` or ``.view().show()`` in a process of its own.

    Attributes
    ----------
    url : str
        Of the page.
    shown_at : float
        When ``.show()`` was called, in seconds as ``time.time()`` counts.
    baseline_mb : float
        Resident memory after all imports and before ``.show()``.
    """

    def __init__(self, store: Path, use: str = "clean") -> None:
        command = [sys.executable, __file__, str(store), use]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]
        told = self._process.stdout.readline()
        if not told:
            sys.exit(f"the server of {store} did not start")
        facts = json.loads(told)
        self.url, self.shown_at = facts["url"], facts["shown_at"]
        self.baseline_mb = facts["resident"] / MB

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()
        if self._process.returncode and error is None:
            sys.exit(f"the server ended with status {self._process.returncode}")

    def resident_mb(self) -> tuple[float, float]:
        """Resident memory of the server, and of the decoders that it runs."""
        process = psutil.Process(self._process.pid)
        children = 0
        for child in process.children(recursive=True):
            try:
                children += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return process.memory_info().rss / MB, children / MB


class Bench:
    """A page, and what is measured on it.

    Times are given as ``{"drawn": ms, "shown": ms}``: until the page had drawn, and until the
    animation frame after that, by which it is on screen.
    """

    def __init__(self, browser: Any, served: Served) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 800})
        self.page.set_default_timeout(PATIENCE_MS)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.add_init_script(path=STOPWATCH)
        self.page.goto(served.url, wait_until="commit")
        first = self.page.evaluate("bench.ready.then((at) => performance.timeOrigin + at)")
        #: Seconds from ``.show()`` to the first picture.
        self.first_s = first / 1000 - served.shown_at
        self.frame = int(self.attribute("picture", "frame"))
        #: The same, from the beginning of the page's loading.
        self.first_of_page_s = (first - self.page.evaluate("performance.timeOrigin")) / 1000

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()
        if self.errors:
            sys.exit(f"the page failed: {self.errors[0]}")

    def run(self, script: str, argument: Any = None) -> Any:
        """Evaluate in the page, where ``bench`` is."""
        return self.page.evaluate(script, argument)

    def attribute(self, part: str, name: str) -> str | None:
        """A ``data-`` attribute of a part of the page."""
        value: str | None = self.run(
            "([part, name]) => bench.find(part).dataset[name] ?? null", [part, name]
        )
        return value

    def press(self, key: str, part: str, attribute: str, value: object = None) -> dict[str, float]:
        """Press a key, and wait for a change: milliseconds from the key press."""
        wanted = None if value is None else str(value)
        self.run("(wanted) => bench.expect(...wanted)", [part, attribute, wanted])
        self.page.keyboard.press(key)
        return self._taken("bench.take()")

    def turn(self, key: str, by: int) -> dict[str, float]:
        """Press a key that turns to another frame."""
        self.frame += by
        return self.press(key, "picture", "frame", self.frame)

    def jump(self, frame: int) -> dict[str, float]:
        """Drag the slider to a frame."""
        self.frame = frame
        return self._taken(
            """(frame) => {
              bench.expect("picture", "frame", String(frame));
              const slider = bench.find("slider"), since = performance.now();
              slider.value = frame;
              slider.dispatchEvent(new Event("input"));
              return bench.take(since);
            }""",
            frame,
        )

    def play(self, seconds: float) -> list[float]:
        """Play for so long: when each frame was drawn (ms)."""
        self.run("bench.log = []")
        self.page.keyboard.press("Space")
        time.sleep(seconds)
        self.page.keyboard.press("Space")
        drawn: list[float] = self.run("bench.log.splice(0)")
        self.run("bench.log = null")
        self.frame = int(self.attribute("picture", "frame") or 0)
        return drawn

    def _taken(self, script: str, argument: Any = None) -> dict[str, float]:
        taken: dict[str, float] = self.run(script, argument)
        return taken


# ------------------------------------------------------------------ in the process that serves


def _serve() -> None:
    """Serve until the standard input ends; tell where, since when, and the memory before."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("use", choices=("clean", "view"))
    arguments = parser.parse_args()
    # Pages are closed while pictures are on their way to them.
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    import soupxr as sx

    ds = sx.open(arguments.store)
    viewer = (
        ds.soup.clean_ethograms(annotator="benchmark")
        if arguments.use == "clean"
        else ds.soup.view()
    )
    resident = psutil.Process().memory_info().rss
    shown_at = time.time()
    server = viewer.show(open_browser=False, wait=False)
    told = {"url": server.url, "shown_at": shown_at, "resident": resident}
    print(json.dumps(told), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    _serve()
