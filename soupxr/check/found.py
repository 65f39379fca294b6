"""What a look over a store found, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from soupxr.errors import StoreError
from soupxr.store import ReadOnly

__all__ = ["Check", "Finding", "many", "reason", "repaired"]

Severity = Literal["error", "warning"]
Kind = Literal[
    "schema", "result", "features", "out of fold", "annotation", "video", "checkpoint", "leftover"
]

COLUMNS = (
    "severity",
    "kind",
    "animal",
    "session",
    "trial_id",
    "source",
    "problem",
    "repairable",
    "repaired",
)
#: Findings that the summary tells.
MOST_TOLD = 20


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Parameters
    ----------
    severity : {"error", "warning"}
        An error means that something cannot be read or believed; a warning, that it can, but that
        something around it is missing or left over.
    kind : str
        What it is about.
    problem : str
        What is wrong, and where it helps, what to do.
    trial : (animal, session, trial_id), optional
        Which trial; None where it is about the whole store.
    source : str
        Mode or annotator.
    repair : callable, optional
        Puts it right, and says whether it did. Findings that one repair puts right share it.
    repaired : bool
        Whether it has been put right.
    """

    severity: Severity
    kind: Kind
    problem: str
    trial: tuple[str, str, int] | None = None
    source: str = ""
    repair: Callable[[], bool] | None = None
    repaired: bool = False

    def __str__(self) -> str:
        where = "/".join(map(str, self.trial)) if self.trial else ""
        place = " ".join(part for part in (where, self.source) if part)
        told = f"{place}: {self.problem}" if place else self.problem
        return f"{told} (repaired)" if self.repaired else told


@dataclass(frozen=True)
class Check:
    """What a look over a store found.

    Parameters
    ----------
    address : str
        The store.
    found : sequence of Finding
        Everything that is not as it should be.
    counts : dict of str to int
        How much was looked at, by name.
    """

    address: str
    found: Sequence[Finding]
    counts: dict[str, int]

    @property
    def errors(self) -> list[Finding]:
        """What cannot be read or believed, and has not been repaired."""
        return [one for one in self.found if one.severity == "error" and not one.repaired]

    @property
    def warnings(self) -> list[Finding]:
        """What is missing or left over around what can be read, and has not been repaired."""
        return [one for one in self.found if one.severity == "warning" and not one.repaired]

    @property
    def ok(self) -> bool:
        """Whether no error is left."""
        return not self.errors

    @property
    def findings(self) -> pd.DataFrame:
        """Table of what was found.

        Columns: severity, kind, animal, session, trial_id (empty where it is about the store),
        source (mode or annotator), problem, repairable, repaired.
        """
        rows = [
            (
                one.severity,
                one.kind,
                *(one.trial or ("", "", pd.NA)),
                one.source,
                one.problem,
                one.repair is not None,
                one.repaired,
            )
            for one in self.found
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"trial_id": "Int64"})

    def __repr__(self) -> str:
        lines = [
            f"Check of {self.address}: {self.summary}",
            f"  looked at {', '.join(f'{n:,} {what}' for what, n in self.counts.items())}",
        ]
        told = sorted(self.found, key=lambda one: (one.repaired, one.severity))
        lines += [f"  {one.severity:<8}{one}" for one in told[:MOST_TOLD]]
        if len(told) > MOST_TOLD:
            lines.append(f"  … and {len(told) - MOST_TOLD} more; .findings is a table of all")
        repairable = sum(one.repair is not None and not one.repaired for one in self.found)
        if repairable:
            lines.append(
                f"  {repairable} of these can be put right by repair: what is broken is reset to "
                '"not done", and the next run does it again; what is half replaced is finished.'
            )
        return "\n".join(lines)

    @property
    def summary(self) -> str:
        """How it went, in a few words."""
        repaired = sum(one.repaired for one in self.found)
        counts = {"error": len(self.errors), "warning": len(self.warnings)}
        told = [f"{n} {what}{'s' if n > 1 else ''}" for what, n in counts.items() if n]
        told += [f"{repaired} repaired"] if repaired else []
        return ", ".join(told) or "all is well"


def repaired(found: Sequence[Finding]) -> list[Finding]:
    """Put right what can be, each repair once; of what cannot, say why."""
    outcomes: dict[Callable[[], bool], str | None] = {}
    for one in found:
        if one.repair is not None and one.repair not in outcomes:
            outcomes[one.repair] = _outcome(one.repair)
    return [one if one.repair is None else _after(one, outcomes[one.repair]) for one in found]


def _outcome(repair: Callable[[], bool]) -> str | None:
    """What hindered a repair; empty where that is not known, None where it is made."""
    try:
        return None if repair() else ""
    except ReadOnly:
        raise  # nor can any other be made
    except (OSError, StoreError) as error:
        return reason(error)


def _after(one: Finding, hindrance: str | None) -> Finding:
    told = f"{one.problem}; not repaired: {hindrance}" if hindrance else one.problem
    return replace(one, problem=told, repaired=hindrance is None)


def many(names: Sequence[str], most: int = 3) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def reason(error: BaseException) -> str:
    """Why something cannot be read, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
