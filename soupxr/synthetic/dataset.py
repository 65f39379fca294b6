"""A folder of rendered videos, laid out as a lab would, with the truth beside it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pandas as pd

from soupxr.bouts import mask_to_bouts
from soupxr.errors import ArgumentError, VideoError, expected
from soupxr.files import whole_file
from soupxr.modes import BEHAVIORS
from soupxr.options import get_option
from soupxr.progress import progress_bar
from soupxr.schema import check_name
from soupxr.synthetic.anatomy import VIEWS
from soupxr.synthetic.trial import Trial, check_whole, render_trial

__all__ = ["read_truth", "write_dataset"]

TRUTH_FILE = "truth.csv"
TRUTH_COLUMNS = {
    "animal": "str",
    "session": "str",
    "trial_id": "int64",
    "behavior": "str",
    "start": "int64",
    "stop": "int64",
}
#: Frames from one key frame to the next.
GOP = 50


def write_dataset(
    data_root: str | os.PathLike[str],
    *,
    animals: int | Sequence[str] = 2,
    sessions: int | Sequence[str] = 1,
    trials: int = 2,
    n_frames: int = 300,
    height: int = 260,
    width: int = 176,
    fps: float = 500.0,
    difficulty: float = 0.5,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Film invented animals into ``data_root/<animal>/<session>/reach_<view>_v<trial>.mp4``.

    The truth is written to ``data_root/truth.csv`` last of all: a folder without it is the work
    of an interrupted run. The first trial of every session is a successful reach; in the others
    reaches fail, are repeated, or do not happen.

    Parameters
    ----------
    data_root : path
        Folder to write into; made where there is none.
    animals, sessions : int or sequence of str
        How many (named M1, M2, … and S1, S2, …), or their names.
    trials : int
        Trials in each session, numbered from 1.
    n_frames : int
        Frames in each trial.
    height, width : int
        Size of each view in pixels; even, as H.264 wants it.
    fps, difficulty, seed
        As in :func:`render_trial`.
    overwrite : bool
        Replace videos and truth that are there already.
    progress : bool, optional
        Show a bar; by default as ``set_options(progress=…)`` says.

    Returns
    -------
    pandas.DataFrame
        The truth, one row a bout: animal, session, trial_id, behavior, start, stop, in frames;
        half-open. A trial in which nothing happens has no row.

    Raises
    ------
    ArgumentError
        If an argument is of no use, or videos are there already.
    VideoError
        If a video cannot be encoded.
    """
    for argument, size in (("height", height), ("width", width)):
        check_whole(argument, size, 32)
        if size % 2:
            raise ArgumentError(expected(argument, "an even number", size))
    check_whole("trials", trials, 1)
    root = Path(data_root)
    keys = [
        (animal, session, trial_id)
        for animal in _names("animals", animals, "M")
        for session in _names("sessions", sessions, "S")
        for trial_id in range(1, trials + 1)
    ]
    _make_room(root, keys, overwrite)
    bouts = []
    shown = get_option("progress") if progress is None else progress
    with progress_bar(len(keys) * n_frames, "rendering", "frame", enabled=shown) as bar:
        for animal, session, trial_id in keys:
            trial = render_trial(
                animal,
                seed=seed,
                session=session,
                trial_id=trial_id,
                n_frames=n_frames,
                height=height,
                width=width,
                fps=fps,
                difficulty=difficulty,
                outcome="success" if trial_id == 1 else None,
            )
            for view in VIEWS:
                _encode(trial, view, video_path(root, animal, session, view, trial_id))
            bouts += list(_bouts(trial))
            bar.update(n_frames)
    table = pd.DataFrame(bouts, columns=list(TRUTH_COLUMNS)).astype(TRUTH_COLUMNS)
    with whole_file(root / TRUTH_FILE) as partial:
        table.to_csv(partial, index=False)
    return table


