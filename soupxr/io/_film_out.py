"""From a trial's videos and labels to a film."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr import ingest
from soupxr.dataset import data_root, one_key
from soupxr.errors import ArgumentError, expected
from soupxr.io._film_panel import Panel
from soupxr.io.chosen import Chosen, choose, new_file
from soupxr.options import get_option
from soupxr.progress import progress_bar
from soupxr.schema import is_whole
from soupxr.store import StoredTrial
from soupxr.video import VideoReader
from soupxr.video.writer import VideoWriter

__all__ = ["FilmRequest", "make"]

Picture = npt.NDArray[np.uint8]

#: Real time up to this rate; players skip frames of faster films.
MOST_FPS = 60.0
SLOW_FPS = 30.0
#: Narrower films cannot be read.
LEAST_WIDTH = 480


@dataclass(frozen=True)
class FilmRequest:
    """What the user of ``write`` wants."""

    start: int
    stop: int | None
    every: int
    fps: float | None
    behaviors: Sequence[str] | None
    span: Literal["all"] | int
    scale: int | None
    quality: int


def make(
    ds: xr.Dataset,
    path: Path,
    mode: str | None,
    annotator: str | None,
    request: FilmRequest,
    overwrite: bool,
    progress: bool | None,
) -> Path:
    """Write a film; see :func:`soupxr.io.film.write`."""
    if path.suffix.lower() != ".mp4":
        raise ArgumentError(expected("path", "a name that ends in .mp4", str(path)))
    one_key(ds, "film.write")
    chosen = choose(ds, mode, annotator, "film.write")
    ((trial, mask),) = chosen.masks()
    frames, fps = _plan(request, trial)
    columns = _columns(request, chosen)
    record = chosen.provenance() | {
        "frames": {"start": frames.start, "stop": frames.stop, "every": frames.step, "fps": fps}
    }
    paths = [ingest.resolve_video(data_root(chosen.store), video) for video in trial.video_paths]
    shows_bar = bool(get_option("progress")) if progress is None else progress
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(VideoReader(video)) for video in paths]
        size = _Size.of(readers, request.scale)
        panel = Panel(
            mask[:, columns],
            [chosen.behaviors[column] for column in columns],
            size.width,
            frames.start,
            frames.stop,
            request.span,
            _title(trial, chosen, fps, frames.step),
            trial.fps,
        )
        height = size.height + panel.height
        height += height % 2
        unfinished = stack.enter_context(new_file(path, overwrite))
        told = {"title": trial.key, "comment": json.dumps(record)}
        film = stack.enter_context(
            VideoWriter(unfinished, height, size.width, fps, told, request.quality)
        )
        bar = stack.enter_context(progress_bar(len(frames), "film", "frame", enabled=shows_bar))
        for frame, pictures in zip(frames, _pictures(readers, frames), strict=True):
            canvas = np.zeros((height, size.width, 3), np.uint8)
            size.place(pictures, canvas)
            canvas[size.height : size.height + panel.height] = panel.draw(frame)
            film.write(canvas)
            bar.update(1)
    return path


def _plan(request: FilmRequest, trial: StoredTrial) -> tuple[range, float]:
    """Frames that are exported, and how fast."""
    stop = trial.n_frames if request.stop is None else request.stop
    if not (is_whole(request.start) and is_whole(stop)) or not (
        0 <= request.start < stop <= trial.n_frames
    ):
        wanted = f"0 <= start < stop <= {trial.n_frames} frames"
        raise ArgumentError(expected("start, stop", wanted, (request.start, stop)))
    for name, value in (("every", request.every), ("scale", request.scale)):
        if value is not None and (not is_whole(value) or value < 1):
            raise ArgumentError(expected(name, "a whole number from 1", value))
    if request.span != "all" and (not is_whole(request.span) or request.span < 2):
        raise ArgumentError(expected("span", "'all', 'window' or frames from 2", request.span))
    if not is_whole(request.quality) or not 0 <= request.quality <= 51:
        raise ArgumentError(expected("quality", "a whole number from 0 to 51", request.quality))
    real_time = trial.fps / request.every
    fps = (real_time if real_time <= MOST_FPS else SLOW_FPS) if request.fps is None else request.fps
    if not 0.01 <= fps <= 1000:
        raise ArgumentError(expected("fps", "frames a second, from 0.01 to 1000", fps))
    return range(request.start, stop, request.every), float(fps)


def _columns(request: FilmRequest, chosen: Chosen) -> list[int]:
    if request.behaviors is None:
        return list(range(len(chosen.behaviors)))
    strange = [name for name in request.behaviors if name not in chosen.behaviors]
    if strange or not request.behaviors or isinstance(request.behaviors, str):
        wanted = f"some of {chosen.behaviors}"
        raise ArgumentError(expected("behaviors", wanted, request.behaviors))
    return [chosen.behaviors.index(name) for name in request.behaviors]


def _title(trial: StoredTrial, chosen: Chosen, fps: float, every: int) -> str:
    speed = fps * every / trial.fps
    told = "" if abs(speed - 1) < 1e-3 else f"   speed {speed:.3g}x"
    return f"{trial.key}   {chosen.source.name}{told}"


# ------------------------------------------------------------------ pictures


def _pictures(readers: Sequence[VideoReader], frames: range) -> Iterator[list[Picture]]:
    """What all views show at each of the frames."""
    streams = [_stream(reader, frames) for reader in readers]
    for pictures in zip(*streams, strict=True):
        yield list(pictures)


def _stream(reader: VideoReader, frames: range) -> Iterator[Picture]:
    for block in reader.sample(frames.step, start=frames.start, stop=frames.stop):
        yield from block


@dataclass(frozen=True)
class _Size:
    """Where the views lie: side by side, from the top, black around them."""

    height: int
    width: int
    scale: int
    lefts: tuple[int, ...]

    @classmethod
    def of(cls, readers: Sequence[VideoReader], scale: int | None) -> _Size:
        widths = [reader.info.width for reader in readers]
        if scale is None:
            scale = -(-LEAST_WIDTH // sum(widths))
        lefts = tuple(scale * sum(widths[:place]) for place in range(len(widths)))
        width = scale * sum(widths)
        height = scale * max(reader.info.height for reader in readers)
        return cls(height, width + width % 2, scale, lefts)

    def place(self, pictures: Sequence[Picture], canvas: Picture) -> None:
        """Put the views on the canvas."""
        for left, picture in zip(self.lefts, pictures, strict=True):
            whole = picture.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            canvas[: len(whole), left : left + whole.shape[1]] = whole
