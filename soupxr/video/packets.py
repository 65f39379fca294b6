"""What demuxing says about a video's frames, and whether it can be believed.

A *packet* is one coded picture. The demuxer gives each its time stamps without decoding anything.
Where every packet has a stamp of its own, is one shown picture, and key pictures are known for
sure, packets sorted by stamp are the frames, and a frame can be sought by its stamp.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

__all__ = ["Flags", "PacketTable", "Stamps", "Sums", "frame_rate", "read_packets", "reason_to_scan"]

Stamps = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint8]
Sums = npt.NDArray[np.uint32]

NO_STAMP = -(2**63)
KEY, CORRUPT, DISCARD = 1, 2, 4

# Codecs of which a packet is one picture, and whose key pictures ffmpeg tells by the coded picture
# itself rather than by the container's word for it. (VP8 hides pictures; WMV has no such parser.)
_KEY_ALWAYS = {"dnxhd", "dvvideo", "ffv1", "ffvhuff", "huffyuv", "mjpeg", "prores", "utvideo"}
_PLAIN_PIXELS = {"png", "rawvideo", "v210"}
_KEY_BY_PARSER = {"av1", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp9"}
_ONE_PICTURE_A_PACKET = _KEY_ALWAYS | _PLAIN_PIXELS | _KEY_BY_PARSER
# Codecs that may code the two fields of a picture as two packets, unless it is progressive.
_MAY_CODE_FIELDS = frozenset({"h264", "mpeg2video"})
# Rates that are not whole, of which ffmpeg prints two decimals only.
_ROUNDING = Fraction(6, 1000)
_BROADCAST_RATES = [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120, 240)]


@dataclass(frozen=True)
class PacketTable:
    """Packets of one stream, in decoding order; stamps and durations in ticks.

    Parameters
    ----------
    tick : Fraction
        Seconds a tick.
    pts, dts, duration : array of int64, shape (packets,)
        Presentation and decoding time, ``NO_STAMP`` where the file has none.
    flags : array of uint8, shape (packets,)
        Sum of ``KEY``, ``CORRUPT`` and ``DISCARD`` (decoded but not shown, by an edit list).
    sums : array of uint32, shape (packets,)
        Checksum of each packet's bytes.
    """

    tick: Fraction
    pts: Stamps
    dts: Stamps
    duration: Stamps
    flags: Flags
    sums: Sums

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Which packets are shown."""
        shown: npt.NDArray[np.bool_] = (self.flags & DISCARD) == 0
        return shown

    @property
    def damaged(self) -> bool:
        """Whether the demuxer found a packet incomplete."""
        return bool((self.flags & CORRUPT).any())


def read_packets(lines: Iterable[bytes], *, keys_apart: bool) -> PacketTable:
    """Parse the output of ffmpeg's framecrc muxer.

    Parameters
    ----------
    lines : iterable of bytes
        Lines of stream 0 and, with `keys_apart`, of stream 1: the same packets less those that are
        no key pictures.
    keys_apart : bool
        Believe stream 1 rather than the flags of stream 0 about key pictures.
    """
    tick = Fraction(0)
    rows = array("q")
    keys: set[int] = set()
    for line in lines:
        if line.startswith(b"#tb 0:"):
            tick = Fraction(line.split()[-1].decode())
        if line.startswith(b"#") or not line:
            continue
        stream, dts, pts, duration, _, checksum, *_ = line.split(b",", 6)
        if stream == b"1":
            keys.add(int(pts))
        else:
            rows.extend((int(pts), int(dts), int(duration), _flags(line), int(checksum, 16)))
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    flags = table[:, 3].astype(np.uint8)
    if keys_apart:
        flags &= np.uint8(0xFF ^ KEY)
        flags[np.isin(table[:, 0], np.fromiter(keys, np.int64))] |= KEY
    sums = table[:, 4].astype(np.uint32)
    return PacketTable(tick, table[:, 0], table[:, 1], table[:, 2], flags, sums)


def _flags(line: bytes) -> int:
    at = line.find(b" F=0x")
    return int(line[at + 5 :].split(b",", 1)[0], 16) & 0xFF if at >= 0 else KEY


def reason_to_scan(
    packets: PacketTable,
    codec: str,
    *,
    progressive: bool,
    videos: int,
    complaints: Sequence[str],
) -> str:
    """Why frames cannot be told from packets; the empty string where they can.

    Parameters
    ----------
    packets : PacketTable
        All packets of the stream.
    codec : str
        ffmpeg's name of it.
    progressive : bool
        Whether ffmpeg is sure that pictures are not interlaced.
    videos : int
        Streams of video in the file.
    complaints : sequence of str
        What ffmpeg complained about while it listed the packets.
    """
    if videos != 1:
        return f"it holds {videos} videos"
    if not len(packets.pts):
        return "ffmpeg lists no packets"
    if codec not in _ONE_PICTURE_A_PACKET:
        return f"a packet of {codec} need not be a picture"
    if codec in _MAY_CODE_FIELDS and not progressive:
        return "it may be interlaced, with two packets a picture"
    if complaints:
        return f"ffmpeg says: {complaints[0]}"
    if packets.damaged:
        return "some packets are damaged"
    if (packets.pts == NO_STAMP).any():
        return "it has no presentation times"
    if len(np.unique(packets.pts)) != len(packets.pts):
        return "some presentation times occur twice"
    if not packets.flags[0] & KEY:
        return "it does not begin with a key picture"
    if not packets.shown.any():
        return "no picture is shown"
    if (packets.pts[packets.shown] < packets.pts[0]).any():
        return "pictures before its first key picture cannot be decoded"
    return ""


def frame_rate(packets: PacketTable, declared: Fraction, *, averaged: bool) -> Fraction:
    """Frames a second.

    Parameters
    ----------
    packets : PacketTable
        Packets with presentation or at least decoding times.
    declared : Fraction
        What the container says, as ffmpeg prints it: above 0, rounded to two decimals.
    averaged : bool
        Whether the declared rate is an average of these very stamps (mp4), so that the stamps know
        better. Else a declared rate that agrees with every stamp is exact, and the stamps are
        rounded.
    """
    declared = next((r for r in _BROADCAST_RATES if abs(r - declared) < _ROUNDING), declared)
    if not averaged and _agrees(packets, declared):
        return declared
    # Decoding times: they are there even where presentation times are not, and a file's own mean
    # rate (what ffprobe tells) is that of its decoding times.
    times = packets.dts
    if len(times) < 2 or (times == NO_STAMP).any() or times[-1] <= times[0]:
        return declared
    last = int(packets.duration[-1])
    span = int(times[-1] - times[0])
    frames = len(times) if last > 0 else len(times) - 1
    return frames / (packets.tick * (span + max(last, 0)))


def _agrees(packets: PacketTable, rate: Fraction) -> bool:
    """Whether each stamp is the whole tick next to where a constant rate puts it."""
    times = packets.dts if (packets.pts == NO_STAMP).any() else packets.pts
    times = np.sort(times[packets.shown])
    if not len(times) or times[0] == NO_STAMP:
        return False
    ideal = np.arange(len(times)) / float(rate * packets.tick)
    return bool(np.abs(times - times[0] - ideal).max() <= 1)
