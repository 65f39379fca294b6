"""BORIS: its projects and exported tables in, and a project out that it opens for correction.

Where an event has an image index, that is its frame, counted from 0 in a video and from 1 among
pictures. Else its time, in seconds from the start of the video, goes to the nearest edge between
two frames; one in the middle of a frame goes to the even edge. BORIS keeps milliseconds, so at 500
Hz, two milliseconds a frame, every other millisecond is such a middle: 0.003 s is edge 2, as is
0.004 s. A START is the first frame of its bout and a STOP the first one after it. A point event is
the one frame in which it lies.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import xarray as xr

from soupxr.errors import ArgumentError, expected, one_of
from soupxr.io.boris.observation import NO_FOCAL_SUBJECT, Observation
from soupxr.io.gather import BehaviorNames, Gathering, Missing
from soupxr.io.matching import TrialNames
from soupxr.io.report import ImportReport
from soupxr.io.spans import Rest

__all__ = ["behaviors", "read", "write"]

PathLike = str | os.PathLike[str]


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__


def read(
    ds: xr.Dataset,
    path: PathLike | Sequence[PathLike],
    *,
    annotator: str | None = None,
    subject: str | None = None,
    observations: Sequence[str] | None = None,
    unpaired: Literal["refuse", "close"] = "refuse",
    points: Literal["frame", "leave"] = "frame",
    rest: Rest = "absent",
    behaviors: BehaviorNames | None = None,
    trials: TrialNames = None,
    missing: Missing = "refuse",
    overwrite: bool = False,
    dry_run: bool = False,
) -> tuple[xr.Dataset, ImportReport]:
    """Take in labels from BORIS: all of them or, if anything is wrong, none.

    Labels have no place for comments, descriptions, modifiers and further independent variables:
    the report tells of those that are there.

    Parameters
    ----------
    ds : Dataset
        The store, or a selection of the trials that may be labelled.
    path : path or sequence of paths
        A project (``.boris``, ``.boris.gz``), or tabular or aggregated exports (CSV, TSV, Excel).
    annotator : str, optional
        Who labelled. By default as an independent variable ``observer``, ``annotator``, ``rater``,
        ``coder`` or ``scorer`` says, of each observation.
    subject : str, optional
        Whose events, where an observation has several subjects; ``"No focal subject"`` for those
        without.
    observations : sequence of str, optional
        Which; default is all.
    unpaired : {"refuse", "close"}
        What to do with a START without STOP: refuse the file and name it, or let it last to the
        end of the observation.
    points : {"frame", "leave"}
        Whether point events are bouts of one frame, or left out.
    rest : {"absent", "unlabelled"}
        What a frame of an observed trial is that no bout covers. What lies outside an observation's
        time interval is unlabelled, and so is a behavior that is left out, or that the project's
        ethogram does not have.
    behaviors : mapping, optional
        Their names of behaviors → ours, or None to leave one out.
    trials : mapping or str, optional
        Their observations or media files → ``"animal/session/trial_id"``; or a regular expression
        with the groups animal, session and trial_id. By default a trial is found by the paths of
        its videos, by the observation's name, or by independent variables ``animal``, ``session``
        and ``trial_id``.
    missing : {"refuse", "leave"}
        What to do with trials and behaviors that the selection does not have.
    overwrite : bool
        Replace what the annotators have said of these trials.
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

    Examples
    --------
    >>> ds, report = sx.io.boris.read(ds, "reach.boris", annotator="Ana")  # doctest: +SKIP
    """
    from soupxr.io.boris.placing import Choices, place, tell_of_the_rest

    one_of("unpaired", unpaired, ("refuse", "close"))
    one_of("points", points, ("frame", "leave"))
    one_of("rest", rest, ("absent", "unlabelled"))
    paths = _paths(path)
    gathering = Gathering(
        ds,
        "BORIS",
        ", ".join(map(str, paths)),
        behaviors=behaviors,
        trials=trials,
        missing=missing,
    )
    found = [observation for one in paths for observation in _observations(one)]
    if observations is not None:
        names = {observation.name for observation in found}
        strange = [name for name in observations if name not in names]
        if strange:
            raise ArgumentError(expected("observations", f"some of {sorted(names)}", strange))
        for observation in found:
            if observation.name not in observations:
                gathering.leave(f"observation {observation.name!r}, as asked")
        found = [observation for observation in found if observation.name in observations]
    _check_subject(subject, found)
    choices = Choices(annotator, subject, unpaired == "close", points == "frame", rest)
    for observation in found:
        place(observation, gathering, choices)
    tell_of_the_rest(found, gathering)
    return gathering.commit(overwrite, dry_run)


def _check_subject(subject: str | None, found: Sequence[Observation]) -> None:
    # A name with a slip in it would make every observation one in which nothing occurs.
    names = {event.subject or NO_FOCAL_SUBJECT for one in found for event in one.events}
    if subject is not None and names and subject not in names:
        raise ArgumentError(expected("subject", f"one of {sorted(names)}", subject))


def behaviors(path: PathLike | Sequence[PathLike]) -> list[str]:
    """Names of the behaviors in a project or in exported tables, to create a store with.

    The state ``unlabelled`` of our own projects is none.
    """
    from soupxr.io.boris import project
    from soupxr.io.boris.placing import UNLABELLED

    names: dict[str, None] = {}
    for one in _paths(path):
        names |= dict.fromkeys(project.ethogram_of(one) if project.is_project(one) else [])
        for observation in _observations(one):
            names |= dict.fromkeys(event.behavior for event in observation.events)
    return [name for name in names if name != UNLABELLED]


def write(
    ds: xr.Dataset,
    path: PathLike,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write ethograms or labels of the selected trials as a BORIS project.

    Each trial becomes an observation with its videos, which BORIS opens for correction;
    :func:`read` takes the corrected project back, to the frame. Behaviors are state events. Where
    labels are missing (−1), the state ``unlabelled`` says so, with the behavior as modifier unless
    all of them are meant. Provenance is in the project's description.

    Parameters
    ----------
    ds : Dataset
        The store, or a selection. Trials without results or labels are left out.
    path : path
        ``.boris``, or ``.boris.gz`` for a compressed one.
    mode, annotator : str
        One of them: whose ethograms or labels.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ArgumentError
        If there is nothing to write, a file is there already, a frame is shorter than a
        millisecond, which BORIS cannot tell, or a behavior's name cannot be told from what says
        that labels are missing.
    """
    from soupxr.io.boris import out

    return out.write(ds, Path(path), mode, annotator, overwrite)


def _observations(path: Path) -> list[Observation]:
    from soupxr.io.boris import exports, project

    if project.is_project(path):
        return project.observations_of(path)
    return exports.observations_of(path)


def _paths(path: PathLike | Sequence[PathLike]) -> list[Path]:
    if isinstance(path, (str, os.PathLike)):
        return [Path(path)]
    return [Path(one) for one in path]
