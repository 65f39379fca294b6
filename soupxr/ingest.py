"""From folders of videos to a table of trials. Pure: reads, measures, judges, writes nothing.

The layout is ``data_root/<animal>/<session>/<name>_<view>_v<trial>.<ext>``. :func:`survey` finds
the trials that were asked for, measures every video, and either returns complete rows or raises
one :class:`~soupxr.errors.IngestError` that tells everything that is wrong, file by file.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

# Python's own re has no limit of time, and a store may come with a pattern that never ends.
import regex

from soupxr.errors import ArgumentError, IngestError, SoupWarning, VideoError, expected, listed
from soupxr.progress import progress_bar
from soupxr.schema import check_name, is_storable, is_whole, trial_key
from soupxr.video import VideoInfo, probe_many
from soupxr.video.remote import as_root, telling_of_remote

__all__ = ["TrialRow", "compile_pattern", "resolve_video", "survey", "survey_files"]

Pattern: TypeAlias = "regex.Pattern[str]"

#: How long a pattern may look at a name (s).
PATTERN_S = 1.0
VIDEO_SUFFIXES = frozenset(
    [
        ".avi",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ts",
        ".webm",
        ".wmv",
    ]
)

#: Trials are numbered by hand or by a camera: a longer run of digits is something else.
LAST_TRIAL = 2**53
#: Two rates are the same if they agree this well, or drift by less than half a frame in the trial.
RATE_TOLERANCE = 5e-4
LOOSEST_RATE_TOLERANCE = 0.01


@dataclass(frozen=True)
class TrialRow:
    """One trial, ready to be stored."""

    animal: str
    session: str
    trial_id: int
    video_paths: tuple[str, ...]
    n_frames: int
    fps: float

    @property
    def key(self) -> str:
        """The stored key."""
        return trial_key(self.animal, self.session, self.trial_id)


@dataclass
class _Found:
    """The files of one trial, by view, before they are measured."""

    animal: str
    session: str
    trial_id: int
    files: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    @property
    def key(self) -> str:
        return trial_key(self.animal, self.session, self.trial_id)


def compile_pattern(pattern: str | None) -> Pattern | None:
    """Check and compile a user's file-name pattern.

    Parameters
    ----------
    pattern : str or None
        Regular expression, searched in the file's name, with groups ``view`` and ``trial_id``.

    Raises
    ------
    ArgumentError
        If it does not compile or lacks a group.
    """
    if pattern is None:
        return None
    example = r"Example: r'(?P<view>side|front)_v(?P<trial_id>\d+)'."
    try:
        compiled = regex.compile(pattern)
    except (regex.error, TypeError) as error:
        raise ArgumentError(
            expected("pattern", f"a regular expression ({error})", pattern, example)
        ) from None
    if not {"view", "trial_id"} <= set(compiled.groupindex):
        raise ArgumentError(expected("pattern", "groups view and trial_id", pattern, example))
    return compiled


def resolve_video(data_root: str | os.PathLike[str], relative: str) -> Path:
    """Path of a stored video under ``data_root``, refusing any that would leave it.

    Raises
    ------
    ArgumentError
        If the stored path is absolute or climbs with ``..``.
    """
    pure, windows = PurePosixPath(relative), PureWindowsPath(relative)
    if pure.is_absolute() or windows.anchor or ".." in windows.parts:
        raise ArgumentError(
            expected(
                "video_path",
                "a path below data_root",
                relative,
                "The store was changed by hand; remove this trial and add it again.",
            )
        )
    return as_root(data_root).joinpath(*pure.parts)


def survey(
    data_root: str | os.PathLike[str],
    views: Sequence[str],
    animal: str,
    session: str | None = None,
    trial_id: int | None = None,
    *,
    pattern: str | None = None,
    join: str = "equal",
    existing: Collection[str] = (),
    new_only: bool = False,
    progress: bool = True,
) -> list[TrialRow]:
    """Find and measure the trials of an animal, of a session, or one trial.

    Parameters
    ----------
    data_root : path
        Folder that holds one folder per animal.
    views : sequence of str
        Camera roles, left to right.
    animal, session : str
        Names of folders; without a session, all of the animal's.
    trial_id : int, optional
        One trial of ``session``.
    pattern : str, optional
        See :func:`compile_pattern`. By default a view's name may stand anywhere in the file's
        name, and the last run of digits is the trial.
    join : {"equal", "pad"}
        Whether views of different height are refused or padded.
    existing : collection of str
        Keys that the store holds already.
    new_only : bool
        Pass over ``existing`` trials, in place of complaining of them.
    progress : bool
        Show a bar while videos are measured.

    Returns
    -------
    list of TrialRow
        Ordered by session and trial; empty if ``new_only`` and none is new.

    Raises
    ------
    IngestError
        If anything is wrong with any trial; tells all of it at once.
    """
    root = as_root(data_root)
    with telling_of_remote(root):
        found = _find(root, views, animal, session, trial_id, compile_pattern(pattern))
    if new_only:
        found = [trial for trial in found if trial.key not in existing]
    rows, problems = _judged(found, views, root, join, existing, progress)
    if problems:
        any_known = any(trial.key in existing for trial in found)
        hint = "Pass new_only=True to add only trials that are not in the store. "
        raise IngestError(
            f"{len(problems)} problem(s) with the videos of {animal!r}; nothing was added. "
            f"{hint if any_known else ''}"
            f"Put these right, then call add_item again:{listed(problems)}"
        )
    return rows


def survey_files(
    data_root: str | os.PathLike[str],
    views: Sequence[str],
    files: Mapping[tuple[str, str, int], Mapping[str, Path]],
    *,
    join: str = "equal",
    existing: Collection[str] = (),
    progress: bool = True,
) -> tuple[list[TrialRow], list[str]]:
    """Measure trials whose files are known, whatever their names.

    Parameters
    ----------
    files : mapping
        By animal, session and trial_id: the file of each view, below ``data_root``.

    Returns
    -------
    rows : list of TrialRow
        Of the trials that are fine.
    problems : list of str
        All that is wrong with the others.
    """
    root = Path(data_root)
    problems, found = [], []
    for (animal, session, trial_id), paths in files.items():
        one = _Found(animal, session, trial_id)
        for view, path in paths.items():
            below = _below(root, path)
            if below is None:
                problems.append(f"{one.key}: {path} is not below data_root, {root}")
            else:
                one.files[view].append(below)
        if all(one.files.get(view) for view in paths):
            found.append(one)
    rows, others = _judged(found, views, root, join, existing, progress)
    return rows, problems + others


def _below(root: Path, path: Path) -> Path | None:
    """The path as one under ``root``, which a link may hide; None where it is elsewhere."""
    whole = Path(os.path.abspath(path))
    if whole.is_relative_to(root):
        return whole
    real, real_root = whole.resolve(), root.resolve()
    return root / real.relative_to(real_root) if real.is_relative_to(real_root) else None


def _judged(
    found: Sequence[_Found],
    views: Sequence[str],
    root: Path,
    join: str,
    existing: Collection[str],
    progress: bool,
) -> tuple[list[TrialRow], list[str]]:
    """Rows of the trials whose videos could be measured, and all complaints."""
    problems = [f"{f.key}: is in the store already" for f in found if f.key in existing]
    found = [trial for trial in found if trial.key not in existing]
    problems += [problem for f in found for problem in _judge_files(f, views)]
    infos, unreadable = _measure(found, progress)
    problems += unreadable
    rows, measured_ones = [], []
    for trial in found:
        measured = {view: infos.get(paths[0]) for view, paths in trial.files.items()}
        if any(measured.get(view) is None for view in views):
            continue
        videos = [info for view in views if (info := measured[view]) is not None]
        problems += _judge_pair(trial, views, videos, join)
        rows.append(_row(trial, views, videos, root))
        measured_ones.append(trial)
    if not problems:
        _warn_of_lengths(rows, measured_ones, views, infos)
    return rows, problems


# ------------------------------------------------------------------ finding


def _find(
    root: Path,
    views: Sequence[str],
    animal: str,
    session: str | None,
    trial_id: int | None,
    pattern: Pattern | None,
) -> list[_Found]:
    """Files of the trials asked for, or an IngestError that says where it looked."""
    check_name("animal", animal)
    if session is not None:
        check_name("session", session)
    elif trial_id is not None:
        raise ArgumentError(expected("session", "the session of trial_id", session))
    if trial_id is not None and not is_whole(trial_id):
        raise ArgumentError(expected("trial_id", "a whole number", trial_id))
    sessions = [session] if session is not None else _sessions(root / animal)
    strangers: list[Path] = []
    found = [
        trial
        for name in sessions
        for trial in _find_in_session(root, views, animal, name, pattern, strangers)
        if trial_id is None or trial.trial_id == trial_id
    ]
    if not found:
        wanted = "/".join(str(p) for p in (animal, session, trial_id) if p is not None)
        others = f" Names that were not understood:{listed(strangers)}" if strangers else ""
        raise IngestError(
            f"{wanted}: expected videos of {' and '.join(views)} under {root / animal}, but found "
            f"none. Check data_root and the names of the files, or pass pattern=.{others}"
        )
    if strangers:
        warnings.warn(
            "left out, for want of a view or a trial number in the name:" + listed(strangers),
            SoupWarning,
            stacklevel=5,
        )
    return found


def _sessions(folder: Path) -> list[str]:
    names = _subfolders(folder)
    odd = [name for name in names if not _is_name(name)]
    if odd:
        raise IngestError(
            f"{folder}: expected folders with plain names, but some hold characters that a "
            f"session's name may not have: {', '.join(map(repr, odd))}. Rename them, or add the "
            "other sessions by name."
        )
    return names


def _is_name(name: str) -> bool:
    try:
        check_name("session", name)
    except ArgumentError:
        return False
    return True


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise IngestError(
            f"{folder}: expected a folder with the animal's sessions, but there is none. "
            "Check data_root and the animal's name (upper and lower case differ)."
        )
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _find_in_session(
    root: Path,
    views: Sequence[str],
    animal: str,
    session: str,
    pattern: Pattern | None,
    strangers: list[Path],
) -> list[_Found]:
    """Trials of one session; files whose names say nothing are added to ``strangers``."""
    folder = root / animal / session
    if not folder.is_dir():
        raise IngestError(
            f"{folder}: expected a folder with the session's videos, but there is none. "
            "Check data_root, the animal and the session (upper and lower case differ)."
        )
    trials: dict[int, _Found] = {}
    videos = _videos_in(folder)
    if len(views) == 1 and pattern is None:
        # A lab with one camera need not name it; one with more names them all.
        videos = [path for path in videos if _names_view(path, views[0])] or videos
    for path in videos:
        named = _view_and_trial(path.name, views, pattern)
        if named is None:
            strangers.append(path)
            continue
        view, number = named
        trial = trials.setdefault(number, _Found(animal, session, number))
        trial.files[view].append(path)
    return [trials[number] for number in sorted(trials)]


def _videos_in(folder: Path) -> list[Path]:
    # macOS leaves "._name.mp4" beside files on foreign disks; those are no videos.
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
    ]


def _names_view(path: Path, view: str) -> bool:
    return view.lower() in path.stem.lower()


def _view_and_trial(
    name: str, views: Sequence[str], pattern: Pattern | None
) -> tuple[str, int] | None:
    """What a file's name says, or None where it says nothing of use."""
    if pattern is not None:
        match = _search(pattern, name)
        if match is None or match["view"] not in views:
            return None
        digits = match["trial_id"] or ""
        return (match["view"], int(digits)) if digits.isdecimal() else None
    path = Path(name)
    named = [view for view in views if _names_view(path, view)]
    if not named and len(views) == 1:
        named = list(views)
    runs = re.findall(r"[0-9]+", path.stem)
    if len(named) != 1 or not runs:
        return None
    return named[0], int(runs[-1])


