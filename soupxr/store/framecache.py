"""Decoded frames, resized and ready for training: writing, reading and dropping them.

A trial's frames count once its ``source`` is written, which says of which videos they are.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from soupxr.errors import ArgumentError, StoreError, expected
from soupxr.schema import CLIP_CHUNK, frame_cache_variables
from soupxr.store.address import exclusive
from soupxr.store.groups import require_group
from soupxr.store.lookup import Store
from soupxr.store.results import Overtaken
from soupxr.store.zarrs import Array, open_group, write

__all__ = [
    "CachedFrames",
    "FrameCache",
    "cache_path",
    "cached_source",
    "drop_frame_caches",
    "frame_caches",
]

Frames = npt.NDArray[np.uint8]

PARENT = "frames"
#: Attribute that tells a cache from another that took its place after it was dropped.
MADE = "made"
#: Every how many pixels a frame is looked at to see whether it is black.
STRIDE = 8


def cache_path(size: tuple[int, int], style: str) -> str:
    """Group of the frames of one size (height, width) and style of resizing."""
    height, width = size
    return f"{PARENT}/{height}x{width}" + ("" if style == "antialias" else f"-{style}")


def frame_caches(store: Store) -> list[str]:
    """Groups of all caches that a store has."""
    return [path for path in store.optional_groups() if path.startswith(f"{PARENT}/")]


def cached_source(store: Store, path: str, slot: int) -> str:
    """Which videos the cached frames at this place are of; empty where none are whole."""
    source = store.optional(path).get("source")
    if source is None or slot >= source.shape[0]:
        return ""
    return str(source[slot])


class FrameCache:
    """Writes frames of one size and style.

    Parameters
    ----------
    address : str
        The store; the cache is made where it has none.
    size : (height, width)
        In pixels.
    style : {"antialias", "plain"}
        How they are resized.
    """

    def __init__(self, address: str, size: tuple[int, int], style: str) -> None:
        self._address, self._path = address, cache_path(size, style)
        dims = {"y": size[0], "x": size[1], "channel": 3}
        made = {MADE: uuid4().hex}
        require_group(address, self._path, frame_cache_variables(), dims, made)
        self._made = self._now_made()

    def start(self, key: str) -> TrialFrames:
        """Begin to write a trial; what is cached of it does not count from now on."""
        slot = self._slot(key)
        self._check_still_there()
        arrays = Store(self._address).optional(self._path)
        write(arrays["source"], slot, "")
        return TrialFrames(self, key, slot, arrays)

    def commit(self, trial: TrialFrames, source: str) -> None:
        """Declare a trial's frames whole, unless the trial or the cache went away meanwhile."""
        with exclusive(self._address):
            self._check_still_there()
            if self._slot(trial.key) != trial.slot:
                raise Overtaken(f"{trial.key}: the trial was removed and added again meanwhile")
            write(trial.arrays["source"], trial.slot, source)

    def _slot(self, key: str) -> int:
        slot = Store(self._address).slot_of_each_key().get(key)
        if slot is None:
            raise Overtaken(f"{key}: the trial was removed meanwhile")
        return slot

    def _check_still_there(self) -> None:
        if self._made is None or self._now_made() != self._made:
            raise StoreError(f"{self._path}: the cache was dropped while it was being filled")

    def _now_made(self) -> str | None:
        # Opened anew: an open group keeps the attributes it had.
        group = open_group(self._address)
        return str(group[self._path].attrs[MADE]) if self._path in group else None


class TrialFrames:
    """Takes one trial's frames, in order; made by :meth:`FrameCache.start`."""

    def __init__(self, cache: FrameCache, key: str, slot: int, arrays: dict[str, Array]) -> None:
        self.key, self.slot, self.arrays = key, slot, arrays
        self._cache = cache

    def write(self, start: int, frames: Frames) -> None:
        """Write a block.

        Parameters
        ----------
        start : int
            First frame; a multiple of ``schema.CLIP_CHUNK``, so that no chunk is written twice.
        frames : ndarray of uint8, (frame, y, x, 3)
            ``schema.CLIP_CHUNK`` of them, or the last ones.
        """
        assert start % CLIP_CHUNK == 0
        write(self.arrays["pixels"], (self.slot, slice(start, start + len(frames))), frames)

    def commit(self, source: str) -> None:
        """Declare the frames whole; see :meth:`FrameCache.commit`."""
        self._cache.commit(self, source)


class CachedFrames:
    """Reads one trial's cached frames, from any thread; can be sent to another process.

    Parameters
    ----------
    address, path : str
        The store, and the group of the cache.
    slot : int
        The trial's place.
    n_frames : int
        Its length.
    """

    def __init__(self, address: str, path: str, slot: int, n_frames: int) -> None:
        self.address, self.path, self.slot, self.n_frames = address, path, slot, n_frames

    def __reduce__(self) -> tuple[Any, ...]:
        return CachedFrames, (self.address, self.path, self.slot, self.n_frames)

    @cached_property
    def _pixels(self) -> Array:
        pixels = Store(self.address).optional(self.path).get("pixels")
        if pixels is None:
            raise self._dropped()
        return pixels

    def read(self, start: int, stop: int) -> Frames:
        """Read frames ``[start, stop)``.

        Returns
        -------
        ndarray of uint8, (frame, y, x, 3)

        Raises
        ------
        StoreError
            If the cache was dropped meanwhile.
        """
        if not 0 <= start <= stop <= self.n_frames:
            wanted = f"0 <= start <= stop <= {self.n_frames}"
            raise ArgumentError(expected("frames", wanted, (start, stop)))
        frames: Frames = np.asarray(self._pixels[self.slot, start:stop])
        # A chunk that is not there reads as black, as one that really is black is not written.
        black = ~frames[:, ::STRIDE, ::STRIDE].any(axis=(1, 2, 3))
        if black.any() and not cached_source(Store(self.address), self.path, self.slot):
            raise self._dropped()
        return frames

    def _dropped(self) -> StoreError:
        return StoreError(f"{self.path}: the cached frames were dropped while they were read")


def drop_frame_caches(address: str, paths: list[str]) -> None:
    """Remove caches and free their space."""
    with exclusive(address):
        store = Store(address)
        for path in paths:
            source = store.optional(path).get("source")
            if source is not None:
                # First, so that a process killed half-way leaves nothing that counts.
                write(source, ..., source.fill_value)
            if path in store.group:
                del store.group[path]
