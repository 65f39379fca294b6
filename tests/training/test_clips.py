"""Clips are the very frames that were asked for, in order, whatever fails or stops on the way."""

import threading
import time
import warnings
from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

import soupxr as sx
from soupxr.errors import SoupWarning, TrainingError, VideoError
from soupxr.framecache import open_cached
from soupxr.inference.preprocess import Preprocessing
from soupxr.store import Store
from soupxr.training.clips import LOOK_AHEAD, Clips, VideoClips, in_order, random_batches
from soupxr.training.gather import LabelledTrial, Material, open_clips

EDGE = np.array([201, 202, 203], np.uint8)
SIZE = (2, 3)


class FakeReader:
    """Pixels that say which trial and frame they are; notes what is read, and can fail."""

    def __init__(self, trial, n_frames, *, fails=None, slow=0.0):
        self.trial, self.n_frames = trial, n_frames
        self.fails = fails or (lambda start, stop: False)
        self.slow = slow
        self.spans = []

    def read(self, start, stop):
        assert 0 <= start < stop <= self.n_frames
        self.spans.append((start, stop))
        time.sleep(self.slow)
        if self.fails(start, stop):
            raise VideoError(f"trial{self.trial}.mp4: damaged")
        frames = np.empty((stop - start, *SIZE, 3), np.uint8)
        frames[:] = np.stack([picture(self.trial, t) for t in range(start, stop)])
        return frames


def picture(trial, frame):
    """What such a frame looks like."""
    values = np.empty((*SIZE, 3), np.uint8)
    values[..., 0], values[..., 1], values[..., 2] = trial, frame, np.arange(6).reshape(SIZE)
    return values


def label(trial, frame):
    return [(trial + frame) % 2, (trial * 3 + frame) % 3 - 1]


def clips(trial, n_frames, *, labelled=True, **settings):
    labels = np.array([label(trial, t) for t in range(n_frames)], np.int8)
    reader = FakeReader(trial, n_frames, **settings)
    return Clips(f"M1/S1/{trial}", n_frames, SIZE, reader, labels if labelled else None)


def slow_span(trial, n_frames, start, stop):
    flat = np.broadcast_to(EDGE, (*SIZE, 3))
    return np.stack([picture(trial, t) if 0 <= t < n_frames else flat for t in range(start, stop)])


def places(*pairs):
    return np.array(pairs, np.int64)


# ---------------------------------------------------------------- windows


@given(st.integers(1, 20), st.integers(-5, 25), st.integers(1, 13))
def test_a_window_is_filled_with_the_edge_beyond_either_end(n_frames, center, window):
    frames = clips(7, n_frames).window(center, window, EDGE)
    start = center - window // 2
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, slow_span(7, n_frames, start, start + window))


@given(st.integers(1, 12), st.integers(-30, 30), st.integers(1, 40))
def test_a_span_may_lie_anywhere_and_reads_nothing_that_is_not_there(n_frames, start, length):
    trial = clips(3, n_frames)
    frames = trial.span(start, start + length, EDGE)
    np.testing.assert_array_equal(frames, slow_span(3, n_frames, start, start + length))
    there = [t for t in range(start, start + length) if 0 <= t < n_frames]
    assert trial.reader.spans == ([(there[0], there[-1] + 1)] if there else [])


# ---------------------------------------------------------------- at random


