"""Small files that promise far more than they hold."""

from __future__ import annotations

import struct

__all__ = ["endless_mp4", "huge_avi"]


def _box(kind: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I4s", 8 + len(inside), kind) + inside


def _full(kind: bytes, *numbers: int, then: bytes = b"") -> bytes:
    return _box(kind, bytes(4), struct.pack(f">{len(numbers)}I", *numbers), then)


def endless_mp4(
    chunks: int = 2000, samples: int = 2000, picture: bytes = b"\xff\xd8\xff\xd9"
) -> bytes:
    """An mp4 whose index names one picture ``chunks`` × ``samples`` times."""
    head = _box(b"ftyp", b"isom", bytes(4), b"isom")
    media = _box(b"mdat", picture * samples)
    total = chunks * samples
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    entry = struct.pack(">6xH16x2H2I4xH32xHH", 1, 96, 64, 0x480000, 0x480000, 1, 24, 0xFFFF)
    table = _box(
        b"stbl",
        _full(b"stsd", 1, then=_box(b"jpeg", entry)),
        _full(b"stts", 1, total, 1),
        _full(b"stsc", 1, 1, samples, 1),
        _full(b"stsz", len(picture), total),
        _full(b"stco", chunks, *[len(head) + 8] * chunks),
    )
    inside = _box(
        b"minf", _full(b"vmhd", 0, 0), _box(b"dinf", _full(b"dref", 1, then=_full(b"url "))), table
    )
    handler = _full(b"hdlr", 0, then=b"vide" + bytes(13))
    track = _full(
        b"tkhd", 0, 0, 1, 0, total, 0, 0, 0, 0, then=matrix + struct.pack(">II", 96 << 16, 64 << 16)
    )
    film = _full(
        b"mvhd", 0, 0, 30, total, 0x10000, 0x1000000, 0, 0, then=matrix + bytes(24) + b"\0\0\0\2"
    )
    media_box = _box(b"mdia", _full(b"mdhd", 0, 0, 30, total, 0), handler, inside)
    return head + media + _box(b"moov", film, _box(b"trak", track, media_box))


def huge_avi(film: bytes, width: int, height: int) -> bytes:
    """An AVI whose header gives its pictures another size."""
    changed = bytearray(film)
    at = film.index(b"strf") + 8
    struct.pack_into("<ii", changed, at + 4, width, height)
    return bytes(changed)
