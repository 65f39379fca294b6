"""Decoded frames in the store, so that training reads short clips from anywhere without seeking."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.dataset import data_root, keys_of, reopen, store_of
from soupxr.errors import (
    ArgumentError,
    SoupWarning,
    StoreError,
    VideoError,
    expected,
    listed,
)
from soupxr.ingest import resolve_video
from soupxr.options import get_option
from soupxr.progress import progress_bar
from soupxr.schema import CLIP_CHUNK, is_whole
from soupxr.store import (
    CachedFrames,
    FrameCache,
    Overtaken,
    Store,
    StoredTrial,
    cache_path,
    cached_source,
    drop_frame_caches,
    frame_caches,
)
from soupxr.video import lazy_frames, probe
from soupxr.video.fingerprint import fingerprint

__all__ = ["cache_frames", "drop_cache", "open_cached"]

log = logging.getLogger(__name__)

#: Most that a file takes on a disk beyond what is in it.
BLOCK_BYTES = 4096
#: Most that Zstd adds to what it cannot compress.
INCOMPRESSIBLE = 1.005

Size = tuple[int, int]
Report = Callable[[int], object]


def open_cached(store: Store, key: str, size: Size, style: str) -> CachedFrames | None:
    """Open a trial's cached frames.

    Parameters
    ----------
    store : Store
        Where they may be.
    key : str
        The trial.
    size : (height, width)
        In pixels.
    style : {"antialias", "plain"}
        How they were resized.

    Returns
    -------
    CachedFrames or None
        None where the trial is not cached, or its videos are others now. Where the videos are not
        at hand, the cache is taken for what it is.
    """
    trial = store.trial(key)
    path = cache_path(size, style)
    if not _is_cached(store, path, trial, data_root(store)):
        return None
    return CachedFrames(store.address, path, trial.slot, trial.n_frames)


def cache_frames(
    ds: xr.Dataset,
    size: int | Size,
    *,
    preprocessing: str = "antialias",
    progress: bool | None = None,
) -> xr.Dataset:
    """Cache frames; see ``ds.soup.cache_frames``."""
    store = store_of(ds)
    size, style = _checked_size(size), _checked_style(preprocessing)
    root, path = data_root(store), cache_path(size, style)
    trials = store.trials(list(dict.fromkeys(keys_of(ds))))
    todo = [trial for trial in trials if not _is_cached(store, path, trial, root)]
    if todo:
        need = _Need.of(todo, size)
        _check_space(store.address, need)
        told = f"{size[0]}x{size[1]}, up to {_human(need.bound)}"
        log.info(
            "caching frames of %d trial(s) at %dx%d: %s raw, at most %s on disk",
            len(todo), *size, _human(need.raw), _human(need.bound),
        )  # fmt: skip
        shown = get_option("progress") if progress is None else progress
        job = _Job(FrameCache(store.address, size, style), store, root, size, style)
        with progress_bar(need.frames, told, "frame", enabled=shown) as bar:
            failures = list(_run(job, todo, bar.update))
        if failures:
            warnings.warn(
                f"{len(failures)} of {len(todo)} trial(s) could not be cached; the others are:"
                + listed(failures),
                SoupWarning,
                stacklevel=3,
            )
    return reopen(ds)


def drop_cache(ds: xr.Dataset, size: int | Size | None = None) -> xr.Dataset:
    """Drop caches; see ``ds.soup.drop_cache``."""
    store = store_of(ds)
    there = frame_caches(store)
    chosen = there
    if size is not None:
        size = _checked_size(size)
        chosen = [path for path in there if path in {cache_path(size, s) for s in _styles()}]
        if not chosen:
            names = [path.split("/")[1] for path in there]
            raise ArgumentError(expected("size", f"that of a cache, of {names}", size))
    drop_frame_caches(store.address, chosen)
    return reopen(ds)


# ------------------------------------------------------------------ what is asked for


def _styles() -> tuple[str, ...]:
    from soupxr.inference.preprocess import STYLES

    return STYLES


def _checked_style(style: str) -> str:
    if style not in _styles():
        raise ArgumentError(expected("preprocessing", " or ".join(map(repr, _styles())), style))
    return style


def _checked_size(size: object) -> Size:
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2 or not all(is_whole(side) and side > 0 for side in sides):
        raise ArgumentError(expected("size", "a side, or (height, width), in pixels", size))
    return int(sides[0]), int(sides[1])


@dataclass(frozen=True)
class _Need:
    """What a cache takes: frames, bytes of pixels, and the most it can take on disk."""

    frames: int
    raw: int
    bound: int

    @classmethod
    def of(cls, trials: Sequence[StoredTrial], size: Size) -> _Need:
        frame = size[0] * size[1] * 3
        frames = sum(trial.n_frames for trial in trials)
        chunks = sum(-(-trial.n_frames // CLIP_CHUNK) for trial in trials)
        pixels = int(INCOMPRESSIBLE * chunks * CLIP_CHUNK * frame)
        return cls(frames, frames * frame, pixels + BLOCK_BYTES * (chunks + len(trials)))


def _check_space(address: str, need: _Need) -> None:
    if "://" in address:
        return  # nobody can tell how much a bucket takes
    free = shutil.disk_usage(address).free
    if need.bound > free:
        raise StoreError(
            f"{address}: the frames may need {_human(need.bound)}, but the disk has "
            f"{_human(free)} free. Nothing was written. Select fewer trials, choose a smaller "
            "size, or free some space."
        )


def _human(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.3g} TB"


def _is_cached(store: Store, path: str, trial: StoredTrial, root: Path) -> bool:
    source = cached_source(store, path, trial.slot)
    if not source:
        return False
    try:
        return source == _source(_paths(trial, root))
    except FileNotFoundError:
        return True


# ------------------------------------------------------------------ doing it


@dataclass(frozen=True)
class _Job:
    cache: FrameCache
    store: Store
    root: Path
    size: Size
    style: str


def _run(job: _Job, trials: Sequence[StoredTrial], report: Report) -> Iterator[str]:
    """Cache trial after trial; tell which could not be, and why."""
    for trial in trials:
        try:
            _cache(job, trial, report)
        except (VideoError, ArgumentError, Overtaken, OSError) as failure:
            log.debug("trial %s was not cached", trial.key, exc_info=True)
            yield f"{trial.key}: {failure}"


def _cache(job: _Job, trial: StoredTrial, report: Report) -> None:
    from soupxr.inference.stream import look_ahead, rechunk

    paths = _paths(trial, job.root)
    infos = [probe(path) for path in paths]
    n_frames = min(info.n_frames for info in infos)
    if n_frames != trial.n_frames:
        raise VideoError(
            f"its videos have {n_frames} frames, but had {trial.n_frames} when it was added. "
            "If they were replaced, remove the trial and add it again."
        )
    source = _source(paths)
    writer = job.cache.start(trial.key)
    frames = lazy_frames(paths, n_frames, infos, join=job.store.attrs["join"])
    with closing(look_ahead(_resized(frames, job.size, job.style))) as stream:
        done = 0
        for block in rechunk(stream, CLIP_CHUNK):
            writer.write(done, block)
            done += len(block)
            report(len(block))
    if _source(paths) != source:
        raise VideoError("its videos were replaced while they were read. Cache it again.")
    writer.commit(source)


def _resized(frames: object, size: Size, style: str) -> Iterator[npt.NDArray[np.uint8]]:
    """Blocks of frames at the networks' size, rounded to 8 bits."""
    import torch

    from soupxr.inference.preprocess import Preprocessing
    from soupxr.inference.stream import blocks_of

    resize = Preprocessing(size, style, (0.0,) * 3, (1.0,) * 3).resize  # type: ignore[arg-type]
    for block in blocks_of(frames):
        with torch.inference_mode():
            values = resize(torch.from_numpy(block)).mul_(255).round_().clamp_(0, 255)
            pixels = values.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        yield pixels.numpy()


def _paths(trial: StoredTrial, root: Path) -> list[Path]:
    return [resolve_video(root, path) for path in trial.video_paths]


def _source(paths: Sequence[Path]) -> str:
    """Fingerprints of a trial's videos, in the order of its views."""
    return " ".join(fingerprint(path) for path in paths)
