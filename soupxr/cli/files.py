"""Commands that bring labels in and take results out: import and export."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
import pandas as pd
import xarray as xr

from soupxr.annotation.bout_table import ROW
from soupxr.cli import exporting, importing
from soupxr.cli.base import command, group, together
from soupxr.cli.choices import Chosen, in_store, one_source, rest, selection, whose
from soupxr.dataset import LEVELS
from soupxr.errors import ArgumentError, expected
from soupxr.files import whole_file

__all__ = ["COMMANDS"]

TEXTS = ("animal", "session", "behavior")
#: Columns that are taken, and one that says nothing more; exports have it.
KNOWN = (*TEXTS, "trial_id", "start", "stop", "duration_s")


@group("import", "soupxr import labels reach.zarr bouts.csv --annotator Ana --unit second")
def import_() -> None:
    """Bring labels, and files of other programs, into a STORE."""


@group("export", "soupxr export bouts reach.zarr bouts.csv --mode fast")
def export() -> None:
    """Write ethograms or labels of a STORE to a file."""


# ------------------------------------------------------------------ import


@command(
    "labels",
    "soupxr import labels reach.zarr bouts.csv --annotator Ana --unit second",
    kept="Of an annotator who is new, all labels are there or none; soupxr check tells.",
)
@in_store
@click.argument("table", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--annotator", required=True, help="Who labelled; a new name adds an annotator.")
@selection
@click.option(
    "--unit",
    type=click.Choice(["frame", "second"]),
    default="frame",
    show_default=True,
    help="Unit of start and stop in the table.",
)
@rest
@click.option(
    "--trials",
    type=click.Choice(["listed", "selected"]),
    default="listed",
    show_default=True,
    help="Whether trials without a row in the table are labelled, too.",
)
@click.option("--overwrite", is_flag=True, help="Replace this annotator's labels of these trials.")
def labels(
    store: str,
    table: str,
    annotator: str,
    chosen: Chosen,
    unit: str,
    rest: str,
    trials: str,
    overwrite: bool,
) -> None:
    """Read a TABLE of bouts: all or, if anything is wrong, none.

    TABLE is CSV with the columns animal, session, trial_id, behavior, start and stop (the first
    frame that is no longer part of the bout); others are left, and told. For other headers, and
    Excel, see soupxr import table.
    """
    bouts = _read_table(table)
    without_bouts = _trials_without_bouts(table, bouts, annotator)
    chosen.open(store).soup.annotate(
        bouts, annotator=annotator, unit=unit, rest=rest, trials=trials, overwrite=overwrite
    )
    click.echo(f"{len(bouts):,} bout(s) are labels of {annotator} now.")
    for key in without_bouts:
        click.echo(f"left  {key}: was exported, too, but has no bout in the table")
    left = [str(name) for name in bouts.columns if name not in KNOWN]
    if left:
        click.echo(f"left  {', '.join(f'column {name!r}' for name in left)}")


def _read_table(path: str) -> pd.DataFrame:
    """Read bouts; names stay the texts that they are, such as 007 or NA."""
    from soupxr.io.sheet import EXCEL, read_bytes, rows_of_text, to_whole

    if Path(path).suffix.lower() in EXCEL:
        raise ArgumentError(
            expected("TABLE", "a CSV file of bouts", path, "soupxr import table reads Excel.")
        )
    place = Path("the table" if path == "-" else path)
    data = sys.stdin.buffer.read() if path == "-" else read_bytes(place)
    read = rows_of_text(place, data)
    if not read:
        raise ArgumentError(expected("TABLE", "a header and bouts", f"{place}, which is empty"))
    header, *rows = read
    width = len(header.cells)
    for row in rows:
        if any(row.cells[width:]):
            told = f"{len(row.cells)} in row {row.number} of {place}"
            remedy = "Is the comma a decimal point there, too?"
            raise ArgumentError(expected("TABLE", f"{width} cells, as in the header", told, remedy))
    cells = [[*row.cells[:width], *[""] * (width - len(row.cells))] for row in rows]
    numbers = pd.Index([row.number for row in rows], name=ROW)
    table = pd.DataFrame(cells, columns=[cell.strip() for cell in header.cells], index=numbers)
    if "trial_id" in table:
        table["trial_id"] = [to_whole(cell) for cell in table["trial_id"]]
    return table


def _trials_without_bouts(path: str, bouts: pd.DataFrame, annotator: str) -> list[str]:
    """Trials that an export says were exported, too.

    Raises
    ------
    ArgumentError
        If it says that frames are unlabelled, which would be taken for absent.
    """
    from soupxr.io._tables_header import record_beside

    record = {} if path == "-" else record_beside(Path(path))
    if any(record.get("unlabelled", {}).values()):
        raise ArgumentError(
            f"TABLE: {path}.provenance.json says that some frames are unlabelled, which this "
            f"command does not read. soupxr import table STORE {path} --annotator {annotator} "
            "--unit frame does; or delete that file, and --rest holds for all."
        )
    exported = set(record.get("trials", ()))
    if not exported or not set(LEVELS) <= set(bouts.columns):
        return []
    told = {"/".join(map(str, row)) for row in bouts[list(LEVELS)].itertuples(index=False)}
    return sorted(exported - told)


# ------------------------------------------------------------------ export


_exported = together(
    in_store,
    click.argument("file", type=click.Path(dir_okay=False, allow_dash=True)),
    whose,
    click.option(
        "--provenance",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="PATH",
        help="With -: the file to write to where the table comes from.",
    ),
)


@command(
    "bouts",
    "soupxr export bouts reach.zarr bouts.csv --mode fast",
    "soupxr export bouts reach.zarr - --annotator Ana --animal M1",
    kept="The file was not written.",
)
@_exported
def bouts(
    store: str,
    file: str,
    mode: str | None,
    annotator: str | None,
    chosen: Chosen,
    overwrite: bool,
    provenance: Path | None,
) -> None:
    """Write bouts to FILE, one row each.

    FILE is CSV; - is the screen. Columns: animal, session, trial_id, behavior, start, stop (the
    first frame after it), and duration_s. Where they come from stands in FILE.provenance.json.
    """
    one_source(mode, annotator)
    _check_places(file, provenance, overwrite)
    _refuse_excel(file)
    from soupxr.io._tables_out import DELIMITERS, beside, record_of
    from soupxr.io.chosen import choose, new_record

    ds = _with_results(chosen.open(store), mode)
    table = ds.soup.bouts(mode=mode, annotator=annotator)
    place = provenance if file == "-" else beside(Path(file))
    what = choose(ds, mode, annotator, "export")
    record = place and record_of(what, "bouts")
    with new_record(place, record, overwrite), _opened(file) as out:
        table.to_csv(out, index=False, sep=DELIMITERS.get(Path(file).suffix.lower(), ","))
    _said(file)


@command(
    "frames",
    "soupxr export frames reach.zarr frames.csv --mode fast --probability",
    kept="The file was not written.",
)
@_exported
@click.option("--probability", is_flag=True, help="With --mode: probabilities, too.")
def frames(
    store: str,
    file: str,
    mode: str | None,
    annotator: str | None,
    chosen: Chosen,
    overwrite: bool,
    provenance: Path | None,
    probability: bool,
) -> None:
    """Write every frame to FILE, one row each.

    FILE ends in .csv, .tsv or .xlsx; - is the screen. Columns: animal, session, trial_id, frame,
    time_s, and each behavior: 1 occurs, 0 does not, -1 unlabelled. Trials without a complete
    result, or without labels, are left out. Where they come from stands in FILE.provenance.json.
    """
    one_source(mode, annotator)
    if probability and mode is None:
        raise click.UsageError("--probability goes with --mode.")
    from soupxr.io import tables

    _check_places(file, provenance, overwrite)
    ds = _with_results(chosen.open(store), mode)
    what: Any = {"mode": mode, "annotator": annotator, "probability": probability}
    what |= {"form": "frames", "overwrite": overwrite}
    if file == "-":
        tables.write(ds, sys.stdout, provenance=provenance, **what)
    else:
        tables.write(ds, file, **what)
    _said(file)


def _refuse_excel(file: str) -> None:
    from soupxr.io.sheet import EXCEL

    if Path(file).suffix.lower() in EXCEL:
        remedy = "soupxr export excel writes workbooks."
        raise ArgumentError(expected("FILE", "a name that ends in .csv or .tsv", file, remedy))


def _with_results(ds: xr.Dataset, mode: str | None) -> xr.Dataset:
    """The same trials, unless none of them has what is to be exported."""
    if mode is not None and not (ds.soup.trials[mode] == "complete").any():
        raise ArgumentError(f"--mode: none of the chosen trials is complete in mode {mode}.")
    return ds


def _check_places(file: str, provenance: Path | None, overwrite: bool) -> None:
    """Refuse to replace what is there, before anything is read."""
    from soupxr.io.chosen import check_new

    if file != "-" and provenance is not None:
        raise click.UsageError(f"--provenance goes with -; of a file it is {file}.provenance.json.")
    for name, place in (("FILE", None if file == "-" else file), ("--provenance", provenance)):
        if place is not None:
            check_new(Path(place), overwrite, name, "Give --overwrite to replace it.")


@contextmanager
def _opened(file: str) -> Iterator[IO[str]]:
    """A file that is there whole or, if anything goes wrong, not at all; or the screen."""
    if file == "-":
        yield sys.stdout
        return
    with whole_file(Path(file)) as path, path.open("w", encoding="utf-8", newline="") as out:
        yield out


def _said(file: str) -> None:
    if file != "-":
        exporting.said(Path(file))


for one in (labels, *importing.COMMANDS):
    import_.add_command(one)
for one in (bouts, frames, *exporting.COMMANDS):
    export.add_command(one)

COMMANDS = [import_, export]
