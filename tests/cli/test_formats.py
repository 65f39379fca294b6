"""Files of other programs, from a shell."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from results import annotate, labels, probabilities, put_result
from written import animal_soup, deepethogram, jaaba

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


def test_a_workbook_tells_where_it_comes_from(soupxr, store, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    soupxr("export", "excel", store, tmp_path / "b.xlsx", "--mode", "fast")
    rows = openpyxl.load_workbook(tmp_path / "b.xlsx")["provenance"].values
    cells = {name: "".join(filter(None, texts)) for name, *texts in rows}
    assert (cells["labels"], cells["mode"]) == ("ethogram", "fast")
    assert list(json.loads(cells["trials"])) == [KEYS[0]]
    (made,) = json.loads(cells["made"])
    assert made["thresholds"]


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


def test_what_would_come_in_is_told_and_nothing_is_written(soupxr, store, tmp_path, fingerprint):
    soupxr("export", "boris", store, tmp_path / "p.boris", "--annotator", "Ana")
    soupxr("export", "excel", store, tmp_path / "b.xlsx", "--annotator", "Ana")
    before = fingerprint(store)
    for what, name in (("boris", "p.boris"), ("table", "b.xlsx")):
        file = (store, tmp_path / name)
        said = soupxr("import", what, *file, "--annotator", "Ben", "--dry-run").output
        assert "would take  labels of 'Ben' in 2 trial(s)" in said
        again = soupxr("import", what, *file, "--annotator", "Ana", "--dry-run", code=1).output
        assert "labelled this trial already" in again
    assert fingerprint(store) == before


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


def test_a_dataframe_of_animal_soup(soupxr, lab, tmp_path):
    pytest.importorskip("tables")
    root = lab(*KEYS, n_frames=N)
    codes = ["--behavior", "reach", "--behavior", "eat"]
    soupxr("create", tmp_path / "s.zarr", "--data-root", root, *codes)
    cleaned = [labels(N, seed, ("reach", "eat")).T for seed in (1, 2)]
    animal_soup.put_outputs(root / "M1/S1", {1: {"fast": (np.zeros((N, 3)), cleaned[0])}})
    df = animal_soup.frame(cleaned_ethograms=cleaned)
    file = animal_soup.save(df, tmp_path / "df.hdf", key="trials")
    options = ("--key", "trials", "--names", "reach, eat", "--annotator", "Ana")
    said = soupxr("import", "animal-soup", tmp_path / "s.zarr", file, *options).output
    assert "2 new trial(s): M1/S1/1, M1/S1/2" in said
    assert "results in mode fast of 1 trial(s)" in said
    ds = sx.open(tmp_path / "s.zarr")
    for place, mask in enumerate(cleaned):
        found = ds.annotation.sel(annotator="Ana").values[place, :N]
        np.testing.assert_array_equal(found, mask.T)


def test_a_project_of_deepethogram(soupxr, film, tmp_path):
    project = deepethogram.make(tmp_path / "mice_deepethogram", film, N)
    mask = np.eye(3, dtype=int)[np.arange(N) % 3]
    deepethogram.put_labels(project, "m1_a", mask)
    deepethogram.put_outputs(project, "m1_a", np.full((N, 3), 0.9))
    made = ("--view", "joined", "--behavior", "walk", "--behavior", "groom")
    soupxr("create", tmp_path / "s.zarr", "--data-root", project / "DATA", *made)
    said = soupxr("import", "deepethogram", tmp_path / "s.zarr", project, "--mode", "slow").output
    assert "2 new trial(s): mice/DATA/1, mice/DATA/2" in said
    assert "labels of 'jim' in 1 trial(s): mice/DATA/1" in said
    assert "results in mode slow of 1 trial(s): mice/DATA/1" in said
    assert "models/run/checkpoint.pt" in said
    found = sx.open(tmp_path / "s.zarr").annotation.sel(annotator="jim").values[0, :N]
    np.testing.assert_array_equal(found, mask[:, 1:])


def test_scores_of_jaaba(soupxr, store, tmp_path):
    pytest.importorskip("scipy.io")
    scores = [jaaba.scores_of([(5, 9)], n=N)]
    file = jaaba.put_scores(tmp_path / "M1-S1-2", "Reach", scores, n_frames=N)
    named = r"(?P<animal>M\d)-(?P<session>S\d)-(?P<trial_id>\d)"
    options = ("--behavior", "Reach=lift", "--trials", named)
    said = soupxr("import", "jaaba", store, file, *options).output
    assert "labels of 'JAABA' in 1 trial(s): M1/S1/2" in said
    lift = sx.open(store).annotation.sel(annotator="JAABA", behavior="lift").values[1, :N]
    assert np.flatnonzero(lift == 1).tolist() == [5, 6, 7, 8]


def test_a_project_names_the_videos_where_they_are_on_this_machine(soupxr, store, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    here = ("--annotator", "Ana", "--data-root", tmp_path / "elsewhere")
    soupxr("export", "boris", store, tmp_path / "p.boris", *here)
    project = json.loads((tmp_path / "p.boris").read_text("utf-8"))
    (video, *_) = project["observations"][KEYS[0]]["file"]["1"]
    assert video == "elsewhere/M1/S1/reach_side_v001.mp4"


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
    options += ("--data-root", tmp_path / "videos")
    said = soupxr("export", "nwb", store, tmp_path / "nwb", *options).output
    assert said.startswith("2 file(s)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "boris", "{store}", "{file}", "--behavior", "grab"), "THEIRS=OURS"),
        (("import", "boris", "{store}", "{file}"), "junk.boris"),
        (("import", "jaaba", "{store}", "{file}"), "junk.boris"),
        (("import", "animal-soup", "{store}", "{file}"), "junk.boris"),
        (("import", "deepethogram", "{store}", "{junk}"), "junk_deepethogram"),
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
    (tmp_path / "junk_deepethogram").mkdir()
    (tmp_path / "junk_deepethogram" / "project_config.yaml").write_bytes(b"\x00junk: [" * 20)
    before = fingerprint(store)
    names = {"store": store, "file": tmp_path / "junk.boris", "out": tmp_path / "out"}
    names["junk"] = tmp_path / "junk_deepethogram"
    code = 1 if arguments[0] == "import" and told.startswith("junk") else 2
    result = soupxr(*(text.format(**names) for text in arguments), code=code)
    assert told in result.output
    assert "not expected" not in result.output
    assert fingerprint(store) == before
