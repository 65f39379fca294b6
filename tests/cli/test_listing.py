"""ls and check."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from results import annotate, labels, probabilities, put_result

from soupxr.cli.tables import NARROWEST, text_table
from soupxr.dataset import store_of
from soupxr.store import TrialResults

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
N = 30


@pytest.fixture
def ds(new_store):
    ds = new_store(*KEYS, n_frames=N)
    put_result(ds, KEYS[0], probabilities(labels(N)))
    TrialResults(store_of(ds), "fast", KEYS[1]).fail("side.mp4: its\nmiddle is missing")
    return ds


@pytest.fixture
def store(ds):
    return store_of(ds).address


def test_ls_shows_every_trial_and_a_summary(soupxr, store):
    lines = soupxr("ls", store).output.splitlines()
    assert lines[0].split()[:3] == ["animal", "session", "trial"]
    assert lines[1].split() == ["M1", "S1", "1", "30", "100", "table", "complete", "–", "–"]
    assert lines[2].split()[6] == "failed"
    assert lines[-1] == "3 trials (90 frames) of 2 animals; fast: 1 complete, 1 failed."
    assert max(map(len, lines)) <= 80


def test_ls_of_some_trials(soupxr, store):
    assert soupxr("ls", store, "--animal", "M2").output.splitlines()[1].startswith("M2")
    said = soupxr("ls", store, "--animal", "M1", "--trial", "2-9", "--csv").output
    assert pd.read_csv(io.StringIO(said)).trial_id.tolist() == [2]
    both = soupxr("ls", store, "--animal", "M1", "--animal", "M2", "--trial", "1", "--csv").output
    assert pd.read_csv(io.StringIO(both)).animal.tolist() == ["M1", "M2"]
    assert "There are: M1, M2" in soupxr("ls", store, "--animal", "M3", code=2).output
    assert "no trial" in soupxr("ls", store, "--animal", "M2", "--trial", "2", code=2).output
    soupxr("ls", store, "--experiment", "pez", code=2)


def test_ls_for_scripts_is_the_table_of_the_api(soupxr, ds, store):
    table = ds.soup.trials
    pd.testing.assert_frame_equal(
        pd.DataFrame(json.loads(soupxr("ls", store, "--json").output)), table, check_dtype=False
    )
    csv = pd.read_csv(io.StringIO(soupxr("ls", store, "--csv").output), keep_default_na=False)
    pd.testing.assert_frame_equal(csv, table, check_dtype=False)


def test_ls_tells_why_trials_failed(soupxr, store):
    said = soupxr("ls", store, "--failed").output
    assert "side.mp4: its middle is missing" in said
    assert said.splitlines()[-1] == "1 failure."
    (row,) = json.loads(soupxr("ls", store, "--failed", "--json").output)
    assert (row["animal"], row["mode"]) == ("M1", "fast")
    assert soupxr("ls", store, "--failed", "--animal", "M2").output == "0 failures.\n"


def test_ls_of_no_store(soupxr, tmp_path):
    assert "soupxr create" in soupxr("ls", tmp_path / "x.zarr", code=2).output
    (tmp_path / "x.zarr").mkdir()
    assert "is a folder, but no store" in soupxr("ls", tmp_path / "x.zarr", code=2).output


@given(
    names=st.lists(st.text(max_size=60), min_size=1, max_size=5),
    width=st.integers(30, 120),
)
def test_a_table_fits_and_stays_a_table(names, width):
    """Whatever animals are called: no line is too long, broken, or moves the cursor."""
    table = pd.DataFrame({"animal": names, "trial": np.arange(len(names)), "notes": ""})
    lines = text_table(table, width).split("\n")
    assert len(lines) == 1 + len(names)
    assert max(map(len, lines)) <= max(width, 2 * NARROWEST)
    assert all(line.isprintable() for line in lines)
    assert "notes" not in lines[0]


def test_check_says_that_all_is_well(soupxr, store):
    said = soupxr("check", store).output
    assert "looked at 3 trials, 1 results, 0 labelled trials, 6 videos" in said


def test_check_finds_reports_and_repairs(soupxr, ds, store):
    ds = annotate(ds, KEYS[0], labels(N), "Ana")
    (chunk,) = (p for p in Path(store, "probability/c/0/0").rglob("*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-5])
    said = soupxr("check", store, "--no-videos", code=1).output
    assert "M1/S1/1 fast: probability cannot be read" in said
    soupxr("check", store, "--no-videos", "--animal", "M2")
    rows = json.loads(soupxr("check", store, "--no-videos", "--json", code=1).output)
    assert {"M1"} == {row["animal"] for row in rows if row["severity"] == "error"}
    csv = soupxr("check", store, "--no-videos", "--csv", code=1).output
    assert pd.read_csv(io.StringIO(csv)).problem.str.contains("cannot be read").any()
    assert "repaired" in soupxr("check", store, "--no-videos", "--repair").output
    soupxr("check", store, "--no-videos")
    assert ds.soup.trials.fast.tolist() == ["none", "failed", "none"]
    assert (ds.annotation.sel(annotator="Ana")[0, :N] >= 0).all()


def test_check_of_videos_can_be_left_out(soupxr, store, tmp_path):
    (tmp_path / "videos/M2/S1/reach_side_v001.mp4").unlink()
    assert "M2/S1/1" in soupxr("check", store, code=1).output
    soupxr("check", store, "--no-videos")


def test_check_works_where_the_store_cannot_be_opened(soupxr, store):
    (chunk,) = (p for p in Path(store, "session/c").rglob("*") if p.is_file())
    chunk.write_bytes(b"")
    assert "'session' cannot be read" in soupxr("check", store, code=1).output
