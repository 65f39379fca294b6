"""One ffmpeg process: started without a shell, drained, timed, and never left behind.

What ffmpeg says on stderr is read by a thread of its own, so that a chatty file cannot fill the
pipe and stop the decoder. Some lines are reports that we asked for, on frames and packets;
everything else is kept as its last words, for error messages.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import re
import select
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import IO, Any

from soupxr.errors import VideoError
from soupxr.video import faults

__all__ = ["MARK", "STALL_SECONDS", "Ffmpeg", "source"]

MARK = "soupxr"
STALL_SECONDS = 120.0
PIPE_BYTES = 1 << 20
LINES_KEPT = 2000

# What cameras and programs record to. ffmpeg opens much else: playlists and scripts, which make it
# open other files and addresses, whatever they are called; and texts and single pictures, which
# nobody filmed, and bare streams of old telephones (h261, h263), which one of a thousand files of
# noise looks like. Those of sound alone are here to be told from damaged ones.
_FORMATS = (
    "3g2,3gp,aac,apng,asf,asf_o,av1,avi,cavsvideo,cine,dhav,dirac,dnxhd,dv,filmstrip,flac,flic,flv,"
    "gif,gxf,h264,hevc,ifv,ivf,ivr,kux,live_flv,lmlm4,lvf,lxf,m4a,m4v,matroska,mj2,mjpeg,"
    "mjpeg_2000,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,nsv,nut,nuv,obu,ogg,pmp,pva,r3d,rm,roq,ser,"
    "smjpeg,smk,swf,ty,vc1,vc1test,vvc,wav,webm,wtv,yuv4mpegpipe"
)
# A picture twice as large as those of 8K cameras, and the most that a file can make ffmpeg set
# aside in one piece (bytes): a header may promise anything.
_PIXELS = str(1 << 26)
_ALLOCATION = str(1 << 30)
_ALWAYS = ["-hide_banner", "-nostdin", "-nostats", "-max_alloc", _ALLOCATION]

# Measurements we have ffmpeg write to stderr: "soupxr <number> <number> ..." for a frame, and a
# line of its framecrc muxer for a packet (its decoding time, presentation time, and more).
_FRAME = re.compile(MARK.encode() + rb"((?: -?\w+)+)\s*$")
_PACKET = re.compile(rb"0,((?: +-?\d+,){4}) 0x([0-9a-f]{8}).*$")

Report = tuple[int, ...]


@lru_cache(maxsize=1)
def _executable() -> str:
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise VideoError(
            "ffmpeg: expected the program that comes with imageio-ffmpeg, but there is none for "
            "this machine. Install ffmpeg 6 or newer and set IMAGEIO_FFMPEG_EXE to its path."
        ) from error


def _environment() -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k != "FFREPORT"}
    # The static Linux build crashes on mpeg-ts where it finds this machine's modules for character
    # sets (gconv): it loads them to read the name of the program, and they do not fit its libc.
    environment["GCONV_PATH"] = os.devnull
    return environment


def source(path: str) -> list[str]:
    """Arguments that open one local file and nothing else, whatever it is called or holds."""
    limits = ["-protocol_whitelist", "file", "-format_whitelist", _FORMATS, "-max_pixels", _PIXELS]
    return [*limits, "-i", f"file:{path}"]


class _Words:
    """What one ffmpeg has said so far."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self.frames: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self.packets: queue.SimpleQueue[Report | None] = queue.SimpleQueue()

    def listen(self, stream: IO[bytes]) -> None:
        """Sort lines into reports and plain words until ffmpeg closes its stderr."""
        cut_short = b""
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                if found := _FRAME.search(line):
                    self.frames.put(_numbers(found[1].split()))
                elif found := _PACKET.search(line):
                    numbers = _numbers(found[1].replace(b",", b"").split())
                    self.packets.put((*numbers, int(found[2], 16)))
                else:
                    self.lines.append((cut_short + line).decode(errors="replace").rstrip())
                    cut_short = b""
                    continue
                # A report is one write, but it can fall between two halves of a log line.
                cut_short += line[: found.start()]
        self.frames.put(None)
        self.packets.put(None)


def _numbers(values: list[bytes]) -> Report:
    """Whole numbers; -1, which fits no frame of ours, for "nopts" and the like."""
    return tuple(int(value) if value.lstrip(b"-").isdigit() else -1 for value in values)


