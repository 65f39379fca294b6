"""Videos behind a URL: fetched once, kept while needed, thrown away for want of room."""

from __future__ import annotations

import os
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from processes import PROCESSES

import soupxr as sx
from soupxr.video import remote
from soupxr.video.remote import as_root, is_remote, local_copy

KEYS = ("M1/S1/1", "M1/S1/2")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own; what other tests held is let go."""
    monkeypatch.setattr(remote, "_CACHE", remote._Cache())
    with sx.set_options(video_cache=tmp_path / "cache"):
        yield tmp_path / "cache"


@pytest.fixture
def server():
    """Files that lie in memory, for whoever asks for ``memory://``."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def copies(cache: Path) -> list[Path]:
    return sorted(path for path in cache.iterdir() if path.suffix == ".mp4")


def put(server, name: str, n_bytes: int = 100) -> Path:
    server.pipe(f"/lab/{name}", os.urandom(n_bytes))
    return as_root("memory://lab") / name


def test_a_path_of_this_machine_stays_what_it_is(tmp_path):
    assert as_root(tmp_path) == tmp_path
    assert local_copy(tmp_path / "a.mp4") == tmp_path / "a.mp4"
    assert not is_remote(r"C:\videos\a.mp4")


def test_a_video_is_fetched_once(server, cache):
    video = put(server, "a.mp4")
    copy = local_copy(video)
    assert copy.read_bytes() == server.cat("/lab/a.mp4")
    before = copy.stat().st_ino
    assert local_copy(as_root("memory://lab/a.mp4")) == copy
    assert copy.stat().st_ino == before
    assert copies(cache) == [copy]


def test_a_video_that_was_replaced_is_fetched_anew(server):
    first = local_copy(put(server, "a.mp4"))
    second = local_copy(put(server, "a.mp4"))
    assert second != first
    assert second.read_bytes() == server.cat("/lab/a.mp4")


def test_the_oldest_make_room(server, cache, monkeypatch):
    monkeypatch.setattr(remote, "KEPT", 1)
    with sx.set_options(video_cache_size=250):
        a, b = local_copy(put(server, "a.mp4")), local_copy(put(server, "b.mp4"))
        time.sleep(0.01)
        local_copy(as_root("memory://lab/a.mp4"))
        c = local_copy(put(server, "c.mp4"))
        assert copies(cache) == sorted([a, c])
        # What went is fetched again.
        assert local_copy(as_root("memory://lab/b.mp4")) == b


def test_what_is_at_work_stays_and_it_is_told(server, cache):
    with sx.set_options(video_cache_size=150):
        a = local_copy(put(server, "a.mp4"))
        with pytest.warns(sx.SoupWarning, match="video_cache_size"):
            b = local_copy(put(server, "b.mp4"))
        assert copies(cache) == sorted([a, b])


def _hold(folder: str, content: bytes, ready, end) -> None:
    fsspec.filesystem("memory").pipe("/lab/a.mp4", content)
    sx.set_options(video_cache=folder)
    ready.send(local_copy(as_root("memory://lab/a.mp4")))
    end.recv()


def test_what_another_process_is_at_work_on_stays(server, cache):
    ready, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_hold, args=(str(cache), b"x" * 100, theirs, theirs))
    process.start()
    held = ready.recv()
    with sx.set_options(video_cache_size=150):
        with pytest.warns(sx.SoupWarning, match="worked on"):
            local_copy(put(server, "b.mp4"))
        assert held in copies(cache)
        ready.send("end")
        process.join()
        with pytest.warns(sx.SoupWarning, match="worked on"):  # b, of this process
            local_copy(put(server, "c.mp4"))
        assert held not in copies(cache)


def test_half_a_video_is_none(server, cache, monkeypatch):
    video = put(server, "a.mp4")

    def broken(path: str, local: str) -> None:
        Path(local).write_bytes(b"half")

    monkeypatch.setattr(type(server), "get_file", staticmethod(broken))
    with pytest.raises(sx.VideoError, match="4 of 100 bytes"):
        local_copy(video)
    assert copies(cache) == []
    assert not list(cache.glob(".*.part"))


