"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import numpy as np
import xarray as xr

from soupxr.cli.base import together
from soupxr.cli.kinds import STORE, TRIALS
from soupxr.errors import ArgumentError, expected
from soupxr.modes import MODES

__all__ = [
    "Chosen",
    "by_behavior",
    "dry_run",
    "given",
    "in_mode",
    "in_store",
    "numbers_of",
    "one_source",
    "rest",
    "selection",
    "whose",
]

#: Of a range of trials.
MOST_NUMBERS = 1_000_000

F = TypeVar("F", bound=Callable[..., Any])


in_store = click.argument("store", type=STORE)
in_mode = click.option(
    "--mode",
    "-m",
    type=click.Choice(list(MODES)),
    default="fast",
    show_default=True,
    help="Which networks: medium takes about twice as long as fast, slow four times.",
)
dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done, with counts.")


rest = click.option(
    "--rest",
    type=click.Choice(["absent", "unlabelled"]),
    default="absent",
    show_default=True,
    help="What a frame is that no bout of its trial covers.",
)


def by_behavior(pairs: Sequence[tuple[str | None, float]], option: str) -> Any:
    """What the options that are told once or for each behavior come to; None without any."""
    if not pairs:
        return None
    named = {name: value for name, value in pairs if name is not None}
    if len(named) == len(pairs):
        return named
    if len(pairs) > 1:
        problem = f"{option} takes one number for all behaviors, or behavior=number for each once."
        raise click.UsageError(problem)
    return pairs[0][1]


def given(**options: Any) -> dict[str, Any]:
    """Those options that have a value; defaults are the API's own."""
    return {name: value for name, value in options.items() if value is not None}


def numbers_of(trial: Sequence[range]) -> list[int]:
    """All numbers that were named.

    Raises
    ------
    ArgumentError
        If those are more than anybody has trials.
    """
    if sum(map(len, trial)) > MOST_NUMBERS:
        raise ArgumentError(
            expected("--trial", f"up to {MOST_NUMBERS:,} numbers", sum(map(len, trial)))
        )
    return list(dict.fromkeys(number for part in trial for number in part))


# ------------------------------------------------------------------ which trials


@dataclass(frozen=True)
class Chosen:
    """Which trials of a store are meant; without any choice, all."""

    animal: tuple[str, ...]
    session: tuple[str, ...]
    trial: tuple[range, ...]
    experiment: tuple[str, ...]

    @property
    def is_all(self) -> bool:
        """Whether nothing was chosen."""
        return not (self.animal or self.session or self.trial or self.experiment)

    def open(self, store: str) -> xr.Dataset:
        """The trials that are meant, as a Dataset.

        Raises
        ------
        ArgumentError
            If there is no such trial.
        """
        import soupxr

        ds = soupxr.open(store)
        if self.is_all:
            return ds
        chosen = np.ones(ds.sizes["trial"], dtype=bool)
        wanted: dict[str, Collection[Any]] = {
            "animal": self.animal,
            "session": self.session,
            "trial_id": numbers_of(self.trial),
            "experiment": self.experiment,
        }
        for name, values in wanted.items():
            if values:
                column = np.asarray(ds[name].values, dtype=object)
                self._refuse_strangers(name, values, column)
                chosen &= np.isin(column, list(values))
        if not chosen.any():
            raise ArgumentError(
                f"{store}: no trial is all of what was asked for ({self}). "
                "soupxr ls lists those there are."
            )
        return ds.isel(trial=np.flatnonzero(chosen))

    def _refuse_strangers(self, name: str, values: Collection[Any], column: Any) -> None:
        there = set(column.tolist())
        # Of a range of trials, some may be missing.
        if not there & set(values) or (name != "trial_id" and not set(values) <= there):
            option = name.removesuffix("_id")
            known = ", ".join(map(str, sorted(there)[:12])) or "none"
            missing = ", ".join(str(value) for value in values if value not in there)
            raise ArgumentError(
                f"--{option}: the store has no {missing}. There are: {known}"
                + (", …" if len(there) > 12 else "")
            )

    def __str__(self) -> str:
        parts = {
            "--animal": self.animal,
            "--session": self.session,
            "--trial": [f"{part[0]}-{part[-1]}" for part in self.trial],
            "--experiment": self.experiment,
        }
        return " ".join(f"{name} {value}" for name, values in parts.items() for value in values)


def selection(function: F) -> F:
    """Options that choose trials; the command gets them as one argument ``chosen``."""

    def with_choice(**options: Any) -> Any:
        names = ("animal", "session", "trial", "experiment")
        return function(chosen=Chosen(*(options.pop(name) for name in names)), **options)

    with_choice.__doc__ = function.__doc__
    with_choice.__name__ = function.__name__
    # Arguments and options that were declared below this one.
    with_choice.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    wrapped: Any = with_choice
    for name, kind, about in (
        ("--experiment", str, "Trials of this experiment only, such as table or pez."),
        ("--trial", TRIALS, "Trials of this number, or of these numbers, only."),
        ("--session", str, "Trials of this session only."),
        (
            "--animal",
            str,
            "Trials of this animal only. Several times: of several; so the next three, too.",
        ),
    ):
        wrapped = click.option(name, type=kind, multiple=True, help=about)(wrapped)
    result: F = wrapped
    return result


#: What is exported.
whose = together(
    click.option("--mode", type=click.Choice(list(MODES)), help="Ethograms of this mode."),
    click.option("--annotator", help="Labels of this annotator."),
    selection,
    click.option("--overwrite", is_flag=True, help="Replace files that are there."),
)


def one_source(mode: str | None, annotator: str | None) -> None:
    """Refuse :data:`whose` without either, or with both."""
    if (mode is None) == (annotator is None):
        raise click.UsageError("Say whose: either --mode or --annotator.")
