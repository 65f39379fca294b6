"""Review by doubt: what is put first, what a review has covered, and what a store yields."""

from __future__ import annotations

import math
import weakref

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from results import ethogram, labels, probabilities, put_result

from soupxr.dashboard.doubt import (
    Review,
    Stretch,
    TrialDoubt,
    doubtful_stretches,
    frame_doubt,
    rank_stretches,
    rank_trials,
)
from soupxr.dataset import store_of
from soupxr.errors import ArgumentError, StoreError

FPS = 100.0
SHORTEST, LONGEST = 10, 100  # frames, at that rate


def trial_of(probability, said=None, thresholds=0.5, others=(), key="M1/S1/1", fps=FPS):
    probability = np.asarray(probability, np.float32)
    limits = np.broadcast_to(thresholds, probability.shape[1])
    said = (probability > limits).astype(np.int8) if said is None else np.asarray(said, np.int8)
    return TrialDoubt(key, fps, said, probability, limits.tolist(), others)


@st.composite
def trials(draw, longest=260):
    shape = (draw(st.integers(0, longest)), draw(st.integers(1, 3)))
    chance = st.one_of(st.floats(0, 1, width=32), st.just(math.nan))
    mask = st.integers(-1, 1)
    return TrialDoubt(
        "M1/S1/1",
        FPS,
        draw(hnp.arrays(np.int8, shape, elements=mask)),
        draw(hnp.arrays(np.float32, shape, elements=chance)),
        draw(st.lists(st.floats(0, 1), min_size=shape[1], max_size=shape[1])),
        draw(st.lists(hnp.arrays(np.int8, shape, elements=mask), max_size=2)),
    )


# ------------------------------------------------------------------ one frame


def slow_doubt(trial, frame):
    """The sum over behaviors of the mean vote against the label, by its words."""
    total = 0.0
    for k, limit in enumerate(trial.thresholds):
        said, p = int(trial.ethogram[frame, k]), float(trial.probability[frame, k])
        if said < 0:
            continue
        limit = min(max(limit, 0.01), 1 - 1e-6)
        votes = []
        if not math.isnan(p):
            p = p if p in (0, 1) else 1 / (1 + (1 - p) / p * limit / (1 - limit))
            votes.append(1 - p if said else p)
        votes += [float(o[frame, k] != said) for o in trial.others if o[frame, k] >= 0]
        total += sum(votes) / len(votes) if votes else 0.0
    return total


@given(trials(longest=6))
def test_doubt_is_the_mean_vote_against_a_label(trial):
    found = frame_doubt(trial)
    assert found.shape == (len(trial.ethogram),)
    wanted = [slow_doubt(trial, frame) for frame in range(len(found))]
    assert found == pytest.approx(wanted, abs=1e-6)


def test_a_model_that_cannot_tell_is_in_doubt_by_half():
    assert frame_doubt(trial_of([[0.2], [0.7]], thresholds=[0.2])) == pytest.approx(
        [0.5, 1 / (1 + 0.7 / 0.3 * 0.8 / 0.2)]
    )


def test_a_sure_model_is_in_no_doubt():
    assert frame_doubt(trial_of([[0.0, 1.0]])).tolist() == [0.0]


def test_a_bout_that_was_too_short_to_keep_stays_in_doubt():
    probability = np.array([[0.1], [0.8], [0.1]])
    said = np.zeros((3, 1), np.int8)
    assert frame_doubt(trial_of(probability, said)) == pytest.approx([0.1, 0.8, 0.1])


def test_two_sure_modes_that_contradict_each_other_are_in_doubt_by_half():
    agreeing, other = np.int8([[1], [0]]), np.int8([[1], [1]])
    trial = trial_of([[1.0], [0.0]], agreeing, others=[other])
    assert frame_doubt(trial).tolist() == [0.0, 0.5]


def test_a_mode_that_agrees_allays_doubt():
    alone = trial_of([[0.4]])
    backed = trial_of([[0.4]], others=[np.int8([[0]])])
    silent = trial_of([[0.4]], others=[np.int8([[-1]])])
    assert frame_doubt(backed)[0] < frame_doubt(alone)[0] == frame_doubt(silent)[0]


# ------------------------------------------------------------------ stretches


