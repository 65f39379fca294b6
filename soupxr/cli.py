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
    """Render three animals, learn from two, and judge the models on the third."""
    from soupxr.demo import run

    run(out, click.echo, seed=seed)


@main.command()
@click.argument("store", type=click.Path(exists=True, file_okay=False))
@click.option("--clean", "use", flag_value="clean", help="Correct ethograms.")
@click.option("--manual", "use", flag_value="manual", help="Make ethograms by hand.")
@click.option("--compare", "use", flag_value="compare", help="Compare modes and annotators.")
@click.option("--animal", help="Trials of this animal only.")
@click.option("--mode", help="Whose ethograms: fast, medium or slow.")
@click.option("--annotator", help="Whose labels are shown, or become of the edits.")
@click.option("--uncertain", is_flag=True, help="With --clean: what is most worth a look first.")
@click.option("--port", type=int, default=0, help="Default: any that is free.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--password",
    prompt=True,
    prompt_required=False,
    hide_input=True,
    envvar="SOUPXR_PASSWORD",
    help="Asked of visitors; demanded beyond this machine. Without a value it is asked for.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
def view(
    store: str,
    use: str | None,
    animal: str | None,
    mode: str | None,
    annotator: str | None,
    uncertain: bool,
    port: int,
    address: str,
    password: str | None,
    browser: bool,
) -> None:
    """Look at the trials of STORE in a browser, until Ctrl+C; or edit or compare ethograms."""
    import soupxr

    if uncertain and use != "clean":
        raise click.UsageError("--uncertain goes with --clean.")
    ds = soupxr.open(store)
    soup = (ds if animal is None else ds.sel(animal=animal)).soup
    if use == "clean":
        named = {} if annotator is None else {"annotator": annotator}
        viewer = soup.clean_ethograms(mode, order="uncertain" if uncertain else "trial", **named)
    elif use == "manual":
        viewer = soup.manual_ethograms(annotator or "human")
    elif use == "compare":
        modes, annotators = (None if one is None else [one] for one in (mode, annotator))
        viewer = soup.compare_ethograms(modes, annotators)
    else:
        viewer = soup.view(mode, annotator)
    viewer.show(port, address=address, password=password, open_browser=browser)
