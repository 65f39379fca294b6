"""Which frames an epoch sees, how often, and when training is over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from soupxr.training.schedule import (
    LOWEST_LR,
    Schedule,
    epoch_batches,
    evenly_spaced,
    oversampling_weights,
)


def schedule(batch_size=4, training_steps=1000, seed=0, stop_method="learning_rate"):
    return Schedule(
        batch_size=batch_size,
        initial_lr=1e-4,
        stop_method=stop_method,
        max_epochs=10,
        patience=3,
        training_steps=training_steps,
        seed=seed,
    )


def places(count):
    """Distinct (trial, frame), ten frames a trial."""
    return np.stack([np.arange(count) // 10, np.arange(count) % 10 + 100], axis=1)


def rows(batches):
    return [tuple(row) for batch in batches for row in batch.tolist()]


# ---------------------------------------------------------------- batches


@given(
    st.integers(1, 60),
    st.integers(1, 12),
    st.integers(1, 8),
    st.integers(0, 9),
    st.integers(0, 5),
)
def test_each_frame_at_most_once_in_whole_batches_up_to_the_cap(count, size, steps, seed, epoch):
    there = places(count)
    batches = epoch_batches(there, schedule(size, steps, seed), epoch)
    assert len(batches) == min(steps, max(count // size, 1))
    assert {len(batch) for batch in batches} == {min(size, count)}
    drawn = rows(batches)
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(rows([there]))


@settings(max_examples=30)
@given(st.integers(0, 100), st.integers(0, 20))
def test_an_epoch_is_a_matter_of_seed_and_number_alone(seed, epoch):
    there = places(50)
    first = rows(epoch_batches(there, schedule(seed=seed), epoch))
    np.random.seed(epoch)  # noqa: NPY002 - whatever happened before plays no part
    epoch_batches(there, schedule(seed=seed), epoch + 1)
    assert rows(epoch_batches(there, schedule(seed=seed), epoch)) == first
    assert rows(epoch_batches(there, schedule(seed=seed), epoch + 1)) != first
    assert rows(epoch_batches(there, schedule(seed=seed + 1), epoch)) != first


def test_seed_and_epoch_do_not_stand_in_for_each_other():
    there = places(50)
    orders = {
        tuple(rows(epoch_batches(there, schedule(seed=seed), epoch)))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_a_capped_epoch_sees_frames_from_everywhere():
    seen = np.zeros(200)
    for epoch in range(200):
        for batch in epoch_batches(np.arange(400).reshape(200, 2), schedule(10, 2), epoch):
            seen[batch[:, 0] // 2] += 1
    # 20 of 200 an epoch: each 20 times, give or take 5 standard deviations.
    assert seen.sum() == 200 * 20
    assert np.abs(seen - 20).max() < 5 * np.sqrt(20 * 0.9)


def test_weighted_frames_come_as_often_as_they_weigh():
    weights = np.array([0.0, 1.0, 2.0, 5.0, 12.0])
    there = np.stack([np.arange(5), np.arange(5)], axis=1)
    many = np.repeat(there, 400, axis=0)
    counts = np.zeros(5)
    for epoch in range(20):
        batches = epoch_batches(many, schedule(50), epoch, np.repeat(weights, 400))
        assert [len(batch) for batch in batches] == [50] * 40
        counts += np.bincount(np.concatenate(batches)[:, 0], minlength=5)
    wanted = weights / weights.sum() * counts.sum()
    assert counts[0] == 0
    # 40,000 draws: within 4 standard deviations.
    assert (np.abs(counts - wanted) <= 4 * np.sqrt(wanted)).all()


def test_weighted_epochs_are_repeatable_and_differ():
    there, weights = places(50), np.linspace(1, 3, 50)
    first, again, other = (
        rows(epoch_batches(there, schedule(seed=3), epoch, weights)) for epoch in (0, 0, 1)
    )
    assert first == again
    assert first != other


@given(st.integers(0, 80), st.integers(1, 40))
def test_evenly_spaced_places_span_all_in_equal_steps(count, most):
    there = places(count)
    chosen = evenly_spaced(there, most)
    at = [rows([there]).index(row) for row in rows([chosen])]
    assert len(at) == min(count, most)
    assert at == sorted(set(at))
    if count <= most:
        assert at == list(range(count))
    elif most > 1:
        assert (at[0], at[-1]) == (0, count - 1)
        steps = np.diff(at)
        assert steps.max() - steps.min() <= 2


# ---------------------------------------------------------------- rare classes


def slow_weights(labels, exponent):
    """Frame by frame and class by class, as SPEC.md says it."""
    n_frames, n_classes = labels.shape
    weight = {}
    for k in range(n_classes):
        part = sum(labels[t, k] == 1 for t in range(n_frames)) / n_frames
        if part:
            weight[k] = (1 / part) ** exponent
    out = []
    for t in range(n_frames):
        there = [weight[k] for k in range(n_classes) if labels[t, k] == 1]
        out.append(sum(there) if there else min(weight.values(), default=1.0))
    return out


label_arrays = hnp.arrays(
    np.int8,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.integers(-1, 1),
)


@given(label_arrays, st.sampled_from([0.25, 0.5, 1.0, 2.0]))
def test_oversampling_weights(labels, exponent):
    np.testing.assert_allclose(
        oversampling_weights(labels, exponent), slow_weights(labels, exponent), rtol=1e-9
    )


def test_frames_without_a_known_class_weigh_as_the_commonest():
    labels = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], np.int8)
    assert oversampling_weights(labels, 1.0).tolist() == [2.0, 2.0, 4.0, 2.0]


def test_an_exponent_of_one_draws_exclusive_classes_alike():
    labels = np.zeros((1000, 3), np.int8)
    labels[:, 0] = 1
    labels[:90], labels[90:100] = (0, 1, 0), (0, 0, 1)
    weights = oversampling_weights(labels, 1.0)
    assert [weights[labels[:, k] == 1].sum() for k in range(3)] == pytest.approx([1000] * 3)


def test_no_exponent_no_weights():
    assert oversampling_weights(np.ones((3, 2), np.int8), 0.0) is None


# ---------------------------------------------------------------- the end


def test_training_is_over_when_the_learning_rate_is_at_its_lowest():
    by_rate = schedule(stop_method="learning_rate")
    assert not by_rate.is_over(7, 1e-4)
    assert not by_rate.is_over(7, 1e-6)
    assert by_rate.is_over(7, LOWEST_LR)
    assert by_rate.is_over(7, 5.0000001e-7)
    assert by_rate.is_over(1, LOWEST_LR)
    assert not by_rate.is_over(0, LOWEST_LR)


def test_a_number_of_epochs_does_not_heed_the_learning_rate():
    assert not schedule(stop_method="num_epochs").is_over(7, LOWEST_LR)
