"""The dashboard, from a shell."""

from __future__ import annotations

import click

from soupxr.cli.base import command, data_root
from soupxr.cli.choices import Chosen, in_store, selection

__all__ = ["COMMANDS"]


@command(
    "view",
    "soupxr view reach.zarr --animal M1",
    "soupxr view reach.zarr --clean --mode fast",
    "soupxr view reach.zarr --manual --annotator Ana",
    kept="Every edit that the page called saved is saved.",
)
@in_store
@click.option("--clean", "use", flag_value="clean", help="Correct ethograms.")
@click.option("--manual", "use", flag_value="manual", help="Make ethograms by hand.")
@click.option("--compare", "use", flag_value="compare", help="Compare modes and annotators.")
@selection
@click.option("--mode", help="Whose ethograms: fast, medium or slow.")
@click.option(
    "--annotator",
    help="Whose labels are shown; with --clean or --manual, whose labels the edits become.",
)
@click.option("--uncertain", is_flag=True, help="With --clean: what is most worth a look first.")
@click.option("--port", type=int, default=0, help="Port of the page. Default: any that is free.")
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
@data_root
def view(
    store: str,
    use: str | None,
    chosen: Chosen,
    mode: str | None,
    annotator: str | None,
    uncertain: bool,
    port: int,
    address: str,
    password: str | None,
    browser: bool,
) -> None:
    """Look at trials in a browser; edit or compare ethograms.

    The page is there until Ctrl+C.
    """
    if uncertain and use != "clean":
        raise click.UsageError("--uncertain goes with --clean.")
    soup = chosen.open(store).soup
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


COMMANDS = [view]
