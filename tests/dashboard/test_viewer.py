"""The first look at trials, in a real browser."""

import io
import shutil
import socket

import numpy as np
import pytest
from PIL import Image

import soupxr as sx

CHROMIUM = shutil.which("chromium")


@pytest.fixture
def ds(new_store):
    ds = new_store("M1/S1/1", "M1/S1/2", behaviors=("groom", "rear"))
    labels = np.zeros((12, 2), np.int8)
    labels[3:7, 0] = 1
    one = ds.sel(animal="M1", session="S1", trial_id=1)
    one.soup.annotate(labels, annotator="Ana")
    return sx.open(ds.attrs["soupxr_store"])


def shown(viewer):
    picture = Image.open(io.BytesIO(viewer._picture.object))
    return np.asarray(picture.convert("RGB")).astype(int)


def test_shows_the_frame_that_is_asked_for(ds):
    viewer = ds.soup.view()
    frames = ds.sel(animal="M1", session="S1", trial_id=2).soup.video().values.astype(int)
    viewer._trial.value = "M1/S1/2"
    for frame in (0, 7):
        viewer._player.value = frame
        distance = [np.abs(shown(viewer) - other).mean() for other in frames]
        assert int(np.argmin(distance)) == frame
        assert viewer._playhead.location == frame


def test_refuses_what_is_not_there(ds):
    with pytest.raises(sx.ArgumentError, match="mode"):
        ds.soup.view(mode="quick")
    with pytest.raises(sx.ArgumentError, match="Ana"):
        ds.soup.view(annotator="Ben")
    with pytest.raises(sx.ArgumentError, match="add_item"):
        ds.isel(trial=[]).soup.view()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_page_steps_and_asks_nothing_of_other_machines(ds):
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = ds.soup.view().show(port, open_browser=False, wait=False)
    requests, complaints = [], []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for _ in range(2):  # a second tab is as good as the first
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.on("request", lambda request: requests.append(request.url))
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.goto(f"http://127.0.0.1:{port}/")
                picture = page.locator("img").first
                picture.wait_for()
                page.locator("canvas").first.wait_for(state="attached")
                before = picture.get_attribute("src")
                page.locator("button").nth(6).click()
                for _ in range(50):
                    if picture.get_attribute("src") != before:
                        break
                    page.wait_for_timeout(100)
                assert picture.get_attribute("src") != before
            browser.close()
    finally:
        server.stop()
    local = f"http://127.0.0.1:{port}/"
    others = [u for u in requests if not u.startswith((local, "data:", "blob:", "ws:"))]
    assert others == []
    assert complaints == []
