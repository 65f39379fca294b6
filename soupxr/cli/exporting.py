"""Export for other programs: one command a format, over ``soupxr.io``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from soupxr.cli.base import command, data_root, together
from soupxr.cli.choices import Chosen, in_store, one_source, whose
from soupxr.errors import ArgumentError, expected

__all__ = ["COMMANDS", "said"]

NOT_WRITTEN = "What was not written whole is not there."


def _to(name: str, about: str, *examples: str, is_folder: bool) -> Callable[[Any], Any]:
    """Declare a command that writes ethograms or labels."""
    kind = click.Path(file_okay=not is_folder, dir_okay=is_folder, path_type=Path)
    target = click.argument("folder" if is_folder else "file", type=kind)

    def declare(function: Any) -> Any:
        @functools.wraps(function)
        def checked(mode: str | None, annotator: str | None, **options: Any) -> None:
            one_source(mode, annotator)
            function(mode=mode, annotator=annotator, **options)

        checked.__doc__ = about
        return command(name, *examples, kept=NOT_WRITTEN)(
            together(in_store, target, whose)(checked)
        )

    return declare


def said(path: Path) -> None:
    """Tell that a file is there."""
    click.echo(f"{path} is written.")


@_to(
    "excel",
    "Write bouts to an Excel FILE, one row each.",
    "soupxr export excel reach.zarr bouts.xlsx --mode fast",
    is_folder=False,
)
def excel(store: str, file: Path, chosen: Chosen, **options: Any) -> None:
    from soupxr.io import tables

    said(tables.write(chosen.open(store), file, **options))


@_to(
    "boris",
    "Write a BORIS project, to correct ethograms there.",
    "soupxr export boris reach.zarr check.boris --mode fast --animal M1",
    is_folder=False,
)
@data_root
def to_boris(store: str, file: Path, chosen: Chosen, **options: Any) -> None:
    from soupxr.io import boris

    said(boris.write(chosen.open(store), file, **options))


@_to(
    "deepethogram",
    "Write DeepEthogram's label files, one a trial, in FOLDER.",
    "soupxr export deepethogram reach.zarr labels --annotator Ana",
    is_folder=True,
)
def to_deepethogram(store: str, folder: Path, chosen: Chosen, **options: Any) -> None:
    from soupxr.io import deepethogram

    written = deepethogram.write(chosen.open(store), folder, **options)
    click.echo(f"{len(written):,} file(s) are in {folder}.")


@_to(
    "nwb",
    "Write NWB files for an archive, one a trial in FOLDER.",
    "soupxr export nwb reach.zarr archive --mode fast --start 2026-03-01T09:00:00+01:00",
    is_folder=True,
)
@click.option(
    "--start",
    required=True,
    metavar="TIME",
    help="When the sessions began, with the time zone: 2026-03-01T09:00:00+01:00.",
)
@click.option("--description", default="", help="Description of the sessions.")
@click.option("--method", help="How the labels were made.")
@data_root
def nwb(
    store: str,
    folder: Path,
    chosen: Chosen,
    start: str,
    description: str,
    method: str | None,
    **options: Any,
) -> None:
    from soupxr.io import nwb

    try:
        began = datetime.fromisoformat(start)
    except ValueError:
        began = None
    if began is None or began.tzinfo is None:
        example = "a time with its zone, such as 2026-03-01T09:00:00+01:00"
        raise ArgumentError(expected("--start", example, start))
    ds = chosen.open(store)
    options |= {"session_description": description, "labeling_method": method}
    written = nwb.write(ds, folder, session_start=began, **options)
    click.echo(f"{len(written):,} file(s) are in {folder}.")


@_to(
    "video",
    "Write one trial as an mp4 with its ethogram burnt in.",
    "soupxr export video reach.zarr grab.mp4 --mode fast --animal M1 --session S1 --trial 3",
    is_folder=False,
)
@click.option("--start", type=int, default=0, help="First frame.")
@click.option("--stop", type=int, help="First frame that is no longer shown.")
@click.option("--every", type=int, default=1, help="2: take every other frame; 3: every third.")
@click.option("--fps", type=float, help="Frames that the film shows in a second.")
@data_root
def video(store: str, file: Path, chosen: Chosen, **options: Any) -> None:
    from soupxr.io import film

    said(film.write(chosen.open(store), file, **options))


COMMANDS = [excel, to_boris, to_deepethogram, nwb, video]
