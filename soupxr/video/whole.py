"""Does a file hold as many bytes as it says?

Recorders write how long the pictures are at the beginning of a file; of one that was copied by
half, ffmpeg decodes what is there, as if the trial were shorter. Files of a recorder that died say
nothing of the kind, and count for what they hold.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

__all__ = ["missing_bytes"]

#: Parts of a file that are looked at, at most; there are a handful.
MOST_PARTS = 10_000
#: With which an MP4 or MOV file may begin.
FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
#: Parts that hold pictures.
PICTURES = (b"mdat", b"movi")
#: What a recorder writes as the length of a part of an AVI file until it knows better.
UNKNOWN = (0, 0xFFFFFFFF)


def missing_bytes(path: str) -> int:
    """Bytes of pictures, at least, that an MP4, MOV or AVI file says it has, and has not.

    Of other formats, and of MP4 in fragments, which a recorder writes so that it can be cut off at
    any moment, this is 0.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        size = file.seek(0, os.SEEK_END)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            parts = list(_chunks(file))
        elif head[4:8] in FIRST_BOXES:
            parts = list(_boxes(file))
        else:
            parts = []
    if any(part.kind == b"moof" for part in parts):
        return 0
    return max([0, *(part.stop - size for part in parts if part.kind in PICTURES)])


class _Part(NamedTuple):
    kind: bytes
    stop: int


def _boxes(file: BinaryIO) -> Iterator[_Part]:
    """Parts of an MP4 or MOV file."""
    start = 0
    for _ in range(MOST_PARTS):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
        if length < 8:  # 0: to the end of the file, wherever that is
            return
        yield _Part(kind, start + length)
        start += length


def _chunks(file: BinaryIO) -> Iterator[_Part]:
    """Parts of an AVI file; a long one has several ``RIFF``, one after the other."""
    start = 0
    for _ in range(MOST_PARTS):
        file.seek(start)
        head = file.read(12)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head[:8])
        if kind == b"RIFF":
            start += 12
            continue
        if kind == b"LIST":
            kind = head[8:]
        if length in UNKNOWN:
            return
        yield _Part(kind, start + 8 + length)
        start += 8 + length + length % 2