@settings(max_examples=40)
@given(st.data(), st.integers(1, 5), st.integers(1, 6), st.sampled_from([1, 4, 5]))
def test_random_batches_are_the_frames_asked_for_in_order(data, threads, n_batches, window):
    trials = [clips(t, n) for t, n in enumerate((3, 9, 14))]
    place = st.sampled_from(
        [(t, f) for t, trial in enumerate(trials) for f in range(trial.n_frames)]
    )
    batches = [
        places(*data.draw(st.lists(place, min_size=1, max_size=5))) for _ in range(n_batches)
    ]
    found = list(random_batches(trials, batches, window, EDGE, threads))
    assert len(found) == n_batches
    for batch, wanted in zip(found, batches, strict=True):
        assert batch.places == tuple((trials[t].key, f) for t, f in wanted.tolist())
        assert len(batch) == len(wanted)
        assert batch.labels.dtype == torch.int8
        assert batch.labels.tolist() == [label(t, f) for t, f in wanted.tolist()]
        for frames, (trial, frame) in zip(batch.frames.numpy(), wanted.tolist(), strict=True):
            start = frame - window // 2
            oracle = slow_span(trial, trials[trial].n_frames, start, start + window)
            np.testing.assert_array_equal(frames, oracle)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_slow_readers_do_not_mix_up_the_order(threads):
    trials = [clips(0, 30, slow=0.004), clips(1, 30), clips(2, 30, slow=0.001)]
    random = np.random.default_rng(0)
    batches = list(random.integers((0, 0), (3, 30), (8, 4, 2)))
    found = list(random_batches(trials, batches, 3, EDGE, threads))
    assert [b.places for b in found] == [
        tuple((f"M1/S1/{t}", f) for t, f in batch.tolist()) for batch in batches
    ]
    for batch, wanted in zip(found, batches, strict=True):
        assert batch.frames[:, 1, 0, 0, :2].tolist() == wanted.tolist()


def test_without_labels_there_are_none():
    (batch,) = random_batches([clips(0, 5, labelled=False)], [places((0, 1))], 1, EDGE, 1)
    assert batch.labels is None


def test_no_batches_are_no_work():
    assert list(random_batches([clips(0, 5)], [], 3, EDGE, 2)) == []


def test_a_batch_tells_which_frames_it_has():
    (batch,) = random_batches(
        [clips(0, 5), clips(1, 5)], [places((0, 3), (1, 4), (0, 1))], 3, EDGE, 2
    )
    assert batch.told() == "M1/S1/0 frames [1, 3]; M1/S1/1 frames [4]"
    moved = batch.to(torch.device("cpu"))
    assert moved.places == batch.places
    assert torch.equal(moved.frames, batch.frames)


def always(start, stop):
    return True


@pytest.mark.parametrize("threads", [1, 4])
def test_a_bad_video_is_replaced_from_its_batch_and_told_once(threads):
    trials = [clips(0, 20), clips(1, 20, fails=always), clips(2, 20)]
    batches = [
        places((0, 1), (1, 2), (2, 3), (1, 4)),
        places((1, 5), (0, 6), (1, 7), (1, 8)),
        places((2, 9), (2, 10), (0, 11), (0, 12)),
    ]
    with pytest.warns(SoupWarning) as told:
        found = list(random_batches(trials, batches, 3, EDGE, threads))
    assert len(told) == 1
    assert "M1/S1/1" in str(told[0].message)
    assert "damaged" in str(told[0].message)
    assert "without this trial" in str(told[0].message)
    assert trials[1].fault == "trial1.mp4: damaged"
    assert trials[0].fault is trials[2].fault is None
    good = [{("M1/S1/0", 1), ("M1/S1/2", 3)}, {("M1/S1/0", 6)}]
    assert [set(batch.places) for batch in found[:2]] == good
    assert found[2].places == (
        ("M1/S1/2", 9),
        ("M1/S1/2", 10),
        ("M1/S1/0", 11),
        ("M1/S1/0", 12),
    )
    for batch in found:
        assert len(batch) == len(batch.frames) == len(batch.labels) == 4
        for frames, row, (key, frame) in zip(
            batch.frames, batch.labels.tolist(), batch.places, strict=True
        ):
            trial = int(key[-1])
            assert frames[1, 0, 0, :2].tolist() == [trial, frame]
            assert row == label(trial, frame)


def test_a_trial_that_was_found_bad_is_not_read_again():
    trials = [clips(0, 20), clips(1, 20, fails=always)]
    batches = [places((0, t), (1, t)) for t in range(12)]
    with pytest.warns(SoupWarning):
        list(random_batches(trials, batches, 1, EDGE, 1))
    # The look-ahead may have read some more of it, the epochs after that none.
    before = len(trials[1].reader.spans)
    assert before <= LOOK_AHEAD
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = list(random_batches(trials, batches, 1, EDGE, 1))
    assert len(again) == 12
    assert len(trials[1].reader.spans) == before


