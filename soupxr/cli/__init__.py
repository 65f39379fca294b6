"""The command line: thin calls of the public API, one module a family of commands."""

from __future__ import annotations

import click

from soupxr import __version__
from soupxr.cli import demo, files, judge, listing, look, run, store
from soupxr.cli.base import group

__all__ = ["main"]


@group(
    "soupxr",
    "soupxr create reach.zarr --data-root videos",
    "soupxr add reach.zarr M1 M2 --experiment table",
    "soupxr infer reach.zarr --mode fast",
    "soupxr view reach.zarr",
)
@click.version_option(__version__, prog_name="soupxr")
def main() -> None:
    """Ethograms from behaviour video: which behaviors occur in every frame.

    An experiment is a STORE: a folder such as reach.zarr that holds a table of trials, and all
    results and labels. Videos stay where they are.

    "soupxr COMMAND --help" tells more of each. Exit codes: 0 done; 1 something did not work, such
    as some of the trials; 2 the command was used wrongly; 130 stopped by Ctrl+C.
    """


for module in (store, listing, run, judge, look, files, demo):
    for one in module.COMMANDS:
        main.add_command(one)