@given(st.lists(trials(), max_size=3))
def test_stretches_divide_all_frames_and_the_most_doubtful_comes_first(several):
    several = [
        TrialDoubt(f"M{i}", t.fps, t.ethogram, t.probability, t.thresholds, t.others)
        for i, t in enumerate(several)
    ]
    found = rank_stretches(several, shortest=SHORTEST / FPS, longest=LONGEST / FPS)
    assert [one.doubt for one in found] == sorted((one.doubt for one in found), reverse=True)
    for trial in several:
        own = sorted((one.start, one.stop) for one in found if one.key == trial.key)
        n_frames = len(trial.ethogram)
        assert [f for start, stop in own for f in range(start, stop)] == list(range(n_frames))
        for start, stop in own:
            assert stop - start >= min(SHORTEST, n_frames)
            assert stop - start <= LONGEST + 2 * SHORTEST
    doubt = {trial.key: frame_doubt(trial) for trial in several}
    for one in found:
        assert one.doubt == pytest.approx(doubt[one.key][one.start : one.stop].mean(), abs=1e-9)


@pytest.mark.parametrize("place", [0, 3, 150, 299])
def test_the_first_stretch_is_around_the_doubt_and_no_longer_than_need_be(place):
    probability = np.zeros((300, 2))
    probability[place] = 0.5
    first, *others = rank_stretches([trial_of(probability)])
    assert first.start <= place < first.stop
    assert first.n_frames < 2 * SHORTEST
    assert all(one.doubt == 0 for one in others)


def test_long_doubt_is_looked_at_in_parts():
    probability = np.zeros((1000, 1))
    probability[200:500] = 0.5
    first = [one for one in rank_stretches([trial_of(probability)]) if one.doubt > 0.4]
    assert (min(one.start for one in first), max(one.stop for one in first)) == (200, 500)
    assert len(first) in (3, 4)


def test_a_trial_shorter_than_a_stretch_is_one():
    assert rank_stretches([trial_of(np.full((4, 1), 0.25))]) == [Stretch("M1/S1/1", 0, 4, 0.25)]
    assert rank_stretches([trial_of(np.zeros((0, 2)))]) == []


def test_lengths_are_seconds_whatever_the_frame_rate():
    probability = np.random.default_rng(0).random((4000, 3)) ** 2
    for fps in (30.0, 500.0):
        found = rank_stretches([trial_of(probability, fps=fps)])
        seconds = [one.n_frames / fps for one in found]
        assert min(seconds) >= 0.1
        assert max(seconds) <= 1.2


@given(st.integers(0, 40))
def test_the_first_of_many_are_the_same(most):
    random = np.random.default_rng(0)
    several = [trial_of(random.random((200, 2)).round(1), key=f"M{i}") for i in range(3)]
    assert rank_stretches(several, most=most) == rank_stretches(several)[:most]


def test_twice_as_many_errors_are_found_as_at_random():
    several, truth = [], {}
    for seed in range(20):
        key, mask = f"M{seed}", labels(600, seed)
        # A model whose certainty comes and goes within a trial.
        noise = 0.2 + 1.8 * (np.sin(np.arange(600) / 40 + seed) > 0.5)[:, None]
        several.append(trial_of(probabilities(mask, seed, noise), key=key))
        truth[key] = mask
    wrong = {t.key: (t.ethogram != truth[t.key]).sum(axis=1) for t in several}
    frames = found = 0
    for one in rank_stretches(several):
        frames += one.n_frames
        found += wrong[one.key][one.start : one.stop].sum()
        if frames >= 0.1 * 600 * 20:
            break
    assert found > 2 * 0.1 * sum(errors.sum() for errors in wrong.values())


def test_trials_are_looked_at_one_after_the_other():
    alive = []

    def one_by_one():
        for key in "abcd":
            trial = trial_of(np.full((50, 1), 0.3), key=key)
            alive.append(weakref.ref(trial))
            yield trial
            del trial
            assert sum(ref() is not None for ref in alive) <= 1

    assert {one.key for one in rank_stretches(one_by_one())} == set("abcd")


def test_trials_with_the_most_errors_a_frame_come_first():
    several = [
        trial_of(np.full((n, 1), p), key=key)
        for key, n, p in (("long", 400, 0.1), ("doubtful", 50, 0.4), ("sure", 50, 0.01))
    ]
    assert rank_trials(rank_stretches(several)) == ["doubtful", "long", "sure"]


