"""Rows of text tables and spreadsheets, whatever their delimiter, encoding and line ends."""

from __future__ import annotations

import csv
import io
import math
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soupxr.errors import ArgumentError, FormatError, SoupError, expected

__all__ = [
    "EXCEL",
    "Row",
    "is_empty",
    "read_bytes",
    "read_rows",
    "rows_of_text",
    "to_number",
    "to_whole",
]

DELIMITERS = ";\t,|"
EXCEL = frozenset([".xlsx", ".xlsm"])
#: What a workbook may unpack to, and what its sheet may have: Excel's own rows, and fewer cells.
MOST_UNPACKED, MOST_ROWS, MOST_CELLS = 256 << 20, 1 << 20, 10_000_000
#: What openpyxl raises where a file is not what it says.
DAMAGED = (
    *(zipfile.BadZipFile, OSError, EOFError, LookupError, ValueError, TypeError, AttributeError),
    *(SyntaxError, OverflowError, AssertionError, NotImplementedError, RuntimeError, MemoryError),
    *(zlib.error, struct.error),
)
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
        if sheet is not None:
            raise ArgumentError(expected("sheet", "none, for the file is not of Excel", sheet))
        return rows_of_text(path, read_bytes(path), delimiter)
    return _told(rows)


def rows_of_text(path: Path, data: bytes, delimiter: str | None = None) -> list[Row]:
    """Rows of a text table, of whatever encoding, that are not empty; see :func:`read_rows`."""
    return _told(_text_rows(path, _decoded(path, data), delimiter))


def _told(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not all(is_empty(cell) for cell in row.cells)]


def is_empty(cell: object) -> bool:
    """Whether a cell holds nothing."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def to_number(cell: object) -> float:
    """The number in a cell; a comma may be its decimal point. NaN where there is none."""
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return _float(cell)
    text = str(cell).strip() if cell is not None else ""
    if text.lower() in NOTHING:
        return math.nan
    if re.fullmatch(r"[-+]?\d+,\d+", text):
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return _clock(text)


def to_whole(cell: object) -> Any:
    """A cell as a whole number where it is one; pandas may have written it as 1.0."""
    number = to_number(cell)
    return int(number) if number.is_integer() else cell


def _float(number: float | int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _clock(text: str) -> float:
    """Seconds of 1:02:03.5; NaN for anything else."""
    match = re.fullmatch(r"(-?)(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)", text)
    if match is None:
        return math.nan
    sign, hours, minutes, seconds = match.groups()
    # As floats: of thousands of digits, Python makes no int.
    total = float(hours or 0) * 3600 + float(minutes) * 60 + float(seconds.replace(",", "."))
    return -total if sign else total


def _decoded(path: Path, data: bytes) -> str:
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
            f"{path}: Excel files need openpyxl. Install it with pip install openpyxl, or "
            "save the sheet as CSV."
        ) from None
    read_bytes(path)  # which says what is wrong with the file
    try:
        _check_unpacked(path)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            return list(_sheet_rows(path, book, sheet))
        finally:
            book.close()
    except SoupError:
        raise
    except DAMAGED as error:
        raise FormatError(f"{path}: this is not an Excel file, or damaged ({error}).") from error


def _check_unpacked(path: Path) -> None:
    with zipfile.ZipFile(path) as packed:
        # Nothing is unpacked beyond the sizes that are told.
        size = sum(entry.file_size for entry in packed.infolist())
    if size > MOST_UNPACKED:
        raise FormatError(
            f"{path}: expected a workbook of up to {MOST_UNPACKED >> 20} MiB, but it unpacks to "
            f"{size >> 20:,} MiB. Save the sheet as CSV."
        )


def _sheet_rows(path: Path, book: Any, sheet: str | int | None) -> Iterator[Row]:
    names = [one.title for one in book.worksheets]
    if not names:
        raise FormatError(f"{path}: has no sheet of cells.")
    if isinstance(sheet, str) and sheet not in names:
        raise ArgumentError(expected("sheet", f"one of {names}", sheet))
    if isinstance(sheet, int) and not 0 <= sheet < len(names):
        raise ArgumentError(expected("sheet", f"a number below {len(names)}", sheet))
    found = book[sheet if isinstance(sheet, str) else names[sheet or 0]]
    found.reset_dimensions()  # what a file tells of them need not be so
    left = MOST_CELLS
    for number, cells in enumerate(found.iter_rows(values_only=True), start=1):
        left -= len(cells)
        if number > MOST_ROWS or left < 0:
            raise FormatError(
                f"{path}: expected up to {MOST_ROWS:,} rows and {MOST_CELLS:,} cells, but the "
                "sheet has more. Is it damaged? Save it as CSV."
            )
        if not all(is_empty(cell) for cell in cells):
            yield Row(number, cells)
