"""Tables of bouts and of frames: CSV, TSV and Excel, with whatever headers a lab gives them.

:func:`read` takes a table in, :func:`write` gives one out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO, overload

import xarray as xr

from soupxr.errors import ArgumentError, expected, one_of
from soupxr.io.gather import BehaviorNames, Gathering, Missing
from soupxr.io.matching import TrialNames
from soupxr.io.report import ImportReport
from soupxr.io.spans import Rest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["behaviors", "columns_of", "read", "to_dataframe", "write"]

PathLike = str | os.PathLike[str]
Unit = Literal["frame", "second"]


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__


def read(
    ds: xr.Dataset,
    path: PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    annotator: str | None = None,
    unit: Unit | None = None,
    first_frame: int = 0,
    inclusive: bool = False,
    rest: Rest = "absent",
    behaviors: BehaviorNames | None = None,
    trials: TrialNames = None,
    missing: Missing = "refuse",
    sheet: str | int | None = None,
    delimiter: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> tuple[xr.Dataset, ImportReport]:
    r"""Take in labels from a table: all of them or, if anything is wrong, none.

    A table of bouts has a row for each bout; one of frames has a row for each frame, and a column
    of 1, 0 and −1 (or nothing: unlabelled) for each behavior.

    Parameters
    ----------
    ds : Dataset
        The store, or a selection of the trials that may be labelled.
    path : path
        ``.xlsx``, or text with any delimiter.
    columns : mapping of str to str, optional
        Which column is what: ``animal``, ``session``, ``trial_id``, or ``trial`` (a key, or the
        name of a video); ``behavior``, ``start``, and ``stop`` or ``duration``; ``annotator``;
        ``frame``. Columns with usual names are found without; the report names those that are left.
    annotator : str, optional
        Who labelled, where no column says so.
    unit : {"second", "frame"}, optional
        Of start and stop. By default as the header says (``start_s``, ``Stop (frame)``). Seconds
        go to the nearest edge between two frames, those in the middle to the even one; a bout too
        short to have an edge between its ends is the one frame in which it begins.
    first_frame : int
        Number of the first frame, where the unit is frames; 1 in MATLAB.
    inclusive : bool
        Whether stop is the last frame of the bout, not the one after it; where there is a column
        for stop, in frames.
    rest : {"absent", "unlabelled"}
        What a frame of a trial in the table is that no bout covers. Behaviors that are left out
        are unlabelled.
    behaviors : mapping, optional
        Their names of behaviors → ours, or None to leave one out. What is not named has the same
        name here as there.
    trials : mapping or str, optional
        Their names of trials → ``"animal/session/trial_id"``; or a regular expression with the
        groups animal, session and trial_id, searched in their names.
    missing : {"refuse", "leave"}
        What to do with trials and behaviors that the selection does not have.
    sheet : str or int, optional
        Of an Excel file; default is the first.
    delimiter : str, optional
        Of a text table; found out by default.
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
        If anything is wrong with the file or does not fit the store; tells all of it, with rows.
    ArgumentError
        If an argument is of no use.

    Examples
    --------
    >>> ds, report = sx.io.tables.read(  # doctest: +SKIP
    ...     ds,
    ...     "openfield.csv",
    ...     columns={"trial": "ID", "behavior": "type", "annotator": "Experimenter"},
    ...     unit="second",
    ...     behaviors={"Start/End": None},
    ... )
    """
    from soupxr.io._tables_header import open_table
    from soupxr.io._tables_in import BoutTable, FrameTable

    one_of("unit", unit, (None, "frame", "second"))
    one_of("rest", rest, ("absent", "unlabelled"))
    table = open_table(Path(path), columns or {}, sheet, delimiter, unit)
    gathering = Gathering(
        ds, "table", str(path), behaviors=behaviors, trials=trials, missing=missing
    )
    if table.is_of_frames:
        for name, value in (("unit", unit), ("inclusive", inclusive or None)):
            if value is not None:
                remedy = "The table has a row for each frame. Leave it out."
                raise ArgumentError(expected(name, "nothing", value, remedy))
        FrameTable(table, gathering, annotator, first_frame).take()
    else:
        BoutTable(table, gathering, annotator, unit, first_frame, inclusive).take(rest)
    for column in table.unused():
        gathering.leave(column)
    return gathering.commit(overwrite, dry_run)


def behaviors(
    path: PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    sheet: str | int | None = None,
    delimiter: str | None = None,
) -> list[str]:
    """Names of the behaviors in a table, to create a store with.

    Parameters as of :func:`read`.
    """
    from soupxr.io._tables_header import open_table

    return open_table(Path(path), columns or {}, sheet, delimiter).behaviors()


@overload
def write(
    ds: xr.Dataset,
    path: PathLike,
    *,
    mode: str | None = ...,
    annotator: str | None = ...,
    form: Literal["bouts", "frames"] = ...,
    probability: bool = ...,
    overwrite: bool = ...,
) -> Path: ...
@overload
def write(
    ds: xr.Dataset,
    path: TextIO,
    *,
    mode: str | None = ...,
    annotator: str | None = ...,
    form: Literal["bouts", "frames"] = ...,
    probability: bool = ...,
    overwrite: bool = ...,
    provenance: PathLike | TextIO | None = ...,
) -> None: ...
def write(
    ds: xr.Dataset,
    path: PathLike | TextIO,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    form: Literal["bouts", "frames"] = "bouts",
    probability: bool = False,
    overwrite: bool = False,
    provenance: PathLike | TextIO | None = None,
) -> Path | None:
    """Write ethograms or labels of the selected trials as a table.

    Parameters
    ----------
    ds : Dataset
        The store, or a selection. Trials without results or labels are left out.
    path : path
        ``.csv``, ``.tsv`` or ``.xlsx``. Provenance goes along: into the sheet ``provenance`` of an
        Excel file, else into ``<path>.provenance.json``. Or an open text file, such as
        ``sys.stdout``, which gets CSV alone; of that, see ``provenance``.
    mode, annotator : str
        One of them: whose ethograms or labels.
    form : {"bouts", "frames"}
        ``"bouts"``: animal, session, trial_id, behavior, start_frame, stop_frame (half-open),
        start_s, stop_s, duration_s. ``"frames"``: animal, session, trial_id, frame, time_s and a
        column for each behavior, of 1, 0 and −1 (unlabelled).
    probability : bool
        Of a mode's frames: their probabilities, too, as ``<behavior>_probability``.
    overwrite : bool
        Replace files that are there: the table, and that of its provenance.
    provenance : path or open text file, optional
        With an open file: where to write the provenance, as JSON. Default: nowhere.

    Returns
    -------
    Path or None
        The file; None for one that was open.

    Raises
    ------
    ArgumentError
        If there is nothing to write, or a file is there already.
    """
    from soupxr.io import _tables_out

    if not isinstance(path, str | os.PathLike):
        place = Path(provenance) if isinstance(provenance, str | os.PathLike) else provenance
        _tables_out.write_stream(ds, path, mode, annotator, form, probability, place, overwrite)
        return None
    if provenance is not None:
        # Reading looks for it there, for a table of bouts does not tell what is unlabelled.
        remedy = "Of a table with a path, it is in the workbook, or beside it."
        raise ArgumentError(
            expected("provenance", "None unless path is an open file", provenance, remedy)
        )
    return _tables_out.write(ds, Path(path), mode, annotator, form, probability, overwrite)


def to_dataframe(
    ds: xr.Dataset,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    form: Literal["bouts", "frames"] = "bouts",
    probability: bool = False,
) -> pd.DataFrame:
    """The table that :func:`write` writes, for statistics in Python.

    Returns
    -------
    pandas.DataFrame
        Its columns are told there. ``attrs["provenance"]`` says where the labels come from.
    """
    from soupxr.io import _tables_out

    return _tables_out.to_dataframe(ds, mode, annotator, form, probability)


def columns_of(path: PathLike, sheet: str | int | None = None) -> Sequence[str]:
    """Headers of a table, to choose ``columns`` from."""
    from soupxr.io._tables_header import header_of

    return header_of(Path(path), sheet)
