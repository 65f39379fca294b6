"""Lazy arrays of frames: what is in them, in what blocks, and what computing them costs."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys

import dask
import numpy as np
import pytest

from soupxr.errors import ArgumentError, VideoError
from soupxr.video import VideoReader, as_dataarray, lazy_frames, probe


def _whole(path, n_frames=90) -> np.ndarray:
    with VideoReader(path) as reader:
        return reader.read(0, n_frames)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_one_view_is_the_video(scheduler, clip):
    path = clip("plain.mp4")
    frames = lazy_frames([path], 90, block=16)
    assert frames.shape == (90, 64, 96, 3)
    assert frames.dtype == np.uint8
    assert frames.chunks[0] == (16,) * 5 + (10,)
    np.testing.assert_array_equal(frames.compute(scheduler=scheduler), _whole(path))


def test_views_lie_side_by_side_in_their_order(clip):
    side, front = clip("vfr.mp4"), clip("plain.mp4")
    n_frames = probe(side).n_frames
    joined = lazy_frames([side, front], n_frames, block=16).compute()
    assert joined.shape == (n_frames, 64, 192, 3)
    np.testing.assert_array_equal(joined[:, :, :96], _whole(side, n_frames))
    np.testing.assert_array_equal(joined[:, :, 96:], _whole(front, n_frames))


def test_shorter_pictures_are_padded_below_with_black(clip, monkeypatch):
    monkeypatch.setattr("soupxr.video.frames.STRIP_BYTES", 7 * 96 * 64 * 3)
    paths = [clip("plain.mp4"), clip("other_size.mp4")]
    joined = lazy_frames(paths, 90, join="pad", block=32).compute()
    assert joined.shape == (90, 64, 160, 3)
    np.testing.assert_array_equal(joined[:, :, :96], _whole(paths[0]))
    np.testing.assert_array_equal(joined[:, :48, 96:], _whole(paths[1]))
    assert not joined[:, 48:, 96:].any()


def test_heights_must_be_equal_unless_padded(clip):
    paths = [clip("plain.mp4"), clip("other_size.mp4")]
    with pytest.raises(VideoError, match=r"one height .* got 64 \(.*plain.* 48 \(.*join=\"pad\""):
        lazy_frames(paths, 90)


def test_a_video_shorter_than_the_trial(clip):
    with pytest.raises(VideoError, match=r"plain\.mp4: expected 91 frames, but the video has 90"):
        lazy_frames([clip("plain.mp4")], 91)


def test_a_bad_video_is_named(clip, tmp_path):
    with pytest.raises(VideoError, match=r"gone\.mp4: expected a video"):
        lazy_frames([clip("plain.mp4"), tmp_path / "gone.mp4"], 90)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"join": "left"}, "join: expected 'equal' or 'pad', but got 'left'"),
        ({"block": 0}, "block: expected a number of frames from 1, but got 0"),
        ({"paths": []}, "paths: expected a list of one or more paths"),
        ({"paths": "a.mp4"}, "paths: expected a list of one or more paths"),
        ({"infos": []}, "infos: expected 1 of them"),
    ],
)
def test_arguments_that_make_no_sense(wrong, message, clip):
    arguments = {"paths": [clip("plain.mp4")], "n_frames": 90} | wrong
    with pytest.raises(ArgumentError, match=message):
        lazy_frames(**arguments)


def test_blocks_are_bounded_in_bytes_and_in_frames(clip, monkeypatch):
    path = clip("longer.mp4")
    assert lazy_frames([path], 240).chunks[0] == (64, 64, 64, 48)
    monkeypatch.setattr("soupxr.video.frames.BLOCK_BYTES", 10 * 64 * 192 * 3)
    assert lazy_frames([path, path], 25).chunks[0] == (10, 10, 5)
    monkeypatch.setattr("soupxr.video.frames.BLOCK_BYTES", 1)
    assert lazy_frames([path], 3).chunks[0] == (1, 1, 1)


def test_facts_that_are_known_are_not_probed_again(clip, monkeypatch):
    info = probe(clip("plain.mp4"))
    monkeypatch.delattr("soupxr.video.frames.probe_many")
    assert lazy_frames([info.path], 90, [info]).shape == (90, 64, 96, 3)


def test_the_graph_holds_no_frames_and_no_files(clip, running):
    path = clip("longer.mp4")
    frames = lazy_frames([path], 240, block=1)
    frames[:2].compute()
    assert len(pickle.dumps(dict(frames.__dask_graph__()))) < 20_000
    twin = pickle.loads(pickle.dumps(frames))
    np.testing.assert_array_equal(twin[5:7].compute(), frames[5:7].compute())


def test_names_tell_videos_apart(clip, tmp_path):
    path = tmp_path / "trial.mp4"
    shutil.copy(clip("plain.mp4"), path)
    first = lazy_frames([path], 90)
    assert first.name == lazy_frames([path], 90).name
    assert first.name != lazy_frames([path], 80).name
    assert first.name != lazy_frames([path], 90, block=3).name
    shutil.copy(clip("longer.mp4"), path)
    assert first.name != lazy_frames([path], 90).name


# ------------------------------------------------------------------ the cost of computing


def _mean(frames):
    return frames.mean(axis=(1, 2, 3))


def _change(frames):
    return _mean(frames[1:].astype("int16") - frames[:-1])


@pytest.mark.parametrize(
    "of", [lambda f: f, _mean, _change, lambda f: f.mean()], ids=["all", "mean", "change", "one"]
)
def test_blocks_computed_together_need_one_decoder(of, clip, starts, running):
    of(lazy_frames([clip("longer.mp4")], 240, block=16)).compute(scheduler="synchronous")
    assert starts == [0]
    assert not running()


def test_a_part_needs_what_is_in_it_only(clip, starts):
    frames = lazy_frames([clip("longer.mp4")], 240, block=16)
    frames[100:200].compute(scheduler="synchronous")
    assert starts == [96]


def test_two_views_need_a_decoder_each(clip, starts):
    paths = [clip("longer.mp4"), clip("plain.mp4")]
    lazy_frames(paths, 90, block=16).compute(scheduler="synchronous")
    assert starts == [0, 0]


def test_blocks_computed_one_by_one_do_not_wait_for_those_before(clip, starts, running):
    frames = lazy_frames([clip("longer.mp4")], 240, block=16)
    graph = frames.blocks[12].__dask_graph__().cull(set(frames.blocks[12].__dask_keys__()[0][0][0]))
    assert len(dict(graph)) < 5
    for index in range(frames.numblocks[0]):
        frames.blocks[index].compute(scheduler="synchronous")
    assert starts == [0]
    for delayed in frames.to_delayed().ravel()[3:5]:
        dask.compute(delayed, scheduler="synchronous")
    assert starts == [0, 48]


def test_the_last_block_of_a_trial_ends_its_decoder(clip, running):
    """Even where the file goes on."""
    frames = lazy_frames([clip("longer.mp4")], 100, block=50)
    frames.compute(scheduler="synchronous")
    assert not running()


def test_threads_get_the_same_frames(clip, starts):
    path = clip("longer.mp4")
    frames = lazy_frames([path], 240, block=8).compute(scheduler="threads", num_workers=4)
    np.testing.assert_array_equal(frames, _whole(path, 240))
    assert len(starts) < 30  # of 30 blocks


def test_an_error_reaches_the_caller(clip, tmp_path):
    path = tmp_path / "trial.mp4"
    shutil.copy(clip("plain.mp4"), path)
    frames = lazy_frames([path], 90, block=16)
    path.unlink()
    with pytest.raises(VideoError, match="no file of that name"):
        frames.compute()


@pytest.mark.slow
def test_workers_of_a_cluster_get_the_same_frames(clip):
    distributed = pytest.importorskip("distributed")
    path = clip("longer.mp4")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster),
    ):
        frames = lazy_frames([path], 240, block=16)
        np.testing.assert_array_equal(frames.compute(), _whole(path, 240))
        got = (frames.astype("float32") / 2)[30:170:7].compute()
        np.testing.assert_array_equal(got, _whole(path, 240)[30:170:7].astype("float32") / 2)


# ------------------------------------------------------------------ labels


def test_labels(clip):
    path = clip("plain.mp4")
    video = as_dataarray([path, path], 90, views=["side", "front"])
    assert video.name == "video"
    assert video.dims == ("frame", "y", "x", "channel")
    assert video.attrs == {"fps": 30.0, "views": ["side", "front"]}
    assert video.channel.values.tolist() == ["red", "green", "blue"]
    assert video.time.attrs == {"units": "s"}
    assert float(video.time[30]) == 1.0
    assert isinstance(video.data, dask.array.Array)
    np.testing.assert_array_equal(video.sel(frame=40).values[:, :96], _whole(path)[40])


def test_rate_and_views_may_be_given_or_found(clip):
    video = as_dataarray([clip("plain.mp4")], 90, fps=250)
    assert float(video.time[-1]) == 89 / 250
    assert video.attrs == {"fps": 250.0, "views": ["plain.mp4"]}
    with pytest.raises(ArgumentError, match="views: expected 1 names"):
        as_dataarray([clip("plain.mp4")], 90, views=["side", "front"])


def test_importing_is_light():
    code = (
        "import sys, soupxr.video; "
        "print([m for m in ('torch', 'panel', 'dask.array', 'xarray', 'zarr') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in out.stdout
    assert "panel" not in out.stdout
