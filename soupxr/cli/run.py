"""Commands that run networks: infer and train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import xarray as xr

from soupxr.cli.base import FAILED, command, data_root
from soupxr.cli.choices import (
    Chosen,
    by_behavior,
    dry_run,
    given,
    in_mode,
    in_store,
    selection,
)
from soupxr.cli.kinds import (
    BATCH_SIZE,
    BEHAVIOR_COUNT,
    BEHAVIOR_VALUE,
    FILE,
    GPUS,
    NORMALIZATION,
    SIZE,
)
from soupxr.cli.training import train
from soupxr.options import PRECISIONS

__all__ = ["COMMANDS"]

#: Options that only one stage knows.
FEATURES_ALONE = (
    "flow_model_in",
    "feature_model_in",
    "features",
    "image_size",
    "preprocessing",
    "normalization",
    "precision",
    "batch_size",
    "every",
)
SEQUENCE_ALONE = ("sequence_model_in", "thresholds", "minimum_bout")


@command(
    "infer",
    "soupxr infer reach.zarr --mode medium",
    "soupxr infer reach.zarr --animal M1 --dry-run",
    "soupxr infer reach.zarr --threshold grab=0.4 --overwrite",
    "soupxr infer reach.zarr --mode medium --gpus all --log run.jsonl",
    "soupxr infer reach.zarr --scheduler tcp://node:8786",
    kept="Every trial that was finished is in the store; the same command goes on with the others.",
)
@in_store
@in_mode
@selection
@click.option("--only", type=click.Choice(["features", "sequence"]), help="Run this stage alone.")
@click.option("--flow-model", "flow_model_in", type=FILE, help="Checkpoint of the flow generator.")
@click.option(
    "--feature-model", "feature_model_in", type=FILE, help="Checkpoint of the feature extractor."
)
@click.option(
    "--sequence-model",
    "sequence_model_in",
    type=FILE,
    help="Checkpoint of the sequence model. Without any of the three: what was trained on this "
    "store last, else the published models of the trials' experiment.",
)
@click.option("--overwrite", is_flag=True, help="Redo complete trials, too.")
@click.option(
    "--features",
    type=click.Choice(["float32", "float16", "none"]),
    help="How features are kept: exactly (default), in half the space, or not at all.",
)
@click.option(
    "--threshold",
    "thresholds",
    type=BEHAVIOR_VALUE,
    multiple=True,
    help="Probability above which behaviors occur, for all or each. Default: the model's.",
)
@click.option(
    "--minimum-bout",
    type=BEHAVIOR_COUNT,
    multiple=True,
    help="Shorter bouts and gaps, in frames, are removed. Default: the model's.",
)
@click.option("--image-size", type=SIZE, help="Size of the networks' input, in pixels.")
@click.option(
    "--preprocessing", type=click.Choice(["antialias", "plain"]), help="How frames are resized."
)
@click.option(
    "--normalization",
    type=NORMALIZATION,
    help="Each trial's own statistics of pixels, or means and deviations of red, green, blue.",
)
@click.option("--device", help="cpu, cuda, cuda:1, mps. Default: the best there is.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Number format of the networks.")
@click.option(
    "--batch-size", type=BATCH_SIZE, help="Windows of frames that go through the networks at once."
)
@click.option(
    "--every", type=int, help="2: look at every other frame, and interpolate; 3: at every third."
)
@click.option("--gpus", type=GPUS, help="One worker process for each of these GPUs.")
@click.option("--workers", type=click.IntRange(1), help="So many worker processes.")
@click.option("--scheduler", metavar="ADDRESS", help="A dask cluster, such as tcp://node:8786.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, writable=True),
    help="Append a line of JSON on each trial to this file.",
)
@dry_run
@data_root
def infer(
    store: str,
    mode: str,
    chosen: Chosen,
    only: str | None,
    overwrite: bool,
    thresholds: Sequence[tuple[str | None, float]],
    minimum_bout: Sequence[tuple[str | None, float]],
    gpus: Any,
    workers: int | None,
    scheduler: str | None,
    log: str | None,
    dry_run: bool,
    **options: Any,
) -> None:
    """Find the behaviors in the trials of STORE.

    Trials that are complete already are skipped. Each is stored when it is whole: stop this at any
    moment and start it again, and it goes on where it was. A trial with a bad video fails by
    itself; the others go on.

    Several processes share the work with --workers or --gpus on this machine, or with --scheduler
    on a cluster, whose machines must find store and videos under the same paths.
    """
    if scheduler is not None and (gpus is not None or workers is not None):
        raise click.UsageError(
            "--scheduler names workers that run already: no --gpus or --workers."
        )
    options |= {
        "thresholds": by_behavior(thresholds, "--threshold"),
        "minimum_bout": by_behavior(minimum_bout, "--minimum-bout"),
    }
    asked = given(**options)
    _refuse_others(only, asked)
    ds = chosen.open(store)
    if dry_run:
        _outlook(store, ds, mode, only, overwrite, asked)
        return
    if not ds.sizes["trial"]:
        click.echo(f"{store} has no trials yet: soupxr add {store} ANIMAL…")
        return
    with _cluster(scheduler, workers, gpus) as client:
        _infer(ds, mode, only, given(client=client, log=log), overwrite=overwrite, **asked)


def _refuse_others(only: str | None, asked: dict[str, Any]) -> None:
    """Refuse options of the stage that does not run."""
    others = {"features": SEQUENCE_ALONE, "sequence": FEATURES_ALONE}.get(only or "", ())
    for name in others:
        if name in asked:
            option = {"thresholds": "threshold"}.get(name, name.removesuffix("_in"))
            raise click.UsageError(f"--{option.replace('_', '-')} does not go with --only {only}.")


def _infer(
    ds: xr.Dataset, mode: str, only: str | None, where: dict[str, Any], **asked: Any
) -> None:
    if only == "features":
        ds.soup.feature_extractor.infer(mode, **where, **asked)
    elif only == "sequence":
        if "sequence_model_in" in asked:
            asked["model_in"] = asked.pop("sequence_model_in")
        ds.soup.sequence.infer(mode, **where, **asked)
    else:
        ds.soup.infer(mode, **where, **asked)


@contextmanager
def _cluster(scheduler: str | None, workers: int | None, gpus: Any) -> Iterator[Any]:
    """A dask client, where one is asked for."""
    if scheduler is None and workers is None and gpus is None:
        yield None
        return
    try:
        if scheduler is None:
            from soupxr.inference.cluster import local_client

            connection = local_client(workers=workers, gpus=gpus)
        else:
            from distributed import Client

            connection = Client(scheduler)
    except ImportError as error:
        click.echo(
            f"soupxr: several processes need dask-distributed ({error}). "
            "Install it: pip install 'soupxr[distributed]'",
            err=True,
        )
        raise click.exceptions.Exit(FAILED) from None
    with connection as client:
        yield client


def _outlook(
    store: str, ds: xr.Dataset, mode: str, only: str | None, overwrite: bool, asked: dict[str, Any]
) -> None:
    """Say what infer would do."""
    table = ds.soup.trials
    done = table[mode].isin(
        ["features", "complete", "deciding"] if only == "features" else ["complete"]
    )
    # A complete trial that could not be redone, as was asked, is tried again.
    redo = (ds["error"].sel(mode=mode) != "").values & (table[mode] == "complete")
    todo = table if overwrite else table[~done | redo]
    failed = int((todo[mode] == "failed").sum())
    click.echo(
        f"Would infer {len(todo):,} of {len(table):,} trial(s) in mode {mode}: "
        f"{int(todo['n_frames'].sum()):,} frames."
    )
    if failed:
        click.echo(f"  {failed:,} of them failed before; soupxr ls {store} --failed tells why.")
    if len(todo) < len(table):
        has = "have features" if only == "features" else "are complete"
        click.echo(f"  {len(table) - len(todo):,} {has} and would be skipped.")
    models = ds.soup.models
    known = models[(models["mode"] == mode) & models["default"]].set_index("kind")["path"]
    for kind, option in (
        ("feature_extractor", "feature_model_in"),
        ("sequence", "sequence_model_in"),
    ):
        if kind.startswith(only[:7] if only else ""):
            default = known.get(kind, "the published model of the trials' experiment")
            click.echo(f"  {kind.replace('_', ' ')}: {asked.get(option, default)}")


COMMANDS = [infer, train]
