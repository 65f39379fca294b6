"""Import of other programs' files: one command a format, over ``soupxr.io``."""

from __future__ import annotations

from typing import Any

import click

from soupxr.cli.base import command, data_root, together
from soupxr.cli.choices import dry_run, in_store, rest
from soupxr.cli.words import in_a_shell
from soupxr.errors import ArgumentError, expected
from soupxr.modes import MODES

__all__ = ["COMMANDS"]

KEPT = (
    "Nothing was changed, or all of it: soupxr ls tells. A kill or a power cut may leave a part, "
    "which the same import with --overwrite finishes."
)
FILES = click.Path(exists=True, dir_okay=False)
FOLDER = click.Path(exists=True, file_okay=False)


def _pairs(
    option: str, texts: tuple[str, ...], form: str = "THEIRS=OURS"
) -> dict[str, str | None] | None:
    """``ONE=OTHER`` as a mapping; nothing behind the sign means None."""
    pairs: dict[str, str | None] = {}
    for text in texts:
        one, sign, other = text.rpartition("=")
        if not sign or not one:
            raise ArgumentError(expected(option, form, text))
        pairs[one] = other or None
    return pairs or None


def _tell(outcome: tuple[Any, Any]) -> None:
    """Say what was taken and what was left."""
    click.echo(in_a_shell(str(outcome[1])))


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
mode_in = click.option(
    "--mode", type=click.Choice(list(MODES)), help="Mode that their predictions become."
)


# ------------------------------------------------------------------ import


@command(
    "table",
    "soupxr import table reach.zarr scores.xlsx --annotator Ana --column start=onset --unit second",
    kept=KEPT,
)
@together(in_store, click.argument("file", type=FILES), annotator)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Header of a column: animal, session, trial_id, behavior, start, stop, … Several times.",
)
@click.option(
    "--unit",
    type=click.Choice(["frame", "second"]),
    help="Unit of start and stop. Default: as the headers say.",
)
@click.option(
    "--first-frame", type=int, default=0, show_default=True, help="Number of the first frame."
)
@click.option("--inclusive", is_flag=True, help="stop is the last frame of a bout.")
@click.option("--sheet", help="Sheet of an Excel file; default: the first.")
@together(rest, behaviors, trials, missing, overwrite, dry_run)
def table(
    store: str,
    file: str,
    columns: tuple[str, ...],
    behaviors: tuple[str, ...],
    **options: Any,
) -> None:
    """Read a table with any headers: CSV or Excel.

    It has a row for each bout, or one for each frame.
    """
    import soupxr
    from soupxr.io import tables

    pairs: Any = _pairs("--column", columns, "OURS=THEIRS")
    named = _pairs("--behavior", behaviors)
    _tell(tables.read(soupxr.open(store), file, columns=pairs, behaviors=named, **options))


@command(
    "boris",
    "soupxr import boris reach.zarr project.boris --dry-run",
    "soupxr import boris reach.zarr events.tsv --annotator Ana --behavior sup=supinate",
    kept=KEPT,
)
@together(in_store, click.argument("files", type=FILES, nargs=-1, required=True), annotator)
@click.option("--subject", help="Events of this subject only.")
@click.option(
    "--observation", "observations", multiple=True, help="This observation only. Several times."
)
@click.option(
    "--unpaired",
    type=click.Choice(["refuse", "close"]),
    default="refuse",
    show_default=True,
    help="A START without a STOP: refuse the file, or let it last to the observation's end.",
)
@click.option(
    "--points",
    type=click.Choice(["frame", "leave"]),
    default="frame",
    show_default=True,
    help="Whether a point event becomes a bout of one frame.",
)
@together(rest, behaviors, trials, missing, overwrite, dry_run)
def boris(
    store: str,
    files: tuple[str, ...],
    observations: tuple[str, ...],
    behaviors: tuple[str, ...],
    **options: Any,
) -> None:
    """Read BORIS projects (.boris) and exported tables."""
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
@together(in_store, click.argument("project", type=FOLDER), annotator, mode_in)
@click.option("--group", help="Which of the predictions in their files.")
@click.option("--results/--no-results", default=True, help="Take predictions, too.")
@together(experiment, behaviors, trials, missing, overwrite, dry_run, data_root)
def deepethogram(store: str, project: str, behaviors: tuple[str, ...], **options: Any) -> None:
    """Read a DeepEthogram project.

    Its videos become trials, their labels an annotation, their predictions results.
    """
    import soupxr
    from soupxr.io import deepethogram

    named = _pairs("--behavior", behaviors)
    _tell(deepethogram.read(soupxr.open(store), project, behaviors=named, **options))


@command("animal-soup", "soupxr import animal-soup reach.zarr dataframe.hdf --results", kept=KEPT)
@together(in_store, click.argument("dataframe", type=FILES))
@click.option("--key", default="df", show_default=True, help="Of the dataframe in the file.")
@click.option(
    "--names",
    metavar="NAME,...",
    help="What the rows of ethograms mean, in their order. Default: the six of animal-soup.",
)
@click.option(
    "--annotator",
    default="cleaned",
    show_default=True,
    help="Whose labels cleaned ethograms become.",
)
@click.option("--results/--no-results", default=True, help="Take predictions, too.")
@together(behaviors, missing, overwrite, dry_run, data_root)
def animal_soup(
    store: str, dataframe: str, names: str | None, behaviors: tuple[str, ...], **options: Any
) -> None:
    """Read a dataframe of animal-soup (HDF).

    Its trials, their cleaned ethograms, and the outputs of its sessions.
    """
    import soupxr
    from soupxr.io import animal_soup

    named = _pairs("--behavior", behaviors)
    if names is not None:
        options["names"] = [name.strip() for name in names.split(",")]
    _tell(animal_soup.read(soupxr.open(store), dataframe, behaviors=named, **options))


@command("jaaba", "soupxr import jaaba reach.zarr scores_Grab.mat --behavior Grab=grab", kept=KEPT)
@together(in_store, click.argument("files", type=FILES, nargs=-1, required=True))
@click.option("--annotator", default="JAABA", show_default=True, help="Whose labels these become.")
@together(mode_in, click.option("--target", type=int, help="Which of the animals in a film."))
@together(behaviors, trials, missing, overwrite, dry_run)
def jaaba(store: str, files: tuple[str, ...], behaviors: tuple[str, ...], **options: Any) -> None:
    """Read scores and labels of JAABA (.mat)."""
    import soupxr
    from soupxr.io import jaaba

    named = _pairs("--behavior", behaviors)
    _tell(jaaba.read(soupxr.open(store), list(files), behaviors=named, **options))


COMMANDS = [table, boris, deepethogram, animal_soup, jaaba]
