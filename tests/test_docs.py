"""The README and the pages of ``docs/``: what they show runs, and what they quote is said."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from written import animal_soup, boris, deepethogram, jaaba

import soupxr as sx
from soupxr.accessor import SoupAccessor
from soupxr.cli import main
from soupxr.cli.base import Command
from soupxr.cli.kinds import STORE
from soupxr.dashboard.viewer import Viewer
from soupxr.schema import Status
from soupxr.stages import FeatureExtractor, FlowGenerator, SequenceModel

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^(<!-- not run: .+? -->\n)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Everything else runs as it stands, on the store that ``inferred`` or ``labelled`` makes.
NOT_RUN = {"cluster.md", "howto/index.md"}
KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
#: Pages that begin with videos, and their names in a folder M1/S1.
FROM_VIDEOS = {
    "howto/names.md": ["day_trial007_cam-left.mp4", "day_trial007_cam-right.mp4"],
    "howto/one-camera.md": ["rec_001.mp4", "rec_002.mp4"],
    "howto/behaviors.md": ["reach_side_v001.mp4", "reach_front_v001.mp4"],
    "howto/animal-soup.md": [f"reach_{v}_v{n:03d}.mp4" for v in ("side", "front") for n in (1, 2)],
    "index.md": ["reach_side_v001.mp4", "reach_front_v001.mp4"],
}
FROM_NOTHING = {"start.md"}


def pages() -> list[str]:
    """Those with Python on them that runs."""
    found = [str(path.relative_to(DOCS).as_posix()) for path in sorted(DOCS.rglob("*.md"))]
    return [page for page in found if page not in NOT_RUN and any(blocks(page))]


def blocks(page: str) -> Iterator[str]:
    """Python of a page, with empty lines before it so that lines keep their numbers."""
    for source, is_run in all_blocks(DOCS / page):
        if is_run:
            yield source


def all_blocks(path: Path) -> Iterator[tuple[str, bool]]:
    """Python of a page, and whether it runs."""
    text = path.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield "\n" * text.count("\n", 0, found.start(2)) + found[2], found[1] is None


def texts() -> list[Path]:
    """All that people read."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), ROOT / "examples" / "README.md"]


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
    monkeypatch.setattr(Viewer, "show", lambda *_, **__: None)

    def make(page: str) -> None:
        if page in FROM_NOTHING:
            return
        if page in FROM_VIDEOS:
            (tmp_path / "videos").mkdir()
            for name in FROM_VIDEOS[page]:
                film(tmp_path / "videos" / "M1" / "S1" / name)
            if page == "howto/animal-soup.md":
                animal_soup.save(animal_soup.frame(), tmp_path / "videos" / "df.hdf")
            return
        ds = new_store(*KEYS).soup.infer("fast")
        if page == "howto/train.md":
            table = "animal,session,trial_id,behavior,start,stop\nM1,S1,1,lift,0.01,0.05\n"
            (tmp_path / "bouts.csv").write_text(table)
        else:
            _label(ds)
        if page in WITH_FILES:
            WITH_FILES[page](tmp_path, film)

    return make


def _boris(folder: Path, film: Any) -> None:
    """A project whose observations and behaviors have other names than the store's."""
    events = [[t, "", code, "", ""] for code in ("Grab", "Start", "Rear") for t in (0.02, 0.05)]
    seen = {
        f"Monday, {name}": boris.observation(events, {"1": [f"/mnt/{name}.mp4"]})
        for name in ("first", "second")
    }
    boris.project(folder / "week.boris", seen, codes=("Grab", "Start", "Rear"), points=())


def _deepethogram(folder: Path, film: Any) -> None:
    names = ("m1_day1_1", "m2_day1_1")
    project = deepethogram.make(folder / "mice_deepethogram", film, 12, names)
    deepethogram.put_labels(project, names[0], np.eye(3, dtype=int)[np.arange(12) % 3])


def _spreadsheet(folder: Path, film: Any) -> None:
    """The table that the page shows, one of frames, and folders of JAABA."""
    header = ["Mouse", "Day", "No", "Act", "From", "To", "Remark"]
    rows = [
        ["M1", "S1", 1, "Reach up", 0.02, 0.05, None],
        ["M1", "S1", 2, "Start", 0.0, 0.01, None],
        ["M1", "S1", 2, "grab", 0.03, 0.08, "left paw"],
    ]
    pd.DataFrame(rows, columns=header).to_excel(folder / "scores.xlsx", index=False)
    (folder / "frames.csv").write_text(
        "animal,session,trial_id,behavior,start,stop\nM1,S1,1,lift,1,12\n"
    )
    for n in (1, 2):
        scores = [jaaba.scores_of([(2, 5)], n=12)]
        jaaba.put_scores(folder / "jaaba" / f"exp{n}", "Lift", scores, n_frames=12)


#: Pages that read files of others beside a store.
WITH_FILES = {
    "howto/boris.md": _boris,
    "howto/deepethogram.md": _deepethogram,
    "howto/spreadsheet.md": _spreadsheet,
}


def _label(ds, one: str = "Ana", other: str = "Ben") -> None:
    """What two people say, who do not quite agree."""
    random = np.random.default_rng(0)
    shape = (ds.sizes["trial"], int(ds.n_frames.max()), ds.sizes["behavior"])
    ana = random.integers(0, 2, shape, dtype=np.int8)
    ben = np.where(random.random(shape) < 0.2, 1 - ana, ana)
    whole = ds.ethogram.isel(mode=0, drop=True).isel(frame=slice(shape[1]))
    for name, mask in ((one, ana), (other, ben)):
        ds.soup.annotate(whole.copy(data=mask), annotator=name)


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("page", pages())
def test_python_on_the_pages_runs(page, world):
    world(page)
    namespace: dict[str, object] = {"__name__": "page"}
    try:
        for source in blocks(page):
            exec(compile(source, str(DOCS / page), "exec"), namespace)
    finally:
        sx.set_options(data_root=None)


