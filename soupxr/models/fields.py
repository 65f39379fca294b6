"""Whether the fields of a checkpoint of ours are of the types that they have to be of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from soupxr.models.record import STORED

__all__ = ["malformed"]

#: What a file's fields may be. Sizes are those that somebody may have meant.
LARGEST_SIDE, LONGEST_WINDOW, LONGEST_FILTER, MOST_VALUES = 100_000, 1000, 10_000, 100_000


def malformed(content: Mapping[str, Any]) -> Iterator[str]:
    """What in the fields of a file is of the wrong type or size.

    Nothing of it is shown: a file can describe values that cannot be written out.

    Parameters
    ----------
    content : mapping
        With all of :data:`STORED`.
    """
    for name in STORED:
        value = content[name]
        if value is None and name in _OPTIONAL:
            continue
        expectation, fits = _FITTING[name]
        if not fits(value):
            yield f"{name}: expected {expectation}, but got another {type(value).__name__}."


def _is_whole(value: Any, most: int = 2**31) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**31


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LARGEST_SIDE


def _all_in(values: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(values, tuple) and len(values) <= MOST_VALUES and all(map(fits, values))


def _is_config(value: Any) -> bool:
    if not isinstance(value, dict) or not all(_is_text(name) for name in value):
        return False
    length = value.get("filter_length", 1)
    plain = all(_is_text(one) or _is_number(one) or isinstance(one, bool) for one in value.values())
    return plain and _is_whole(length, LONGEST_FILTER) and length > 0


def _is_small(value: Any) -> bool:
    """Whether a value is plain and can be written out."""
    left = MOST_VALUES
    open_values = [value]
    while open_values and left > 0:
        one = open_values.pop()
        if isinstance(one, Mapping):
            open_values += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            open_values += one
        elif isinstance(one, str):
            left -= len(one) // 100
        elif not isinstance(one, bool | int | float | None):
            return False
        left -= 1
        if len(open_values) > left:
            return False
    return left > 0


_OPTIONAL = frozenset(STORED) - {"kind", "config", "extra"}
_FITTING: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "kind": ("a text", _is_text),
    "mode": ("a text", _is_text),
    "n_classes": ("a whole number", _is_whole),
    "behaviors": ("a tuple of texts", lambda value: _all_in(value, _is_text)),
    "window": ("a number of frames", lambda value: _is_whole(value, LONGEST_WINDOW)),
    "image_size": (
        "(height, width) in pixels",
        lambda value: _all_in(value, lambda side: _is_whole(side, LARGEST_SIDE)),
    ),
    "preprocessing": ("a text", _is_text),
    "normalization": (
        "(mean, std), three numbers each",
        lambda value: _all_in(value, lambda part: _all_in(part, _is_number)),
    ),
    "thresholds": ("a tuple of numbers", lambda value: _all_in(value, _is_number)),
    "minimum_bout": (
        "a number of frames, or a tuple of them",
        lambda value: _is_whole(value) or _all_in(value, _is_whole),
    ),
    "soupxr_version": ("a text", _is_text),
    "epoch": ("a whole number", _is_whole),
    "config": ("a dict of texts and numbers", _is_config),
    "extra": ("a dict of plain values", lambda value: isinstance(value, dict) and _is_small(value)),
}
