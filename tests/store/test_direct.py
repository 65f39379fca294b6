"""Chunks straight from their files say what Zarr says of them."""

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, ZstdCodec

from soupxr.store.direct import slots_with_labels, text_at, texts, trial_rows

SETTINGS = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


@SETTINGS
@given(column=st.lists(TEXT, max_size=20))
def test_texts_of_a_column(make, column):
    address, array = make((len(column),), (16,), str, "")
    array[:] = np.array(column, dtype=object)
    assert texts(address, array).tolist() == column


@SETTINGS
@given(table=st.lists(st.tuples(TEXT, TEXT), max_size=20))
def test_texts_of_a_table(make, table):
    address, array = make((len(table), 2), (16, 2), str, "")
    array[:] = np.array(table, dtype=object).reshape(-1, 2)
    found = texts(address, array)
    assert found.shape == array.shape
    assert [tuple(row) for row in found] == table


def test_texts_of_a_table_that_is_cut_otherwise(make):
    address, array = make((3, 2), (16, 1), str, "")
    array[1] = np.array(["a", "b"], dtype=object)
    assert texts(address, array).tolist() == [["", ""], ["a", "b"], ["", ""]]


@pytest.mark.parametrize("chunks", [(1, 1), (1, 4)])
def test_text_at(make, chunks):
    address, array = make((2, 4), chunks, str, "none")
    array[1, 2] = "é…"
    assert text_at(address, array, (1, 2)) == "é…"
    assert text_at(address, array, (1, 3)) == text_at(address, array, (0, 2)) == "none"


@SETTINGS
@given(
    n_frames=st.integers(1, 20),
    stretches=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=3),
    wanted=st.integers(0, 20),
)
@pytest.mark.parametrize(("dtype", "fill"), [(np.int8, -1), ("<f4", np.nan), (">f4", np.nan)])
def test_trial_rows(make, dtype, fill, n_frames, stretches, wanted):
    address, array = make((2, 3, n_frames, 4), (1, 1, 8, 4), dtype, fill)
    values = np.full(array.shape, fill, dtype)
    for number, (start, stop) in enumerate(stretches):
        values[1, 2, start:stop] = number % 2 + 256.0 * (dtype != np.int8)
    array[...] = values
    for row, slot in ((0, 0), (1, 2)):
        found = trial_rows(address, array, (row, slot))
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, values[row, slot])
        some = trial_rows(address, array, (row, slot), min(wanted, n_frames))
        np.testing.assert_array_equal(some, values[row, slot, :wanted])


def test_trial_rows_with_one_place_before_the_frames(make):
    address, array = make((3, 20, 4), (1, 8, 4), np.float32, 0)
    array[2] = np.arange(80).reshape(20, 4)
    np.testing.assert_array_equal(trial_rows(address, array, (2,), 11), array[2, :11])


def test_trial_rows_of_chunks_of_another_shape(make):
    address, array = make((1, 3, 20, 4), (1, 2, 8, 2), np.int8, -1)
    labels = np.arange(3 * 20 * 4, dtype=np.int8).reshape(array.shape)
    array[...] = labels
    np.testing.assert_array_equal(trial_rows(address, array, (0, 1)), labels[0, 1])


def test_slots_with_labels(make):
    address, array = make((2, 12, 20, 4), (1, 1, 8, 4), np.int8, -1)
    assert slots_with_labels(address, array, 1) == []
    array[1, 11, 3] = 0
    array[1, 2, 19] = 1
    assert slots_with_labels(address, array, 1) == [2, 11]
    assert slots_with_labels(address, array, 0) == []
