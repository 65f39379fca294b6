"""How the reader behaves: continuing, sampling, travelling, sharing, and refusing."""

from __future__ import annotations

import os
import pickle
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from soupxr.errors import ArgumentError, VideoError
from soupxr.video import VideoReader, probe
from soupxr.video import reader as module


def test_reading_on_continues_one_decoder(clip, starts, running):
    with VideoReader(clip("plain.mp4")) as reader:
        for start in range(0, 90, 16):
            reader.read(start, min(start + 16, 90))
        assert starts == [0]
        assert reader.position is None
        assert not running()  # ended with the last frame, not with the reader


def test_a_small_gap_is_read_through_and_a_large_one_is_sought(clip, starts, monkeypatch):
    with VideoReader(clip("plain.mp4")) as reader:
        reader.read(0, 2)
        reader.read(5, 6)
        assert starts == [0]
        monkeypatch.setattr(module, "BYTES_WORTH_A_SEEK", 10 * reader.info.frame_bytes)
        reader.read(17, 18)  # its key picture is behind us: a seek would gain nothing
        assert starts == [0]
        reader.read(25, 26)  # the key picture at 20 is 2 frames on
        assert starts == [0]
        reader.read(85, 86)  # the one at 80 is 54 frames on
        assert starts == [0, 85]
        reader.read(10, 11)  # backwards
        assert starts == [0, 85, 10]


def test_a_scanned_file_is_always_read_through_forwards(clip, starts, monkeypatch):
    monkeypatch.setattr(module, "BYTES_WORTH_A_SEEK", 0)
    with VideoReader(clip("h264.avi")) as reader:
        reader.read(0, 1)
        reader.read(80, 81)
        assert starts == [0]


def test_into_an_array_of_the_caller(clip, oracle, checksum):
    path = clip("plain.mp4")
    with VideoReader(path) as reader:
        out = np.zeros((4, 64, 96, 3), np.uint8)
        assert reader.read(30, 34, out=out) is out
        assert checksum(out) == oracle(path)[30:34]
        for wrong in (out[:3], out.astype(np.int8), np.zeros((4, 64, 96, 6), np.uint8)[..., ::2]):
            with pytest.raises(ArgumentError, match="out: expected a C-contiguous array"):
                reader.read(30, 34, out=wrong)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (5, 4), (0, 91), (91, 91)])
def test_frames_that_are_not_there(start, stop, clip):
    with (
        VideoReader(clip("plain.mp4")) as reader,
        pytest.raises(ArgumentError, match=r"0 <= start <= stop <= 90 frames.*plain\.mp4"),
    ):
        reader.read(start, stop)


def test_no_frames_at_all(clip, running):
    with VideoReader(clip("plain.mp4")) as reader:
        assert reader.read(90, 90).shape == (0, 64, 96, 3)
        assert not running()


@pytest.mark.parametrize(("every", "start", "stop"), [(10, 0, None), (7, 3, 80), (1, 0, 20)])
def test_a_sample_comes_in_blocks(every, start, stop, clip, oracle, checksum, monkeypatch):
    path = clip("plain.mp4")
    monkeypatch.setattr(module, "SAMPLE_BYTES", 4 * 64 * 96 * 3)
    with VideoReader(path) as reader:
        blocks = list(reader.sample(every, start=start, stop=stop))
    assert max(map(len, blocks)) == 4
    got = checksum(np.concatenate(blocks))
    assert got == oracle(path)[start:stop:every]


def test_a_sample_needs_a_step(clip):
    with (
        VideoReader(clip("plain.mp4")) as reader,
        pytest.raises(ArgumentError, match="every: expected"),
    ):
        next(reader.sample(0))


def test_what_it_says_of_itself(clip):
    reader = VideoReader(clip("plain.mp4"))
    assert len(reader) == 90
    assert reader.shape == (90, 64, 96, 3)
    assert "plain.mp4" in repr(reader)


# ------------------------------------------------------------------ travelling and sharing


def test_it_travels_while_it_decodes(clip, oracle, checksum):
    path = clip("plain.mp4")
    with VideoReader(path) as reader:
        reader.read(0, 10)
        twin = pickle.loads(pickle.dumps(reader))
        with twin:
            assert twin.position is None
            assert checksum(twin.read(10, 12)) == oracle(path)[10:12]
            assert checksum(reader.read(10, 12)) == oracle(path)[10:12]
    assert len(pickle.dumps(reader)) < 1000


def test_threads_take_turns_with_one_reader(clip, oracle, checksum):
    path = clip("plain.mp4")
    with VideoReader(path) as reader, ThreadPoolExecutor(4) as executor:
        starts = [60, 3, 41, 88, 0, 20, 19, 55]
        blocks = executor.map(lambda start: checksum(reader.read(start, start + 2)), starts)
        assert list(blocks) == [oracle(path)[start : start + 2] for start in starts]


