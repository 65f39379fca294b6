"""Names and tables that somebody may type, and arguments of the command line."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hostile.cage import TRIED
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import soupxr as sx
from soupxr.cli import main
from soupxr.errors import IngestError, SoupError, SoupWarning
from soupxr.ingest import TrialRow
from soupxr.schema import check_name
from soupxr.store import add_trials

ODD = [
    "", " ", ".", "..", "../x", "/etc", "a/b", "a\\b", "C:", "a:b", "\0", "a\nb", "\ud800", "-rf",
    "~", "x" * 256, "é" * 200, "x" * 100_000, "<script>alert(1)</script>", "$(touch ran)",
    "`touch ran`",
    "; touch ran", "| touch ran", "CON", "NUL.txt", "aux", "M1.", "M1 ", "%00", "\u202e", "*", "?",
    "\N{MOUSE}", "M1\u200b", "http://127.0.0.1:9/", "{x}", "%s", "[a]", "\x7f", "\r", "e\u0301",
]  # fmt: skip
NAMES = st.sampled_from(ODD) | st.text(st.characters(), max_size=30)
ANYTHING = (
    NAMES
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=3)
    | st.lists(st.integers(), max_size=2)
    | st.sampled_from([10**5000, pd.NA, pd.NaT, np.nan, 1j, pd.Timestamp(0), pd.Timedelta(1)])
)
#: Characters of a message; the longest name of these tests fits into it twice.
LONGEST = 250_000
MANY = settings(
    max_examples=100 + 10 * int(float(os.environ.get("SOUPXR_FUZZ_SECONDS", "0"))),
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def _counted(area: str, call, *arguments: Any, **named: Any) -> Any:
    """What a call returns; None where it refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SoupWarning)
            found = call(*arguments, **named)
    except SoupError as error:
        refused: str | None = str(error)
    else:
        refused = None
    if refused is not None:
        assert len(refused) < LONGEST
        TRIED[area, "refused"] += 1
        return None
    TRIED[area, "right"] += 1
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    (folder / "videos").mkdir()
    ds = sx.create(folder / "reach.zarr", folder / "videos")
    rows = [
        TrialRow("M1", "S1", number, ("a_side.mp4", "a_front.mp4"), 20, 100.0) for number in (1, 2)
    ]
    add_trials(ds.attrs["soupxr_store"], rows)
    return folder


@MANY
@given(animal=ANYTHING, session=ANYTHING, trial=ANYTHING, experiment=ANYTHING)
def test_odd_names_of_trials_find_none(place, animal, session, trial, experiment):
    before = sorted(place.rglob("*"))
    ds = sx.open(place / "reach.zarr")
    add = ds.soup.add_item
    assert _counted("names", add, animal, session, trial, experiment=experiment) is None
    if not (isinstance(animal, str) and animal == "M1"):
        assert _counted("names", ds.soup.remove_item, animal, session, trial) is None
    assert sorted(place.rglob("*")) == before


@MANY
@given(name=NAMES)
def test_a_name_that_is_allowed_is_one_folder_within(place, name):
    try:
        check_name("animal", name)
    except SoupError:
        TRIED["names", "refused"] += 1
        return
    TRIED["names", "right"] += 1
    assert (place / name).parent == place
    assert os.path.normpath(place / name) == str(place / name)
    (place / name).exists()
    name.encode()


@pytest.mark.skipif(sys.platform != "linux", reason="such names need a file system of Linux")
@pytest.mark.parametrize(
    "name", [b"\xff\xfe", b"a:b", b"a\nb", b"a\\..\\b", b"\x1b[31m", b" ", b"\xe2\x80\xae"]
)
def test_folders_and_files_of_names_that_cannot_be_kept(name, film, tmp_path):
    root = tmp_path / "videos"
    for at in ("M1/S1", "M2/S1"):
        for view in ("side", "front"):
            film(root / at / f"reach_{view}_v001.mp4")
    os.rename(os.fsencode(root / "M1" / "S1"), os.fsencode(root / "M1") + b"/" + name)
    for view in (b"side", b"front"):
        old = os.fsencode(root / "M2/S1") + b"/reach_" + view + b"_v001.mp4"
        os.rename(old, os.fsencode(root / "M2/S1") + b"/" + name + b"_" + view + b"_v001.mp4")
    ds = sx.create(tmp_path / "reach.zarr", root)
    with pytest.raises(IngestError, match="M1"):
        ds.soup.add_item("M1")
    found = _counted("names", ds.soup.add_item, "M2")
    if found is not None:
        assert sx.open(tmp_path / "reach.zarr").sizes["trial"] == 1


def test_a_run_of_digits_that_is_no_number_of_a_trial(film, tmp_path):
    root = tmp_path / "videos"
    for view in ("side", "front"):
        film(root / "M1" / "S1" / f"reach_{view}_v{'9' * 30}.mp4")
    ds = sx.create(tmp_path / "reach.zarr", root)
    with pytest.raises(IngestError, match="9" * 30):
        ds.soup.add_item("M1")


