"""The viewer in a cell of a real JupyterLab, in a real browser."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import Complaints, Tab, labels_of, until

from soupxr.modes import BEHAVIORS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KEY = "M1/S1/1"
SHOW = """\
import soupxr as sx
ds = sx.open("reach.zarr")
viewer = ds.soup.manual_ethograms(annotator="Ana")
viewer"""
ASK = 'print("page:", viewer.frame, viewer.region, viewer.behavior)\nviewer.frame = 40'
#: JupyterLab asks for its news only where somebody wants them.
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}
WIDGET = "window.jupyterapp.shell.currentWidget"
KERNEL_IS_IDLE = """
window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === "idle"
"""
RUN = f"""async (index) => {{
  {WIDGET}.content.activeCellIndex = index;
  await window.jupyterapp.commands.execute("notebook:run-cell");
}}"""
CELLS = f"{WIDGET}.content.model.toJSON().cells.map(({{cell_type, source}}) => [cell_type, source])"


class Lab:
    """A JupyterLab on this machine, with a folder and a token of its own.

    ``url`` is where it is, ``stop()`` ends it and its kernels.
    """

    def __init__(self, folder: Path) -> None:
        home = folder / ".jupyter"
        (home / "labconfig").mkdir(parents=True)
        (home / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(QUIET))
        self.log, self.token = folder / "lab.log", secrets.token_hex(16)
        options = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
        options += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={folder}"]
        options += ["--expose-app-in-browser", "--LabApp.extension_manager=readonly"]
        told = {f"JUPYTER_{name}_DIR": str(home) for name in ("CONFIG", "DATA", "RUNTIME")}
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options],
                cwd=folder,
                env={**os.environ, **told, "IPYTHONDIR": str(home)},
                stdout=log,
                stderr=log,
            )
        try:
            until(lambda: self._process.poll() is not None or self._known(home))
            assert self._process.poll() is None, self.log.read_text()
        except BaseException:
            self.stop()
            raise
        self.url = f"http://127.0.0.1:{self._known(home)['port']}/"

    def _known(self, home: Path) -> Any:
        """What a server that listens says of itself."""
        for path in home.glob(f"jpserver-{self._process.pid}.json"):
            try:
                return json.loads(path.read_text())
            except ValueError:
                return None  # it is just being written
        return None

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class NotebookTab(Tab):
    """A notebook in JupyterLab, whose first cell has shown a viewer."""

    def load(self) -> None:
        self.page.goto(f"{self.server.url}lab/tree/reach.ipynb?token={self.server.token}")
        self.page.wait_for_function(KERNEL_IS_IDLE)
        self.run(0)
        self.wait(ready="true")

    def run(self, cell: int) -> None:
        """Run a cell, and wait until it has been."""
        self.page.evaluate(RUN, cell)

    @property
    def cells(self) -> list[list[str]]:
        """Kind and text of each cell."""
        cells: list[list[str]] = self.page.evaluate(CELLS)
        return cells

    @property
    def is_armed(self) -> bool:
        """Whether keys act on the viewer."""
        return self.root.get_attribute("data-armed") is not None


@pytest.fixture
def lab_server(tmp_path: Path) -> Iterator[Lab]:
    if importlib.util.find_spec("jupyterlab") is None:
        pytest.skip("jupyterlab is not installed")
    cells = [
        {"cell_type": "code", "id": name, "source": source, "metadata": {}, "outputs": []}
        | {"execution_count": None}
        for name, source in (("show", SHOW), ("ask", ASK))
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}}
    notebook |= {"nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "reach.ipynb").write_text(json.dumps(notebook))
    lab = Lab(tmp_path)
    yield lab
    lab.stop()


def test_frames_and_keys_in_a_cell(tmp_path, numbered_store, browser, lab_server):
    ds = numbered_store(tmp_path, KEY, "M1/S1/2")
    with Complaints() as complaints:
        # JupyterLab's own parts say how slow they were, on a busy machine.
        complaints.forgive("to activate.")
        tab = NotebookTab(browser, lab_server, complaints, (1400, 1000))
        tab.wait_frame(0)
        assert tab.spelt() == [[0, 0], [0, 1]]
        _jupyter_has_the_keys(tab)
        tab.click(tab.at(20.5, lane=1))
        assert tab.is_armed
        tab.wait(current=1)
        tab.wait_frame(20)
        _the_viewer_has_the_keys(tab, ds)
        _text_boxes_have_the_keys(tab)
        _python_knows(tab)
        tab.page.close()
    assert complaints.left == [], "\n".join(complaints.left)
    assert "Traceback" not in lab_server.log.read_text()


def _jupyter_has_the_keys(tab: NotebookTab) -> None:
    """Before there was a click into the viewer: A inserts a cell, and the page does nothing."""
    assert not tab.is_armed
    before = tab.cells
    tab.page.evaluate("window.jupyterapp.commands.execute('notebook:enter-command-mode')")
    tab.press("a")
    tab.page.wait_for_function(f"{WIDGET}.content.model.cells.length === 3")
    assert tab.cells == [["code", ""], *before]
    tab.press("s", "ArrowRight")
    tab.page.evaluate("window.jupyterapp.commands.execute('notebook:delete-cell')")
    assert tab.cells == before
    assert (tab.data("current"), tab.frame) == ("0", 0)


def _the_viewer_has_the_keys(tab: NotebookTab, ds: Any) -> None:
    """Once there was: each key acts on the page, and Jupyter sees none, not even the unused."""
    before = tab.cells
    tab.press("Shift+ArrowRight")
    tab.wait_frame(30)
    assert tab.spelt() == [[30, 0], [30, 1]]
    tab.press("s", "i", "Shift+ArrowRight")
    tab.wait_frame(40)
    tab.press("o")
    tab.wait(region="30-41", current=2)
    tab.edit("1")
    tab.press("b", "c", "v", "x", "z", "m", "d", "d", "j", "k", "0", "0", "Enter", "Delete")
    tab.edit("2", "Control+z", "ArrowLeft", changes=2)
    tab.wait_frame(39)
    assert tab.cells == before
    wanted = -1 + 0 * labels_of(ds, KEY, annotator="Ana")
    wanted[30:41, 2] = 1
    assert (labels_of(ds, KEY, annotator="Ana") == wanted).all()


def _text_boxes_have_the_keys(tab: NotebookTab) -> None:
    """Those of the viewer, and those of the notebook."""
    before, version = tab.cells, tab.version
    tab.get("filter").fill("")
    tab.get("filter").press_sequentially("trial 2ab1")
    assert tab.get("filter").input_value() == "trial 2ab1"
    tab.press("Escape")
    tab.go(7)
    assert tab.cells == before
    tab.page.locator(".jp-Notebook .jp-Cell .cm-content").nth(1).click()
    assert not tab.is_armed
    tab.press("End", "1", "2", "q", "Backspace", "Backspace", "Backspace")
    assert tab.cells == before
    assert (tab.version, tab.frame, tab.data("current")) == (version, 7, "2")


def _python_knows(tab: NotebookTab) -> None:
    """Another cell sees what is on the page, and moves it."""
    tab.run(1)
    told = tab.page.locator(".jp-OutputArea-output", has_text="page:")
    told.wait_for()
    assert told.inner_text().strip() == f"page: 7 (30, 41) {BEHAVIORS[2]}"
    tab.wait_frame(40)
    assert tab.spelt() == [[40, 0], [40, 1]]