def read_truth(data_root: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the truth that :func:`write_dataset` left.

    Parameters
    ----------
    data_root : path
        Folder that was written.

    Returns
    -------
    pandas.DataFrame
        As :func:`write_dataset` returns it.

    Raises
    ------
    ArgumentError
        If the folder is not one that was written to its end.
    """
    path = Path(data_root) / TRUTH_FILE
    remedy = "Write it (again) with write_dataset(…)."
    if not path.is_file():
        raise ArgumentError(
            expected("data_root", f"a folder with {TRUTH_FILE}", str(data_root), remedy)
        )
    table = pd.read_csv(path, dtype={"animal": "str", "session": "str"}, keep_default_na=False)
    if list(table.columns) != list(TRUTH_COLUMNS):
        columns = ", ".join(TRUTH_COLUMNS)
        raise ArgumentError(
            expected(TRUTH_FILE, f"the columns {columns}", list(table.columns), remedy)
        )
    return table.astype(TRUTH_COLUMNS)


def video_path(root: Path, animal: str, session: str, view: str, trial_id: int) -> Path:
    """Where a video of the dataset lies."""
    return root / animal / session / f"reach_{view}_v{trial_id:03d}.mp4"


def _names(argument: str, given: int | Sequence[str], letter: str) -> list[str]:
    if isinstance(given, str):
        raise ArgumentError(expected(argument, "a number or a sequence of names", given))
    if isinstance(given, Sequence):
        names = [check_name(argument, name) for name in given]
        if not names or len(set(names)) < len(names):
            raise ArgumentError(expected(argument, "one name or more, each once", names))
        return names
    check_whole(argument, given, 1)
    return [f"{letter}{number}" for number in range(1, given + 1)]


def _make_room(root: Path, keys: list[tuple[str, str, int]], overwrite: bool) -> None:
    """Refuse to write over anything unasked; make folders; withdraw the old truth first."""
    paths = [video_path(root, *key[:2], view, key[2]) for key in keys for view in VIEWS]
    there = [path for path in [*paths, root / TRUTH_FILE] if path.exists()]
    if there and not overwrite:
        raise ArgumentError(
            expected(
                "data_root",
                "a folder without these videos or a truth.csv",
                str(there[0]),
                "Pass overwrite=True to replace them, or write elsewhere.",
            )
        )
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    (root / TRUTH_FILE).unlink(missing_ok=True)


def _bouts(trial: Trial) -> Iterator[tuple[str, str, int, str, int, int]]:
    for column, behavior in enumerate(BEHAVIORS):
        for start, stop in mask_to_bouts(trial.truth[:, column]).tolist():
            yield trial.animal, trial.session, trial.trial_id, behavior, start, stop


def _encode(trial: Trial, view: str, path: Path) -> None:
    """Write one view as H.264, frame for frame."""
    with whole_file(path) as partial, tempfile.TemporaryFile() as complaints:
        command = _ffmpeg_command(trial, partial)
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints
        ) as process:
            try:
                _feed(process, trial, view)
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
            raise VideoError(f"{path}: expected ffmpeg to write it, but it failed: {said}")


def _feed(process: subprocess.Popen[bytes], trial: Trial, view: str) -> None:
    """Send every frame; an encoder that stops listening tells why when it exits."""
    assert process.stdin is not None
    try:
        with suppress(BrokenPipeError):
            for frame in range(trial.n_frames):
                process.stdin.write(trial.picture(view, frame).tobytes())
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()


def _ffmpeg_command(trial: Trial, path: Path) -> list[str]:
    from imageio_ffmpeg import get_ffmpeg_exe

    fraction = Fraction(trial.fps).limit_denominator(1001)
    # Named for the output too: ffmpeg rounds the input's to a usual rate (240.5 Hz to 240).
    rate = f"{fraction.numerator}/{fraction.denominator}"
    size = f"{trial.width}x{trial.height}"
    return [
        *(get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "gray", "-video_size", size),
        *("-framerate", rate, "-i", "pipe:0"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"),
        *("-g", str(GOP), "-bf", "0", "-threads", "1", "-r", rate, "-fps_mode", "cfr"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"),
        *("-movflags", "+faststart", "-f", "mp4", f"file:{path}"),
    ]
