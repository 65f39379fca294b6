"""JAABA: scores of its classifiers and labels of its users, in.

Each experiment folder is a trial. A ``scores_<behavior>.mat`` holds one behavior: frames count
from 1, ``t1s`` is the frame after a bout, a frame without a score is unlabelled. A file of labels
says of stretches that the behavior occurs or (``None``, ``No_<behavior>``) does not; between them,
nothing is labelled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from soupxr.errors import ArgumentError, FormatError, expected
from soupxr.io.gather import BehaviorNames, Gathering, Missing
from soupxr.io.matching import TrialNames
from soupxr.io.report import ImportReport
from soupxr.schema import is_whole

__all__ = ["behaviors", "read"]

PathLike = str | os.PathLike[str]


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__


def read(
    ds: xr.Dataset,
    path: PathLike | Sequence[PathLike],
    *,
    annotator: str = "JAABA",
    mode: str | None = None,
    target: int | None = None,
    behaviors: BehaviorNames | None = None,
    trials: TrialNames = None,
    missing: Missing = "refuse",
    overwrite: bool = False,
    dry_run: bool = False,
) -> tuple[xr.Dataset, ImportReport]:
    """Take in scores and labels: all of them or, if anything is wrong, none.

    Parameters
    ----------
    ds : Dataset
        The store, or a selection of the trials that may be labelled.
    path : path or sequence of paths
        Files, or experiment folders, of which ``scores*.mat`` and ``label*.mat`` are read.
    annotator : str
        Whose labels they become.
    mode : {"fast", "medium", "slow"}, optional
        Take scores as results of this mode instead, without probabilities.
    target : int, optional
        Which animal of a film with several, from 1, as JAABA counts.
    behaviors : mapping, optional
        Their names of behaviors → ours, or None to leave one out.
    trials : mapping or str, optional
        Names of experiment folders → ``"animal/session/trial_id"``; or a regular expression with
        the groups animal, session and trial_id.
    missing : {"refuse", "leave"}
        What to do with trials and behaviors that the selection does not have.
    overwrite : bool
        Replace what is there.
    dry_run : bool
        Only read and check; write nothing. The report says what would be taken.

    Returns
    -------
    ds : Dataset
        The same trials, opened anew.
    report : ImportReport
        What was taken and what was left.

    Raises
    ------
    FormatError
        If anything is wrong with a file or does not fit the store; tells all of it.
    ArgumentError
        If an argument is of no use.
    """
    from soupxr.io._jaaba_in import take
    from soupxr.modes import get_mode

    if mode is not None:
        get_mode(mode)
    if target is not None and (not is_whole(target) or target < 1):
        raise ArgumentError(expected("target", "a whole number from 1", target))
    files = _files(path)
    told = str(path) if isinstance(path, (str, os.PathLike)) else ", ".join(map(str, path))
    gathering = Gathering(ds, "JAABA", told, behaviors=behaviors, trials=trials, missing=missing)
    take(files, gathering, annotator, mode, target)
    return gathering.commit(overwrite, dry_run)


def behaviors(path: PathLike | Sequence[PathLike]) -> list[str]:
    """Names of the behaviors in files or experiment folders, to create a store with."""
    from soupxr.io._jaaba_in import names_in

    return list(dict.fromkeys(name for file in _files(path) for name in names_in(file)))


def _files(path: PathLike | Sequence[PathLike]) -> list[Path]:
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    files: list[Path] = []
    for one in map(Path, paths):
        if one.is_dir():
            found = [
                file
                for file in sorted(one.glob("*.mat"))
                if file.name.lower().startswith(("scores", "label"))
            ]
            if not found:
                raise FormatError(
                    f"{one}: expected scores*.mat or label*.mat of JAABA in this folder, but found "
                    "none."
                )
            files += found
        else:
            files.append(one)
    return files