def _end(
    process: subprocess.Popen[bytes], stderr: IO[bytes], ear: threading.Thread, pid: int
) -> None:
    assert process.stdout is not None
    if os.getpid() != pid:
        # A forked child holds copies of the pipes, but the process is its parent's to end.
        process.returncode = 0
        process.stdout.close()
        return
    process.kill()
    process.stdout.close()
    # It may hang in a dead drive, and this may run where no thread can be waited for.
    with contextlib.suppress(subprocess.TimeoutExpired, RuntimeError):
        process.wait(timeout=5)
        ear.join(timeout=5)
    stderr.close()


class Ffmpeg:
    """A running ffmpeg that writes to our pipe.

    It ends with :meth:`close`, when this object is collected, or when Python exits. When Python
    is killed, its next write finds the pipe broken, which ends it too.

    Parameters
    ----------
    path : str
        The video; named in errors.
    arguments : list of str
        Command line after the program's name and the options every call has.
    patience : float, optional
        Seconds without a sign of life after which it is given up. Default: ``STALL_SECONDS``.
    """

    def __init__(self, path: str, arguments: list[str], patience: float | None = None) -> None:
        self.path = path
        self.patience = STALL_SECONDS if patience is None else patience
        # Its own process group: an interrupt typed at the terminal is for Python alone.
        own_group: dict[str, Any] = (
            {"creationflags": 0x08000200} if sys.platform == "win32" else {"process_group": 0}
        )
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [_executable(), *_ALWAYS, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=_environment(),
            **own_group,
        )
        assert isinstance(self._process.stdout, io.FileIO)
        assert isinstance(self._process.stderr, io.FileIO)
        self.pid = os.getpid()
        self._stdout = self._process.stdout
        self._words = _Words()
        stderr = io.BufferedReader(self._process.stderr)
        ear = threading.Thread(
            target=self._words.listen, args=(stderr,), name="soupxr-ffmpeg-stderr", daemon=True
        )
        self._close = weakref.finalize(self, _end, self._process, stderr, ear, self.pid)
        ear.start()
        self._ear = ear
        self._poll = _poll_of(self._stdout)

    def read_into(self, view: memoryview) -> int:
        """Fill a buffer from stdout; return the bytes read, fewer only where the output ends."""
        filled = 0
        while filled < len(view):
            with self._guarded():
                read = self._stdout.readinto(view[filled:])
            if not read:
                break
            filled += read
        return filled

    def lines(self) -> Iterator[bytes]:
        """Lines of stdout, without their ends."""
        rest = b""
        buffer = memoryview(bytearray(1 << 16))
        while True:
            with self._guarded():
                read = self._stdout.readinto(buffer)
            if not read:
                break
            *whole, rest = (rest + buffer[:read]).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def next_frame(self, patience: float | None = None) -> Report | None:
        """The next report of a frame; None when ffmpeg has ended and there is none."""
        return self._next(self._words.frames, patience)

    def next_packet(self) -> Report | None:
        """Decoding and presentation time, duration, size and checksum of the next packet listed."""
        return self._next(self._words.packets, None)

    def _next(
        self, reports: queue.SimpleQueue[Report | None], patience: float | None
    ) -> Report | None:
        try:
            report = reports.get(timeout=self.patience if patience is None else patience)
        except queue.Empty:
            raise self._stalled() from None
        if report is None:
            reports.put(None)
        return report

    def finish(self) -> int:
        """Wait for the end of the process and of its words; return its exit status."""
        try:
            status = self._process.wait(timeout=self.patience)
        except subprocess.TimeoutExpired:
            raise self._stalled() from None
        self._ear.join(timeout=self.patience)
        return status

    @property
    def words(self) -> list[str]:
        """What it said on stderr: the last lines, oldest first."""
        return list(self._words.lines)

    def close(self) -> None:
        """End the process and release its pipes. Safe to call again."""
        self._close()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Keep the next read from waiting longer than our patience."""
        if self._poll is not None:
            if not self._poll.poll(self.patience * 1000):
                raise self._stalled()
            yield
            return
        timer = threading.Timer(self.patience, self._process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _stalled(self) -> VideoError:
        self.close()
        return faults.stalled(self.path, self.patience)


def _poll_of(stream: io.FileIO) -> select.poll | None:
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":
        import fcntl

        # The default of 64 KiB makes a switch of process for every few rows of a picture. Where
        # the user's share of pipe memory is used up, the default has to do.
        with contextlib.suppress(OSError):
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    poll = select.poll()
    poll.register(stream, select.POLLIN | select.POLLHUP | select.POLLERR)
    return poll
