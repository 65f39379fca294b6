"""A drive that does not answer: what waits for it is given up after a while."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

import psutil
import pytest
from faults import inferring
from faults.checker import holdings
from pages import until
from processes import PROCESSES

import soupxr as sx
from soupxr.inference import trial
from soupxr.video import VideoReader, ffmpeg, probe
from soupxr.video.fingerprint import fingerprint

VIDEO = Path("M1/S1/reach_side_v001.mp4")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")


@pytest.fixture
def lab(tmp_path, film, models, monkeypatch) -> Path:
    for name in ("_engine", "_sequence_model", "class_probabilities"):
        monkeypatch.setattr(trial, name, getattr(trial, name))
    inferring.make_lab(tmp_path / "lab", film)
    inferring.keep_tasks(tmp_path / "lab", models())
    return tmp_path / "lab"


def test_without_a_change_it_is_two_minutes():
    assert ffmpeg.STALL_SECONDS == 120


def test_a_pipe_in_place_of_a_video(lab):
    """To open one waits for ever for somebody to write into it."""
    path = lab / "videos" / VIDEO
    path.unlink()
    os.mkfifo(path)
    first, second = inferring.outcomes(lab)
    assert "not a plain file" in first.error
    assert second.error is None
    assert set(holdings(lab / "reach.zarr").results) == {("fast", inferring.TRIALS[1])}


def hold(path, told):
    """Keep everybody who opens a file waiting in the kernel, as a dead network drive does."""
    with open(path, "rb+") as file:
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            told.send(f"this file system knows no leases ({error})")
            return
        told.send("")
        told.poll(None)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="leases of Linux")
def test_a_file_whose_opening_hangs(film, tmp_path, monkeypatch):
    path = film(tmp_path / "hangs.mp4")
    info = probe(path)
    told, its_end = PROCESSES.Pipe()
    holder = PROCESSES.Process(target=hold, args=(path, its_end))
    holder.start()
    its_end.close()
    try:
        if why := told.recv():
            pytest.skip(why)
        # Half a second in place of two minutes.
        monkeypatch.setattr(ffmpeg, "STALL_SECONDS", 0.5)
        for look in (
            lambda: fingerprint(path),
            lambda: probe(path),
            lambda: VideoReader(path, info).read(0, 1),
        ):
            with pytest.raises(sx.VideoError, match=r"got nothing for .*drive or network"):
                look()
    finally:
        monkeypatch.undo()
        told.close()
        holder.join(60)
    # Threads that were left behind go on, and end.
    until(lambda: "soupxr-look" not in {thread.name for thread in threading.enumerate()})
    assert fingerprint(path)


def test_an_ffmpeg_that_is_stopped(film, tmp_path):
    """It is given up and ended, stopped as it is; the next read starts another."""
    path = film(tmp_path / "long.mp4", n_frames=400, height=128, width=192)
    with VideoReader(path) as reader:
        first = reader.read(0, 2)
        (decoder,) = [p for p in psutil.Process().children() if "ffmpeg" in p.name()]
        os.kill(decoder.pid, signal.SIGSTOP)
        until(lambda: decoder.status() == psutil.STATUS_STOPPED)
        reader._decoder._ffmpeg.patience = 0.5
        with pytest.raises(sx.VideoError, match=r"got nothing for .*drive or network"):
            reader.read(2, 400)
        until(lambda: not decoder.is_running() or decoder.status() == psutil.STATUS_ZOMBIE)
        assert (reader.read(0, 2) == first).all()
