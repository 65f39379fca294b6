"""No ffmpeg outlives its use, however that ends, and none is waited for without end."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import psutil
import pytest

from soupxr.errors import VideoError
from soupxr.video import VideoReader, ffmpeg, probe

needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals and scripts of POSIX")


def test_closing_ends_it(clip, running):
    reader = VideoReader(clip("longer.mp4"))
    reader.read(0, 1)
    assert len(running()) == 1
    reader.close()
    assert not running()
    reader.close()


def test_a_block_left_by_an_exception_ends_it(clip, running):
    def stumble() -> None:
        with VideoReader(clip("longer.mp4")) as reader:
            reader.read(0, 1)
            assert running()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert not running()


def test_forgetting_the_reader_ends_it(clip, running):
    reader = VideoReader(clip("longer.mp4"))
    reader.read(0, 1)
    assert running()
    del reader
    gc.collect()
    assert not running()


def test_a_sample_left_half_way_leaves_the_reader_usable(clip, running):
    with VideoReader(clip("longer.mp4")) as reader:
        next(reader.sample(10))
    assert not running()


SCRIPT = """
    import sys
    from soupxr.video import VideoReader, lazy_frames
    reader = VideoReader(sys.argv[1])
    reader.read(0, 1)
    frames = lazy_frames([sys.argv[1]], 240, block=1)
    frames[:2].compute(scheduler="synchronous")
    import psutil
    print([p.pid for p in psutil.Process().children() if "ffmpeg" in p.name()], flush=True)
"""


@contextmanager
def _python(clip, ending: str):
    """A Python that runs the script; yields it and the ffmpegs below it."""
    script = textwrap.dedent(SCRIPT) + ending
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, str(clip("longer.mp4"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = process.stdout.readline()
        if not told.startswith("["):
            pytest.fail(process.communicate()[1])
        pids = [int(pid) for pid in told.strip("[]\n").split(",")]
        assert len(pids) == 2
        yield process, pids
    finally:
        process.kill()
        process.communicate()


def _gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(pid) for pid in pids):
            return True
        if all(_is_zombie(pid) for pid in pids if psutil.pid_exists(pid)):
            return True  # ended; where no init collects them, they stay listed
        time.sleep(0.05)
    return False


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("ending", ["", "1 / 0", "sys.exit(3)"])
def test_the_end_of_python_ends_them(ending, clip):
    with _python(clip, ending) as (process, pids):
        _, errors = process.communicate(timeout=30)
        assert "ZeroDivisionError" in errors if ending == "1 / 0" else errors == ""
        assert _gone(pids)


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "kill"])
def test_the_death_of_python_ends_them(number, clip):
    with _python(clip, "import time; time.sleep(60)") as (process, pids):
        process.send_signal(number)
        process.communicate(timeout=30)
        assert _gone(pids)


@needs_posix
def test_an_interrupt_at_the_terminal_is_for_python_alone(clip, running):
    with VideoReader(clip("longer.mp4")) as reader:
        reader.read(0, 1)
        assert os.getpgid(running()[0].pid) != os.getpgid(0)


# ------------------------------------------------------------------ an ffmpeg that misbehaves


@pytest.fixture
def instead_of_ffmpeg(tmp_path, monkeypatch):
    def replace(script: str) -> None:
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(ffmpeg, "_executable", lambda: str(path))

    return replace


@needs_posix
@pytest.mark.parametrize("script", ["exec sleep 60", "printf half-a-line; exec sleep 60"])
def test_a_drive_that_does_not_answer_is_an_error(script, clip, instead_of_ffmpeg, monkeypatch):
    path = clip("plain.mp4")
    info = probe(path)
    monkeypatch.setattr(ffmpeg, "STALL_SECONDS", 0.2)
    monkeypatch.setattr("soupxr.video.decoder.STALL_SECONDS", 0.2)
    instead_of_ffmpeg(script)
    for act in (lambda: probe(path), lambda: VideoReader(path, info).read(0, 1)):
        with pytest.raises(VideoError, match=r"got nothing for 0 seconds.*drive or network"):
            act()


@needs_posix
def test_a_crash_is_an_error(clip, instead_of_ffmpeg):
    path = clip("plain.mp4")
    info = probe(path)
    instead_of_ffmpeg("kill -SEGV $$")
    with pytest.raises(VideoError, match=r"ffmpeg crashed \(signal 11\)"):
        probe(path)
    with pytest.raises(VideoError, match="crashed"):
        VideoReader(path, info).read(0, 1)


@needs_posix
def test_any_amount_of_talk_is_drained(instead_of_ffmpeg):
    instead_of_ffmpeg("yes 'a complaint of some length' | head -n 200000 >&2; echo done")
    talker = ffmpeg.Ffmpeg("trial.mp4", [])
    try:
        assert list(talker.lines()) == [b"done"]
        assert talker.finish() == 0
        assert talker.words == ["a complaint of some length"] * ffmpeg.LINES_KEPT
    finally:
        talker.close()


@needs_posix
def test_a_report_in_the_middle_of_a_line_is_heard(instead_of_ffmpeg):
    instead_of_ffmpeg(
        r"""printf 'a line soupxr 3 1024 57600\ncut in two\nsoupxr 4 nopts 57600\n' >&2
            printf '0,   -5,   7,   1,   99, 0x0abcdef1, F=0x0\n' >&2"""
    )
    talker = ffmpeg.Ffmpeg("trial.mp4", [])
    try:
        assert talker.next_frame() == (3, 1024, 57600)
        assert talker.next_frame() == (4, -1, 57600)
        assert talker.next_frame() is None
        assert talker.next_frame() is None
        assert talker.next_packet() == (-5, 7, 1, 99, 0x0ABCDEF1)
        talker.finish()
        assert talker.words == ["a line cut in two"]
    finally:
        talker.close()


def test_no_ffmpeg_on_this_machine(clip, monkeypatch):
    def none() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    ffmpeg._executable.cache_clear()
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", none)
    with pytest.raises(VideoError, match="IMAGEIO_FFMPEG_EXE"):
        probe(clip("plain.mp4"))
