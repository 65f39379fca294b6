"""``ds.soup``: trials, their video and bouts."""

import numpy as np
import pytest
from reference import select

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.store import Store, TrialResults, store_address
from soupxr.video import VideoReader

KEYS = ("M1/S1/1", "M1/S1/10", "M1/S2/1", "M2/S1/1")


def test_add_remove_and_list(new_store, lab):
    ds = new_store(*KEYS)
    table = ds.soup.trials
    columns = "animal session trial_id n_frames fps experiment fast medium slow notes"
    assert list(table.columns) == columns.split()
    assert table.trial_id.tolist() == [1, 10, 1, 1]
    assert set(table.fast) == {"none"}
    assert ds.soup.remove_item("M1", "S1", 1).soup.trials.trial_id.tolist() == [10, 1, 1]
    assert ds.soup.remove_item("M1", "S1").soup.trials.session.tolist() == ["S2", "S1"]
    assert ds.soup.remove_item("M1").soup.trials.animal.tolist() == ["M2"]
    assert len(sx.open(ds.attrs["soupxr_store"]).soup.add_item("M1", "S1").soup.trials) == 3


def test_adding_nothing_when_anything_is_wrong(new_store, lab, tmp_path):
    ds = new_store("M1/S1/1")
    lab("M1/S1/2", "M1/S1/3")
    (tmp_path / "videos/M1/S1/reach_front_v003.mp4").unlink()
    with pytest.raises(sx.IngestError) as caught:
        ds.soup.add_item("M1")
    assert "M1/S1/1: is in the store already" in str(caught.value)
    assert "M1/S1/3: the front view is missing" in str(caught.value)
    assert len(sx.open(ds.attrs["soupxr_store"]).soup.trials) == 1


def test_only_what_is_new_is_added_if_asked(new_store, lab, tmp_path):
    ds = new_store("M1/S1/1")
    lab("M1/S1/2", "M1/S2/1")
    # What was measured when it came is not measured again.
    (tmp_path / "videos/M1/S1/reach_front_v001.mp4").write_bytes(b"no video any more")
    with pytest.raises(sx.IngestError, match="new_only=True"):
        ds.soup.add_item("M1")
    assert ds.soup.find_item("M1", new_only=True).trial_id.tolist() == [2, 1]
    ds = ds.soup.add_item("M1", new_only=True)
    assert ds.soup.trials.trial_id.tolist() == [1, 2, 1]
    assert len(ds.soup.add_item("M1", new_only=True).soup.trials) == 3
    (lab("M1/S3/1") / "M1/S3/reach_front_v001.mp4").unlink()
    with pytest.raises(sx.IngestError, match="M1/S3/1: the front view is missing") as caught:
        ds.soup.add_item("M1", new_only=True)
    assert "new_only" not in str(caught.value)


def test_removing_what_is_not_there(new_store):
    ds = new_store("M1/S1/1")
    with pytest.raises(sx.ArgumentError, match=r"M1/S1/2.*ds\.soup\.trials"):
        ds.soup.remove_item("M1", "S1", 2)
    with pytest.raises(sx.ArgumentError, match="M9"):
        ds.soup.remove_item("M9")
    with pytest.raises(sx.ArgumentError, match="session"):
        ds.soup.remove_item("M1", trial_id=1)


def test_video_is_lazy_labelled_and_joined(new_store, tmp_path):
    ds = new_store("M1/S1/1")
    one = select(ds, "M1/S1/1")
    video = one.soup.video()
    assert video.dims == ("frame", "y", "x", "channel")
    assert video.shape == (12, 32, 96, 3)
    assert video.chunks is not None
    assert video.time.values[-1] == pytest.approx(11 / 100)
    with VideoReader(tmp_path / "videos/M1/S1/reach_side_v001.mp4") as side:
        np.testing.assert_array_equal(one.soup.video("side"), side.read(0, 12))
        np.testing.assert_array_equal(video[:, :, :48], side.read(0, 12))
    np.testing.assert_array_equal(video[:, :, 48:], one.soup.video("front"))


def test_video_needs_one_trial_and_a_known_view(new_store):
    ds = new_store(*KEYS)
    with pytest.raises(sx.ArgumentError, match="4 trials"):
        ds.soup.video()
    with pytest.raises(sx.ArgumentError, match=r"\['side', 'front'\], but got 'top'"):
        ds.isel(trial=0).soup.video("top")


def test_video_of_a_missing_file(new_store, tmp_path):
    ds = new_store("M1/S1/1")
    (tmp_path / "videos/M1/S1/reach_side_v001.mp4").unlink()
    with pytest.raises(sx.VideoError, match="reach_side_v001"):
        ds.soup.video().compute()


def test_bouts(new_store):
    ds = new_store("M1/S1/1", "M2/S1/1")
    ethogram = np.zeros((12, 6), np.int8)
    ethogram[2:5, 0] = 1
    ethogram[0:1, 5] = 1
    ethogram[9:12, 5] = 1
    store = Store(store_address(ds.attrs["soupxr_store"]))
    TrialResults(store, "fast", "M2/S1/1").commit(ethogram.astype(np.float32), ethogram, "{}")
    table = ds.soup.bouts(mode="fast")
    assert table.values.tolist() == [
        ["M2", "S1", 1, "lift", 2, 5, 0.03],
        ["M2", "S1", 1, "chew", 0, 1, 0.01],
        ["M2", "S1", 1, "chew", 9, 12, 0.03],
    ]
    origin = table.attrs["provenance"]
    assert (origin["labels"], origin["mode"], origin["n_trials"]) == ("ethogram", "fast", 1)
    assert [part["trials"] for part in origin["made"]] == [1]
    assert ds.sel(animal="M1").soup.bouts(mode="fast").empty
    with pytest.raises(sx.ArgumentError, match="either mode= or annotator="):
        ds.soup.bouts()
    with pytest.raises(sx.ArgumentError, match="annotator"):
        ds.soup.bouts(annotator="nobody")


def test_bouts_are_there_though_what_made_them_cannot_be_read(new_store):
    ds = new_store("M1/S1/1", "M2/S1/1")
    ethogram = np.ones((12, 6), np.int8)
    store = store_of(ds)
    for key, provenance in (("M1/S1/1", '{"sequence": '), ("M2/S1/1", "{}")):
        TrialResults(store, "fast", key).commit(ethogram.astype(np.float32), ethogram, provenance)
    table = ds.soup.bouts(mode="fast")
    assert len(table) == 12
    made = table.attrs["provenance"]["made"]
    assert made == [{"unreadable": True, "trials": 1}, {"trials": 1}]


def test_repr_helps(new_store):
    ds = new_store(*KEYS)
    told = repr(ds.soup)
    assert "4 (48 frames" in told
    assert "lift, handopen" in told
    assert "nothing inferred yet" in told
    assert "no trial is selected" in repr(ds.isel(trial=[]).soup)
    labelled = ds.isel(trial=[0]).soup.annotate(np.ones((12, 6), np.int8), annotator="Ana")
    assert "0 trials by Ana" in repr(labelled.isel(trial=[]).soup)


def test_three_views_and_one(tmp_path, lab):
    root = lab("M1/S1/1", views=("side", "front", "top"))
    ds = sx.create(tmp_path / "three.zarr", root, views=("top", "side", "front"))
    assert ds.soup.add_item("M1").soup.video().shape == (12, 32, 144, 3)
    one = sx.create(tmp_path / "one.zarr", root, views=("top",)).soup.add_item("M1")
    assert one.soup.video().shape == (12, 32, 48, 3)