def _read_elsewhere(reader: VideoReader, start: int) -> np.ndarray:
    with reader:
        return reader.read(start, start + 2)


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_read_the_same_file(method, clip, oracle, checksum):
    path = clip("plain.mp4")
    with (
        VideoReader(path) as reader,
        ProcessPoolExecutor(2, mp_context=get_context(method)) as executor,
    ):
        reader.read(0, 3)
        jobs = {start: executor.submit(_read_elsewhere, reader, start) for start in (3, 50)}
        for start, job in jobs.items():
            assert checksum(job.result(timeout=60)) == oracle(path)[start : start + 2]
        assert checksum(reader.read(3, 5)) == oracle(path)[3:5]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_its_parents_decoder_alone(clip, oracle, checksum):
    path = clip("plain.mp4")
    expected = oracle(path)
    with VideoReader(path) as reader:
        reader.read(0, 3)
        child = os.fork()
        if child == 0:  # no assertion may leave this branch
            right = checksum(reader.read(3, 5)) == expected[3:5]
            reader.close()
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert checksum(reader.read(3, 5)) == expected[3:5]


# ------------------------------------------------------------------ files that change


def test_a_film_replaced_by_a_shorter_one_is_not_read(clip, tmp_path):
    path = tmp_path / "trial.mp4"
    shutil.copy(clip("longer.mp4"), path)
    reader = VideoReader(path)
    shutil.copy(clip("plain.mp4"), path)
    with pytest.raises(VideoError, match=r"expected 240 frames .* but got 90 frames .* replaced"):
        reader.read(0, 5)


def test_a_film_replaced_while_it_is_read(clip, tmp_path):
    path = tmp_path / "trial.mp4"
    shutil.copy(clip("longer.mp4"), path)
    with VideoReader(path) as reader:
        reader.read(0, 5)
        path.unlink()
        shutil.copy(clip("other_size.mp4"), path)
        reader.read(5, 10)  # from the decoder that still has the old one
        with pytest.raises(VideoError, match=r"96x64 pixels .* but got 90 frames of 64x48"):
            reader.read(0, 5)


def test_a_film_that_is_gone(clip, tmp_path):
    path = tmp_path / "trial.mp4"
    shutil.copy(clip("plain.mp4"), path)
    reader = VideoReader(path)
    path.unlink()
    with pytest.raises(VideoError, match="no file of that name"):
        reader.read(0, 5)


def test_the_same_film_under_another_date(clip, tmp_path, oracle, checksum):
    path = tmp_path / "trial.mp4"
    shutil.copy(clip("plain.mp4"), path)
    info = probe(path)
    os.utime(path, (1, 1))
    with VideoReader(path, info) as reader:
        assert checksum(reader.read(40, 41)) == oracle(clip("plain.mp4"))[40:41]


def _damage(source, path, start: float, stop: float):
    data = bytearray(source.read_bytes())
    a, b = int(start * len(data)), int(stop * len(data))
    data[a:b] = bytes(b - a)
    path.write_bytes(data)
    return path


def test_frames_that_are_promised_and_lost(clip, tmp_path):
    """Packets are listed in the index at the end; their contents are wiped out."""
    path = _damage(clip("mpeg4.mp4"), tmp_path / "damaged.mp4", 0.4, 0.6)
    info = probe(path)
    assert info.n_frames == 90
    with VideoReader(path, info) as reader:
        reader.read(0, 30)
        with pytest.raises(VideoError) as caught:
            reader.read(30, 90)
    assert f"{path}: expected 90 frames, but got only " in str(caught.value)
    assert "re-encode" in str(caught.value)


def test_an_error_does_not_spoil_the_reader(clip, oracle, checksum, monkeypatch):
    path = clip("plain.mp4")
    with VideoReader(path) as reader:
        reader.read(0, 4)

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("soupxr.video.decoder.Decoder.read_into", interrupt)
            with pytest.raises(KeyboardInterrupt):
                reader.read(4, 8)
        assert reader.position is None
        assert checksum(reader.read(4, 8)) == oracle(path)[4:8]


def test_times_that_turn_out_wrong_make_it_count(clip, oracle, checksum, monkeypatch):
    """A healthy file of which our trust in packets was mistaken is read by counting."""
    path = clip("plain.mp4")
    with VideoReader(path) as reader:
        monkeypatch.setattr(
            "soupxr.video.decoder.Decoder._is",
            lambda self, report, frame: self._timeline is None and report[0] == frame,
        )
        assert checksum(reader.read(44, 46)) == oracle(path)[44:46]
        assert "do not carry the times" in reader.info.scan_reason


def test_readers_of_one_file_do_not_wait_for_each_other(clip):
    path = clip("plain.mp4")
    with VideoReader(path) as one, VideoReader(path) as other, one._lock:
        done = threading.Event()
        threading.Thread(target=lambda: (other.read(0, 1), done.set())).start()
        assert done.wait(timeout=30)
