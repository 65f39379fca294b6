"""Commands that tell what a store holds, and whether it is whole: ls, check."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click
import pandas as pd
import xarray as xr

from soupxr.cli.base import FAILED, command, data_root
from soupxr.cli.choices import Chosen, in_store, selection
from soupxr.cli.tables import count, formats, print_table, sizes, text_table
from soupxr.cli.words import in_a_shell
from soupxr.modes import MODES

__all__ = ["COMMANDS"]


@command(
    "ls",
    "soupxr ls reach.zarr --animal M1",
    "soupxr ls reach.zarr --failed",
    "soupxr ls reach.zarr --csv > trials.csv",
)
@in_store
@selection
@click.option("--failed", is_flag=True, help="Only trials that failed, each with the reason.")
@formats
def ls(store: str, chosen: Chosen, failed: bool, form: str | None) -> None:
    """List the trials of STORE, and how far each has come.

    In each mode a trial is complete, has features only, has failed, or has nothing (–). One that is
    "deciding" was getting new thresholds when the process ended, one that is "replacing" a new
    result: soupxr infer finishes both at once.
    """
    ds = chosen.open(store)
    table = ds.soup.trials
    if failed:
        table = _failures(ds, table)
    if form is not None:
        print_table(table, form)
        return
    shown = table.rename(columns={"trial_id": "trial", "n_frames": "frames", "fps": "Hz"})
    shown = shown.replace({mode: {"none": "–"} for mode in MODES if mode in shown})
    if len(table):
        reasons = shown.pop("reason") if failed else None
        lines = text_table(shown).split("\n")
        for number, line in enumerate(lines):
            click.echo(line)
            if reasons is not None and number:
                click.echo(f"    {reasons.iloc[number - 1]}")
        click.echo()
    click.echo(_summary(table, failed))
    if not len(table) and not failed:
        click.echo(f"Next: soupxr add {store} ANIMAL…")


def _failures(ds: xr.Dataset, table: pd.DataFrame) -> pd.DataFrame:
    """Trials that failed in a mode, one row for each mode, with the reason."""
    rows = []
    for mode in MODES:
        for place in (table[mode] == "failed").to_numpy().nonzero()[0]:
            row = table.iloc[place][["animal", "session", "trial_id", "n_frames", "fps"]].to_dict()
            reason = ds["error"].sel(mode=mode).isel(trial=int(place)).item()
            rows.append(row | {"mode": mode, "reason": " ".join(str(reason).split())})
    columns = ["animal", "session", "trial_id", "n_frames", "fps", "mode", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _summary(table: pd.DataFrame, failed: bool) -> str:
    if failed:
        return f"{count(len(table), 'failure')}."
    told = [sizes(table) + f" of {count(table['animal'].nunique(), 'animal')}"]
    for mode in MODES:
        counts = Counter(table[mode])
        states = [f"{n:,} {state}" for state, n in counts.most_common() if state != "none"]
        told += [f"{mode}: {', '.join(states)}"] if states else []
    if len(told) == 1 and len(table):
        told.append("nothing inferred yet")
    return "; ".join(told) + "."


@command(
    "check",
    "soupxr check reach.zarr",
    "soupxr check reach.zarr --no-videos --repair",
    kept="Each trial is as it was, or reset whole; the same command goes on.",
)
@in_store
@selection
@click.option("--repair", is_flag=True, help='Reset what is broken to "not done"; labels stay.')
@click.option("--videos/--no-videos", default=True, help="Whether to measure the videos, too.")
@click.option("--quick", is_flag=True, help="Of features, only look how long their files are.")
@formats
@data_root
def check(
    store: str, chosen: Chosen, repair: bool, videos: bool, quick: bool, form: str | None
) -> None:
    """Verify that everything in STORE is whole.

    And that videos and models fit it still. Looks at every result, feature, label and video. With
    --repair, what is broken is reset, so that soupxr infer does it again; labels are never touched,
    and what is whole stays. The exit code is 1 if an error is left.
    """
    from soupxr.check import check, check_store
    from soupxr.store import store_address

    options: dict[str, Any] = {"repair": repair, "videos": videos, "quick": quick}
    if chosen.is_all:
        # A store can be too damaged to be opened as a Dataset.
        result = check_store(store_address(store), **options)
    else:
        result = check(chosen.open(store), **options)
    if form is None:
        click.echo(in_a_shell(repr(result)))
    else:
        print_table(result.findings, form)
    if not result.ok:
        raise click.exceptions.Exit(FAILED)


COMMANDS = [ls, check]
