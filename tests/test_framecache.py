"""The decoded-frame cache: the very frames, no more than the disk holds, and gone when asked."""

import logging
import os
import pickle
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from reference import select

import soupxr as sx
from soupxr import framecache
from soupxr.framecache import open_cached
from soupxr.inference.preprocess import Preprocessing
from soupxr.schema import CLIP_CHUNK
from soupxr.store import (
    CachedFrames,
    FrameCache,
    Overtaken,
    Store,
    correct_trial,
    remove_trials,
)

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
SIZE = (24, 40)
N_FRAMES = 2 * CLIP_CHUNK + 5


@pytest.fixture
def ds(new_store):
    return new_store(*KEYS, n_frames=N_FRAMES)


def store_of(ds):
    return Store(ds.attrs["soupxr_store"])


def cached(ds, key=KEYS[0], size=SIZE, style="antialias"):
    return open_cached(store_of(ds), key, size, style)


def resized(ds, key, size=SIZE, style="antialias"):
    """All frames of a trial as the networks see them, in 8 bits."""
    frames = torch.from_numpy(select(ds, key).soup.video().values)
    values = Preprocessing(size, style, (0,) * 3, (1,) * 3).resize(frames)
    return np.rint(values.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)


def bytes_of(address, path="frames"):
    return sum(file.stat().st_size for file in Path(address, path).rglob("*") if file.is_file())


@pytest.mark.parametrize("style", ["antialias", "plain"])
def test_cached_frames_are_the_resized_frames(ds, style):
    ds = ds.soup.cache_frames(SIZE, preprocessing=style)
    assert ds.sizes["trial"] == 3
    other = {"antialias": "plain", "plain": "antialias"}[style]
    for key in KEYS:
        expected, reader = resized(ds, key, style=style), cached(ds, key, style=style)
        assert reader.n_frames == N_FRAMES
        draw = np.random.default_rng(0)
        for start, stop in ((0, N_FRAMES), (5, 5), *np.sort(draw.integers(0, N_FRAMES, (20, 2)))):
            frames = reader.read(start, stop)
            assert frames.dtype == np.uint8
            np.testing.assert_array_equal(frames, expected[start:stop])
        assert cached(ds, key, style=other) is None
        assert cached(ds, key, size=(24, 24), style=style) is None


def test_frames_outside_the_trial_are_refused(ds):
    reader = cached(ds.soup.cache_frames(SIZE))
    for start, stop in ((-1, 3), (3, 2), (N_FRAMES - 2, N_FRAMES + 1)):
        with pytest.raises(sx.ArgumentError, match="frames: expected 0 <= start"):
            reader.read(start, stop)


def test_a_reader_works_in_other_threads_and_processes(ds):
    reader = cached(ds.soup.cache_frames(SIZE))
    expected = resized(ds, KEYS[0])
    reader.read(0, 1)
    copy = pickle.loads(pickle.dumps(reader))
    starts = np.random.default_rng(0).integers(0, N_FRAMES - 11, 40).tolist()
    with ThreadPoolExecutor(4) as threads:
        clips = list(threads.map(lambda start: copy.read(start, start + 11), starts))
    for start, clip in zip(starts, clips, strict=True):
        np.testing.assert_array_equal(clip, expected[start : start + 11])


def test_what_is_cached_is_not_decoded_again(ds, monkeypatch):
    ds.sel(animal="M1").soup.cache_frames(SIZE)
    assert cached(ds, "M2/S1/1") is None
    decoded = []
    lazy_frames = framecache.lazy_frames

    def counting(paths, *arguments, **options):
        decoded.append(Path(paths[0]).parts[-3])
        return lazy_frames(paths, *arguments, **options)

    monkeypatch.setattr(framecache, "lazy_frames", counting)
    ds.soup.cache_frames(SIZE)
    assert decoded == ["M2"]
    ds.soup.cache_frames(SIZE)
    assert decoded == ["M2"]


def test_a_call_that_died_goes_on_where_it_was(ds, monkeypatch):
    write, calls = __import__("soupxr.store.zarrs").store.zarrs.write, iter(range(100))

    def dies(array, index, values):
        if next(calls) == 7:  # the second trial: its mark, and one of its three blocks
            raise KeyboardInterrupt
        write(array, index, values)

    monkeypatch.setattr("soupxr.store.framecache.write", dies)
    with pytest.raises(KeyboardInterrupt):
        ds.soup.cache_frames(SIZE)
    monkeypatch.undo()
    assert [cached(ds, key) is not None for key in KEYS] == [True, False, False]
    ds.soup.cache_frames(SIZE)
    for key in KEYS:
        np.testing.assert_array_equal(cached(ds, key).read(0, N_FRAMES), resized(ds, key))


