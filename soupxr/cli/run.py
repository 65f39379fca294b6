"""Commands that run networks: infer and train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import click
import xarray as xr

import soupxr
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
from soupxr.errors import ArgumentError, expected
from soupxr.options import PRECISIONS

if TYPE_CHECKING:
    from soupxr.inference.plan import Plan

__all__ = ["COMMANDS"]

#: What --only takes; all without it.
STAGES: tuple[Literal["features", "sequence"], ...] = ("features", "sequence")
#: A scheduler that does not answer for so long is not there (s).
CONNECT_S = 10
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
@click.option("--only", type=click.Choice(STAGES), help="Run this stage alone.")
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


def _cluster(scheduler: str | None, workers: int | None, gpus: Any) -> AbstractContextManager[Any]:
    """A dask client, where one is asked for."""
    if scheduler is not None:
        return _connected(scheduler)
    if workers is None and gpus is None:
        return nullcontext()
    return soupxr.local_client(workers=workers, gpus=gpus)


def _connected(scheduler: str) -> AbstractContextManager[Any]:
    """A client of a cluster that runs."""
    try:
        from distributed import Client
    except ImportError as error:
        click.echo(
            f"soupxr: several processes need dask-distributed ({error}). "
            "Install it: pip install distributed",
            err=True,
        )
        raise click.exceptions.Exit(FAILED) from None
    try:
        client: AbstractContextManager[Any] = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split())
        remedy = (
            f"Nothing answers there as one ({told}). Start it with dask scheduler, which tells "
            "its address, or correct this one."
        )
        expectation = "the address of a dask scheduler that runs, such as tcp://node:8786"
        raise ArgumentError(expected("--scheduler", expectation, scheduler, remedy)) from None
    return client


def _outlook(
    store: str, ds: xr.Dataset, mode: str, only: str | None, overwrite: bool, asked: dict[str, Any]
) -> None:
    """Say what infer would do."""
    from soupxr.inference.run import Request, prospect

    stages = tuple(stage for stage in STAGES if only in (None, stage))
    jobs = prospect(ds, mode, Request(stages=stages, overwrite=overwrite, **asked))
    # Which trials have features of models that are not here, nobody knows.
    known = only != "features" or all(plan.is_fetched for plan in jobs.plans)
    click.echo(
        f"Would infer {'' if known else 'at most '}{len(jobs.tasks):,} of "
        f"{len(jobs.tasks) + jobs.skipped:,} trial(s) in mode {mode}: {jobs.n_frames:,} frames."
    )
    if jobs.n_failed:
        click.echo(
            f"  {jobs.n_failed:,} of them failed before; soupxr ls {store} --failed tells why."
        )
    if jobs.skipped:
        has = "have features" if only == "features" else "are complete"
        click.echo(f"  {jobs.skipped:,} {has} and would be skipped.")
    for line in dict.fromkeys(line for plan in jobs.plans for line in _models(plan)):
        click.echo(f"  {line}")


def _models(plan: Plan) -> Iterator[str]:
    """The models of a plan, a line each."""
    named = {
        "flow generator": plan.flow,
        "feature extractor": plan.feature,
        "sequence": plan.sequence,
    }
    for name, file in named.items():
        if file is not None:
            path = file.path or "the published model of the trials' experiment, to be fetched first"
            yield f"{name}: {path}"


COMMANDS = [infer, train]
