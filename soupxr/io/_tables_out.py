"""Tables of bouts and frames, trial after trial into a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import xarray as xr

from soupxr.bouts import mask_to_bouts
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, expected
from soupxr.io.chosen import Chosen, check_new, choose, new_file, new_record
from soupxr.io.sheet import EXCEL
from soupxr.origin import in_brief

__all__ = ["beside", "record_of", "to_dataframe", "write", "write_stream"]

TIMES = ("start_frame", "stop_frame", "start_s", "stop_s", "duration_s")
#: Rows of a sheet, the header included.
EXCEL_ROWS = 1_048_576
#: Characters of a cell.
EXCEL_CHARACTERS = 32_000
DELIMITERS = {".csv": ",", ".tsv": "\t"}


def write(
    ds: xr.Dataset,
    path: Path,
    mode: str | None,
    annotator: str | None,
    form: str,
    probability: bool,
    overwrite: bool,
) -> Path:
    """Write a table; see :func:`soupxr.io.tables.write`."""
    rows_of = _rows_of(form, mode, probability)
    suffix = path.suffix.lower()
    if suffix not in EXCEL and suffix not in DELIMITERS:
        raise ArgumentError(expected("path", "a name that ends in .csv, .tsv or .xlsx", str(path)))
    chosen = choose(ds, mode, annotator, "tables.write")
    record = record_of(chosen, form)
    check_new(path, overwrite)
    if suffix in EXCEL:
        with new_file(path, overwrite) as unfinished:
            _write_excel(unfinished, form, rows_of(chosen), record)
        return path
    with (
        new_record(beside(path), record, overwrite),
        new_file(path, overwrite) as unfinished,
        unfinished.open("w", newline="", encoding="utf-8") as file,
    ):
        _write_text(file, DELIMITERS[suffix], rows_of(chosen))
    return path


def beside(path: Path) -> Path:
    """Where it is written what a text table comes from."""
    return path.with_name(f"{path.name}.provenance.json")


def write_stream(
    ds: xr.Dataset,
    stream: TextIO,
    mode: str | None,
    annotator: str | None,
    form: str,
    probability: bool,
    provenance: Path | TextIO | None,
    overwrite: bool,
) -> None:
    """Write a table as CSV to an open file; see :func:`soupxr.io.tables.write`."""
    rows_of = _rows_of(form, mode, probability)
    chosen = choose(ds, mode, annotator, "tables.write")
    record = None if provenance is None else record_of(chosen, form)
    with new_record(provenance, record, overwrite):
        _write_text(stream, ",", rows_of(chosen))


def record_of(chosen: Chosen, form: str) -> dict[str, Any]:
    """Provenance of a table; one of bouts does not tell itself what is unlabelled."""
    record = chosen.provenance() | {"form": form}
    unlabelled = chosen.unlabelled() if form == "bouts" else {}
    return record | ({"unlabelled": unlabelled} if unlabelled else {})


def to_dataframe(
    ds: xr.Dataset, mode: str | None, annotator: str | None, form: str, probability: bool
) -> pd.DataFrame:
    """A table; see :func:`soupxr.io.tables.to_dataframe`."""
    rows_of = _rows_of(form, mode, probability)
    chosen = choose(ds, mode, annotator, "tables.to_dataframe")
    header, *rows = rows_of(chosen)
    table = pd.DataFrame(rows, columns=list(header))
    table.attrs["provenance"] = in_brief(chosen.provenance())
    return table


def _rows_of(
    form: str, mode: str | None, probability: bool
) -> Callable[[Chosen], Iterator[Sequence[Any]]]:
    if form not in ("bouts", "frames"):
        raise ArgumentError(expected("form", "'bouts' or 'frames'", form))
    if probability and (form == "bouts" or mode is None):
        remedy = 'Pass mode=... and form="frames".'
        raise ArgumentError(expected("probability", "frames of a mode", form, remedy))
    if form == "bouts":
        return _bout_rows
    return partial(_frame_rows, probability=probability)


def _bout_rows(chosen: Chosen) -> Iterator[Sequence[Any]]:
    who = "mode" if chosen.source.variable == "ethogram" else "annotator"
    yield (*LEVELS, "behavior", *TIMES, who)
    for trial, mask in chosen.masks():
        for column, name in enumerate(chosen.behaviors):
            for start, stop in mask_to_bouts(mask[:, column] == 1).tolist():
                seconds = (_rounded(frame / trial.fps) for frame in (start, stop, stop - start))
                address = (trial.animal, trial.session, trial.trial_id)
                yield (*address, name, start, stop, *seconds, chosen.source.name)


def _frame_rows(chosen: Chosen, probability: bool) -> Iterator[Sequence[Any]]:
    chances = [f"{name}_probability" for name in chosen.behaviors] if probability else []
    yield (*LEVELS, "frame", "time_s", *chosen.behaviors, *chances)
    for trial, mask in chosen.masks():
        address = (trial.animal, trial.session, trial.trial_id)
        rows = [mask.tolist()]
        if probability:
            # As many digits as float32 has.
            rows.append(chosen.probability(trial).astype(float).round(7).tolist())
        for frame, values in enumerate(zip(*rows, strict=True)):
            yield (*address, frame, _rounded(frame / trial.fps), *chain.from_iterable(values))


def _rounded(seconds: float) -> float:
    """To a microsecond: far finer than any frame, and short to read."""
    return round(seconds, 6)


def _write_text(file: TextIO, delimiter: str, rows: Iterable[Sequence[Any]]) -> None:
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)


def _write_excel(
    path: Path, title: str, rows: Iterable[Sequence[Any]], record: dict[str, Any]
) -> None:
    try:
        import openpyxl
    except ImportError:
        raise ArgumentError(
            "path: Excel files need openpyxl. Install it with pip install openpyxl, or write .csv."
        ) from None
    from openpyxl.cell import WriteOnlyCell

    book = openpyxl.Workbook(write_only=True)

    def cell(sheet: Any, value: Any) -> Any:
        """A cell; text that begins with = is a name, not a formula."""
        made = WriteOnlyCell(sheet, value)
        if isinstance(value, str):
            made.data_type = "s"
        return made

    sheet = book.create_sheet(title)
    for number, row in enumerate(rows, start=1):
        if number > EXCEL_ROWS:
            raise ArgumentError(
                f"path: a sheet of Excel ends after {EXCEL_ROWS:,} rows, and there are more. "
                "Write .csv, or fewer trials."
            )
        sheet.append([cell(sheet, value) for value in row])
    about = book.create_sheet("provenance")
    for name, value in record.items():
        text = value if isinstance(value, str) else json.dumps(value)
        pieces = [text[i : i + EXCEL_CHARACTERS] for i in range(0, len(text), EXCEL_CHARACTERS)]
        about.append([cell(about, piece) for piece in (name, *pieces)])
    book.save(path)
