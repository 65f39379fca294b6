"""Import and export of other programs' files: one command a format, over ``soupxr.io``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from soupxr.cli.base import command, data_root
from soupxr.cli.choices import Chosen, in_store, selection
from soupxr.errors import ArgumentError, expected
from soupxr.modes import MODES

__all__ = ["EXPORTS", "IMPORTS"]

KEPT = "Nothing was changed, or all of it: soupxr ls tells."
FILES = click.Path(exists=True, dir_okay=False)
FOLDER = click.Path(exists=True, file_okay=False)


def _together(*parts: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options and arguments as one."""

    def declare(function: Any) -> Any:
        for part in reversed(parts):
            function = part(function)
        return function

    return declare


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str | None] | None:
    """``THEIRS=OURS`` as a mapping; nothing behind the sign means None."""
    pairs: dict[str, str | None] = {}
    for text in texts:
        theirs, sign, ours = text.rpartition("=")
        if not sign or not theirs:
            raise ArgumentError(expected(option, "THEIRS=OURS", text))
        pairs[theirs] = ours or None
    return pairs or None


def _tell(outcome: tuple[Any, Any]) -> None:
    """Say what was taken and what was left."""
    click.echo(str(outcome[1]))


annotator = click.option("--annotator", help="Whose labels these become.")
missing = click.option(
    "--missing",
    type=click.Choice(["refuse", "leave"]),
    default="refuse",
    show_default=True,
    help="What to do with trials that the store does not have.",
)
behaviors = click.option(
    "--behavior",
    "behaviors",
    multiple=True,
    metavar="THEIRS=OURS",
    help="What a behavior is called in the store; THEIRS= leaves it out. Several times.",
)
trials = click.option(
    "--trials",
    metavar="PATTERN",
    help="Regular expression with groups animal, session and trial_id, for their names of trials.",
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace what is in the store.")
experiment = click.option("--experiment", default="", help="Kind of experiment of new trials.")
rest = click.option(
    "--rest",
    type=click.Choice(["absent", "unlabelled"]),
    default="absent",
    show_default=True,
    help="What a frame is that no bout of its trial covers.",
)
mode_in = click.option(
    "--mode", type=click.Choice(list(MODES)), help="Mode that their predictions become."
)


# ------------------------------------------------------------------ import


@command(
    "table",
    "soupxr import table reach.zarr scores.xlsx --annotator Ana --column start=onset --unit second",
    kept=KEPT,
)
@_together(in_store, click.argument("file", type=FILES), annotator)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Header of a column: animal, session, trial_id, behavior, start, stop, … Several times.",
)
@click.option("--unit", type=click.Choice(["frame", "second"]), help="Of start and stop.")
@click.option("--first-frame", type=int, default=0, show_default=True, help="Number of the first.")
@click.option("--inclusive", is_flag=True, help="stop is the last frame of a bout.")
@click.option("--sheet", help="Of an Excel file; default: the first.")
@_together(rest, behaviors, trials, missing, overwrite)
def table(
    store: str,
    file: str,
    columns: tuple[str, ...],
    behaviors: tuple[str, ...],
    **options: Any,
) -> None:
    """Read bouts, or a row for each frame, from a table with any headers (CSV or Excel)."""
    import soupxr
    from soupxr.io import tables

    pairs: Any = _pairs("--column", columns)
    named = _pairs("--behavior", behaviors)
    _tell(tables.read(soupxr.open(store), file, columns=pairs, behaviors=named, **options))


@command(
    "boris",
    "soupxr import boris reach.zarr project.boris",
    "soupxr import boris reach.zarr events.tsv --annotator Ana --behavior sup=supinate",
    kept=KEPT,
)
@_together(in_store, click.argument("files", type=FILES, nargs=-1, required=True), annotator)
@click.option("--subject", help="Events of this subject only.")
@click.option(
    "--observation", "observations", multiple=True, help="This observation only. Several times."
)
@click.option(
    "--unpaired",
    type=click.Choice(["refuse", "close"]),
    default="refuse",
    show_default=True,
    help="What to do with a START without a STOP: close it at the next START or the end.",
)
@click.option(
    "--points",
    type=click.Choice(["frame", "leave"]),
    default="frame",
    show_default=True,
    help="Whether a point event becomes a bout of one frame.",
)
@_together(rest, behaviors, trials, missing, overwrite)
def boris(
    store: str,
    files: tuple[str, ...],
    observations: tuple[str, ...],
    behaviors: tuple[str, ...],
    **options: Any,
) -> None:
    """Read observations of BORIS: projects (.boris) and exported tables."""
    import soupxr
    from soupxr.io import boris

    named = _pairs("--behavior", behaviors)
    chosen = list(observations) or None
    ds = soupxr.open(store)
    _tell(boris.read(ds, list(files), observations=chosen, behaviors=named, **options))