def test_a_video_that_is_not_there(server):
    with pytest.raises(sx.VideoError, match=r"memory://lab/a\.mp4: expected a video"):
        local_copy(as_root("memory://lab/a.mp4"))


def test_a_url_that_nothing_speaks():
    with pytest.raises(sx.VideoError, match="copy the videos to a disk"):
        as_root("nonsense://lab/videos")


def _upload(server, folder: Path) -> None:
    for path in sorted(folder.rglob("*.mp4")):
        server.pipe(f"/lab/{path.relative_to(folder).as_posix()}", path.read_bytes())


@pytest.mark.slow
@pytest.mark.thorough
def test_trials_whose_videos_are_elsewhere_come_out_the_same(new_store, models, server, tmp_path):
    here = new_store(*KEYS, name="here.zarr")
    _upload(server, tmp_path / "videos")
    ds = sx.create(tmp_path / "there.zarr", "memory://lab").soup.add_item("M1")
    assert ds.video_path.values.tolist() == here.video_path.values.tolist()
    first = {"animal": "M1", "session": "S1", "trial_id": 1}
    np.testing.assert_array_equal(ds.sel(first).soup.video(), here.sel(first).soup.video())
    found, expected = (one.soup.infer("fast", **models()) for one in (ds, here))
    np.testing.assert_array_equal(found.probability, expected.probability)
    server.rm("/lab/M1/S1/reach_side_v002.mp4")
    with pytest.raises(sx.InferenceError, match=r"memory://lab/M1/S1/reach_side_v002\.mp4"):
        ds.soup.feature_extractor.infer(
            "fast",
            overwrite=True,
            **{k: v for k, v in models().items() if k != "sequence_model_in"},
        )


def test_what_needs_only_the_name_of_a_video_fetches_none(new_store, server, cache, tmp_path):
    new_store(*KEYS, name="here.zarr")
    _upload(server, tmp_path / "videos")
    ds = sx.create(tmp_path / "there.zarr", "memory://lab").soup.add_item("M1")
    first = ds.sel(animal="M1", session="S1", trial_id=1).soup
    ds = first.annotate(np.zeros((12, 6), np.int8), annotator="Ana")
    for copy in copies(cache):
        copy.unlink()
    file = sx.io.boris.write(ds, tmp_path / "check.boris", annotator="Ana")
    assert "memory://lab/M1/S1/reach_side_v001.mp4" in file.read_text()
    assert copies(cache) == []


def test_a_store_of_videos_elsewhere_is_looked_over(new_store, server, tmp_path):
    new_store(*KEYS, name="here.zarr")
    _upload(server, tmp_path / "videos")
    ds = sx.create(tmp_path / "there.zarr", "memory://lab").soup.add_item("M1")
    assert ds.soup.check().ok
    server.rm("/lab/M1/S1/reach_side_v002.mp4")
    (found,) = ds.soup.check().errors
    assert (found.kind, found.trial) == ("video", ("M1", "S1", 2))


@pytest.mark.slow
@pytest.mark.thorough
def test_videos_and_store_in_a_bucket(new_store, models, s3, in_bucket, tmp_path):
    here = new_store(*KEYS, name="here.zarr")
    videos = in_bucket(tmp_path / "videos")
    ds = sx.create(f"{s3}/reach.zarr", videos).soup.add_item("M1")
    found, expected = (one.soup.infer("fast", **models()) for one in (ds, here))
    np.testing.assert_array_equal(found.probability, expected.probability)


def test_add_tells_what_is_wrong_with_videos_elsewhere(server, tmp_path):
    for view in ("side", "front"):
        put(server, f"M1/S1/reach_{view}_v001.mp4")
    ds = sx.create(tmp_path / "there.zarr", "memory://lab")
    with pytest.raises(sx.IngestError, match="2 problem"):
        ds.soup.add_item("M1")
    with pytest.raises(sx.IngestError, match="M2"):
        ds.soup.add_item("M2")


def test_a_data_root_elsewhere_must_be_there(server, tmp_path):
    with pytest.raises(sx.ArgumentError, match="data_root"):
        sx.create(tmp_path / "there.zarr", "memory://nowhere")
