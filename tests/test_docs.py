"""The pages of ``docs/``: what they show runs, and what they quote is said."""

from __future__ import annotations

import ast
import pickle
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import soupxr as sx

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^(<!-- not run: .+? -->\n)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Everything else runs as it stands, on the store that ``inferred`` or ``labelled`` makes.
NOT_RUN = {"cluster.md", "index.md", "howto/index.md"}
KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
#: Pages that begin with videos, and their names in a folder M1/S1.
FROM_VIDEOS = {
    "howto/names.md": ["day_trial007_cam-left.mp4", "day_trial007_cam-right.mp4"],
    "howto/one-camera.md": ["rec_001.mp4", "rec_002.mp4"],
    "howto/behaviors.md": ["reach_side_v001.mp4", "reach_front_v001.mp4"],
    "howto/animal-soup.md": [],
}
FROM_NOTHING = {"start.md"}


def pages() -> list[str]:
    """Those with Python on them that runs."""
    found = [str(path.relative_to(DOCS).as_posix()) for path in sorted(DOCS.rglob("*.md"))]
    return [page for page in found if page not in NOT_RUN and any(blocks(page))]


def blocks(page: str) -> Iterator[str]:
    """Python of a page, with empty lines before it so that lines keep their numbers."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        if found[1] is None:
            yield "\n" * text.count("\n", 0, found.start(2)) + found[2]


@pytest.fixture
def published(models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small untrained networks in place of those that would be fetched."""
    paths = {name.removesuffix("_in"): path for name, path in models().items()}
    monkeypatch.setattr(
        "soupxr.inference.chosen.default_weights", lambda *_, **__: SimpleNamespace(**paths)
    )


@pytest.fixture
def world(
    tmp_path: Path, new_store, film, published, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Put into the working folder what a page begins with."""
    monkeypatch.chdir(tmp_path)

    def make(page: str) -> None:
        if page in FROM_NOTHING:
            return
        if page in FROM_VIDEOS:
            (tmp_path / "videos").mkdir()
            for name in FROM_VIDEOS[page]:
                film(tmp_path / "videos" / "M1" / "S1" / name)
            return
        ds = new_store(*KEYS).soup.infer("fast")
        if page == "howto/train.md":
            table = "animal,session,trial_id,behavior,start,stop\nM1,S1,1,lift,0.01,0.05\n"
            (tmp_path / "bouts.csv").write_text(table)
        else:
            _label(ds)

    return make


def _label(ds) -> None:
    """What two people say, who do not quite agree."""
    random = np.random.default_rng(0)
    shape = (ds.sizes["trial"], int(ds.n_frames.max()), ds.sizes["behavior"])
    ana = random.integers(0, 2, shape, dtype=np.int8)
    ben = np.where(random.random(shape) < 0.2, 1 - ana, ana)
    whole = ds.ethogram.isel(mode=0, drop=True).isel(frame=slice(shape[1]))
    for name, mask in (("Ana", ana), ("Ben", ben)):
        ds.soup.annotate(whole.copy(data=mask), annotator=name)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages())
def test_python_on_the_pages_runs(page, world):
    world(page)
    namespace: dict[str, object] = {"__name__": "page"}
    try:
        for source in blocks(page):
            exec(compile(source, str(DOCS / page), "exec"), namespace)
    finally:
        sx.set_options(data_root=None)


def test_blocks_that_do_not_run_are_few():
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md")))
    found = [found[1] for found in BLOCK.finditer(text)]
    assert len(found) > 30
    assert sum(reason is not None for reason in found) <= 12


# ------------------------------------------------------------------ messages


def _said() -> str:
    """All strings in the package, what is filled in left out, and the errors' one form."""
    parts = ["expected ", ", but got "]
    for path in sorted((ROOT / "soupxr").rglob("*.py")):
        parts += [
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    return "\n".join(parts)


def test_messages_that_are_explained_are_those_that_are_told():
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^### `(.+)`$", page, re.MULTILINE)
    assert len(quoted) > 40
    said = _said()
    strange = [
        f"{part!r} of {message!r}"
        for message in quoted
        for part in re.split("…|: expected |, but got ", message)
        if part.strip(" .") and part.strip(" .") not in said
    ]
    assert not strange, "\n".join(strange)


# ------------------------------------------------------------------ nothing from the network


@pytest.mark.parametrize(
    ("text", "loads"),
    [
        ('<script async src="https://cdn.example.org/a.js"></script>', True),
        ('<link rel="stylesheet" href="//fonts.example.org/css">', True),
        ('<link href="https://fonts.example.org/css" rel="stylesheet">', True),
        ("@import url(https://example.org/a.css);", True),
        ("body { background: url('https://example.org/a.png') }", True),
        ('<a href="https://example.org">there</a>', False),
        ('<img src="_images/dashboard.png">', False),
        ('<link rel="canonical" href="https://example.org/">', False),
    ],
)
def test_what_a_page_loads_by_itself_is_found(text, loads, monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    monkeypatch.delitem(sys.modules, "offline", raising=False)
    from offline import fetched

    assert bool(fetched(text)) == loads


def _kinds(of: type[sx.SoupError] = sx.SoupError) -> Iterator[type[sx.SoupError]]:
    yield of
    for kind in of.__subclasses__():
        yield from _kinds(kind)


def test_every_error_names_a_page_that_is_there():
    for kind in _kinds():
        page, _, place = kind.page.partition("#")
        text = (DOCS / page).read_text(encoding="utf-8")
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert not place or place in {one.lower().replace(" ", "-") for one in headings}, kind


def test_a_traceback_ends_with_the_page_that_helps(tmp_path):
    with pytest.raises(sx.StoreError) as caught:
        sx.open(tmp_path / "reach.zarr")
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        *_, last = traceback.format_exception(error)
        assert last.rstrip().splitlines()[-1] == "More on this: docs/troubleshooting.md#stores"
        assert "More on this" not in str(error)
