"""Bytes with something wrong in them, always the same for the same seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

__all__ = ["mutated"]

#: Bytes at either end of a file, where formats say what is in between.
EDGE = 2048

#: Numbers at which programs break.
NUMBERS = (0, 1, 2, -1, 127, 128, 255, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1)


def mutated(data: bytes, seed: int, others: Sequence[bytes] = ()) -> bytes:
    """A file that is nearly another one.

    Parameters
    ----------
    data : bytes
        A good file.
    seed : int
        Of all chance.
    others : sequence of bytes
        Good files that parts can be taken of.
    """
    chance = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        if not changed:
            break
        kind = chance.choice(_KINDS)
        kind(changed, chance)
    if others and chance.random() < 0.1:
        other = chance.choice(others)
        at, of = _place(changed, chance), _place(other, chance)
        changed[at:] = other[of:]
    return bytes(changed)


def _place(data: bytes | bytearray, chance: random.Random) -> int:
    """Near either end half of the time."""
    if not data:
        return 0
    end = min(EDGE, len(data))
    return chance.choice(
        (
            chance.randrange(len(data)),
            chance.randrange(len(data)),
            chance.randrange(end),
            len(data) - 1 - chance.randrange(end),
        )
    )


def _flip(data: bytearray, chance: random.Random) -> None:
    data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, chance: random.Random) -> None:
    data[_place(data, chance)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _number(data: bytearray, chance: random.Random) -> None:
    """A number, of either byte order, where there may be one."""
    size, letter = chance.choice(((2, "H"), (4, "I"), (4, "I"), (8, "Q")))
    at = _place(data, chance)
    number = chance.choice(NUMBERS) % (1 << 8 * size)
    data[at : at + size] = struct.pack(chance.choice("<>") + letter, number)


def _text(data: bytearray, chance: random.Random) -> None:
    """Another digit in the place of one, as formats of text have them."""
    digits = [place for place, byte in enumerate(data[: 1 << 16]) if 48 <= byte <= 57]
    if digits:
        at = chance.choice(digits)
        data[at : at + 1] = chance.choice((b"9" * 12, b"-1", b"0", b"1e300", b"NaN", b"null", b'"'))


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _drop(data: bytearray, chance: random.Random) -> None:
    at = _place(data, chance)
    del data[at : at + _length(chance)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    at, length = _place(data, chance), _length(chance)
    data[at:at] = data[at : at + length] * chance.choice((1, 1, 2, 50))


def _swap(data: bytearray, chance: random.Random) -> None:
    one, two, length = _place(data, chance), _place(data, chance), _length(chance)
    first, second = bytes(data[one : one + length]), bytes(data[two : two + length])
    data[one : one + len(first)] = second
    data[two : two + len(second)] = first


def _noise(data: bytearray, chance: random.Random) -> None:
    at, length = _place(data, chance), _length(chance)
    data[at : at + length] = chance.randbytes(length)


def _length(chance: random.Random) -> int:
    return int(chance.choice((1, 2, 4, 8, 16, 64, 512)))


_KINDS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _flip,
    _byte,
    _byte,
    _number,
    _number,
    _number,
    _text,
    _cut,
    _drop,
    _repeat,
    _swap,
    _noise,
)
