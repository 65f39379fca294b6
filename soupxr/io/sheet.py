"""Rows of text tables and spreadsheets, whatever their delimiter, encoding and line ends."""

from __future__ import annotations

import csv
import io
import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soupxr.errors import ArgumentError, FormatError, expected

__all__ = ["Row", "is_empty", "read_bytes", "read_rows", "to_number"]

DELIMITERS = ";\t,|"
EXCEL = frozenset([".xlsx", ".xlsm"])
NOTHING = frozenset(["", "na", "nan", "none", "null", "n/a"])


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    number : int
        As an editor or a spreadsheet counts it, from 1.
    cells : sequence
        Text, or what a spreadsheet holds.
    """

    number: int
    cells: Sequence[Any]


def read_bytes(path: Path) -> bytes:
    """What a file holds.

    Raises
    ------
    FormatError
        If there is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FormatError(f"{path}: there is no such file. Check the path.") from None
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror}).") from error


def read_rows(
    path: Path, sheet: str | int | None = None, delimiter: str | None = None
) -> list[Row]:
    """Rows of a table that are not empty.

    Parameters
    ----------
    sheet : str or int, optional
        Of an Excel file; default is the first.
    delimiter : str, optional
        Of a text table; by default the one that makes the most even rows.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    if path.suffix.lower() in EXCEL:
        rows = _excel_rows(path, sheet)
    elif path.suffix.lower() in (".xls", ".ods"):
        raise FormatError(
            f"{path}: this kind of spreadsheet cannot be read. Save it as .xlsx or CSV."
        )
    else:
        rows = list(_text_rows(path, _decoded(path), delimiter))
    return [row for row in rows if not all(is_empty(cell) for cell in row.cells)]


def is_empty(cell: object) -> bool:
    """Whether a cell holds nothing."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def to_number(cell: object) -> float:
    """The number in a cell; a comma may be its decimal point. NaN where there is none."""
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return float(cell)
    text = str(cell).strip() if cell is not None else ""
    if text.lower() in NOTHING:
        return math.nan
    if re.fullmatch(r"[-+]?\d+,\d+", text):
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return _clock(text)


def _clock(text: str) -> float:
    """Seconds of 1:02:03.5; NaN for anything else."""
    match = re.fullmatch(r"(-?)(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)", text)
    if match is None:
        return math.nan
    sign, hours, minutes, seconds = match.groups()
    total = int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
    return -total if sign else total


def _decoded(path: Path) -> str:
    data = read_bytes(path)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\x00" in data[:4096]:
        raise FormatError(f"{path}: this is not a text table. Save it as CSV or .xlsx.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _text_rows(path: Path, text: str, delimiter: str | None) -> Iterator[Row]:
    if delimiter is None:
        delimiter = _delimiter(text)
    elif len(delimiter) != 1:
        raise ArgumentError(expected("delimiter", "one character", delimiter))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            yield Row(reader.line_num, cells)
    except csv.Error as error:
        raise FormatError(f"{path}, row {reader.line_num}: {error}.") from error


def _delimiter(text: str) -> str:
    """The delimiter that most rows have equally often, and as often as possible."""
    head = text[:20_000]
    best, most = ",", (0, 0)
    for one in DELIMITERS:
        rows = csv.reader(io.StringIO(head, newline=""), delimiter=one)
        try:
            widths = Counter(len(cells) for cells in rows if any(cells))
        except csv.Error:
            continue
        wide = {width: count for width, count in widths.items() if width > 1}
        if wide:
            width, count = max(wide.items(), key=lambda item: (item[1], item[0]))
            if (count, width) > most:
                best, most = one, (count, width)
    return best


def _excel_rows(path: Path, sheet: str | int | None) -> list[Row]:
    try:
        import openpyxl
    except ImportError:
        raise FormatError(
            f"{path}: Excel files need openpyxl. Install it with pip install 'soupxr[excel]', or "
            "save the sheet as CSV."
        ) from None
    read_bytes(path)  # which says what is wrong with the file
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise FormatError(f"{path}: this is not an Excel file, or damaged ({error}).") from error
    try:
        names = book.sheetnames
        if isinstance(sheet, str) and sheet not in names:
            raise ArgumentError(expected("sheet", f"one of {names}", sheet))
        if isinstance(sheet, int) and not 0 <= sheet < len(names):
            raise ArgumentError(expected("sheet", f"a number below {len(names)}", sheet))
        name = sheet if isinstance(sheet, str) else names[sheet or 0]
        return [
            Row(number, cells)
            for number, cells in enumerate(book[name].iter_rows(values_only=True), start=1)
        ]
    finally:
        book.close()