def test_frames_of_a_video_that_was_replaced_do_not_count(ds, tmp_path):
    ds.soup.cache_frames(SIZE)
    folder = tmp_path / "videos/M1/S1"
    shutil.copy(folder / "reach_side_v002.mp4", folder / "reach_side_v001.mp4")
    assert cached(ds) is None
    assert cached(ds, "M1/S1/2") is not None
    ds.soup.cache_frames(SIZE)
    np.testing.assert_array_equal(cached(ds).read(0, N_FRAMES), resized(ds, KEYS[0]))


def test_the_cache_serves_where_the_videos_are_not(ds, tmp_path):
    ds.soup.cache_frames(SIZE)
    expected = resized(ds, KEYS[0])
    shutil.rmtree(tmp_path / "videos")
    np.testing.assert_array_equal(cached(ds).read(3, 30), expected[3:30])


def test_a_failing_video_does_not_stop_the_others(ds, tmp_path, film):
    (tmp_path / "videos/M1/S1/reach_front_v001.mp4").write_bytes(b"no video" * 1000)
    film(tmp_path / "videos/M1/S1/reach_side_v002.mp4", n_frames=N_FRAMES + 1)
    film(tmp_path / "videos/M1/S1/reach_front_v002.mp4", n_frames=N_FRAMES + 1)
    with pytest.warns(sx.SoupWarning, match="2 of 3 trial") as caught:
        ds.soup.cache_frames(SIZE)
    told = str(caught[0].message)
    assert caught[0].filename == __file__
    assert "M1/S1/1: " in told
    assert "reach_front_v001" in told
    assert f"M1/S1/2: its videos have {N_FRAMES + 1} frames, but had {N_FRAMES}" in told
    assert [cached(ds, key) is not None for key in KEYS] == [False, False, True]


