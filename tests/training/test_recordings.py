"""Windows of features: every labelled frame once, nothing but padding beyond the ends."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soupxr.models.tgmj import WINDOW
from soupxr.training.recordings import Recording, window_batches, window_places

WIDTH = 3


class ArrayReader:
    def __init__(self, values):
        self.values = values

    def read(self, start, stop):
        assert 0 <= start <= stop <= len(self.values)
        return self.values[start:stop]


def recording(key, n_frames, unlabelled=()):
    """Features count up from 1, so that none of them looks like padding."""
    values = np.arange(1, 1 + n_frames * WIDTH, dtype=np.float32).reshape(n_frames, WIDTH)
    labels = np.stack([np.arange(n_frames) % 2, np.arange(n_frames) % 3 == 0], axis=1)
    labels = labels.astype(np.int8)
    for start, stop in unlabelled:
        labels[start:stop] = -1
    return Recording(key, ArrayReader(values), labels)


@st.composite
def recordings(draw):
    return [
        recording(
            f"M1/S1/{number}",
            draw(st.integers(1, 700)),
            draw(st.lists(st.tuples(*[st.integers(0, 700)] * 2).map(sorted), max_size=3)),
        )
        for number in range(draw(st.integers(1, 3)))
    ]


def frames_of(places, all_recordings):
    """How many windows each frame of each recording stands in."""
    return Counter(
        (index, frame)
        for index, start in places.tolist()
        for frame in range(max(start, 0), min(start + WINDOW, all_recordings[index].n_frames))
    )


@settings(max_examples=80)
@given(recordings(), st.data())
def test_every_labelled_frame_is_covered_once_whatever_the_phase(all_recordings, data):
    phases = [data.draw(st.integers(0, WINDOW - 1)) for _ in all_recordings]
    places = window_places(all_recordings, phases)
    assert places.dtype == np.int64
    assert places.shape == (len(places), 2)
    covered = frames_of(places, all_recordings)
    assert set(covered.values()) <= {1}
    for index, one in enumerate(all_recordings):
        for frame in np.flatnonzero((one.labels >= 0).any(axis=1)).tolist():
            assert covered[index, frame] == 1
    for index, start in places.tolist():
        assert (start + phases[index]) % WINDOW == 0
        # A window without a label would teach nothing.
        part = all_recordings[index].labels[max(start, 0) : start + WINDOW]
        assert (part >= 0).any()


def test_a_frame_with_one_labelled_class_counts():
    one = recording("M1/S1/1", 400, [(0, 400)])
    one.labels[250, 1] = 0
    assert window_places([one], [0]).tolist() == [[0, 180]]


def test_nothing_labelled_no_windows():
    assert window_places([recording("M1/S1/1", 400, [(0, 400)])], [7]).shape == (0, 2)


def slow_window(one, start):
    features = np.zeros((WIDTH, WINDOW), np.float32)
    labels = np.full((2, WINDOW), -1, np.int8)
    for column in range(WINDOW):
        if 0 <= start + column < one.n_frames:
            features[:, column] = one.reader.values[start + column]
            labels[:, column] = one.labels[start + column]
    return features, labels


@settings(max_examples=50)
@given(recordings(), st.data(), st.integers(1, 4))
def test_windows_hold_features_and_labels_and_padding(all_recordings, data, size):
    phases = [data.draw(st.integers(0, WINDOW - 1)) for _ in all_recordings]
    places = window_places(all_recordings, phases)
    batches = [places[i : i + size] for i in range(0, len(places), size)]
    found = list(window_batches(all_recordings, batches))
    assert len(found) == len(batches)
    for batch, wanted in zip(found, batches, strict=True):
        assert len(batch) == len(wanted)
        assert batch.features.dtype == torch.float32
        assert batch.labels.dtype == torch.int8
        assert batch.places == tuple((all_recordings[i].key, s) for i, s in wanted.tolist())
        for row, (index, start) in enumerate(wanted.tolist()):
            features, labels = slow_window(all_recordings[index], start)
            np.testing.assert_array_equal(batch.features[row], features)
            np.testing.assert_array_equal(batch.labels[row], labels)


@pytest.mark.parametrize("n_frames", [1, 50, 179])
@pytest.mark.parametrize("phase", [0, 1, 100, 179])
def test_recordings_shorter_than_a_window_are_padded_on_both_sides(n_frames, phase):
    one = recording("M1/S1/1", n_frames)
    places = window_places([one], [phase])
    (batch,) = window_batches([one], [places])
    known = (batch.labels >= 0).any(dim=1)
    assert known.sum() == n_frames
    assert torch.equal(known, (batch.features != 0).any(dim=1))


def test_a_batch_tells_where_it_is():
    batch = next(window_batches([recording("M1/S1/1", 400)], [np.array([[0, -20], [0, 160]])]))
    assert batch.told() == "M1/S1/1 [-20, 160), M1/S1/1 [160, 340)"
    assert batch.to(torch.device("cpu")).places == batch.places
