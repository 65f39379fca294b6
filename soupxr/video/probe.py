"""Facts of a video: exact number of frames, rate, size, and whether frames can be sought."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from fractions import Fraction

from soupxr.errors import VideoError
from soupxr.video import faults
from soupxr.video.ffmpeg import Ffmpeg, source
from soupxr.video.packets import PacketTable, frame_rate, read_packets, reason_to_scan
from soupxr.video.patience import in_time
from soupxr.video.remote import local_copy
from soupxr.video.timeline import Timeline
from soupxr.video.whole import missing_bytes

__all__ = ["VideoInfo", "count_by_decoding", "probe", "probe_many"]

PROBES_AT_ONCE = 8
RATE_OF_NONE = Fraction(25)  # what ffmpeg, too, takes for streams that tell no rate

_SHOWN = ["-map", "0:V:0", "-fps_mode", "passthrough"]
_RGB = ["-c:v", "rawvideo", "-pix_fmt", "rgb24"]
_STAMPS = ["-stats_enc_pre", "pipe:1", "-stats_enc_pre_fmt", "{ptsi}"]
_ONE_FRAME = [*_SHOWN, "-frames:v", "1", *_STAMPS, *_RGB, "-f", "framecrc", "pipe:1"]
_ALL_FRAMES = [*_SHOWN, *_STAMPS, "-c:v", "wrapped_avframe", "-f", "null", "-"]
_COPY = ["-c", "copy", "-copyinkf", "-copypriorss", "1"]
_PACKETS = [*_COPY, "-f", "framecrc", "pipe:1"]
REMARK_BYTES = 1 << 20
HEADER_LINES = 100
_REMARKS = [*_COPY, "-bsf:v", "filter_units=pass_types=6", "-frames:v", "1", "-f", "data", "pipe:1"]


_DIMENSIONS = re.compile(rb"#dimensions 0: (\d+)x(\d+)")


@dataclass(frozen=True)
class VideoInfo:
    """Facts of one video.

    Parameters
    ----------
    path : str
        Absolute path.
    n_frames : int
        Frames that a full decode gives, counted by packets (or by decoding, see `scan_reason`).
    fps : float
        Mean frame rate (Hz).
    height, width : int
        Size of a decoded frame in pixels, after any rotation that the file asks for.
    codec, pix_fmt, container : str
        ffmpeg's names, such as ``"h264"``, ``"yuv420p"`` and ``"mov,mp4,m4a,3gp,3g2,mj2"``.
    n_bytes, mtime_ns : int
        Size of the file and when it was last changed, to notice when it is replaced.
    scan_reason : str
        Why frames can only be found by decoding from the start; empty where they can be sought.
    timeline : bytes
        When each frame is shown, packed; empty where it is not known.
    x264_build : int
        Version of x264 that made it, -1 if it was not x264. The file tells it once, in its first
        picture, and pictures after it are decoded by it.
    """

    path: str
    n_frames: int
    fps: float
    height: int
    width: int
    codec: str
    pix_fmt: str
    container: str
    n_bytes: int
    mtime_ns: int
    scan_reason: str = ""
    timeline: bytes = field(default=b"", repr=False)
    x264_build: int = -1

    @property
    def seekable(self) -> bool:
        """Whether a frame can be reached without decoding everything before it."""
        return not self.scan_reason

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_frames / self.fps

    @property
    def frame_bytes(self) -> int:
        """Bytes of one decoded frame."""
        return self.height * self.width * 3


@dataclass(frozen=True)
class _Header:
    """What ffmpeg prints about a file, and what became of its first frame."""

    container: str
    codec: str
    pix_fmt: str
    progressive: bool
    declared_fps: Fraction
    videos: int
    height: int
    width: int
    first_stamp: bytes


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Measure a video without decoding it, where its packets can be believed.

    Safe to call from many threads at once.

    Parameters
    ----------
    path : path or URL
        A video file; a copy of it is fetched if need be, and measured.

    Returns
    -------
    VideoInfo
        Its facts.

    Raises
    ------
    VideoError
        If it is missing, damaged, or no video; the message says which and what to do.
    """
    name = os.path.abspath(os.fspath(local_copy(path)))
    facts, missing = in_time(name, lambda: (faults.check_file(name), missing_bytes(name)))
    if missing:
        raise faults.cut_short(name, missing)
    header = _read_header(name)
    packets, complaints = _demux(name, header.codec, facts.st_size)
    reason = reason_to_scan(
        packets,
        header.codec,
        progressive=header.progressive,
        videos=header.videos,
        complaints=complaints,
    )
    timeline = None if reason else Timeline.of(packets)
    if timeline is not None and header.first_stamp != b"%d" % timeline.frames[0]:
        reason = "its pictures do not carry the times of their packets"
    n_frames = promised = int(packets.shown.sum())
    if reason:
        n_frames = count_by_decoding(name)
    if (complaints or packets.damaged) and n_frames < promised - 1:
        # One frame is lost where a file is cut short. More are lost from its middle, and those
        # after them would silently be counted too low.
        raise faults.damaged(name, n_frames, promised, complaints)
    fps = frame_rate(packets, header.declared_fps, averaged=header.container.startswith("mov,"))
    return VideoInfo(
        path=name,
        n_frames=n_frames,
        fps=float(fps),
        height=header.height,
        width=header.width,
        codec=header.codec,
        pix_fmt=header.pix_fmt,
        container=header.container,
        n_bytes=facts.st_size,
        mtime_ns=facts.st_mtime_ns,
        scan_reason=reason,
        timeline=b"" if reason or timeline is None else timeline.pack(),
        x264_build=_x264_build(name) if header.codec == "h264" and not reason else -1,
    )