def test_a_full_disk_is_told_before_anything_is_written(ds, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(framecache.shutil, "disk_usage", lambda path: usage(10**9, 0, 300_000))
    with pytest.raises(sx.StoreError, match=r"may need 4\d\d kB, but the disk has 300 kB free"):
        ds.soup.cache_frames(SIZE)
    assert not Path(ds.attrs["soupxr_store"], "frames").exists()
    ds.isel(trial=[0]).soup.cache_frames(SIZE)  # a third of it fits


def test_what_it_may_take_is_told_and_holds(ds, caplog, capsys):
    with caplog.at_level(logging.INFO, logger="soupxr"):
        ds.soup.cache_frames(SIZE, progress=True)
    raw = 3 * N_FRAMES * SIZE[0] * SIZE[1] * 3
    assert f"3 trial(s) at 24x40: {raw / 1000:.3g} kB raw, at most " in caplog.text
    assert "24x40, up to " in capsys.readouterr().err
    bound = float(caplog.text.split("at most ")[1].split(" kB")[0]) * 1000
    assert bytes_of(ds.attrs["soupxr_store"]) < bound


@pytest.mark.parametrize("size", [0, (24,), (24, 2.5), "24", (24, True), None])
def test_sizes_that_are_none(ds, size):
    with pytest.raises(sx.ArgumentError, match="size: expected a side"):
        ds.soup.cache_frames(size)
    with pytest.raises(sx.ArgumentError, match="preprocessing: expected 'antialias' or 'plain'"):
        ds.soup.cache_frames(24, preprocessing="sharp")


def test_dropping_frees_the_disk(ds):
    address = ds.attrs["soupxr_store"]
    ds.soup.cache_frames(SIZE)
    ds.soup.cache_frames(SIZE, preprocessing="plain")
    ds.soup.cache_frames(16)
    used, unused = cached(ds), cached(ds)
    used.read(0, 1)
    after = ds.isel(trial=[0, 1]).soup.drop_cache(SIZE)
    assert after.sizes["trial"] == 2
    assert sorted(os.listdir(Path(address, "frames"))) == ["16x16", "zarr.json"]
    assert cached(ds) is None
    assert cached(ds, size=(16, 16)) is not None
    for reader in (used, unused):
        with pytest.raises(sx.StoreError, match="dropped while they were read"):
            reader.read(3, 14)
    with pytest.raises(sx.ArgumentError, match=r"that of a cache, of \['16x16'\], but got"):
        ds.soup.drop_cache(SIZE)
    ds.soup.drop_cache()
    assert bytes_of(address) < 2000
    ds.soup.drop_cache()
    ds.soup.cache_frames(SIZE)
    np.testing.assert_array_equal(cached(ds).read(0, 20), resized(ds, KEYS[0])[:20])


def test_frames_that_are_black_are_no_error(ds):
    cache = FrameCache(ds.attrs["soupxr_store"], SIZE, "antialias")
    trial = cache.start(KEYS[0])
    trial.write(0, np.zeros((CLIP_CHUNK, *SIZE, 3), np.uint8))
    trial.commit("of some video")
    reader = CachedFrames(ds.attrs["soupxr_store"], "frames/24x40", 0, N_FRAMES)
    assert not reader.read(0, N_FRAMES).any()


def test_a_cache_that_is_dropped_while_it_is_filled_never_looks_whole(ds):
    address = ds.attrs["soupxr_store"]
    for made_again in (False, True):
        cache = FrameCache(address, SIZE, "antialias")
        trial = cache.start(KEYS[0])
        ds.soup.drop_cache()
        if made_again:
            FrameCache(address, SIZE, "antialias")
        with pytest.raises(sx.StoreError, match="dropped while it was being filled"):
            trial.commit("whole")
        FrameCache(address, SIZE, "antialias")
        assert cached(ds) is None


def test_a_trial_that_goes_while_it_is_cached(ds):
    cache = FrameCache(ds.attrs["soupxr_store"], SIZE, "antialias")
    trial = cache.start(KEYS[0])
    ds = ds.soup.remove_item("M1", "S1", 1)
    with pytest.raises(Overtaken, match="removed meanwhile"):
        trial.commit("whole")
    ds.soup.add_item("M1", "S1", 1)
    with pytest.raises(Overtaken, match="removed and added again"):
        trial.commit("whole")
    assert cached(ds) is None


# ------------------------------------------------------------------ with the trials


def chunks_of(address, name):
    folder = Path(address, "frames/24x40", name, "c")
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_removed_trials_frames_are_freed(ds):
    address = ds.attrs["soupxr_store"]
    ds.soup.cache_frames(SIZE)
    assert len(chunks_of(address, "pixels")) == 9
    remove_trials(address, ["M1/S1/2"])
    assert len(chunks_of(address, "pixels")) == 6
    assert len(chunks_of(address, "source")) == 2
    for key in ("M1/S1/1", "M2/S1/1"):
        np.testing.assert_array_equal(cached(ds, key).read(0, N_FRAMES), resized(ds, key))


def test_a_longer_trial_added_later(ds, lab):
    ds.soup.cache_frames(SIZE)
    lab("M3/S1/1", n_frames=4 * CLIP_CHUNK + 1)
    ds = ds.soup.add_item("M3")
    assert cached(ds, "M3/S1/1") is None
    ds = ds.soup.cache_frames(SIZE)
    for key in (KEYS[0], "M3/S1/1"):
        reader = cached(ds, key)
        np.testing.assert_array_equal(reader.read(0, reader.n_frames), resized(ds, key))


def test_a_corrected_trials_frames_go_their_mark_first(ds, monkeypatch):
    """Whatever order Zarr lists arrays in."""
    address = ds.attrs["soupxr_store"]
    write = __import__("soupxr.store.zarrs").store.zarrs.write
    for reverse in (False, True):
        ds.soup.cache_frames(SIZE)
        optional = Store.optional
        monkeypatch.setattr(
            Store,
            "optional",
            lambda self, path, reverse=reverse, optional=optional: dict(
                sorted(optional(self, path).items(), reverse=reverse)
            ),
        )

        def dies(array, index, values):
            if array.basename == "pixels":
                raise KeyboardInterrupt
            write(array, index, values)

        monkeypatch.setattr("soupxr.store.membership.write", dies)
        with pytest.raises(KeyboardInterrupt):
            correct_trial(address, KEYS[0], 20, 100.0)
        monkeypatch.undo()
        assert cached(ds) is None
        assert cached(ds, KEYS[1]) is not None
    correct_trial(address, KEYS[0], 20, 100.0)
    assert len(chunks_of(address, "pixels")) == 6
    assert not zarr.open_group(address)["frames/24x40/pixels"][0].any()