def test_a_video_that_ends_early_is_left_out_from_there():
    trials = [clips(0, 20), clips(1, 20, fails=lambda start, stop: stop > 10)]
    batches = [places((1, 2), (0, 2)), places((1, 15), (0, 3)), places((1, 3), (0, 4))]
    with pytest.warns(SoupWarning, match="M1/S1/1"):
        found = list(random_batches(trials, batches, 1, EDGE, 1))
    assert ("M1/S1/1", 15) not in found[1].places
    assert [len(batch) for batch in found] == [2, 2, 2]


def test_a_batch_of_bad_videos_alone_is_replaced_by_the_one_before():
    trials = [clips(0, 20), clips(1, 20, fails=always)]
    batches = [places((0, 1), (0, 2)), places((1, 1), (1, 2)), places((0, 3), (0, 4))]
    with pytest.warns(SoupWarning):
        found = list(random_batches(trials, batches, 1, EDGE, 2))
    assert found[1].places == found[0].places
    assert found[2].places == (("M1/S1/0", 3), ("M1/S1/0", 4))


def test_bad_videos_first_are_replaced_by_the_good_ones_that_follow():
    trials = [clips(0, 20), clips(1, 20, fails=always), clips(2, 20, fails=always)]
    batches = [places((1, 1), (1, 2), (2, 1)), places((2, 1)), places((0, 3), (1, 4))]
    with pytest.warns(SoupWarning):
        found = list(random_batches(trials, batches, 1, EDGE, 2))
    assert [len(batch) for batch in found] == [3, 1, 2]
    assert {place for batch in found for place in batch.places} == {("M1/S1/0", 3)}


def test_where_no_video_can_be_read_training_cannot_go_on():
    trials = [clips(0, 20, fails=always), clips(1, 20, fails=always)]
    batches = [places((0, 1), (1, 2)), places((0, 3), (1, 4))]
    with pytest.warns(SoupWarning) as told, pytest.raises(TrainingError, match="can be read"):
        list(random_batches(trials, batches, 1, EDGE, 2))
    assert sorted(str(w.message)[:6] for w in told) == ["M1/S1/", "M1/S1/"]


def test_a_mistake_of_ours_is_not_taken_for_a_bad_video():
    trial = clips(0, 5)
    trial.reader.read = lambda start, stop: 1 / 0
    with pytest.raises(ZeroDivisionError):
        list(random_batches([trial], [places((0, 1))], 1, EDGE, 1))
    assert trial.fault is None


def our_threads():
    return [t for t in threading.enumerate() if t.name.startswith("soupxr-clips")]


def test_threads_end_with_the_loop_and_read_little_ahead_of_it():
    trial = clips(0, 200, slow=0.001)
    batches = [places((0, t), (0, t + 100)) for t in range(100)]
    with closing(random_batches([trial], batches, 1, EDGE, 3)) as stream:
        for _, batch in zip(range(2), stream, strict=False):
            assert len(batch) == 2
        assert our_threads()
    assert not our_threads()
    assert len(trial.reader.spans) <= 2 * (2 + LOOK_AHEAD)


def test_threads_end_when_all_is_read():
    list(random_batches([clips(0, 9)], [places((0, 1))] * 5, 1, EDGE, 4))
    assert not our_threads()


def test_batches_are_read_ahead_of_use():
    trial = clips(0, 50)
    with closing(random_batches([trial], [places((0, t)) for t in range(20)], 1, EDGE, 1)) as b:
        next(b)
        deadline = time.monotonic() + 30
        while len(trial.reader.spans) < LOOK_AHEAD and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(trial.reader.spans) == LOOK_AHEAD


# ---------------------------------------------------------------- in order


