"""evaluate and thresholds."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from results import annotate, labels, probabilities, put_result

from soupxr.dataset import store_of
from soupxr.modes import BEHAVIORS

KEYS = ("M1/S1/1", "M2/S1/1")
N = 60


@pytest.fixture
def ds(new_store):
    ds = new_store(*KEYS, n_frames=N)
    for seed, key in enumerate(KEYS):
        put_result(ds, key, probabilities(labels(N, seed), seed), thresholds=(0.9,) * 6)
        ds = annotate(ds, key, labels(N, seed), "Ana")
    return ds


@pytest.fixture
def store(ds):
    return store_of(ds).address


def test_evaluate_for_people(soupxr, ds, store):
    lines = soupxr("evaluate", store, "--mode", "fast").output.splitlines()
    assert [line.split()[0] for line in lines[1:7]] == list(BEHAVIORS)
    scores = ds.soup.evaluate("fast")
    assert lines[1].split()[1] == f"{float(scores.f1[0]):.4g}"
    assert f"mean F1 of behaviors {float(scores.f1_mean):.4g}" in lines[-1]
    assert max(map(len, lines)) <= 80


def test_evaluate_for_scripts_is_what_the_api_says(soupxr, ds, store):
    scores = ds.soup.evaluate("fast", "Ana", by="animal", overlap=0.3)
    options = ("--mode", "fast", "--annotator", "Ana", "--by", "animal", "--overlap", "0.3")
    table = pd.read_csv(io.StringIO(soupxr("evaluate", store, *options, "--csv").output))
    assert table.columns[:2].tolist() == ["animal", "behavior"]
    np.testing.assert_allclose(table.f1, scores.f1.values.ravel())
    np.testing.assert_allclose(table.bout_f1, scores.bout_f1.values.ravel())
    rows = json.loads(soupxr("evaluate", store, *options, "--json").output)
    assert [row["support"] for row in rows] == scores.support.values.ravel().tolist()


def test_a_table_is_written_in_one_form(soupxr, store):
    for command in (("evaluate", store, "--mode", "fast"), ("ls", store), ("check", store)):
        said = soupxr(*command, "--csv", "--json", code=2).output
        assert "--csv and --json cannot both be given" in said


def test_evaluate_by_other_thresholds(soupxr, ds, store):
    options = ("evaluate", store, "--mode", "fast", "--threshold", "0.2", "--csv")
    table = pd.read_csv(io.StringIO(soupxr(*options).output))
    np.testing.assert_allclose(table.f1, ds.soup.evaluate("fast", thresholds=0.2).f1)


def test_evaluate_draws(soupxr, store, tmp_path):
    soupxr("evaluate", store, "--mode", "fast", "--plot", tmp_path / "scores.html")
    assert (tmp_path / "scores.html").stat().st_size > 0


def test_what_cannot_be_judged_is_wrong_use(soupxr, store):
    assert "annotator" in soupxr("evaluate", store, "--mode", "Ben", code=2).output
    soupxr("evaluate", store, "--mode", "fast", "--on", "out-of-fold", code=2)
    soupxr("thresholds", store, "--mode", "fast", "--on", "validation", code=2)
    soupxr("thresholds", store, "--mode", "fast", "--minimum-bout", "-3", code=2)


def test_thresholds_are_fitted_and_stored_and_in_a_dry_run_are_not(soupxr, ds, store, fingerprint):
    before = fingerprint(store)
    options = ("thresholds", store, "--mode", "fast", "--on", "all")
    dry = soupxr(*options, "--dry-run").output
    assert "ethograms would be derived anew: 2" in dry
    assert fingerprint(store) == before
    expected = ds.soup.optimize_thresholds("fast", on="all", dry_run=True)
    assert fingerprint(store) == before
    done = soupxr(*options).output
    assert "ethograms derived anew: 2" in done
    assert dry.splitlines()[:7] == done.splitlines()[:7]
    assert fingerprint(store) != before
    again = pd.read_csv(io.StringIO(soupxr(*options, "--csv").output))
    np.testing.assert_allclose(again.threshold_before, expected.threshold)
    assert "derived anew: 0" in soupxr(*options).output
