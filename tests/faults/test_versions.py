"""Stores of another version; workers of another version are in ``inference/test_cluster.py``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from faults import calls
from faults.checker import assert_equal, holdings
from goldens import store as frozen

import soupxr as sx
from soupxr.schema import SCHEMA_VERSION
from soupxr.store import add_trials


def set_version(folder: Path, version: object) -> None:
    path = folder / "reach.zarr" / "zarr.json"
    facts = json.loads(path.read_text())
    facts["attributes"]["soupxr_schema"] = version
    path.write_text(json.dumps(facts))


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 99])
def test_a_newer_store_is_left_alone_and_both_versions_are_named(version, lab_of_four):
    before = holdings(lab_of_four / "reach.zarr")
    set_version(lab_of_four, version)
    told = rf"schema version {version}.*soupxr {sx.__version__}.*version {SCHEMA_VERSION}"
    with pytest.raises(sx.StoreError, match=rf"{told}.*pip install --upgrade soupxr"):
        sx.open(lab_of_four / "reach.zarr")
    for name in ("add", "remove", "annotate_anew", "annotate_over", "thresholds"):
        with pytest.raises(sx.StoreError, match=rf"schema version {version}"):
            calls.CALLS[name](lab_of_four)
    set_version(lab_of_four, SCHEMA_VERSION)
    assert_equal(holdings(lab_of_four / "reach.zarr"), before)


@pytest.mark.parametrize("version", [0, -1, 0.5, "1", None, True])
def test_a_version_that_never_was(version, lab_of_four):
    set_version(lab_of_four, version)
    with pytest.raises(sx.StoreError, match=r"soupxr\.create"):
        sx.open(lab_of_four / "reach.zarr")


def test_a_store_from_before_a_mark_was_known_opens(lab_of_four):
    """Marks and descriptions that were added since change nothing of what is there."""
    path = lab_of_four / "reach.zarr" / "status" / "zarr.json"
    facts = json.loads(path.read_text())
    facts["attributes"]["description"] = "0 none, 1 features, 2 complete, 3 failed"
    path.write_text(json.dumps(facts))
    calls.thresholds(lab_of_four)
    assert len(holdings(lab_of_four / "reach.zarr").results) == len(calls.KEYS)


def test_a_store_of_the_first_version_is_read_and_goes_on(tmp_path):
    """What it holds is what was written then, and every call goes on with it."""
    shutil.unpack_archive(frozen.__file__.replace("store.py", "store_v1.zip"), tmp_path)
    (tmp_path / "videos").mkdir()
    found = holdings(tmp_path / "reach.zarr")
    expected = holdings(frozen.make(tmp_path / "new"))
    assert list(found.trials) == list(frozen.KEYS)
    assert set(found.results) == {("fast", key) for key in frozen.KEYS[:2]}
    assert set(found.features) == {("slow", frozen.KEYS[2])}
    assert_equal(found, expected)
    ds = sx.open(tmp_path / "reach.zarr")
    assert ds.soup.check(videos=False).ok
    assert ds.notes.values.tolist() == ["", "left paw", ""]
    assert 0 < ds.soup.evaluate("fast", annotator="Ana", on="all").f1.mean() < 1
    ds.soup.optimize_thresholds("fast", annotator="Ana", on="all")
    add_trials(str(tmp_path / "reach.zarr"), calls.rows("M9/S1/1"))
    ds = sx.open(tmp_path / "reach.zarr").soup.remove_item("M1", "S1", 2)
    labels = ds.annotation.sel(annotator=["Ana"], trial=[("M1", "S1", 1)])
    ds.soup.annotate(labels.isel(annotator=0, drop=True), annotator="Cleo")
    later = holdings(tmp_path / "reach.zarr")
    np.testing.assert_array_equal(
        later.labels["Cleo", frozen.KEYS[0]], later.labels["Ana", frozen.KEYS[0]]
    )