def test_lengths_of_no_use_are_refused():
    for shortest, longest in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ArgumentError, match="0 < shortest <= longest"):
            rank_stretches([], shortest=shortest, longest=longest)


# ------------------------------------------------------------------ a store

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1", "M2/S1/2")
LENGTH = 120


@pytest.fixture
def ds(new_store):
    return new_store(*KEYS, n_frames=LENGTH)


def said_of(key, thresholds=(0.5,) * 6):
    p = probabilities(labels(LENGTH, KEYS.index(key)), KEYS.index(key))
    return p, ethogram(p, thresholds, 3)


def test_a_store_yields_what_its_complete_trials_say(ds):
    thresholds = {KEYS[0]: (0.5,) * 6, KEYS[2]: (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}
    for key, limits in thresholds.items():
        put_result(ds, key, said_of(key)[0], thresholds=limits)
    put_result(ds, KEYS[1], said_of(KEYS[1])[0], mode="slow")  # not in the mode
    wanted = [
        TrialDoubt(key, FPS, said_of(key, limits)[1], said_of(key)[0], limits)
        for key, limits in thresholds.items()
    ]
    store = store_of(ds)
    assert doubtful_stretches(store, KEYS, "fast") == rank_stretches(wanted)
    assert doubtful_stretches(store, KEYS, "fast", most=3) == rank_stretches(wanted)[:3]
    assert doubtful_stretches(store, [KEYS[2]], "fast") == rank_stretches(wanted[1:])
    assert doubtful_stretches(store, KEYS, "medium") == []


def test_other_modes_are_held_against_it(ds):
    key = KEYS[3]
    probability, said = said_of(key)
    put_result(ds, key, probability)
    contrary = np.where(np.arange(LENGTH)[:, None] < 60, 1 - said, said).astype(np.float32)
    put_result(ds, key, contrary, mode="medium", minimum_bout=0)
    put_result(ds, key, probability, mode="slow")
    others = [contrary.astype(np.int8), said]
    wanted = [TrialDoubt(key, FPS, said, probability, (0.5,) * 6, others)]
    found = doubtful_stretches(store_of(ds), KEYS, "fast")
    assert found == rank_stretches(wanted)
    assert found[0].stop <= 70


def test_a_trial_that_is_gone_is_told(ds):
    with pytest.raises(StoreError, match="M9/S1/1"):
        doubtful_stretches(store_of(ds), ["M9/S1/1"], "fast")
    with pytest.raises(ArgumentError, match="mode"):
        doubtful_stretches(store_of(ds), KEYS, "quick")


# ------------------------------------------------------------------ a review

FOUR = [Stretch("a", 0, 10, 2.0), Stretch("b", 5, 35, 1.0), Stretch("a", 10, 30, 0.5)]


def test_a_review_goes_by_rank_and_counts_what_it_has_left():
    review = Review(FOUR)
    assert review.current is None
    assert review.next() == FOUR[0] == review.current
    assert (review.stretches_done, review.frames_done, review.errors_done) == (0, 0, 0)
    assert review.next() == FOUR[1]
    assert review.stretches_done == pytest.approx(1 / 3)
    assert review.frames_done == pytest.approx(10 / 60)
    assert review.errors_done == pytest.approx(20 / 60)


def test_a_review_is_done_when_its_last_stretch_is_left():
    review = Review(FOUR)
    for wanted in FOUR:
        assert review.next() == wanted
    assert review.stretches_done < 1
    assert review.next() is None
    assert review.current == FOUR[-1]
    done = (review.stretches_done, review.frames_done, review.errors_done)
    assert done == pytest.approx((1, 1, 1))


@given(st.lists(st.sampled_from([1, -1]), max_size=12))
def test_a_review_against_a_list_and_a_set(steps):
    review, place, seen = Review(FOUR), -1, set()
    for step in steps:
        if step == 1 and place >= 0:
            seen.add(place)
        inside = 0 <= place + step < len(FOUR)
        place = place + step if inside else place
        assert review.next(step) == (FOUR[place] if inside else None)
        assert review.current == (FOUR[place] if place >= 0 else None)
        assert review.stretches_done == len(seen) / len(FOUR)


def test_nothing_to_review():
    review = Review([])
    assert review.next() is None
    assert (review.stretches_done, review.frames_done, review.errors_done) == (0, 0, 0)
    with pytest.raises(ArgumentError, match="step: expected 1 or -1"):
        review.next(0)
