"""soupxr train flow | features | sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import xarray as xr

from soupxr.cli.base import command, data_root, group
from soupxr.cli.choices import Chosen, dry_run, given, in_mode, in_store, selection
from soupxr.cli.kinds import FILE, SIZE
from soupxr.options import PRECISIONS

__all__ = ["train"]

F = TypeVar("F", bound=Callable[..., Any])

KEPT = "What was learnt until the last whole epoch is kept; the same command with --resume goes on."


@group(
    "train",
    "soupxr train flow reach.zarr --out models/flow",
    "soupxr train features reach.zarr --out models/features",
    "soupxr infer reach.zarr --only features",
    "soupxr train sequence reach.zarr --out models/sequence",
)
def train() -> None:
    """Train models on your own labels.

    A mode has three stages, trained one after the other, as in the examples below. What is trained
    on a store becomes its default.
    """


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one, shown in the order in which they stand here."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def _number(name: str, kind: Any, about: str) -> Callable[[F], F]:
    return click.option(name, type=kind, help=about)


where_to = _options(
    in_store,
    in_mode,
    click.option(
        "--out",
        "model_out",
        required=True,
        type=click.Path(file_okay=False),
        help="Folder for the trained model and all that the run was; new, or of the run to resume.",
    ),
    click.option(
        "--resume", is_flag=True, help="Go on with the run in --out that was interrupted."
    ),
    selection,
)
how_long = _options(
    _number("--batch-size", int, "Clips, or windows of features, in a step."),
    _number("--initial-lr", float, "Learning rate of the first epochs."),
    click.option(
        "--stop",
        "stop_method",
        type=click.Choice(["learning_rate", "num_epochs"]),
        help="When: the learning rate is as small as can be (default), or epochs are done.",
    ),
    _number("--max-epochs", int, "Epochs at most."),
    _number("--patience", int, "Epochs without improvement until the learning rate is lowered."),
    _number("--training-steps", int, "Batches of the training part in an epoch, at most."),
    _number("--validation-steps", int, "Batches of the validation part in an epoch, at most."),
    click.option(
        "--group",
        type=click.Choice(["animal", "session", "trial"]),
        help="What is kept together when a part is kept back for validation.",
    ),
    _number("--validation", float, "Part of the frames that is kept back, such as 0.2."),
    _number("--seed", int, "Seed of all random choices."),
    click.option("--device", help="cpu, cuda, cuda:1, mps. Default: the best there is."),
    click.option(
        "--precision", type=click.Choice(PRECISIONS), help="Number format of the networks."
    ),
    dry_run,
    data_root,
)
whose_labels = _options(
    click.option("--annotator", help="Whose labels to learn. Default: the only annotator's."),
    click.option(
        "--source",
        type=click.Choice(["annotation", "ethogram"]),
        help="Learn people's labels (default), or this mode's ethograms where they were checked.",
    ),
    _number("--weight-exponent", float, "How much rare behaviors weigh: 0 as others, 1 fully."),
    _number("--folds", int, "Also cross-validate, so that every trial can be judged."),
)


@command(
    "flow",
    "soupxr train flow reach.zarr --mode fast --out models/flow",
    "soupxr train flow reach.zarr --out models/flow --resume",
    kept=KEPT,
)
@where_to
@click.option("--model", "model_in", type=FILE, help="Checkpoint to start from.")
@_number("--flow-window", int, "Frames that the network sees at once.")
@_number("--image-size", SIZE, "Size of the networks' input, in pixels.")
@click.option(
    "--preprocessing", type=click.Choice(["antialias", "plain"]), help="How frames are resized."
)
@how_long
def flow(store: str, mode: str, chosen: Chosen, dry_run: bool, **options: Any) -> None:
    """Train the flow generator: how things move, from videos alone. No labels are needed."""
    ds = chosen.open(store)
    if dry_run:
        _outlook(ds, "flow generator", mode, options, ds.soup.trials)
        return
    _tell(ds.soup.flow_generator.train(mode, **given(**options)), "flow generator", store)


@command(
    "features",
    "soupxr train features reach.zarr --annotator Ana --out models/features",
    kept=KEPT,
)
@where_to
@click.option(
    "--flow-model", "flow_model_in", type=FILE, help="Flow generator. Default: trained here last."
)
@click.option("--feature-model", "feature_model_in", type=FILE, help="Checkpoint to start from.")
@whose_labels
@click.option(
    "--init",
    type=click.Choice(["random", "imagenet"]),
    help="How to start without --feature-model; imagenet helps where labels are few.",
)
@_number("--oversampling", float, "How much more often frames of rare behaviors are drawn.")
@_number("--image-size", SIZE, "Size of the networks' input, in pixels.")
@how_long
def features(store: str, mode: str, chosen: Chosen, dry_run: bool, **options: Any) -> None:
    """Train the feature extractor on every labelled frame."""
    ds = chosen.open(store)
    if dry_run:
        _outlook(ds, "feature extractor", mode, options, _labelled(ds, mode, options))
        return
    _tell(ds.soup.feature_extractor.train(mode, **given(**options)), "feature extractor", store)


@command(
    "sequence",
    "soupxr train sequence reach.zarr --annotator Ana --out models/sequence",
    kept=KEPT,
)
@where_to
@click.option("--model", "model_in", type=FILE, help="Checkpoint to start from.")
@whose_labels
@how_long
def sequence(store: str, mode: str, chosen: Chosen, dry_run: bool, **options: Any) -> None:
    """Train the sequence model on labels and stored features.

    Features come from: soupxr infer STORE --only features.
    """
    ds = chosen.open(store)
    if dry_run:
        table = _labelled(ds, mode, options)
        ready = table[table[mode].isin(["features", "complete", "deciding", "replacing"])]
        _outlook(ds, "sequence model", mode, options, ready)
        click.echo(f"  {len(table) - len(ready):,} labelled trial(s) have no features yet.")
        return
    _tell(ds.soup.sequence.train(mode, **given(**options)), "sequence model", store)


for one in (flow, features, sequence):
    train.add_command(one)


def _tell(found: Any, what: str, store: str) -> None:
    click.echo(f"The {what} is {found.path}; {store} uses it from now on.")


def _labelled(ds: xr.Dataset, mode: str, options: dict[str, Any]) -> Any:
    """Trials that could be learnt from."""
    from soupxr.dataset import keys_of, store_of
    from soupxr.labels import label_source, sole_annotator

    store, table = store_of(ds), ds.soup.trials
    annotator = options["annotator"]
    if options["source"] == "ethogram":
        return table[table[mode] == "complete"]
    source = label_source(store, annotator=annotator or sole_annotator(store))
    return table[store.labelled([source.name], store.slots(keys_of(ds)))]


def _outlook(ds: xr.Dataset, what: str, mode: str, options: dict[str, Any], table: Any) -> None:
    """Say what training would do; refuse a folder that it would refuse."""
    from soupxr.training.runfolder import RunFolder

    folder = Path(options["model_out"])
    run = RunFolder.open(folder, resume=options["resume"])
    doing = "go on training" if run.facts else "train"
    click.echo(
        f"Would {doing} the {what} of mode {mode} on {len(table):,} of {ds.sizes['trial']:,} "
        f"trial(s), {int(table['n_frames'].sum()):,} frames, into {folder}."
    )
