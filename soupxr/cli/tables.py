"""Tables for people at a terminal, and for scripts."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import pandas as pd

__all__ = ["count", "formats", "print_table", "sizes", "text_table"]

#: No column of text gets narrower.
NARROWEST = 6
GAP = "  "


def formats(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose how a table is written; the command gets ``form``."""

    @click.option("--csv", "as_csv", is_flag=True, help="Write the table as CSV, for scripts.")
    @click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Write the table as JSON, one object a row, for scripts.",
    )
    @wraps(function)
    def with_form(*args: Any, as_csv: bool, as_json: bool, **options: Any) -> Any:
        if as_csv and as_json:
            raise click.UsageError("--csv and --json cannot both be given; choose one of them.")
        return function(*args, form="csv" if as_csv else "json" if as_json else None, **options)

    return with_form


def print_table(table: pd.DataFrame, form: str | None, **settings: Any) -> bool:
    """Write a table to stdout; say whether it was for people, who may be told more."""
    if form == "json":
        click.echo(table.to_json(orient="records", force_ascii=False, indent=2))
    elif form == "csv":
        click.echo(table.to_csv(index=False), nl=False)
    elif len(table):
        click.echo(text_table(table, **settings))
    return form is None


def text_table(table: pd.DataFrame, width: int | None = None) -> str:
    """Lay a table out in columns that fit a terminal; what does not fit ends in "…".

    Parameters
    ----------
    table : DataFrame
        Anything; columns of nothing but empty texts are left out.
    width : int, optional
        Characters in a line. Default: the terminal's, or 80.

    Returns
    -------
    str
        Lines, the first with the names of the columns.
    """
    width = width or shutil.get_terminal_size((80, 24)).columns
    columns = {}
    for name in table.columns:
        cells = [_cell(value) for value in table[name]]
        if any(cells):
            columns[str(name)] = cells
    is_text = {name: not pd.api.types.is_numeric_dtype(table[name]) for name in columns}
    widths = {name: max(map(len, (name, *cells))) for name, cells in columns.items()}
    _shrink(widths, is_text, width)
    rows = [[name, *cells] for name, cells in columns.items()]
    lines = []
    for line in zip(*rows, strict=True):
        parts = [
            _cut(cell, widths[name]).ljust(widths[name])
            if is_text[name]
            else cell.rjust(widths[name])
            for name, cell in zip(columns, line, strict=True)
        ]
        lines.append(GAP.join(parts).rstrip())
    return "\n".join(lines)


def _shrink(widths: dict[str, int], is_text: dict[str, bool], width: int) -> None:
    """Take from the widest text, one character at a time."""
    while sum(widths.values()) + len(GAP) * (len(widths) - 1) > width:
        wide = [name for name, size in widths.items() if is_text[name] and size > NARROWEST]
        if not wide:
            return
        widths[max(wide, key=widths.__getitem__)] -= 1


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4g}"
    # A name may hold what would move the cursor or break the line.
    return "".join(c if c.isprintable() else "?" for c in str(value))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def sizes(table: pd.DataFrame) -> str:
    """How much these trials are."""
    return f"{count(len(table), 'trial')} ({int(table['n_frames'].sum()):,} frames)"


def count(n: int, what: str) -> str:
    """A number of things."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
