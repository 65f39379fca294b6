"""The command line: thin calls of the public API."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from soupxr import __version__
from soupxr.errors import SoupError

__all__ = ["main"]


class _Commands(click.Group):
    """A group whose commands tell user errors in one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SoupError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"soupxr: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
def main(debug: bool) -> None:
    """Ethograms from behaviour video."""


@main.command()
@click.option("--seed", type=int, default=0, show_default=True, help="Of all chance.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for videos, store and pictures.",
)
def demo(out: Path, seed: int) -> None:
    """Render ten animals, learn from eight, and judge the models on the other two."""
    from soupxr.demo import run

    run(out, click.echo, seed=seed)


@main.command()
@click.argument("store", type=click.Path(exists=True, file_okay=False))
@click.option("--port", type=int, default=0, help="Default: any that is free.")
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
def view(store: str, port: int, browser: bool) -> None:
    """Look at the trials of STORE in a browser, until Ctrl+C."""
    import soupxr

    soupxr.open(store).soup.view().show(port, open_browser=browser)
