"""Decoders that wait for the next block: who gets which, and when they end."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from soupxr.video import probe
from soupxr.video.pool import Pool, close_all, this_process


@pytest.fixture
def pool():
    pool = Pool()
    yield pool
    pool.close_all()


def take(pool: Pool, info, start: int, stop: int) -> np.ndarray:
    with pool.lend(info, start, stop) as reader:
        return reader.read(start, stop)


def test_blocks_in_order_continue_one_decoder(pool, clip, starts, running, oracle, checksum):
    info = probe(clip("plain.mp4"))
    expected = oracle(info.path)
    for start in range(0, 80, 10):
        assert checksum(take(pool, info, start, start + 10)) == expected[start : start + 10]
        assert len(pool) == 1
    take(pool, info, 80, 90)
    assert starts == [0]
    assert len(pool) == 0  # the end of the file
    assert not running()


def test_two_walks_have_two_decoders(pool, clip, running):
    info = probe(clip("longer.mp4"))
    for step in range(0, 20, 5):
        take(pool, info, step, step + 5)
        take(pool, info, 100 + step, 105 + step)
    assert len(pool) == len(running()) == 2


def test_a_block_waits_for_the_one_before_it(pool, clip):
    """Else a second decoder would decode the same pictures to get there."""
    info = probe(clip("longer.mp4"))
    readers = []

    def second() -> None:
        with pool.lend(info, 10, 20) as reader:
            readers.append(reader)
            reader.read(10, 20)

    with pool.lend(info, 0, 10) as reader:
        readers.append(reader)
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        assert len(readers) == 1
        reader.read(0, 10)
    thread.join(timeout=30)
    assert readers[0] is readers[1]


def test_a_block_elsewhere_does_not_wait(pool, clip):
    info = probe(clip("longer.mp4"))
    with pool.lend(info, 0, 10) as one, pool.lend(info, 50, 60) as other:
        assert one is not other


def test_an_error_lets_the_next_in_line_go_on(pool, clip, oracle, checksum):
    info = probe(clip("longer.mp4"))
    entered = threading.Event()

    def fail() -> None:
        with pool.lend(info, 0, 10):
            entered.set()
            time.sleep(0.05)
            raise ZeroDivisionError

    with ThreadPoolExecutor(2) as executor:
        bad = executor.submit(fail)
        assert entered.wait(timeout=30)
        good = executor.submit(take, pool, info, 10, 12)
        with pytest.raises(ZeroDivisionError):
            bad.result(timeout=30)
        assert checksum(good.result(timeout=30)) == oracle(info.path)[10:12]


def test_only_so_many_wait(clip, running):
    pool = Pool(max_open=3)
    info = probe(clip("longer.mp4"))
    for start in range(200, 0, -40):
        take(pool, info, start, start + 1)
        assert len(running()) <= 3
    assert len(pool) == 3
    pool.close_all()
    assert not running()


def test_a_decoder_that_is_not_asked_for_again_ends(clip, running):
    pool = Pool(idle_seconds=0.1)
    take(pool, probe(clip("longer.mp4")), 0, 1)
    assert running()
    deadline = time.monotonic() + 30
    while running() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running()
    assert len(pool) == 0


def test_one_in_use_is_not_closed(clip):
    pool = Pool(idle_seconds=0.02)
    info = probe(clip("longer.mp4"))
    with pool.lend(info, 0, 2) as reader:
        reader.read(0, 1)
        pool.close_all()
        time.sleep(0.1)
        assert reader.position == 1
        reader.read(1, 2)
    pool.close_all()


def test_threads_over_many_files(pool, clip, oracle, checksum):
    infos = [probe(clip(name)) for name in ("plain.mp4", "vfr.mp4", "h264.avi", "matroska.mkv")]
    jobs = [(info, start) for start in range(0, 50, 10) for info in infos]
    with ThreadPoolExecutor(6) as executor:
        blocks = executor.map(lambda job: checksum(take(pool, *job, job[1] + 10)), jobs)
        assert list(blocks) == [oracle(info.path)[start : start + 10] for info, start in jobs]


def test_each_process_has_its_own():
    assert this_process() is this_process()
    close_all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_with_none(clip):
    info = probe(clip("longer.mp4"))
    take(this_process(), info, 0, 1)
    child = os.fork()
    if child == 0:  # no assertion may leave this branch
        fine = len(this_process()) == 0 and len(take(this_process(), info, 1, 2)) == 1
        close_all()
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(this_process()) == 1
    take(this_process(), info, 1, 2)