@settings(max_examples=150)
@given(
    st.lists(st.integers(1, 25), min_size=1, max_size=3),
    st.integers(1, 12),
    st.integers(1, 13),
    st.booleans(),
)
def test_blocks_hold_the_windows_that_are_formed_one_by_one(lengths, size, window, labelled):
    trials = [clips(t, n, labelled=labelled) for t, n in enumerate(lengths)]
    wanted = [(t, f) for t, n in enumerate(lengths) for f in range(n)]
    seen = []
    for batch in in_order(trials, size, window, EDGE):
        assert 1 <= len(batch) <= size
        assert len(batch.frames) == len(batch) + window - 1
        for row, (key, frame) in enumerate(batch.places):
            trial = int(key[-1])
            seen.append((trial, frame))
            oracle = clips(trial, lengths[trial]).window(frame, window, EDGE)
            note(f"{key} frame {frame} of {lengths[trial]}")
            np.testing.assert_array_equal(batch.frames[row : row + window], oracle)
            if labelled:
                assert batch.labels[row].tolist() == label(trial, frame)
        assert (batch.labels is None) == (not labelled)
    assert seen == wanted
    for trial in trials:
        read = [t for start, stop in trial.reader.spans for t in range(start, stop)]
        assert read == list(range(trial.n_frames))


def test_a_trial_that_fails_half_way_is_left_and_the_next_one_comes():
    trials = [clips(0, 20, fails=lambda start, stop: stop > 12), clips(1, 6), clips(2, 4)]
    with pytest.warns(SoupWarning, match="M1/S1/0") as told:
        found = list(in_order(trials, 5, 3, EDGE))
    assert len(told) == 1
    assert trials[0].fault
    assert [batch.places[0] for batch in found] == [
        ("M1/S1/0", 0),
        ("M1/S1/0", 5),
        ("M1/S1/1", 0),
        ("M1/S1/1", 5),
        ("M1/S1/2", 0),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = list(in_order(trials, 5, 3, EDGE))
    assert {key for batch in again for key, _ in batch.places} == {"M1/S1/1", "M1/S1/2"}


# ---------------------------------------------------------------- video and cache


@pytest.mark.parametrize("style", ["antialias", "plain"])
def test_videos_give_the_pixels_that_the_cache_gives(new_store, style):
    ds = new_store("M1/S1/1", "M1/S1/2", n_frames=21)
    store = Store(ds.attrs["soupxr_store"])
    preprocessing = Preprocessing((24, 40), style, (0.5,) * 3, (0.25,) * 3)
    labelled = [LabelledTrial(trial) for trial in store.trials(["M1/S1/1", "M1/S1/2"])]
    material = Material(ds, labelled)
    from_video = open_clips(material, labelled, preprocessing)
    assert all(isinstance(trial.reader, VideoClips) for trial in from_video)
    ds.soup.cache_frames((24, 40), preprocessing=style)
    from_cache = open_clips(material, labelled, preprocessing)
    for video, cached in zip(from_video, from_cache, strict=True):
        assert not isinstance(cached.reader, VideoClips)
        assert (video.key, video.n_frames, video.size) == (cached.key, 21, (24, 40))
        whole = open_cached(store, video.key, (24, 40), style).read(0, 21)
        assert whole.std() > 20
        np.testing.assert_array_equal(video.reader.read(0, 21), whole)
        for start, stop in ((0, 1), (5, 16), (20, 21)):
            np.testing.assert_array_equal(video.reader.read(start, stop), whole[start:stop])
        for center in (0, 10, 20):
            np.testing.assert_array_equal(
                video.window(center, 11, EDGE), cached.window(center, 11, EDGE)
            )


def test_clips_of_a_video_that_went_away_are_told_of(new_store):
    ds = new_store("M1/S1/1", "M1/S1/2")
    store = Store(ds.attrs["soupxr_store"])
    material = Material(ds, [LabelledTrial(t) for t in store.trials(store.keys())])
    preprocessing = Preprocessing((32, 32), "antialias", (0.5,) * 3, (0.25,) * 3)
    (material.root / material.trials[0].trial.video_paths[0]).unlink()
    with pytest.warns(SoupWarning, match=r"1 trial\(s\) cannot be read.*\n.*M1/S1/1"):
        (left,) = open_clips(material, material.trials, preprocessing)
    assert left.key == "M1/S1/2"
    (material.root / material.trials[1].trial.video_paths[1]).write_bytes(b"no film")
    with pytest.raises(TrainingError, match="M1/S1/2"):
        open_clips(material, material.trials, preprocessing)
    assert sx.open(store.address).sizes["trial"] == 2
