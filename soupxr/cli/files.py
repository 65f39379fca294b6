"""Commands that bring labels in and take results out: import and export."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import IO

import click
import pandas as pd
import xarray as xr

from soupxr.cli import exporting, importing
from soupxr.cli.base import command, group, together
from soupxr.cli.choices import Chosen, in_store, rest, selection, whose
from soupxr.errors import ArgumentError, expected
from soupxr.files import whole_file

__all__ = ["COMMANDS"]

#: What stands between the columns of a table.
DELIMITERS = (",", ";", "\t")
TEXTS = ("animal", "session", "behavior")


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
    frame that is no longer part of the bout); others are ignored. For other headers, and Excel, see
    soupxr import table.
    """
    bouts = _read_table(table)
    chosen.open(store).soup.annotate(
        bouts, annotator=annotator, unit=unit, rest=rest, trials=trials, overwrite=overwrite
    )
    click.echo(f"{len(bouts):,} bout(s) are labels of {annotator} now.")


def _read_table(path: str) -> pd.DataFrame:
    """Read bouts; names stay the texts that they are, such as 007 or NA."""
    text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    first = text.partition("\n")[0]
    try:
        return pd.read_csv(
            StringIO(text),
            sep=max(DELIMITERS, key=first.count),
            dtype=dict.fromkeys(TEXTS, str),
            na_values={"start": [""], "stop": [""]},
            keep_default_na=False,
        )
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ArgumentError(expected("table", "a CSV file of bouts", path, f"{error}.")) from None


# ------------------------------------------------------------------ export


_exported = together(
    in_store, click.argument("file", type=click.Path(dir_okay=False, allow_dash=True)), whose
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
) -> None:
    """Write bouts to FILE, one row each.

    FILE is CSV; - is the screen. Columns: animal, session, trial_id, behavior, start, stop (the
    first frame after it), and duration_s. Where they come from stands in FILE.provenance.json.
    """
    _one_source(mode, annotator)
    ds = _with_results(chosen.open(store), mode)
    with _with_origin(file, ds, mode, annotator, "bouts"), _opened(file, overwrite) as out:
        ds.soup.bouts(mode=mode, annotator=annotator).to_csv(out, index=False)


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
    probability: bool,
) -> None:
    """Write every frame to FILE, one row each.

    FILE is CSV; - is the screen. Columns: animal, session, trial_id, frame, time_s, and each
    behavior: 1 occurs, 0 does not, -1 unlabelled. Trials without a complete result, or without
    labels, are left out. Where they come from stands in FILE.provenance.json.
    """
    _one_source(mode, annotator)
    if probability and mode is None:
        raise click.UsageError("--probability goes with --mode.")
    ds = _with_results(chosen.open(store), mode)
    with _with_origin(file, ds, mode, annotator, "frames"), _opened(file, overwrite) as out:
        for number, table in enumerate(_frame_tables(ds, mode, annotator, probability)):
            table.to_csv(out, index=False, header=number == 0)


def _one_source(mode: str | None, annotator: str | None) -> None:
    if (mode is None) == (annotator is None):
        raise click.UsageError("Say whose: either --mode or --annotator.")


def _with_results(ds: xr.Dataset, mode: str | None) -> xr.Dataset:
    """The same trials, unless none of them has what is to be exported."""
    if mode is not None and not (ds.soup.trials[mode] == "complete").any():
        raise ArgumentError(f"--mode: none of the chosen trials is complete in mode {mode}.")
    return ds


def _frame_tables(
    ds: xr.Dataset, mode: str | None, annotator: str | None, probability: bool
) -> Iterator[pd.DataFrame]:
    """One table a trial, so that memory does not grow with their number."""
    from soupxr.dataset import keys_of, store_of
    from soupxr.labels import label_source, read_labels

    store = store_of(ds)
    source = label_source(store, mode=mode, annotator=annotator)
    behaviors = store.labels("behavior")
    for trial, mask in read_labels(store, source, store.trials(keys_of(ds))):
        if (mask == -1).all():
            continue
        table = pd.DataFrame(mask, columns=behaviors)
        if probability and mode is not None:
            values = store.rows("probability", store.mode_index(mode), trial)
            chances = pd.DataFrame(values, columns=[f"{name}_probability" for name in behaviors])
            table = pd.concat([table, chances], axis=1)
        places = pd.DataFrame({"frame": range(len(mask))})
        places["time_s"] = places["frame"] / trial.fps
        for name in ("trial_id", "session", "animal"):
            places.insert(0, name, getattr(trial, name))
        yield pd.concat([places, table], axis=1)


@contextmanager
def _with_origin(
    file: str, ds: xr.Dataset, mode: str | None, annotator: str | None, form: str
) -> Iterator[None]:
    """Write provenance beside a table, once that is written; the screen has none."""
    if file == "-":
        yield
        return
    from soupxr.io._tables_out import record_of, write_record
    from soupxr.io.chosen import choose

    record = record_of(choose(ds, mode, annotator, "export"), form)
    yield
    write_record(Path(file), record)


@contextmanager
def _opened(file: str, overwrite: bool) -> Iterator[IO[str]]:
    """A file that is there whole or, if anything goes wrong, not at all; or the screen."""
    if file == "-":
        yield sys.stdout
        return
    target = Path(file)
    if target.exists() and not overwrite:
        raise ArgumentError(expected("FILE", "a new file", file, "Give --overwrite to replace it."))
    with whole_file(target) as path, path.open("w", encoding="utf-8", newline="") as out:
        yield out


for one in (labels, *importing.COMMANDS):
    import_.add_command(one)
for one in (bouts, frames, *exporting.COMMANDS):
    export.add_command(one)

COMMANDS = [import_, export]
