"""The standalone page in a real browser."""

import shutil

import numpy as np
import pytest

from soupxr.dashboard.ethogram import ethogram_overview, save_ethogram

CHROMIUM = shutil.which("chromium")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_page_shows_itself_without_a_network(tmp_path):
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    random = np.random.default_rng(0)
    ethograms = {f"M1/S1/{i}": (random.random((300, 6)) > 0.7).astype(np.int8) for i in range(3)}
    path = save_ethogram(ethogram_overview(ethograms, fps=500.0), tmp_path / "ethograms.html")
    requests, complaints = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720}, offline=True)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('.bk-Figure, [class*=bk-]') !== null")
        page.wait_for_function("Bokeh.documents.length == 1 && Bokeh.documents[0].is_idle")
        bars = page.evaluate(
            "Bokeh.documents[0].all_models"
            ".filter?.(m => m.type == 'ColumnDataSource').length"
            " ?? [...Bokeh.documents[0]._all_models.values()]"
            ".filter(m => m.type == 'ColumnDataSource').length"
        )
        browser.close()
    assert bars > 0
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert [text for text in complaints if "error" in text.lower()] == []
