"""Where the frames of a video lie in time, and from which key pictures they can be decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from soupxr.video.packets import DISCARD, KEY, Flags, PacketTable, Stamps, Sums

__all__ = ["Landing", "Timeline"]

_HEAD = struct.Struct("<qqq")
LANDINGS_TRIED = 2


@dataclass(frozen=True)
class Landing:
    """A key picture to seek to.

    Parameters
    ----------
    place : int
        Its place in decoding order.
    microseconds : int
        Its presentation time, rounded up.
    frame : int
        The first frame that can be decoded from it.
    """

    place: int
    microseconds: int
    frame: int


class Timeline:
    """Stamps of frames and key pictures of a video whose packets can be believed.

    Parameters
    ----------
    tick : Fraction
        Seconds a tick.
    stamps : array of int64, shape (packets,)
        Presentation time of each packet in ticks, in decoding order.
    flags : array of uint8, shape (packets,)
        As in :class:`~soupxr.video.packets.PacketTable`.
    sums : array of uint32, shape (key pictures,)
        Checksum of each key picture's packet, in decoding order.
    """

    def __init__(self, tick: Fraction, stamps: Stamps, flags: Flags, sums: Sums) -> None:
        self.tick, self._stamps, self._flags, self._sums = tick, stamps, flags, sums
        self.frames = np.sort(stamps[(flags & DISCARD) == 0])
        keys = np.flatnonzero(flags & KEY)
        self._keys = keys[np.argsort(stamps[keys])]
        self._key_stamps = stamps[self._keys]
        self._by_stamp = np.argsort(stamps)

    @classmethod
    def of(cls, packets: PacketTable) -> Timeline:
        """The timeline of packets that can be believed."""
        flags = packets.flags & np.uint8(KEY | DISCARD)
        return cls(packets.tick, packets.pts, flags, packets.sums[(flags & KEY) > 0])

    def pack(self) -> bytes:
        """A few bytes a frame at most, far less at a constant rate with few key pictures."""
        steps = np.diff(self._stamps, prepend=0)
        head = _HEAD.pack(self.tick.numerator, self.tick.denominator, len(steps))
        return zlib.compress(
            head + steps.tobytes() + self._flags.tobytes() + self._sums.tobytes(), 6
        )

    @classmethod
    def unpack(cls, packed: bytes) -> Timeline:
        """The inverse of :meth:`pack`."""
        raw = zlib.decompress(packed)
        numerator, denominator, count = _HEAD.unpack_from(raw)
        steps = np.frombuffer(raw, np.int64, count, _HEAD.size)
        flags = np.frombuffer(raw, np.uint8, count, _HEAD.size + steps.nbytes)
        sums = np.frombuffer(raw, np.uint32, offset=_HEAD.size + steps.nbytes + flags.nbytes)
        return cls(Fraction(numerator, denominator), np.cumsum(steps), flags, sums)

    def key_frame(self, frame: int) -> int:
        """The first frame that is decodable from the key picture that `frame` needs."""
        key = int(np.searchsorted(self._key_stamps, self.frames[frame], "right")) - 1
        return int(np.searchsorted(self.frames, self._key_stamps[max(key, 0)]))

    def landings(self, frame: int) -> Iterator[Landing]:
        """Key pictures from which `frame` can be decoded, the best first.

        Pictures that come after a key picture in the file but before it in time may lean on what
        is before it; so it is time that has to be at or after the key picture's.
        """
        last = int(np.searchsorted(self._key_stamps, self.frames[frame], "right")) - 1
        for key in range(last, max(last - LANDINGS_TRIED, -1), -1):
            place = int(self._keys[key])
            if place == 0:
                return
            stamp = int(self._key_stamps[key])
            microseconds = -(-stamp * self.tick * 1_000_000 // 1)
            yield Landing(place, int(microseconds), int(np.searchsorted(self.frames, stamp)))

    def place(self, stamp: int) -> int | None:
        """Place in decoding order of the packet with this stamp; None where there is none."""
        at = int(np.searchsorted(self._stamps, stamp, sorter=self._by_stamp))
        if at == len(self._stamps) or self._stamps[self._by_stamp[at]] != stamp:
            return None
        return int(self._by_stamp[at])

    def is_another(self, place: int, checksum: int) -> bool:
        """Whether a packet is not the key picture's that was listed at this place."""
        if not self._flags[place] & KEY:
            return False
        return int(self._sums[np.count_nonzero(self._flags[:place] & KEY)]) != checksum
