"""Calibration: a slow oracle, and temperatures that are known."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soupxr.errors import ArgumentError
from soupxr.metrics import expected_calibration_error, fit_temperature, temperature_scaled


def slow_error(label, probability, bins):
    total = 0.0
    for k in range(bins):
        inside = [
            (y, p)
            for y, p in zip(label, probability, strict=True)
            if min(int(float(p) * bins), bins - 1) == k
        ]
        if inside:
            rate, mean = (np.mean([pair[side] for pair in inside]) for side in (0, 1))
            total += len(inside) * abs(rate - mean)
    return total / len(label)


@settings(max_examples=80)
@given(st.data())
def test_the_error_is_that_of_a_loop(data):
    n = data.draw(st.integers(1, 40))
    bins = data.draw(st.integers(1, 20))
    label = data.draw(hnp.arrays(bool, n))
    probability = data.draw(hnp.arrays(float, n, elements=st.floats(0, 1)))
    got = expected_calibration_error(label, probability, bins)
    assert got == pytest.approx(slow_error(label, probability, bins), abs=1e-12)


def test_perfect_and_worst():
    assert expected_calibration_error([1, 0, 1, 0], [0.5] * 4) == 0.0
    assert expected_calibration_error([1, 0], [0.0, 1.0]) == 1.0
    assert np.isnan(expected_calibration_error([], []))


def sample(temperature, n=40_000, seed=0):
    """Labels drawn from probabilities, and these made too sure (or unsure) by a factor."""
    random = np.random.default_rng(seed)
    logits = random.normal(-0.5, 1.5, n)
    label = random.random(n) < 1 / (1 + np.exp(-logits))
    return label, (1 / (1 + np.exp(-logits * temperature))).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5, 6.0])
def test_the_temperature_that_was_put_in_comes_out(temperature):
    label, probability = sample(temperature)
    found = fit_temperature(label, probability)
    assert found == pytest.approx(temperature, rel=0.05)
    before = expected_calibration_error(label, probability)
    after = expected_calibration_error(label, temperature_scaled(probability, found))
    assert after < 0.012
    assert after <= before + 0.002


def likelihood(label, probability, temperature):
    logits = np.log(probability / (1 - probability)) / temperature
    return np.mean(np.logaddexp(0, np.where(label, -logits, logits)))


@settings(max_examples=60)
@given(st.data())
def test_no_temperature_is_likelier(data):
    n = data.draw(st.integers(4, 60))
    label = data.draw(hnp.arrays(bool, n))
    probability = data.draw(hnp.arrays(float, n, elements=st.floats(0.01, 0.99)))
    found = fit_temperature(label, probability)
    if label.all() or not label.any():
        assert np.isnan(found)
        return
    best = likelihood(label, probability, found)
    for other in np.geomspace(0.05, 20, 60):
        assert best <= likelihood(label, probability, other) + 1e-9


def test_what_is_separated_or_inverted_ends_at_a_bound():
    assert fit_temperature([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == 0.05
    assert fit_temperature([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]) == 20.0


def test_a_temperature_of_one_changes_nothing():
    probability = np.array([0.0, 0.2, 0.5, 0.999, 1.0])
    np.testing.assert_allclose(temperature_scaled(probability, 1.0), probability, atol=2e-7)


def test_logits_are_refused():
    with pytest.raises(ArgumentError, match=r"probability: expected numbers in \[0, 1\].*sigmoid"):
        expected_calibration_error([1, 0], [3.0, -2.0])
