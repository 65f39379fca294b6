"""NWB files."""

import json
import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
from io_stores import random_mask
from results import put_result

import soupxr as sx
from soupxr.bouts import bouts_to_mask
from soupxr.errors import ArgumentError
from soupxr.io import nwb

pynwb = pytest.importorskip("pynwb")
pytest.importorskip("ndx_ethogram")

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _advice():
    with warnings.catch_warnings():
        # Of pynwb and hdmf, on their own deprecations.
        warnings.simplefilter("ignore")
        yield


def opened(path):
    return pynwb.NWBHDF5IO(str(path), "r")


def labels_in(file, n_frames, fps, behaviors):
    """The mask that a file tells of."""
    mask = np.full((n_frames, len(behaviors)), -1, np.int8)
    tables = [t for t in file.intervals.values() if t.neurodata_type == "EthogramBouts"]
    for table in tables:
        rows = table.to_dataframe()
        seen = np.ones(n_frames, dtype=bool)
        if table.observation_intervals is not None:
            observed = table.observation_intervals.to_dataframe()
            times = observed[["start_time", "stop_time"]].to_numpy()
            seen = bouts_to_mask(np.rint(times * fps).astype(int), n_frames) == 1
        for name in table.ethogram["behavior"][:]:
            own = rows[rows["label"] == name][["start_time", "stop_time"]].to_numpy()
            occurs = bouts_to_mask(np.rint(own * fps).astype(int), n_frames)
            mask[seen, behaviors.index(name)] = occurs[seen]
    return mask


@pytest.mark.parametrize("gaps", ["none", "same", "each its own"])
def test_labels_go_out_to_the_frame(bare_store, tmp_path, gaps):
    ds = bare_store({"M1/S1/1": 90}, fps=499.7)
    mask = random_mask(90, 6, 1, unlabelled=gaps == "each its own")
    if gaps == "same":
        mask[20:31] = mask[80:] = -1
    if gaps == "each its own":
        mask[:, 3] = -1
    ds = ds.sel(animal="M1").soup.annotate(mask, annotator="Ana")
    files = nwb.write(
        ds,
        tmp_path / "out",
        annotator="Ana",
        session_start=START,
        subject={"species": "Mus musculus", "sex": "M", "age": "P90D"},
    )
    path = files["M1/S1/1"]
    assert path.name == "sub-M1_ses-S1_trial-1.nwb"
    found = pynwb.validate(path=str(path))
    assert not (found[0] if isinstance(found, tuple) else found)
    with opened(path) as io:
        file = io.read()
        assert (labels_in(file, 90, 499.7, list(ds.behavior.values)) == mask).all()
        assert file.subject.subject_id == "M1"
        assert file.subject.species == "Mus musculus"
        assert file.session_start_time == START
        first = next(t for t in file.intervals.values() if t.neurodata_type == "EthogramBouts")
        assert (first.labeling_method, first.annotator) == ("manual", "Ana")
        assert (first.observation_intervals is None) == (gaps == "none")
        record = json.loads(first.parameters)
        assert record["trials"]["M1/S1/1"]["n_frames"] == 90
        assert record["annotator"] == "Ana"
        video = file.acquisition["video_side"]
        assert video.external_file[:].tolist() == ["../videos/M1/S1/reach_side_v001.mp4"]
        assert first.source_video is video


def test_an_ethogram_goes_out_with_probabilities_and_models(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 50, "M2/S1/1": 50, "M2/S1/2": 50})
    probability = np.random.default_rng(0).random((50, 6)).astype(np.float32)
    put_result(ds, "M1/S1/1", probability)
    put_result(ds, "M2/S1/1", probability)
    starts = {"M1/S1/1": START, "M2/S1/1": START.replace(hour=12)}
    files = nwb.write(
        sx.open(ds.attrs["soupxr_store"]),
        tmp_path / "out",
        mode="fast",
        session_start=starts,
        subject={"M1": {"sex": "F"}, "M2": {"sex": "M"}},
    )
    assert set(files) == set(starts)
    with opened(files["M2/S1/1"]) as io:
        file = io.read()
        assert file.session_start_time.hour == 12
        assert file.subject.sex == "M"
        series = file.processing["behavior"]["probability"]
        np.testing.assert_array_equal(series.data[:], probability)
        assert "lift, handopen" in series.description
        table = file.intervals["ethogram"]
        assert table.labeling_method == "automated"
        assert json.loads(table.parameters)["made"][0]["sequence_model"] == "a" * 64
        truth = ds.ethogram.sel(mode="fast").values[1, :50]
        assert (labels_in(file, 50, 500.0, list(ds.behavior.values)) == truth).all()


def test_what_cannot_be_written(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 20})
    ds = ds.sel(animal="M1").soup.annotate(random_mask(20, 6, 1), annotator="Ana")
    good = {"annotator": "Ana", "session_start": START}
    for options, told in [
        ({"session_start": START.replace(tzinfo=None)}, "with a time zone for M1/S1/1"),
        ({"session_start": {}}, "with a time zone for M1/S1/1"),
        ({"labeling_method": "guessed"}, "labeling_method: expected one of"),
        ({"subject": {"kind": "mouse"}}, "subject: expected names of animals, or fields"),
        ({"annotator": "Ben"}, "annotator: expected one of"),
    ]:
        with pytest.raises(ArgumentError, match=told):
            nwb.write(ds, tmp_path / "out", **{**good, **options})
    nwb.write(ds, tmp_path / "out", **good, labeling_method="curated")
    with pytest.raises(ArgumentError, match="Pass overwrite=True"):
        nwb.write(ds, tmp_path / "out", **good)
    nwb.write(ds, tmp_path / "out", **good, overwrite=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sub-M1_ses-S1_trial-1.nwb"]


def test_a_file_that_the_validator_refuses_is_not_there(bare_store, tmp_path, monkeypatch):
    ds = bare_store({"M1/S1/1": 20})
    ds = ds.sel(animal="M1").soup.annotate(random_mask(20, 6, 1), annotator="Ana")
    monkeypatch.setattr(pynwb, "validate", lambda **_: ["something is wrong"])
    with pytest.raises(sx.FormatError, match="something is wrong"):
        nwb.write(ds, tmp_path / "out", annotator="Ana", session_start=START)
    assert list((tmp_path / "out").iterdir()) == []
