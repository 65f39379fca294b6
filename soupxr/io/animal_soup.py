"""animal-soup: its dataframes, and the results in its ``outputs.h5`` files, in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from soupxr.io.gather import BehaviorNames, Gathering, Missing
from soupxr.io.report import ImportReport

__all__ = ["BEHAVIORS", "behaviors", "read"]

PathLike = str | os.PathLike[str]

#: What the rows of its ethograms mean.
BEHAVIORS = ("lift", "handopen", "grab", "sup", "atmouth", "chew")


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__


def read(
    ds: xr.Dataset,
    dataframe: PathLike,
    *,
    key: str = "df",
    annotator: str = "cleaned",
    names: Sequence[str] = BEHAVIORS,
    results: bool = True,
    behaviors: BehaviorNames | None = None,
    missing: Missing = "refuse",
    overwrite: bool = False,
    dry_run: bool = False,
) -> tuple[xr.Dataset, ImportReport]:
    """Take in a dataframe: its trials, cleaned ethograms as labels, results as their modes'.

    All of it or, if anything is wrong, nothing. A trial that is in the store already gets labels
    and results only. Nothing in the file is run: its pickles are followed, not loaded.

    Parameters
    ----------
    ds : Dataset
        The store; its ``data_root`` must hold the videos.
    dataframe : path
        HDF5 file of the dataframe, with the columns animal_id, session_id, trial_id, vid_paths and,
        where they are, output_path, exp_type, model_params, notes, ethograms, cleaned_ethograms.
    key : str
        Of the dataframe in the file.
    annotator : str
        Whose labels the cleaned ethograms become.
    names : sequence of str
        What the rows of ethograms mean; ``sup`` is taken for ``supinate``.
    results : bool
        Whether results are taken from ``outputs.h5`` at all.
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
        What was taken and what was left.

    Raises
    ------
    FormatError
        If anything is wrong with the files or does not fit the store; tells all of it.

    Examples
    --------
    >>> ds = sx.create("reach.zarr", data_root="/data/videos")  # doctest: +SKIP
    >>> ds, report = sx.io.animal_soup.read(ds, "/data/df.hdf")  # doctest: +SKIP
    """
    from soupxr.io import _animal_soup_in as inside

    gathering = Gathering(ds, "animal-soup", str(dataframe), behaviors=behaviors, missing=missing)
    inside.take(Path(dataframe), key, gathering, inside.Wanted(annotator, tuple(names), results))
    return gathering.commit(overwrite, dry_run)


def behaviors(dataframe: PathLike) -> list[str]:
    """Names of the behaviors, to create a store with: always the same six."""
    return ["supinate" if name == "sup" else name for name in BEHAVIORS]
