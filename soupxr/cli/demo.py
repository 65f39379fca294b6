"""The demonstration."""

from __future__ import annotations

from pathlib import Path

import click

from soupxr.cli.base import command

__all__ = ["COMMANDS"]


@command(
    "demo",
    "soupxr demo --out demo",
    kept="The demo is not whole; the same command makes it anew.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random choices.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for videos, store and pictures.",
)
def demo(out: Path, seed: int) -> None:
    """Show it all on rendered animals.

    Render three animals, learn from two, and judge the models on the third.
    """
    from soupxr.demo import run

    run(out, click.echo, seed=seed)


COMMANDS = [demo]
