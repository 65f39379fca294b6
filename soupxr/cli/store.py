"""Commands that decide which trials there are: create, add, remove."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click
import pandas as pd
import xarray as xr

from soupxr.cli.base import FAILED, command, data_root
from soupxr.cli.choices import dry_run, in_store, numbers_of
from soupxr.cli.kinds import TRIALS
from soupxr.cli.tables import count, sizes
from soupxr.cli.words import in_a_shell
from soupxr.errors import ArgumentError, IngestError
from soupxr.modes import BEHAVIORS, MODES

__all__ = ["COMMANDS"]

F = TypeVar("F", bound=Callable[..., Any])


@command(
    "create",
    "soupxr create reach.zarr --data-root videos",
    "soupxr create groom.zarr --data-root videos --view top --behavior groom --behavior rear",
    kept="No store was made.",
)
@click.argument("store")
@click.option(
    "--data-root",
    required=True,
    type=click.Path(exists=True, file_okay=False),
    help="Folder with the videos: ANIMAL/SESSION/NAME_VIEW_vTRIAL.mp4 below it.",
)
@click.option(
    "--behavior",
    multiple=True,
    help="A behavior that is to be found; once for each. "
    f"Without any: {', '.join(BEHAVIORS)}, of the published models.",
)
@click.option(
    "--view",
    multiple=True,
    default=("side", "front"),
    show_default="side and front",
    help="A camera, as it is named in the videos' names; once for each, left to right.",
)
@click.option("--pad", is_flag=True, help="Pad the lower of two pictures of different height.")
@click.option("--pattern", help="How to read videos' names: a regular expression; see the docs.")
def create(
    store: str,
    data_root: str,
    behavior: Sequence[str],
    view: Sequence[str],
    pad: bool,
    pattern: str | None,
) -> None:
    """Make an empty STORE for an experiment.

    Nothing may be there yet. Videos are neither moved nor copied; go on with soupxr add.
    """
    import soupxr

    soupxr.create(
        store,
        data_root,
        behaviors=behavior or BEHAVIORS,
        views=view,
        join="pad" if pad else "equal",
        pattern=pattern,
    )
    click.echo(f"Made {store}, without trials. Next: soupxr add {store} ANIMAL…")


# ------------------------------------------------------------------ add, remove


def items(function: F) -> F:
    """Arguments that name animals, sessions of them, or trials of one session."""
    for part in (
        click.option("--trial", type=TRIALS, multiple=True, help="Only these, as 3 or 1-20."),
        click.option("--session", multiple=True, help="Only this session; once for each."),
        click.argument("animals", metavar="ANIMAL...", nargs=-1, required=True),
    ):
        function = part(function)
    return function


Item = tuple[str, str | None, int | None]


def _items(
    animals: Sequence[str], session: Sequence[str], trial: Sequence[range]
) -> Iterator[Item]:
    """One (animal, session, trial_id) for each call of the API."""
    numbers: list[int | None] = [*numbers_of(trial)]
    if numbers and not session:
        raise click.UsageError("--trial goes with --session: trials are numbered within one.")
    for animal in dict.fromkeys(animals):
        for one in dict.fromkeys(session) or [None]:
            for number in numbers or [None]:
                yield animal, one, number


def _named(item: Item) -> str:
    return "/".join(str(part) for part in item if part is not None)


@command(
    "add",
    "soupxr add reach.zarr M1 M2 --experiment table",
    "soupxr add reach.zarr M1 --session S3 --dry-run",
    "soupxr add reach.zarr M1 --new-only",
    kept="Each animal is added whole or not at all; soupxr ls tells which are there.",
)
@in_store
@items
@click.option(
    "--experiment",
    default="",
    help='Kind of experiment, "table" or "pez" or your own word; chooses the published models.',
)
@click.option("--pattern", help="How to read videos' names, in place of the store's way.")
@click.option("--new-only", is_flag=True, help="Pass over trials that are in the store already.")
@dry_run
@data_root
def add(
    store: str,
    animals: Sequence[str],
    session: Sequence[str],
    trial: Sequence[range],
    experiment: str,
    pattern: str | None,
    new_only: bool,
    dry_run: bool,
) -> None:
    """Add trials of animals to STORE.

    All of each ANIMAL, or only some sessions or trials. Every video is measured. Each animal
    (session, trial) is added whole or, if anything is wrong with its videos, not at all; the
    others are added all the same.
    """
    import soupxr

    ds = soupxr.open(store)
    failures = 0
    for item in _items(animals, session, trial):
        try:
            if dry_run:
                click.echo(f"{_named(item)}: would add {sizes(_find(ds, item, pattern, new_only))}")
                continue
            before = ds.sizes["trial"]
            ds = ds.soup.add_item(
                *item, experiment=experiment or None, pattern=pattern, new_only=new_only
            )
        except IngestError as error:
            failures += 1
            click.echo(f"soupxr: {in_a_shell(str(error))}", err=True)
        else:
            click.echo(f"{_named(item)}: added {count(ds.sizes['trial'] - before, 'trial')}")
    if failures:
        raise click.exceptions.Exit(FAILED)


def _find(ds: xr.Dataset, item: Item, pattern: str | None, new_only: bool) -> pd.DataFrame:
    found: pd.DataFrame = ds.soup.find_item(*item, pattern=pattern, new_only=new_only)
    return found


@command(
    "remove",
    "soupxr remove reach.zarr M1 --session S3 --dry-run",
    "soupxr remove reach.zarr M1 --session S3 --trial 4",
    kept="Trials were removed one animal after the other; soupxr ls tells which are still there.",
)
@in_store
@items
@dry_run
@click.option("--yes", "-y", is_flag=True, help="Do not ask first.")
def remove(
    store: str,
    animals: Sequence[str],
    session: Sequence[str],
    trial: Sequence[range],
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove trials from STORE, with results and labels.

    All of each ANIMAL, or only some sessions or trials. All results and labels of these trials are
    deleted, and cannot be had back. Videos stay.
    """
    import soupxr

    ds = soupxr.open(store)
    table = ds.soup.trials
    wanted = list(_items(animals, session, trial))
    parts = [_matching(table, item) for item in wanted]
    strangers = [_named(item) for item, part in zip(wanted, parts, strict=True) if part.empty]
    if strangers:
        raise ArgumentError(
            f"the store has no {', '.join(strangers)}; nothing was removed. "
            f"soupxr ls {store} lists the trials there are."
        )
    chosen = pd.concat(parts).drop_duplicates()
    lost = _results(chosen)
    if dry_run:
        click.echo(f"Would remove {sizes(chosen)}{lost}.")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("--yes is needed where nobody can be asked.")
        question = f"Remove {sizes(chosen)}{lost} and all labels, for good?"
        if not click.confirm(question):
            click.echo("Nothing was removed.")
            return
    for item in wanted:
        ds = ds.soup.remove_item(*item)
        click.echo(f"{_named(item)}: removed")


def _matching(table: pd.DataFrame, item: Item) -> pd.DataFrame:
    for name, value in zip(("animal", "session", "trial_id"), item, strict=True):
        if value is not None:
            table = table[table[name] == value]
    return table


def _results(table: pd.DataFrame) -> str:
    counts = {mode: int((table[mode] == "complete").sum()) for mode in MODES}
    told = [f"{n} result{'s' * (n > 1)} in mode {mode}" for mode, n in counts.items() if n]
    return f", with {', '.join(told)}" if told else ""


COMMANDS = [create, add, remove]
