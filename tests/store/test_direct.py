"""Chunks straight from their files say what Zarr says of them."""

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, ZstdCodec

from soupxr.store.direct import label_row, slots_with_labels, text_column

SETTINGS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CODECS = {"zstd": ZstdCodec(level=1), "blosc": BloscCodec(cname="lz4"), "none": None}


@pytest.fixture(params=CODECS)
def make(request, tmp_path):
    """Make an array of a store; of codecs that are not read directly too."""
    count = iter(range(10_000))

    def array(shape, chunks, dtype, fill_value):
        group = zarr.open_group(tmp_path / f"{next(count)}.zarr", mode="w")
        made = group.create_array(
            "array",
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            fill_value=fill_value,
            compressors=CODECS[request.param],
        )
        return str(group.store.root), made

    return array


@SETTINGS
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), max_size=20
    )
)
def test_text_column(make, texts):
    address, array = make((len(texts),), (16,), str, "")
    array[:] = np.array(texts, dtype=object)
    assert text_column(address, array) == texts


@SETTINGS
@given(
    n_frames=st.integers(1, 20),
    stretches=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=3),
)
def test_label_row(make, n_frames, stretches):
    address, array = make((2, 3, n_frames, 4), (1, 1, 8, 4), np.int8, -1)
    labels = np.full(array.shape, -1, np.int8)
    for number, (start, stop) in enumerate(stretches):
        labels[1, 2, start:stop] = number % 2
    array[...] = labels
    for row, slot in ((0, 0), (1, 2)):
        np.testing.assert_array_equal(label_row(address, array, row, slot), labels[row, slot])


def test_label_row_of_chunks_of_another_shape(make):
    address, array = make((1, 3, 20, 4), (1, 2, 8, 2), np.int8, -1)
    labels = np.arange(3 * 20 * 4, dtype=np.int8).reshape(array.shape)
    array[...] = labels
    np.testing.assert_array_equal(label_row(address, array, 0, 1), labels[0, 1])


def test_slots_with_labels(make):
    address, array = make((2, 12, 20, 4), (1, 1, 8, 4), np.int8, -1)
    assert slots_with_labels(address, array, 1) == []
    array[1, 11, 3] = 0
    array[1, 2, 19] = 1
    assert slots_with_labels(address, array, 1) == [2, 11]
    assert slots_with_labels(address, array, 0) == []