@pytest.mark.slow
def test_the_first_steps_of_the_readme_run(tmp_path, film, world):
    world("start.md")
    for key in ("M1/S2", "M2/S1"):
        for view in ("side", "front"):
            film(tmp_path / "data" / "videos" / key / f"reach_{view}_v001.mp4")
    (first, is_run), *_ = all_blocks(ROOT / "README.md")
    assert is_run
    exec(compile(first, "README.md", "exec"), {"__name__": "page"})


@pytest.mark.slow
@pytest.mark.thorough
def test_the_rest_of_the_readme_runs(tmp_path, new_store, world, monkeypatch):
    """One block after the other, on a store with results and labels of others."""
    world("start.md")
    ds = new_store(*KEYS, n_frames=60).soup.infer("fast")
    (tmp_path / "bouts.csv").write_text(
        "animal,session,trial_id,behavior,start,stop\nM1,S1,1,grab,0.2,0.4\n"
    )
    _label(ds, "second human", "Ben")
    _label(ds.isel(trial=[0, 1]), "Ana", "Ben again")
    # What BORIS gives back is of a trial that Ana has not labelled.
    sx.io.boris.write(
        sx.open("reach.zarr").isel(trial=[2]), "reach.boris", annotator="second human"
    )
    _, *rest = all_blocks(ROOT / "README.md")
    namespace: dict[str, object] = {"__name__": "page", "sx": sx, "ds": sx.open("reach.zarr")}
    for source, is_run in rest:
        if is_run:
            exec(compile(source, "README.md", "exec"), namespace)


def test_blocks_that_do_not_run_are_few():
    found = [is_run for path in texts() for _, is_run in all_blocks(path)]
    assert len(found) > 40
    assert found.count(False) <= 8


# ------------------------------------------------------------------ calls and commands

#: What can be called under these names, in text as in blocks.
OWNERS = (sx, SoupAccessor, Viewer, *(getattr(sx.io, name) for name in sx.io.__all__), sx.analysis)
STAGES = (FlowGenerator, FeatureExtractor, SequenceModel)


def _could_be(call: ast.Call) -> list[Any]:
    """What of ours goes by the name of what is called."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    found = [getattr(owner, name, None) for owner in (*OWNERS, *STAGES)]
    return [one for one in found if callable(one)]


def _takes(function: Any, call: ast.Call) -> bool:
    parameters = inspect.signature(function).parameters.values()
    names = {parameter.name for parameter in parameters}
    return any(p.kind is p.VAR_KEYWORD for p in parameters) or all(
        keyword.arg in names for keyword in call.keywords
    )


def _parsed(text: str) -> Iterator[ast.AST]:
    """Parts of what is Python, where "…" stands for anything; of other text none."""
    try:
        yield from ast.walk(ast.parse(text.replace("…", "...")))
    except SyntaxError:
        return


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_arguments_that_are_named_exist(path):
    """Of calls in blocks that do not run, too, and of those in the text."""
    text = path.read_text(encoding="utf-8")
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text.replace(r"\|", "|"))
    for source in [*(block for block, _ in all_blocks(path)), *inline]:
        for call in _parsed(source):
            if isinstance(call, ast.Call) and (functions := _could_be(call)):
                assert any(_takes(one, call) for one in functions), ast.unparse(call)


def _command_lines() -> list[str]:
    """Those of ``soupxr`` in blocks and in the text, as they are typed."""
    found = []
    for path in (*texts(), ROOT / "CONTRIBUTING.md"):
        text = path.read_text(encoding="utf-8")
        shells = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        shells = shells.replace("\\\n", "")
        found += re.findall(r"^soupxr .+$", shells, re.MULTILINE)
        found += re.findall(r"`(soupxr [^`\n]+)`", text)
    return list(dict.fromkeys(line for line in found if "COMMAND" not in line))


@pytest.mark.parametrize("line", _command_lines())
def test_command_lines_can_be_typed(line, monkeypatch):
    ran = []
    monkeypatch.setattr(Command, "invoke", lambda self, _: ran.append(self.name))
    for kind in (click.Path, type(STORE)):  # whether the files are there is not the question
        monkeypatch.setattr(kind, "convert", lambda self, value, *_: value)
    result = CliRunner().invoke(main, shlex.split(line, comments=True)[1:])
    # A command that is only named lacks what it needs.
    is_named = len(line.split()) <= 3
    assert ran or (is_named and "Missing argument" in result.output), result.output


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


def test_messages_on_the_page_of_faults_are_told():
    page = (DOCS / "faults.md").read_text(encoding="utf-8")
    quoted = set(re.findall(r'"([^"\n]+)"', page)) - {status.name.lower() for status in Status}
    assert len(quoted) > 6
    said = _said()
    parts = [part for message in quoted for part in re.split(r"\d+", message)]
    assert [part for part in parts if part not in said] == []


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
        page = last.rstrip().splitlines()[-1].removeprefix("More on this: ")
        assert page == f"{DOCS / 'troubleshooting.md'}#stores"
        assert "More on this" not in str(error)
