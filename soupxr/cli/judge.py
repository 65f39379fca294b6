"""Commands that judge results: evaluate and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pandas as pd

from soupxr.cli.base import command
from soupxr.cli.choices import Chosen, by_behavior, dry_run, in_store, selection
from soupxr.cli.kinds import BEHAVIOR_VALUE
from soupxr.cli.tables import formats, print_table
from soupxr.modes import MODES

__all__ = ["COMMANDS"]

SHOWN = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "average_precision": "AP",
    "bout_f1": "bout F1",
    "support": "frames",
}


@command(
    "evaluate",
    "soupxr evaluate reach.zarr --mode fast --annotator Ana",
    "soupxr evaluate reach.zarr --mode fast --by animal --csv > scores.csv",
    "soupxr evaluate reach.zarr --mode Ben --annotator Ana --plot people.html",
)
@in_store
@click.option("--mode", required=True, help="fast, medium or slow; or a second annotator's name.")
@click.option("--annotator", help="Whose labels are the truth. Default: the only annotator's.")
@selection
@click.option(
    "--on",
    type=click.Choice(["unseen", "all", "out-of-fold"]),
    default="unseen",
    show_default=True,
    help="Trials that the models did not learn from; all; or what cross-validation said.",
)
@click.option("--by", type=click.Choice(["animal", "session", "trial"]), help="One row each.")
@click.option(
    "--overlap",
    type=float,
    default=0.5,
    show_default=True,
    help="Smallest overlap at which a predicted bout counts as the labelled one.",
)
@click.option(
    "--threshold",
    "thresholds",
    type=BEHAVIOR_VALUE,
    multiple=True,
    help="Score by these thresholds instead; for all behaviors, or each.",
)
@click.option("--plot", type=click.Path(dir_okay=False), help="Draw the scores: .html, .png, .svg.")
@formats
def evaluate(
    store: str,
    mode: str,
    annotator: str | None,
    chosen: Chosen,
    on: str,
    by: str | None,
    overlap: float,
    thresholds: Sequence[tuple[str | None, float]],
    plot: str | None,
    form: str | None,
) -> None:
    """Score ethograms against the labels of a person.

    For people, a table of the most important scores; --csv and --json write all there are by
    behavior. Frames without a label do not count.
    """
    scores = chosen.open(store).soup.evaluate(
        mode,
        annotator,
        on=on,
        by=by,
        overlap=overlap,
        thresholds=by_behavior(thresholds, "--threshold"),
    )
    rows = ("behavior",) if by is None else (by, "behavior")
    by_rows = [name for name, variable in scores.data_vars.items() if variable.dims == rows]
    table = scores[by_rows].to_dataframe().reset_index()
    if form is None:
        table = table[[*rows, *SHOWN]].rename(columns=SHOWN)
    if print_table(table, form):
        click.echo()
        click.echo(_about(scores, by))
    if plot is not None:
        place = scores.soup.plot(plot)
        click.echo(f"Drawn in {Path(place)}.", err=True)


def _about(scores: Any, by: str | None) -> str:
    facts = scores.attrs
    told = [f"{facts['n_trials']} trial(s)"]
    if facts.get("n_validation_trials"):
        told.append(f"{facts['n_validation_trials']} of them chose the best epoch of the models")
    if by is None:
        told.append(f"mean F1 of behaviors {float(scores['f1_mean']):.4g}")
    return "; ".join(told) + "."


@command(
    "thresholds",
    "soupxr thresholds reach.zarr --mode fast --annotator Ana",
    "soupxr thresholds reach.zarr --mode fast --on all --dry-run",
    kept="Each ethogram is by the earlier or by the new thresholds; the same command goes on.",
)
@in_store
@click.option("--mode", type=click.Choice(list(MODES)), required=True, help="Whose probabilities.")
@click.option("--annotator", help="Whose labels to fit to. Default: the only annotator's.")
@selection
@click.option(
    "--on",
    type=click.Choice(["held-out", "out-of-fold", "validation", "all"]),
    default="held-out",
    show_default=True,
    help="Labelled trials to fit on; all is sound for models that were trained elsewhere.",
)
@click.option(
    "--minimum-bout",
    default="labels",
    show_default=True,
    metavar="labels|keep|N",
    help="Fit the minimum bouts to labels, keep them, or set them, in frames.",
)
@click.option(
    "--score",
    type=click.Choice(["f1", "informedness"]),
    default="f1",
    show_default=True,
    help="What to maximise; informedness is recall + specificity - 1.",
)
@dry_run
@formats
def thresholds(
    store: str,
    mode: str,
    annotator: str | None,
    chosen: Chosen,
    on: str,
    minimum_bout: str,
    score: str,
    dry_run: bool,
    form: str | None,
) -> None:
    """Fit thresholds to labels, and put them into force.

    Minimum bouts, too. Ethograms of all complete trials that were chosen are derived anew from the
    stored probabilities, and soupxr infer uses the thresholds from now on. No network runs.
    """
    found = chosen.open(store).soup.optimize_thresholds(
        mode,
        annotator,
        on=on,
        minimum_bout=int(minimum_bout) if minimum_bout.isdecimal() else minimum_bout,
        score=score,
        dry_run=dry_run,
    )
    table: pd.DataFrame = found.to_dataframe().reset_index()
    if form is None:
        table = pd.DataFrame(
            {
                "behavior": table["behavior"],
                "threshold": table["threshold"],
                "was": table["threshold_before"],
                "minimum bout": table["minimum_bout"],
                "was ": table["minimum_bout_before"],
                "F1": table["f1"],
                "was  ": table["f1_before"],
            }
        )
    if print_table(table, form):
        facts = found.attrs
        changed = facts["n_ethograms_changed"]
        did = f"would be derived anew: {changed}" if dry_run else f"derived anew: {changed}"
        click.echo()
        click.echo(
            f"Fitted on {facts['n_trials']} trial(s) ({facts['fitted_on']}); ethograms {did}."
        )


COMMANDS = [evaluate, thresholds]
