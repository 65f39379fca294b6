"""import and export."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from results import annotate, labels, probabilities, put_result

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.modes import BEHAVIORS

KEYS = ("007/NA/1", "007/NA/2", "M1/S1/1")
N = 60


@pytest.fixture
def ds(new_store):
    ds = new_store(*KEYS, n_frames=N)
    for seed, key in enumerate(KEYS[:2]):
        ds = annotate(ds, key, labels(N, seed), "Ana")
    put_result(ds, KEYS[2], probabilities(labels(N)))
    return ds


@pytest.fixture
def store(ds):
    return store_of(ds).address


def test_bouts_go_out_and_come_in_as_they_were(soupxr, ds, store, tmp_path):
    """Names that look like numbers or like nothing stay what they are."""
    file = tmp_path / "bouts.csv"
    soupxr("export", "bouts", store, file, "--annotator", "Ana")
    said = soupxr("import", "labels", store, file, "--annotator", "Ben").output
    assert said == f"{len(ds.soup.bouts(annotator='Ana'))} bout(s) are labels of Ben now.\n"
    record = json.loads((tmp_path / "bouts.csv.provenance.json").read_text("utf-8"))
    assert (record["labels"], record["annotator"]) == ("annotation", "Ana")
    ds = sx.open(store)
    np.testing.assert_array_equal(
        ds.annotation.sel(annotator="Ben"), ds.annotation.sel(annotator="Ana")
    )


@pytest.mark.parametrize("form", ["bouts", "frames"])
def test_provenance_goes_along_with_a_table(soupxr, store, tmp_path, form):
    said = soupxr("export", form, store, tmp_path / "t.csv", "--mode", "fast").output
    assert said == f"{tmp_path / 't.csv'} is written.\n"
    record = json.loads((tmp_path / "t.csv.provenance.json").read_text("utf-8"))
    assert (record["labels"], record["mode"], record["form"]) == ("ethogram", "fast", form)
    assert record["trials"]
    n_files = len(list(tmp_path.iterdir()))
    on_screen = ("export", form, store, "-", "--mode", "fast")
    said = soupxr(*on_screen).output
    assert len(list(tmp_path.iterdir())) == n_files
    origin = tmp_path / "origin.json"
    assert soupxr(*on_screen, "--provenance", origin).output == said
    again = json.loads(origin.read_text("utf-8"))
    assert again | {"exported": record["exported"]} == record


@pytest.mark.parametrize("form", ["bouts", "frames"])
def test_provenance_is_not_replaced_unasked(soupxr, store, tmp_path, form):
    origin, beside = tmp_path / "origin.json", tmp_path / "t.csv.provenance.json"
    for path in (origin, beside):
        path.write_text("mine")
    on_screen = ("export", form, store, "-", "--mode", "fast", "--provenance", origin)
    into_file = ("export", form, store, tmp_path / "t.csv", "--mode", "fast")
    said = soupxr(*on_screen, code=2).output
    assert said.startswith("soupxr: --provenance: expected a new file")
    assert "--overwrite" in said
    assert "t.csv.provenance.json" in soupxr(*into_file, code=2).output
    assert {path.name: path.read_text() for path in tmp_path.glob("*.json")} == {
        "origin.json": "mine",
        "t.csv.provenance.json": "mine",
    }
    assert not (tmp_path / "t.csv").exists()
    for arguments, path in ((on_screen, origin), (into_file, beside)):
        soupxr(*arguments, "--overwrite")
        assert json.loads(path.read_text("utf-8"))["form"] == form


def test_a_file_has_its_provenance_beside_it_and_nowhere_else(soupxr, store, tmp_path):
    there = ("--provenance", tmp_path / "origin.json")
    said = soupxr("export", "bouts", store, tmp_path / "t.csv", "--mode", "fast", *there, code=2)
    assert "t.csv.provenance.json" in said.output
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_a_table_of_seconds_and_other_columns(soupxr, store, delimiter):
    rows = ["\ufeffanimal,session,trial_id,behavior,start,stop,remark", "M1,S1,1,grab,0.10,0.25,x"]
    text = "\n".join(rows).replace(",", delimiter)
    options = ("--annotator", "Eva", "--unit", "second", "--rest", "unlabelled")
    said = soupxr("import", "labels", store, "-", *options, input=text.removeprefix("\ufeff"))
    assert "left  column 'remark'\n" in said.output
    grab = sx.open(store).annotation.sel(annotator="Eva", behavior="grab")
    grab = grab.sel(animal="M1", session="S1", trial_id=1)
    assert np.flatnonzero(grab == 1).tolist() == list(range(10, 25))
    assert (grab[25:] == -1).all()


def test_a_byte_order_mark_is_no_part_of_a_name(soupxr, store, tmp_path):
    file = tmp_path / "excel.csv"
    file.write_text("animal,session,trial_id,behavior,start,stop\nM1,S1,1,grab,1,2", "utf-8-sig")
    soupxr("import", "labels", store, file, "--annotator", "Eva")


@pytest.mark.parametrize(
    "text",
    ["", "animal,start\nM1,2", "animal,session,trial_id,behavior,start,stop\nM9,S,1,grab,1,2"],
)
def test_a_table_that_is_wrong_writes_nothing(soupxr, store, tmp_path, fingerprint, text):
    (tmp_path / "bouts.csv").write_text(text)
    before = fingerprint(store)
    soupxr("import", "labels", store, tmp_path / "bouts.csv", "--annotator", "Eva", code=2)
    assert fingerprint(store) == before


def test_labels_are_not_replaced_unasked(soupxr, store, tmp_path):
    soupxr("export", "bouts", store, tmp_path / "b.csv", "--annotator", "Ana")
    again = ("import", "labels", store, tmp_path / "b.csv", "--annotator", "Ana")
    assert "overwrite" in soupxr(*again, code=2).output
    soupxr(*again, "--overwrite")


def test_bouts_of_a_mode(soupxr, ds, store):
    said = soupxr("export", "bouts", store, "-", "--mode", "fast").output
    table = pd.read_csv(io.StringIO(said))
    pd.testing.assert_frame_equal(
        table, ds.soup.bouts(mode="fast"), check_dtype=False, check_exact=False
    )


def test_frames_are_the_ethogram(soupxr, ds, store, tmp_path):
    file = tmp_path / "frames.csv"
    soupxr("export", "frames", store, file, "--mode", "fast", "--probability")
    table = pd.read_csv(file)
    assert len(table) == N
    assert table.columns[:5].tolist() == ["animal", "session", "trial_id", "frame", "time_s"]
    one = ds.sel(animal="M1", session="S1", trial_id=1, mode="fast")
    np.testing.assert_array_equal(table[list(BEHAVIORS)], one.ethogram[:N])
    chances = table[[f"{name}_probability" for name in BEHAVIORS]]
    np.testing.assert_allclose(chances, one.probability[:N], atol=1e-6)
    np.testing.assert_allclose(table.time_s, np.arange(N) / 100)
    record = json.loads((tmp_path / "frames.csv.provenance.json").read_text("utf-8"))
    assert record["mode"] == "fast"


def test_frames_of_an_annotator_leave_out_what_is_not_labelled(soupxr, store):
    said = soupxr("export", "frames", store, "-", "--annotator", "Ana").output
    table = pd.read_csv(io.StringIO(said), dtype={"animal": str})
    assert table.groupby(["animal", "trial_id"]).size().to_dict() == {("007", 1): N, ("007", 2): N}


def test_a_file_is_not_replaced_unasked_and_never_half_written(
    soupxr, store, tmp_path, monkeypatch
):
    file = tmp_path / "out.csv"
    file.write_text("mine")
    options = ("export", "bouts", store, file, "--mode", "fast")
    assert "--overwrite" in soupxr(*options, code=2).output

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", full)
        assert "No space left" in soupxr(*options, "--overwrite", code=1).output
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.glob(".out*")] == []
    soupxr(*options, "--overwrite")
    assert file.read_text().startswith("animal,")


def test_whose_has_to_be_said_and_there(soupxr, store, tmp_path):
    file = tmp_path / "out.csv"
    soupxr("export", "bouts", store, file, code=2)
    soupxr("export", "bouts", store, file, "--mode", "fast", "--annotator", "Ana", code=2)
    soupxr("export", "bouts", store, file, "--mode", "slow", code=2)
    soupxr("export", "frames", store, file, "--annotator", "Ben", code=2)
    soupxr("export", "frames", store, file, "--annotator", "Ana", "--probability", code=2)
    assert not file.exists()


def test_what_an_export_says_is_unlabelled_is_not_taken_for_absent(soupxr, ds, store, tmp_path):
    text = "animal,session,trial_id,behavior,start,stop\n007,NA,1,lift,1,3\n"
    (tmp_path / "half.csv").write_text(text)
    soupxr(
        "import",
        "labels",
        store,
        tmp_path / "half.csv",
        "--annotator",
        "Half",
        "--rest",
        "unlabelled",
    )
    out = tmp_path / "out.csv"
    soupxr("export", "bouts", store, out, "--annotator", "Half")
    said = soupxr("import", "labels", store, out, "--annotator", "Back", code=2).output
    assert "some frames are unlabelled" in said
    assert "soupxr import table STORE" in said
    assert "Back" not in sx.open(store).annotator
    said = soupxr("import", "table", store, out, "--annotator", "Back", "--unit", "frame").output
    assert "are unlabelled, as the provenance of out.csv says" in said
    labels = sx.open(store).annotation
    np.testing.assert_array_equal(labels.sel(annotator="Back"), labels.sel(annotator="Half"))


def test_what_is_left_is_told_when_the_rest_is_in_the_store(soupxr, ds, store, tmp_path):
    for place in (0, 1):
        mask = np.full((N, len(BEHAVIORS)), place, np.int8)
        ds.isel(trial=[place]).soup.annotate(mask, annotator="Full")
    table, bad = tmp_path / "full.csv", tmp_path / "bad.csv"
    soupxr("export", "bouts", store, table, "--annotator", "Full")
    bad.write_text(table.read_text().replace(",lift,", ",left,"))
    (tmp_path / "bad.csv.provenance.json").write_bytes(
        (tmp_path / "full.csv.provenance.json").read_bytes()
    )
    said = soupxr("import", "labels", store, bad, "--annotator", "Back", code=2).output
    assert "was exported, too" not in said
    said = soupxr("import", "labels", store, table, "--annotator", "Back").output
    assert "was exported, too, but has no bout in the table" in said


def test_a_table_of_any_encoding_is_read_and_rows_are_those_of_an_editor(soupxr, store, tmp_path):
    head = "animal;session;trial_id;behavior;start;stop\r\n"
    table = tmp_path / "excel.csv"
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        table.write_bytes((head + "\r\n007;S1;1;gr\xe4b;2;5\r\n").encode(encoding))
        said = soupxr("import", "labels", store, table, "--annotator", "Ana", code=2).output
        assert "'gr\xe4b': expected one of" in said
        assert "row 3" in said
    table.write_text(head + "007;S1;1;grab;2;5;9\r\n")
    said = soupxr("import", "labels", store, table, "--annotator", "Ana", code=2).output
    assert "expected 6 cells, as in the header, but got '7 in row 2" in said
    said = soupxr(
        "import", "labels", store, tmp_path / "x.xlsx", "--annotator", "Ana", code=2
    ).output
    assert "x.xlsx" in said


def test_bouts_are_not_written_as_text_into_a_workbook(soupxr, store, tmp_path):
    said = soupxr("export", "bouts", store, tmp_path / "b.xlsx", "--mode", "fast", code=2).output
    assert "soupxr export excel writes workbooks" in said
    assert not (tmp_path / "b.xlsx").exists()
    soupxr("export", "bouts", store, tmp_path / "b.tsv", "--mode", "fast")
    assert (tmp_path / "b.tsv").read_text().startswith("animal\tsession\t")
