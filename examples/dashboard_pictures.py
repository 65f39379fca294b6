"""Take pictures of the dashboard's four uses, light and dark, on the trials of the demo.

    make demo
    .venv/bin/python examples/dashboard_pictures.py [--store demo/reach.zarr] [--out pictures]

Works on a copy of the store: what is labelled for the pictures' sake is not kept. Needs Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

import soupxr as sx
from soupxr.dashboard.viewer import Viewer

SIZE = {"width": 1280, "height": 860}
THEMES = ("light", "dark")


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("demo/reach.zarr"))
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of the browser")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = shutil.copytree(arguments.store, Path(folder) / "reach.zarr")
        videos = arguments.store.parent / "videos"
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, args=["--no-sandbox"]
        )
        with sx.set_options(data_root=videos):
            for name, viewer in viewers(store):
                for theme in THEMES:
                    path = arguments.out / f"{name}-{theme}.png"
                    picture(browser, viewer, name, theme, path)
                    print(path)
        browser.close()


def viewers(store: Path) -> Iterator[tuple[str, Viewer]]:
    """The four uses, on the animals that the demo kept back."""
    ds = sx.open(store)
    inferred = ds.isel(trial=(ds.status.sel(mode="fast") == 2).values)
    yield "view", inferred.soup.view(mode="fast")
    yield "clean", inferred.soup.clean_ethograms(mode="fast")
    yield "manual", inferred.soup.manual_ethograms(annotator="Ana")
    yield "compare", inferred.soup.compare_ethograms(modes=["fast"], annotators=["truth"])


def picture(browser: Browser, viewer: Viewer, name: str, theme: str, path: Path) -> None:
    """Open a viewer, put something on the page, and take its picture."""
    with served(viewer) as url:
        page = browser.new_page(viewport=SIZE, color_scheme=theme, device_scale_factor=2)
        page.goto(url)
        page.locator("[data-ready=true]").wait_for()
        act(page, name)
        page.wait_for_timeout(700)  # until what is drawn meanwhile is drawn
        page.screenshot(path=path)
        page.close()


def act(page: Page, name: str) -> None:
    """What somebody might just have done."""
    jump = page.locator("[data-test=jump]")
    jump.fill("118" if name == "manual" else "165")
    jump.press("Enter")
    jump.press("Escape")
    if name == "view":
        page.locator("[data-test=control-curves]").click()
    elif name == "clean":
        press(page, "s", "s", "i", *["ArrowRight"] * 12, "o", "1")
    elif name == "manual":
        press(page, "i", *["Shift+ArrowRight"] * 3, "o", "1", "s", "1", "a")


def press(page: Page, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        page.keyboard.press(key)


@contextmanager
def served(viewer: Viewer) -> Iterator[str]:
    """Serve a viewer meanwhile."""
    server = viewer.show(open_browser=False, wait=False)
    try:
        yield server.url
    finally:
        server.stop()


if __name__ == "__main__":
    main()