def _search(pattern: Pattern, name: str) -> regex.Match[str] | None:
    try:
        return pattern.search(name, timeout=PATTERN_S)
    except TimeoutError:
        expectation = f"one that is through with a name within {PATTERN_S:g} s"
        remedy = f"On {name!r} it is not; repeats within repeats, such as (a|aa)+, are the cause."
        raise ArgumentError(expected("pattern", expectation, pattern.pattern, remedy)) from None


# ------------------------------------------------------------------ measuring and judging


def _measure(found: Iterable[_Found], progress: bool) -> tuple[dict[Path, VideoInfo], list[str]]:
    """Probe every file in parallel; return the facts and the complaints."""
    paths = [paths[0] for trial in found for paths in trial.files.values()]
    with progress_bar(len(paths), "probing", "video", enabled=progress) as bar:
        outcomes = probe_many(paths, progress=lambda *_: bar.update(1))
    infos, problems = {}, []
    for path, outcome in zip(paths, outcomes, strict=True):
        if isinstance(outcome, VideoError):
            problems.append(str(outcome))
        else:
            infos[path] = outcome
    return infos, problems


def _judge_files(trial: _Found, views: Sequence[str]) -> Iterator[str]:
    if trial.trial_id > LAST_TRIAL:
        yield f"{trial.key}: expected a number up to {LAST_TRIAL} as the trial's"
    for view in views:
        paths = trial.files.get(view, [])
        for path in paths:
            if not is_storable(path.name):
                yield f"{trial.key}: the name {path.name!r} is no text. Rename the file"
        if not paths:
            there = ", ".join(str(p) for files in trial.files.values() for p in files)
            yield f"{trial.key}: the {view} view is missing beside {there}"
        elif len(paths) > 1:
            names = ", ".join(str(p) for p in paths)
            yield f"{trial.key}: more than one {view} video: {names}"


