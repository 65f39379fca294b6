"""What is typed after options and turned into values."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

__all__ = [
    "BATCH_SIZE",
    "BEHAVIOR_COUNT",
    "BEHAVIOR_VALUE",
    "FILE",
    "GPUS",
    "NORMALIZATION",
    "SIZE",
    "STORE",
    "TRIALS",
]

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # before click 8.5, it takes no type

#: Of a trial's number.
DIGITS = 18


class Kind(ParamType):
    """Something that can be typed, shown in the help as it is named."""

    def get_metavar(self, *_: Any, **__: Any) -> str:
        """What stands in place of a value."""
        return self.name


class _Store(Kind):
    """Path or URL of a store that is there."""

    name = "STORE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        # Unlike a Path, it has no error for what can be no name of a file.
        if "://" not in value:
            if not os.path.isdir(value):
                self.fail(f"there is no store {value!r}; soupxr create makes one.", param, ctx)
            if not os.path.exists(os.path.join(value, "zarr.json")):
                self.fail(f"{value!r} is a folder, but no store.", param, ctx)
        return str(value)


class _Trials(Kind):
    """One number of a trial, or a range of them."""

    name = "N|N-M"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        if isinstance(value, range):
            return value
        first, dash, last = value.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            self.fail(
                f"expected a number such as 3, or a range such as 1-20, not {value!r}.", param, ctx
            )
        if max(len(first), len(last)) > DIGITS:
            self.fail(f"expected numbers of up to {DIGITS} digits, not {value!r}.", param, ctx)
        numbers = range(int(first), int(last or first) + 1)
        if not numbers:
            self.fail(f"the range {value} is empty; the smaller number comes first.", param, ctx)
        return numbers


class _Size(Kind):
    """Pixels: a side, or height x width."""

    name = "SIDE|HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        sides = value.lower().split("x")
        if len(sides) > 2 or not all(side.isdecimal() for side in sides):
            self.fail(
                f"expected a side such as 224, or height x width as 168x396, not {value!r}.",
                param,
                ctx,
            )
        return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


class _ByBehavior(Kind):
    """One number for all behaviors, or behavior=number."""

    def __init__(self, kind: Callable[[str], float], name: str) -> None:
        self.kind, self.name = kind, name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str | None, float]:
        if isinstance(value, tuple):
            return value
        behavior, equals, number = value.rpartition("=")
        try:
            return (behavior if equals else None), self.kind(number)
        except ValueError:
            return self.fail(f"expected a number, or behavior=number, not {value!r}.", param, ctx)


class _BatchSize(Kind):
    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "auto" or isinstance(value, int):
            return value
        if not value.isdecimal():
            self.fail(f"expected a number of windows, or auto, not {value!r}.", param, ctx)
        return int(value)


class _Gpus(Kind):
    """All GPUs of this machine, or some by number."""

    name = "all|0,1,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or value == "all":
            return value
        numbers = value.split(",")
        if not all(number.isdecimal() for number in numbers):
            self.fail(f"expected all, or numbers such as 0,1, not {value!r}.", param, ctx)
        return [int(number) for number in numbers]


class _Normalization(Kind):
    """Each trial's own statistics, or given ones."""

    name = "trial|R,G,B/R,G,B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "trial" or not isinstance(value, str):
            return value
        try:
            mean, std = (tuple(map(float, part.split(","))) for part in value.split("/"))
        except ValueError:
            self.fail(
                f"expected trial, or three means and three deviations as 0.5,0.5,0.5/0.2,0.2,0.2, "
                f"not {value!r}.",
                param,
                ctx,
            )
        return mean, std


FILE = click.Path(exists=True, dir_okay=False)
STORE, TRIALS, SIZE = _Store(), _Trials(), _Size()
BATCH_SIZE, GPUS, NORMALIZATION = _BatchSize(), _Gpus(), _Normalization()
BEHAVIOR_VALUE = _ByBehavior(float, "X|BEHAVIOR=X")
BEHAVIOR_COUNT = _ByBehavior(int, "N|BEHAVIOR=N")
