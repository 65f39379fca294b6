"""What tests of the page in a real browser share.

``served(viewer)`` serves it and opens it in Chromium; the test gets a ``pages.Tab``, and fails at
the end where the page complained, asked for anything outside, or the server logged an error.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from pages import Complaints, Tab, numbered
from results import annotate, put_result

import soupxr as sx

CHROMIUM = shutil.which("chromium")
VIEWS = ("side", "front")


@pytest.fixture(scope="session")
def numbered_film(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a small video whose pictures carry their number; equal ones are encoded once."""
    shelf = tmp_path_factory.mktemp("numbered")

    def write(path: Path, n_frames: int = 60, view: int = 0, fps: int = 100) -> Path:
        known = shelf / f"{n_frames}-{view}-{fps}.mp4"
        if not known.exists():
            frames = np.stack([numbered(frame, view) for frame in range(n_frames)])
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo"]
            command += ["-pix_fmt", "gray", "-s", f"{frames.shape[2]}x{frames.shape[1]}"]
            command += ["-r", str(fps), "-i", "-", "-c:v", "libx264", "-g", "12"]
            command += ["-preset", "veryfast", "-pix_fmt", "yuv420p", "-y", str(known)]
            subprocess.run(command, input=frames.tobytes(), check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(known, path)
        return path

    return write


@pytest.fixture(scope="session")
def numbered_store(numbered_film: Callable[..., Path]) -> Callable[..., Any]:
    """Make, in a folder, a store of trials whose films carry their numbers.

    Trials are ``"animal/session/trial_id"``; the store is ``reach.zarr``, its films in ``videos``.
    """

    def make(folder: Path, *keys: str, n_frames: int = 60, fps: int = 100, **options: Any) -> Any:
        for key in keys:
            animal, session, trial_id = key.split("/")
            for place, view in enumerate(VIEWS):
                name = f"reach_{view}_v{int(trial_id):03d}.mp4"
                path = folder / "videos" / animal / session / name
                numbered_film(path, n_frames, place, fps)
        ds = sx.create(folder / "reach.zarr", data_root=folder / "videos", **options)
        for animal in sorted({key.split("/")[0] for key in keys}):
            ds = ds.soup.add_item(animal, experiment="table", progress=False)
        return ds

    return make


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium for the tests of a module.

    Not for the whole run: for as long as Playwright is there, this thread has an event loop that
    runs, in which no other test could start one.
    """
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def _judged(tmp_path_factory: pytest.TempPathFactory, numbered_store: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    ds = numbered_store(folder, "M1/S1/1", "M1/S1/2", "M1/S1/10", "M2/S1/1", fps=100)
    truth = {f"M1/S1/{i}": _bouts(shift) for shift, i in enumerate((1, 2, 10))}
    for key, mask in truth.items():
        probability = np.where(mask == 1, 0.9, 0.1).astype(np.float32)
        if key == "M1/S1/10":
            probability[30:40] = np.where(mask[30:40] == 1, 0.55, 0.45)
        put_result(ds, key, probability)
    put_result(ds, "M1/S1/1", np.where(_bouts(2) == 1, 0.8, 0.2).astype(np.float32), mode="medium")
    for key in ("M1/S1/1", "M1/S1/10"):
        hand = truth[key].copy()
        hand[40:] = -1
        hand[2:10, 1] = 1
        hand[12:16, 0] = 0
        ds = annotate(ds, key, hand, "Ana")
    return folder


def _bouts(shift: int) -> np.ndarray:
    """int8 (60, 6): one bout of each behavior."""
    mask = np.zeros((60, 6), np.int8)
    for behavior in range(6):
        mask[5 + 3 * behavior + shift : 25 + 2 * behavior + shift, behavior] = 1
    return mask


@pytest.fixture
def judged(tmp_path: Path, _judged: Path) -> Any:
    """A store of its own for the test: four trials of 60 frames, numbered, at 100 frames/s.

    Those of M1 have ethograms of mode fast, the first one of medium too; Ana labelled the first 40
    frames of M1/S1/1 and M1/S1/10, and M2/S1/1 has nothing. The model is in doubt about frames 30
    to 40 of M1/S1/10 alone.
    """
    shutil.copytree(_judged, tmp_path, dirs_exist_ok=True)
    return sx.open(tmp_path / "reach.zarr")


@pytest.fixture
def served(browser: Any) -> Callable[..., Any]:
    """Serve a viewer and open its page: ``with served(viewer) as tab``."""

    @contextmanager
    def serve(viewer: Any, size: tuple[int, int] = (1280, 720), **show: Any) -> Iterator[Tab]:
        with Complaints() as complaints:
            server = viewer.show(open_browser=False, wait=False, **show)
            try:
                tab = Tab(browser, server, complaints, size)
                yield tab
                for page in [page for context in browser.contexts for page in context.pages]:
                    page.close()
            finally:
                server.stop()
                for context in list(browser.contexts):
                    context.close()
        assert complaints.left == [], "\n".join(complaints.left)

    return serve