def _judge_pair(
    trial: _Found, views: Sequence[str], videos: Sequence[VideoInfo], join: str
) -> Iterator[str]:
    """Complaints about views that do not go together."""
    first = videos[0]
    drift = 0.5 / max(1, min(v.n_frames for v in videos))
    tolerance = max(RATE_TOLERANCE, min(drift, LOOSEST_RATE_TOLERANCE))
    if any(abs(v.fps - first.fps) > tolerance * first.fps for v in videos):
        rates = _each(views, videos, lambda v: f"{v.fps:g} Hz")
        yield f"{trial.key}: the views have different frame rates: {rates}"
    if join != "pad" and any(v.height != first.height for v in videos):
        sizes = _each(views, videos, lambda v: f"{v.width}x{v.height}")
        yield (
            f"{trial.key}: the views have different heights: {sizes}. Make the store with "
            'join="pad" to pad the shorter picture with black'
        )


def _each(views, videos, tell) -> str:  # type: ignore[no-untyped-def]
    return ", ".join(
        f"{view} {tell(video)} ({video.path})" for view, video in zip(views, videos, strict=True)
    )


def _row(trial: _Found, views: Sequence[str], videos: Sequence[VideoInfo], root: Path) -> TrialRow:
    return TrialRow(
        animal=trial.animal,
        session=trial.session,
        trial_id=trial.trial_id,
        video_paths=tuple(trial.files[view][0].relative_to(root).as_posix() for view in views),
        n_frames=min(v.n_frames for v in videos),
        fps=videos[0].fps,
    )


def _warn_of_lengths(
    rows: Iterable[TrialRow],
    found: Iterable[_Found],
    views: Sequence[str],
    infos: dict[Path, VideoInfo],
) -> None:
    """One warning for all trials whose views differ in length."""
    uneven = []
    for row, trial in zip(rows, found, strict=True):
        lengths = [infos[trial.files[view][0]].n_frames for view in views]
        if len(set(lengths)) > 1:
            told = ", ".join(f"{v} {n}" for v, n in zip(views, lengths, strict=True))
            uneven.append(f"{row.key}: {told} frames; {row.n_frames} are used")
    if uneven:
        warnings.warn(
            f"the views of {len(uneven)} trial(s) differ in length; the shorter counts:"
            + listed(uneven),
            SoupWarning,
            stacklevel=4,
        )