@MANY
@given(labels=st.lists(NAMES, max_size=4), views=st.lists(NAMES, max_size=3))
def test_odd_labels_of_a_store_come_back_as_they_are(tmp_path_factory, labels, views):
    folder = tmp_path_factory.mktemp("labels")
    make = {"behaviors": labels, "views": views}
    if _counted("names", sx.create, folder / "x.zarr", folder, **make) is not None:
        ds = sx.open(folder / "x.zarr")
        assert ds["behavior"].values.tolist() == labels
        assert ds["view"].values.tolist() == views


# ------------------------------------------------------------------ tables of labels

GOOD = {"animal": "M1", "session": "S1", "trial_id": 1, "behavior": "grab", "start": 2, "stop": 9}


def mostly(*good: Any):
    """One of these nine times of ten, else anything."""
    return st.integers(0, 9).flatmap(lambda one: ANYTHING if one == 0 else st.sampled_from(good))


ROWS = st.lists(
    st.fixed_dictionaries({name: mostly(value) for name, value in GOOD.items()}),
    max_size=4,
)


@MANY
@given(
    rows=ROWS,
    left_out=st.just(set()) | st.sets(st.sampled_from(list(GOOD)), max_size=2),
    unit=mostly("frame", "second"),
    rest=mostly("absent", "unlabelled"),
    annotator=mostly("Ana"),
    twice=mostly(False),
)
@example([GOOD | {"trial_id": 10**5000}], set(), "frame", "absent", "Ana", False)
@example([GOOD | {"start": 1e300, "stop": 2e300}], set(), "second", "absent", "Ana", False)
@example([GOOD | {"animal": "\ud800"}], set(), "frame", "absent", "Ana", False)
def test_odd_tables_are_labels_or_refused(place, rows, left_out, unit, rest, annotator, twice):
    table = pd.DataFrame(rows, columns=list(GOOD), dtype=object).drop(columns=list(left_out))
    if twice is True and len(table.columns):
        table = pd.concat([table, table[table.columns[:1]]], axis=1)
    ds = sx.open(place / "reach.zarr")
    options = {"unit": unit, "rest": rest, "annotator": annotator, "overwrite": True}
    found = _counted("label tables", ds.soup.annotate, table, **options)
    if found is not None:
        bouts = found.soup.bouts(annotator=annotator)
        assert bouts["stop"].max() <= 20 or bouts.empty


@MANY
@given(
    shape=st.lists(st.integers(0, 25), max_size=4) | st.just([20, 6]),
    kind=st.sampled_from(["i1", "i8", "u8", "f4", "f8", "b1", "c8", "O", "U3", "M8[s]"]),
    fill=st.sampled_from([0, 1, -1, 2, 127, float("nan"), float("inf")]),
)
def test_odd_arrays_are_labels_or_refused(place, shape, kind, fill):
    try:
        array = np.full(shape, fill).astype(kind)
    except (ValueError, OverflowError, TypeError, RuntimeWarning):
        return
    ds = sx.open(place / "reach.zarr").sel(animal="M1", session="S1", trial_id=1)
    _counted("label arrays", ds.soup.annotate, array, annotator="Ana", overwrite=True)


# ------------------------------------------------------------------ the command line

WORDS = st.sampled_from(
    [
        *["view", "--port", "-1", "99999999999", "--address", "0.0.0.0", "::", "--password", "x"],
        *["--animal", "--mode", "--clean", "--manual", "--compare", "--uncertain", "--annotator"],
        *["--no-browser", "--help", "-h", "--version", "--debug", "--", "-", "@", "--seed", "NaN"],
        *[
            "{place}/reach.zarr",
            "{place}",
            "{place}/none.zarr",
            "s3://",
            "file:///etc",
            "memory://x",
        ],
    ]
) | NAMES.filter(lambda name: "\0" not in name and name != "demo")


@MANY
@given(words=st.lists(WORDS, max_size=5))
def test_odd_arguments_of_the_command_line_end_in_words(place, words, monkeypatch_module):
    """Nothing is served: a page that would be is only made."""
    arguments = [word.replace("{place}", str(place)) for word in words]
    if "demo" in arguments:
        return
    result = CliRunner().invoke(main, arguments, input="")
    kind = "right" if result.exit_code == 0 else "refused"
    TRIED["command line", kind] += 1
    told = result.exception
    if "--debug" in arguments and isinstance(told, SoupError):
        return
    assert told is None or isinstance(told, SystemExit), (arguments, repr(told))
    assert result.exit_code in (0, 1, 2)


@pytest.fixture(scope="module")
def monkeypatch_module():
    from soupxr.dashboard import viewer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viewer.Viewer, "show", lambda *_, **__: None)
        yield patch
