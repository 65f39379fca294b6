"""A drive that does not answer: what waits for it is given up after a while."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
import obstore.store
import psutil
import pytest
from faults import inferring
from faults.checker import holdings
from object_store import serve_s3
from pages import until
from processes import PROCESSES, ffmpegs

import soupxr as sx
from soupxr.inference import trial
from soupxr.store import objects
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
        signal.signal(signal.SIGIO, lambda *_: told.send("somebody waits"))
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            told.send(f"this file system knows no leases ({error})")
            return
        told.send("")
        told.poll(None)


@contextmanager
def hanging(path):
    """Let the opening of a file hang; gives what tells that somebody waits for it."""
    told, its_end = PROCESSES.Pipe()
    holder = PROCESSES.Process(target=hold, args=(path, its_end))
    holder.start()
    its_end.close()
    try:
        if why := told.recv():
            pytest.skip(why)
        yield told
    finally:
        told.close()
        holder.join(60)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="leases of Linux")
def test_a_file_whose_opening_hangs(film, tmp_path, monkeypatch):
    path = film(tmp_path / "hangs.mp4")
    info = probe(path)
    with hanging(path):
        # Half a second in place of two minutes.
        monkeypatch.setattr(ffmpeg, "STALL_SECONDS", 0.5)
        for look in (
            lambda: fingerprint(path),
            lambda: probe(path),
            lambda: VideoReader(path, info).read(0, 1),
        ):
            with pytest.raises(sx.VideoError, match=r"got nothing for .*drive or network"):
                look()
        monkeypatch.undo()
    # Threads that were left behind go on, and end.
    until(lambda: "soupxr-look" not in {thread.name for thread in threading.enumerate()})
    assert fingerprint(path)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="leases of Linux")
@pytest.mark.parametrize("part", ["trial/c/0", "n_frames/c/0", "status/zarr.json"])
@pytest.mark.parametrize("is_killed", [False, True])
def test_a_store_whose_drive_hangs(lab, part, is_killed):
    """Nothing goes on and nothing is lost; when the drive is back, all goes on."""
    run = PROCESSES.Process(target=inferring.infer_quickly, args=(lab,))
    with hanging(lab / "reach.zarr" / part) as told:
        run.start()
        assert told.recv() == "somebody waits"
        assert run.is_alive()
        if is_killed:
            run.kill()
    run.join(60)
    assert run.exitcode == (-signal.SIGKILL if is_killed else 0)
    inferring.infer_quickly(lab)
    known = holdings(lab / "reach.zarr")
    assert set(known.results) == {("fast", key) for key in inferring.TRIALS}
    assert sx.open(lab / "reach.zarr").soup.check().ok


def test_an_ffmpeg_that_is_stopped(film, tmp_path):
    """It is given up and ended, stopped as it is; the next read starts another."""
    path = film(tmp_path / "long.mp4", n_frames=400, height=128, width=192)
    with VideoReader(path) as reader:
        first = reader.read(0, 2)
        decoder = psutil.Process(reader._decoder._ffmpeg._process.pid)
        decoder.suspend()
        until(lambda: decoder.status() == psutil.STATUS_STOPPED)
        reader._decoder._ffmpeg.patience = 0.5
        with pytest.raises(sx.VideoError, match=r"got nothing for .*drive or network"):
            reader.read(2, 400)
        until(lambda: decoder not in ffmpegs())
        assert (reader.read(0, 2) == first).all()


# ---------------------------------------------------------------- an object store


def _serve(end):
    """An S3 server, as a process that can be stopped."""
    with serve_s3() as address:
        end.send(address)
        end.poll(None)


@pytest.fixture
def server():
    """An S3 server in a process of its own, and its address."""
    pytest.importorskip("moto.server")
    ours, its_end = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_serve, args=(its_end,))
    process.start()
    its_end.close()
    yield process, ours.recv()
    objects.bucket.cache_clear()
    os.kill(process.pid, signal.SIGCONT)
    ours.close()
    process.join(60)


@pytest.mark.slow
@pytest.mark.thorough
def test_an_object_store_that_hangs(server, new_bucket, lab, models, tmp_path, monkeypatch):
    """A run waits for it and goes on; who asks for too long is told where."""
    process, url = server
    address = f"{new_bucket(url)}/reach.zarr"
    ds = sx.create(address, lab / "videos", views=("side",)).soup.add_item("M1")
    log = tmp_path / "run.jsonl"
    run = threading.Thread(target=lambda: ds.soup.infer("fast", **models(), log=log))
    run.start()
    until(lambda: log.exists() and '"trial"' in log.read_text())
    os.kill(process.pid, signal.SIGSTOP)
    run.join(2)
    assert run.is_alive()
    os.kill(process.pid, signal.SIGCONT)
    run.join(120)
    assert not run.is_alive()
    assert sx.open(address).status.sel(mode="fast").values.tolist() == [2, 2]
    assert ds.soup.check().ok

    # A second in place of three minutes.
    connect = obstore.store.from_url
    second = {"max_retries": 1, "retry_timeout": timedelta(seconds=1)}
    limits = {"client_options": {"timeout": "1s"}, "retry_config": second}
    monkeypatch.setattr(obstore.store, "from_url", lambda url: connect(url, **limits))
    objects.bucket.cache_clear()
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(sx.StoreError, match=f"{address}: the object store does not answer"):
        sx.open(address)
