"""DeepEthogram: its projects in, its label files both ways.

A project has one joined video a trial, so it goes into a store with one view.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from soupxr.io.gather import BehaviorNames, Gathering, Missing
from soupxr.io.matching import TrialNames
from soupxr.io.report import ImportReport

__all__ = ["behaviors", "read", "write"]

PathLike = str | os.PathLike[str]


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__


def read(
    ds: xr.Dataset,
    project: PathLike,
    *,
    annotator: str | None = None,
    mode: str | None = None,
    group: str | None = None,
    results: bool = True,
    trials: TrialNames = None,
    experiment: str = "",
    behaviors: BehaviorNames | None = None,
    missing: Missing = "refuse",
    overwrite: bool = False,
    dry_run: bool = False,
) -> tuple[xr.Dataset, ImportReport]:
    """Take in a project: videos as trials, labels, and results as a mode's.

    All of it or, if anything is wrong, nothing. A trial that is in the store already gets labels
    and results only. Features are left, for soupxr makes its own.

    Parameters
    ----------
    ds : Dataset
        The store, of one view; its ``data_root`` must hold the project's videos.
    project : path
        The project's folder, or its ``project_config.yaml``.
    annotator : str, optional
        Who labelled. Default: the project's ``labeler``.
    mode : {"fast", "medium", "slow"}, optional
        Whose results they become. Default: that of the networks whose features lie beside them
        (``resnet18``: fast, ``resnet50``: medium, ``resnet3d_34``: slow).
    group : str, optional
        Whose probabilities are taken, of the models in the output files. Default: the sequence
        model's.
    results : bool
        Whether results are taken at all.
    trials : mapping or str, optional
        Names of their videos → ``"animal/session/trial_id"``; or a regular expression with the
        groups animal, session and trial_id. By default the project is the animal, ``DATA`` the
        session, and trials are numbered from 1 in the order of the videos' names.
    experiment : str
        Kind of experiment of new trials.
    behaviors : mapping, optional
        Their names of behaviors → ours, or None to leave one out.
    missing : {"refuse", "leave"}
        What to do with behaviors that the store does not have.
    overwrite : bool
        Replace labels and results that are there.
    dry_run : bool
        Only read and check; write nothing. The report says what would be taken.

    Returns
    -------
    ds : Dataset
        The whole store, opened anew, if trials were added; else the same trials.
    report : ImportReport
        What was taken and what was left, checkpoints and normalisation among the latter.

    Raises
    ------
    FormatError
        If anything is wrong with the project or does not fit the store; tells all of it.
    ArgumentError
        If an argument is of no use.

    Examples
    --------
    >>> names = sx.io.deepethogram.behaviors("mice_deepethogram")  # doctest: +SKIP
    >>> ds = sx.create("mice.zarr", "mice_deepethogram/DATA", behaviors=names, views=["joined"])
    ... # doctest: +SKIP
    >>> ds, report = sx.io.deepethogram.read(ds, "mice_deepethogram")  # doctest: +SKIP
    """
    from soupxr.io._deepethogram_in import Wanted, take
    from soupxr.io._deepethogram_project import open_project

    found = open_project(Path(project))
    gathering = Gathering(
        ds, "DeepEthogram", str(project), behaviors=behaviors, trials=trials, missing=missing
    )
    take(found, gathering, annotator, experiment, Wanted(mode, group, results))
    return gathering.commit(overwrite, dry_run)


def behaviors(project: PathLike) -> list[str]:
    """Names of a project's behaviors, without background, to create a store with."""
    from soupxr.io._deepethogram_project import open_project

    return open_project(Path(project)).behaviors


def write(
    ds: xr.Dataset,
    folder: PathLike,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    overwrite: bool = False,
) -> Mapping[str, Path]:
    """Write ethograms or labels of the selected trials as DeepEthogram's label files.

    ``<folder>/<name>/<name>_labels.csv``, as in a project's ``DATA``: an index column, background,
    then the behaviors; 1, 0 and −1. ``<name>`` is that of the video in a store of one view, else
    ``<animal>_<session>_<trial_id>``. Provenance is in ``<folder>/soupxr_provenance.json``.

    Parameters
    ----------
    ds : Dataset
        The store, or a selection. Trials without results or labels are left out.
    folder : path
        Made if it is not there.
    mode, annotator : str
        One of them: whose ethograms or labels.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    mapping of str to Path
        File of each trial, by key.

    Raises
    ------
    ArgumentError
        If there is nothing to write, or files are there already.
    """
    from soupxr.io import _deepethogram_out

    return _deepethogram_out.write(ds, Path(folder), mode, annotator, overwrite)