def probe_many(
    paths: Iterable[str | os.PathLike[str]],
    *,
    max_workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[VideoInfo | VideoError]:
    """Probe many videos in parallel; a bad one does not stop the others.

    Parameters
    ----------
    paths : iterable of paths
        Video files.
    max_workers : int, optional
        Files looked at at once. Default: the number of processors, at most 8.
    progress : callable, optional
        Called as ``progress(done, total)`` in this thread after each file.

    Returns
    -------
    list of VideoInfo or VideoError
        One for each path, in their order.
    """
    wanted = list(paths)
    workers = max_workers or min(PROBES_AT_ONCE, os.cpu_count() or 1)
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="soupxr-probe") as executor:
        try:
            jobs = [executor.submit(_probe_or_error, path) for path in wanted]
            for done, _ in enumerate(as_completed(jobs), start=1):
                if progress is not None:
                    progress(done, len(jobs))
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return [job.result() for job in jobs]


def _probe_or_error(path: str | os.PathLike[str]) -> VideoInfo | VideoError:
    try:
        return probe(path)
    except VideoError as error:
        return error


def _read_header(path: str) -> _Header:
    """Decode the first frame, which proves that it can be done and tells its size."""
    ffmpeg = Ffmpeg(path, ["-v", "info", "-copyts", "-threads", "1", *source(path), *_ONE_FRAME])
    try:
        output = list(ffmpeg.lines())
        status = ffmpeg.finish()
        header = _parse_header("\n".join(ffmpeg.words), output)
        if status or header is None:
            raise faults.undecodable(path, ffmpeg.words, status)
    finally:
        ffmpeg.close()
    return header


def _parse_header(text: str, output: list[bytes]) -> _Header | None:
    # Titles and other texts of the file stand among ffmpeg's words, indented: what is sought begins
    # at the start of a line. The size, which memory is set aside by, is not taken from words.
    before, _, after = text.partition("\nStream mapping:\n")
    container = re.search(r"^Input #0, (\S+), from ", before, re.M)
    mapped = re.match(r"  Stream #0:(\d+) -> #0:0", after)
    size = next((found for line in output if (found := _DIMENSIONS.fullmatch(line))), None)
    stamps = [line for line in output if line.strip().lstrip(b"-").isdigit()]
    if container is None or mapped is None or size is None or not stamps:
        return None
    streams = re.findall(r"^  Stream #0:(\d+)\b.*?: Video: (.*)$", before, re.M)
    told = dict(streams).get(mapped[1], "")
    # Commas within brackets do not part the fields: yuv420p(tv, bt709, progressive)
    codec, pixels = [*re.split(r", (?![^(]*\))", told), ""][:2]
    rate = re.search(r", ([\d.]+)(k?) fps", told)
    fps = Fraction(rate[1]) * (1000 if rate[2] else 1) if rate else Fraction(0)
    return _Header(
        container=container[1],
        codec=codec.partition(" ")[0],
        pix_fmt=pixels.split("(")[0].strip(),
        progressive="progressive" in pixels,
        declared_fps=fps or RATE_OF_NONE,
        videos=sum("attached pic" not in stream for _, stream in streams),
        width=int(size[1]),
        height=int(size[2]),
        first_stamp=stamps[0].strip(),
    )


def _demux(path: str, codec: str, n_bytes: int) -> tuple[PacketTable, list[str]]:
    """List the packets of the video, and what ffmpeg complained about meanwhile."""
    # In H.264 ffmpeg also calls pictures "key" from which decoding recovers only little by little.
    # Those with a slice of type 5 (IDR) are clean starts.
    clean_starts = (
        ["-map", "0:V:0", "-bsf:1", "filter_units=pass_types=5"] if codec == "h264" else []
    )
    ffmpeg = Ffmpeg(
        path, ["-v", "error", "-copyts", *source(path), "-map", "0:V:0", *clean_starts, *_PACKETS]
    )
    try:
        lines = _no_more_than(2 * n_bytes, ffmpeg.lines(), path)
        packets = read_packets(lines, keys_apart=bool(clean_starts))
        status = ffmpeg.finish()
        if status < 0:
            raise faults.undecodable(path, ffmpeg.words, status)
        failed = [f"it cannot be demuxed (status {status})"] if status else []
        return packets, ffmpeg.words + failed
    finally:
        ffmpeg.close()


def _no_more_than(most: int, lines: Iterable[bytes], path: str) -> Iterator[bytes]:
    """Lines, unless there are more than a file of this size can have pictures."""
    # An index of some bytes can name the same byte of the file millions of times.
    for count, line in enumerate(lines):
        if count > most + HEADER_LINES:
            raise faults.absurd(path)
        yield line


def _x264_build(path: str) -> int:
    """Version of x264, from the remarks (SEI, units of type 6) of the first picture with any."""
    ffmpeg = Ffmpeg(path, ["-v", "error", "-t", "1", *source(path), "-map", "0:V:0", *_REMARKS])
    try:
        remarks = bytearray(REMARK_BYTES)
        read = ffmpeg.read_into(memoryview(remarks))
        found = re.search(rb"x264 - core (\d{1,6})", remarks[:read])
    finally:
        ffmpeg.close()
    return int(found[1]) if found else -1


def count_by_decoding(path: str) -> int:
    """Frames that a full decode gives."""
    most = faults.check_file(path).st_size
    ffmpeg = Ffmpeg(path, ["-v", "error", *source(path), *_ALL_FRAMES])
    try:
        count = sum(1 for _ in _no_more_than(most, ffmpeg.lines(), path))
        status = ffmpeg.finish()
        if status < 0 or not count:
            raise faults.undecodable(path, ffmpeg.words, status)
        return count
    finally:
        ffmpeg.close()