@command(
    "deepethogram",
    "soupxr import deepethogram reach.zarr my_project_deepethogram --mode fast",
    kept=KEPT,
)
@_together(in_store, click.argument("project", type=FOLDER), annotator, mode_in)
@click.option("--group", help="Which of the predictions in their files.")
@click.option("--results/--no-results", default=True, help="Take predictions, too.")
@_together(experiment, behaviors, trials, missing, overwrite, data_root)
def deepethogram(store: str, project: str, behaviors: tuple[str, ...], **options: Any) -> None:
    """Read a DeepEthogram project: videos become trials, their labels an annotation."""
    import soupxr
    from soupxr.io import deepethogram

    named = _pairs("--behavior", behaviors)
    _tell(deepethogram.read(soupxr.open(store), project, behaviors=named, **options))


@command("animal-soup", "soupxr import animal-soup reach.zarr dataframe.hdf --results", kept=KEPT)
@_together(in_store, click.argument("dataframe", type=FILES))
@click.option("--annotator", default="cleaned", show_default=True, help="Of cleaned ethograms.")
@click.option("--results/--no-results", default=True, help="Take predictions, too.")
@_together(behaviors, missing, overwrite, data_root)
def animal_soup(store: str, dataframe: str, behaviors: tuple[str, ...], **options: Any) -> None:
    """Read a dataframe of animal-soup (HDF), and the outputs of its sessions."""
    import soupxr
    from soupxr.io import animal_soup

    named = _pairs("--behavior", behaviors)
    _tell(animal_soup.read(soupxr.open(store), dataframe, behaviors=named, **options))


@command("jaaba", "soupxr import jaaba reach.zarr scores_Grab.mat --behavior Grab=grab", kept=KEPT)
@_together(in_store, click.argument("files", type=FILES, nargs=-1, required=True))
@click.option("--annotator", default="JAABA", show_default=True, help="Whose labels these become.")
@_together(mode_in, click.option("--target", type=int, help="Which of the animals in a film."))
@_together(behaviors, trials, missing, overwrite)
def jaaba(store: str, files: tuple[str, ...], behaviors: tuple[str, ...], **options: Any) -> None:
    """Read scores and labels of JAABA (.mat)."""
    import soupxr
    from soupxr.io import jaaba

    named = _pairs("--behavior", behaviors)
    _tell(jaaba.read(soupxr.open(store), list(files), behaviors=named, **options))


# ------------------------------------------------------------------ export

whose = _together(
    click.option("--mode", type=click.Choice(list(MODES)), help="Ethograms of this mode."),
    click.option("--annotator", help="Labels of this annotator."),
    selection,
    click.option("--overwrite", is_flag=True, help="Replace files that are there."),
)
NOT_WRITTEN = "What was not written whole is not there."


def _to(name: str, about: str, *examples: str, is_folder: bool) -> Callable[[Any], Any]:
    """Declare a command that writes ethograms or labels."""
    kind = click.Path(file_okay=not is_folder, dir_okay=is_folder, path_type=Path)
    target = click.argument("folder" if is_folder else "file", type=kind)

    def declare(function: Any) -> Any:
        function.__doc__ = about
        return command(name, *examples, kept=NOT_WRITTEN)(
            _together(in_store, target, whose)(function)
        )

    return declare


def _said(path: Path) -> None:
    click.echo(f"{path} is written.")


@_to(
    "excel",
    "Write bouts to an Excel FILE, one row each.",
    "soupxr export excel reach.zarr bouts.xlsx --mode fast",
    is_folder=False,
)
def excel(store: str, file: Path, chosen: Chosen, **options: Any) -> None:
    from soupxr.io import tables

    _said(tables.write(chosen.open(store), file, **options))


@_to(
    "boris",
    "Write a BORIS project, so that ethograms can be corrected there.",
    "soupxr export boris reach.zarr check.boris --mode fast --animal M1",
    is_folder=False,
)
def to_boris(store: str, file: Path, chosen: Chosen, **options: Any) -> None:
    from soupxr.io import boris

    _said(boris.write(chosen.open(store), file, **options))


@_to(
    "deepethogram",
    "Write labels as DeepEthogram keeps them, one file a trial in FOLDER.",
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
@click.option("--description", default="", help="Of the sessions.")
@click.option("--method", help="How the labels were made.")
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
        example = "a time such as 2026-03-01T09:00:00+01:00"
        raise ArgumentError(expected("--start", example, start)) from None
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
@click.option("--every", type=int, default=1, help="Take each so manyth frame.")
@click.option("--fps", type=float, help="Frames that the film shows in a second.")
def video(store: str, file: Path, chosen: Chosen, **options: Any) -> None:
    from soupxr.io import film

    _said(film.write(chosen.open(store), file, **options))


IMPORTS = [table, boris, deepethogram, animal_soup, jaaba]
EXPORTS = [excel, to_boris, to_deepethogram, nwb, video]
