import threading
import time

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soupxr.inference.stream import Behind, blocks_of, look_ahead, rechunk


@given(st.lists(st.integers(0, 20), min_size=1), st.integers(1, 15))
def test_rechunk_keeps_everything_in_order(lengths, size):
    values = np.arange(sum(lengths))
    blocks = np.split(values, np.cumsum(lengths)[:-1])
    pieces = list(rechunk(blocks, size))
    assert all(len(piece) == size for piece in pieces[:-1])
    assert all(0 < len(piece) <= size for piece in pieces)
    np.testing.assert_array_equal(np.concatenate([values[:0], *pieces]), values)


def test_blocks_are_computed_one_at_a_time():
    computed = []

    def block(block_info=None):
        start = block_info[None]["array-location"][0][0]
        computed.append(start)
        return np.full((4, 2), start)

    array = da.map_blocks(block, chunks=((4, 4, 4), (2,)), dtype=int, meta=np.empty((0, 0), int))
    for count, values in enumerate(blocks_of(array), start=1):
        assert len(computed) == count
        assert (values == 4 * (count - 1)).all()


def test_look_ahead_yields_everything_in_order():
    assert list(look_ahead(range(100), depth=3)) == list(range(100))


def test_look_ahead_stays_within_its_depth():
    fetched = []

    def source():
        for i in range(50):
            fetched.append(i)
            yield i

    stream = look_ahead(source(), depth=2)
    assert next(stream) == 0
    time.sleep(0.3)
    assert len(fetched) <= 4  # the one in hand, two waiting, one on its way
    stream.close()
    assert "soupxr-look-ahead" not in {thread.name for thread in threading.enumerate()}


def test_look_ahead_raises_in_place():
    def source():
        yield 1
        raise OSError("disk gone")

    stream = look_ahead(source())
    assert next(stream) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(stream)


def test_behind_does_one_call_at_a_time_and_in_order():
    done, may_go_on = [], threading.Event()

    def slowly():
        may_go_on.wait(10)
        done.append("first")

    with Behind() as behind:
        behind.call(slowly)
        assert done == []
        may_go_on.set()
        behind.call(done.append, "second")
        assert done[0] == "first"
    assert done == ["first", "second"]


def test_behind_raises_what_went_wrong_when_it_is_next_asked():
    def fail():
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"), Behind() as behind:
        behind.call(fail)
    with Behind() as behind:
        behind.call(fail)
        with pytest.raises(OSError, match="disk is full"):
            behind.call(fail)


def test_behind_does_not_hide_the_error_it_is_left_by():
    def fail():
        raise OSError("the disk is full")

    def leave():
        with Behind() as behind:
            behind.call(fail)
            raise ValueError("the caller's")

    with pytest.raises(ValueError, match="the caller's"):
        leave()
