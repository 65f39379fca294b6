"""NWB: ethograms and labels for the archive, through pynwb and ndx-ethogram."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import xarray as xr

__all__ = ["write"]

PathLike = str | os.PathLike[str]


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__


def write(
    ds: xr.Dataset,
    folder: PathLike,
    *,
    session_start: datetime | Mapping[str, datetime],
    mode: str | None = None,
    annotator: str | None = None,
    labeling_method: Literal["manual", "automated", "curated"] | None = None,
    subject: Mapping[str, Any] | Mapping[str, Mapping[str, Any]] | None = None,
    session_description: str = "",
    probability: bool = True,
    overwrite: bool = False,
) -> Mapping[str, Path]:
    """Write ethograms or labels of the selected trials as NWB files, one a trial.

    Each file holds the bouts as ``EthogramBouts`` (seconds from the trial's first frame), the
    behaviors as ``Ethogram``, the stretches that were labelled as observation intervals, the videos
    as external files, and provenance. Behaviors that were labelled over different stretches stand
    in tables of their own, for each has its own observation intervals. Every file is checked by
    pynwb's validator before it takes its name.

    Parameters
    ----------
    ds : Dataset
        The store, or a selection. Trials without results or labels are left out.
    folder : path
        For ``sub-<animal>_ses-<session>_trial-<trial_id>.nwb``; made if it is not there.
    session_start : datetime, or mapping of str to datetime
        When the recording began, with its time zone, which NWB demands: one for all, or one for
        each trial, by key.
    mode, annotator : str
        One of them: whose ethograms or labels.
    labeling_method : {"manual", "automated", "curated"}, optional
        Default: ``"automated"`` for a mode, ``"manual"`` for an annotator; corrected predictions
        are ``"curated"``.
    subject : mapping, optional
        What NWB keeps of an animal, such as ``{"species": "Mus musculus", "sex": "M", "age":
        "P90D"}``; or that for each animal, by name.
    session_description : str
        Default: the experiment.
    probability : bool
        Whether a mode's probabilities are written too.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    mapping of str to Path
        File of each trial, by key.

    Raises
    ------
    ArgumentError
        If an argument is of no use, pynwb or ndx-ethogram is not installed, or files are there.
    FormatError
        If pynwb's validator finds fault with a file; nothing is written.

    Examples
    --------
    >>> from datetime import datetime, timezone
    >>> sx.io.nwb.write(  # doctest: +SKIP
    ...     ds, "archive", annotator="Ana", session_start=datetime(2026, 3, 1, tzinfo=timezone.utc)
    ... )
    """
    from soupxr.io._nwb_out import NwbRequest, make

    request = NwbRequest(
        session_start, labeling_method, dict(subject or {}), session_description, probability
    )
    return make(ds, Path(folder), mode, annotator, request, overwrite)
