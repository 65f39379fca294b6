"""Files of other programs, from a shell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from results import annotate, labels, probabilities, put_result

import soupxr as sx
from soupxr.dataset import store_of

KEYS = ("M1/S1/1", "M1/S1/2")
N = 60


@pytest.fixture
def store(new_store):
    ds = new_store(*KEYS, n_frames=N)
    for seed, key in enumerate(KEYS):
        ds = annotate(ds, key, labels(N, seed), "Ana")
    put_result(ds, KEYS[0], probabilities(labels(N)))
    return store_of(ds).address


def assert_same_labels(store, one, other):
    ds = sx.open(store)
    np.testing.assert_array_equal(
        ds.annotation.sel(annotator=one), ds.annotation.sel(annotator=other)
    )


@pytest.mark.parametrize(("what", "name"), [("boris", "project.boris"), ("excel", "bouts.xlsx")])
def test_what_goes_out_comes_in_again(soupxr, store, tmp_path, what, name):
    if what == "excel":
        pytest.importorskip("openpyxl")
    file = tmp_path / name
    said = soupxr("export", what, store, file, "--annotator", "Ana").output
    assert str(file) in said
    into = "table" if what == "excel" else what
    said = soupxr("import", into, store, file, "--annotator", "Ben").output
    assert "labels of 'Ben' in 2 trial(s)" in said
    assert_same_labels(store, "Ana", "Ben")


def test_a_table_with_other_headers_and_names(soupxr, store, tmp_path):
    table = pd.DataFrame({"mouse": ["M1"], "day": ["S1"], "no": [1], "what": ["Greifen"]})
    table = table.assign(onset=[0.1], offset=[0.25])
    table.to_csv(tmp_path / "b.csv", sep=";", index=False)
    named = {"animal": "mouse", "session": "day", "trial_id": "no", "behavior": "what"}
    named |= {"start": "onset", "stop": "offset"}
    columns = [part for pair in named.items() for part in ("--column", "=".join(pair))]
    options = ("--annotator", "Eva", "--unit", "second", "--behavior", "Greifen=grab", *columns)
    soupxr("import", "table", store, tmp_path / "b.csv", *options)
    grab = sx.open(store).annotation.sel(annotator="Eva", behavior="grab")
    grab = grab.sel(animal="M1", session="S1", trial_id=1)
    assert np.flatnonzero(grab == 1).tolist() == list(range(10, 25))


def test_labels_of_deepethogram_go_out(soupxr, store, tmp_path):
    said = soupxr("export", "deepethogram", store, tmp_path / "out", "--annotator", "Ana").output
    assert said.startswith("2 file(s)")
    assert len(list((tmp_path / "out").rglob("*_labels.csv"))) == 2


def test_a_film(soupxr, store, tmp_path):
    one = ("--mode", "fast", "--trial", "1")
    soupxr("export", "video", store, tmp_path / "film.mp4", *one, "--stop", "10")
    assert (tmp_path / "film.mp4").stat().st_size > 0
    again = soupxr("export", "video", store, tmp_path / "film.mp4", *one, code=2)
    assert "overwrite" in again.output


@pytest.mark.slow
def test_nwb(soupxr, store, tmp_path):
    pytest.importorskip("pynwb")
    options = ("--annotator", "Ana", "--start", "2026-03-01T09:00:00+01:00")
    said = soupxr("export", "nwb", store, tmp_path / "nwb", *options).output
    assert said.startswith("2 file(s)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "boris", "{store}", "{file}", "--behavior", "grab"), "THEIRS=OURS"),
        (("import", "boris", "{store}", "{file}"), "junk.boris"),
        (("import", "jaaba", "{store}", "{file}"), "junk.boris"),
        (("import", "animal-soup", "{store}", "{file}"), "junk.boris"),
        (("import", "table", "{store}", "{file}", "--annotator", "Eva"), "junk.boris"),
        (("export", "nwb", "{store}", "{out}", "--mode", "fast", "--start", "now"), "--start"),
        (("export", "boris", "{store}", "{out}/x.boris", "--annotator", "Nobody"), "Nobody"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_changed(
    soupxr, store, tmp_path, fingerprint, arguments, told
):
    (tmp_path / "junk.boris").write_bytes(b"\x00junk" * 20)
    (tmp_path / "out").mkdir()
    before = fingerprint(store)
    names = {"store": store, "file": tmp_path / "junk.boris", "out": tmp_path / "out"}
    code = 1 if arguments[0] == "import" and told.startswith("junk") else 2
    result = soupxr(*(text.format(**names) for text in arguments), code=code)
    assert told in result.output
    assert "not expected" not in result.output
    assert fingerprint(store) == before
