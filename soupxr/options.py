"""Options that hold for a whole session or a ``with`` block, as in xarray."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from soupxr.errors import ArgumentError, expected

__all__ = ["get_option", "set_options"]

PRECISIONS = ("auto", "float32", "bfloat16")

_OPTIONS: dict[str, Any] = {
    "data_root": None,
    "device": "auto",
    "precision": "float32",
    "progress": True,
    "video_cache": None,
    "video_cache_size": 20_000_000_000,
}


def _is_path_or_none(value: object) -> bool:
    return value is None or isinstance(value, (str, os.PathLike))


_VALIDATORS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "data_root": (_is_path_or_none, "a path or None"),
    "device": (lambda v: isinstance(v, str) and bool(v), "'auto', 'cpu', 'cuda', 'cuda:1', 'mps'"),
    "precision": (lambda v: v in PRECISIONS, " or ".join(repr(p) for p in PRECISIONS)),
    "progress": (lambda v: isinstance(v, bool), "True or False"),
    "video_cache": (_is_path_or_none, "a path or None"),
    "video_cache_size": (lambda v: isinstance(v, int) and v > 0, "a number of bytes"),
}


class set_options:
    """Set options for the session, or for a ``with`` block.

    Parameters
    ----------
    data_root : path, URL or None, optional
        Folder under which the videos lie on this machine. Overrides what the store says and the
        environment variable ``SOUPXR_DATA_ROOT``. Default: None (ask those).
    device : str, optional
        ``"auto"`` (CUDA, then MPS, then CPU) or a torch device such as ``"cuda:1"``.
    precision : {"auto", "float32", "bfloat16"}, optional
        Number format of the networks; see ``ds.soup.infer``.
    progress : bool, optional
        Show progress bars on long work.
    video_cache : path or None, optional
        Folder for copies of videos that lie behind a URL. Default: None (the user's cache folder).
    video_cache_size : int, optional
        Bytes that these may take all together. Default: 20 GB.

    Raises
    ------
    ArgumentError
        If an option does not exist or its value is of no use.

    Examples
    --------
    >>> import soupxr as sx
    >>> with sx.set_options(progress=False):
    ...     pass
    """

    def __init__(self, **options: Any) -> None:
        for name, value in options.items():
            if name not in _OPTIONS:
                raise ArgumentError(
                    expected("set_options", f"options among {sorted(_OPTIONS)}", name)
                )
            valid, expectation = _VALIDATORS[name]
            if not valid(value):
                raise ArgumentError(expected(name, expectation, value))
        self._previous = {name: _OPTIONS[name] for name in options}
        _OPTIONS.update(options)

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        _OPTIONS.update(self._previous)


def get_option(name: str) -> Any:
    """Value of one option as it stands now."""
    return _OPTIONS[name]
