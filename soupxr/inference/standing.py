"""What a trial's stored result is worth under a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soupxr.inference.provenance import Record, differences
from soupxr.schema import Status
from soupxr.store import Store

if TYPE_CHECKING:
    from soupxr.inference.plan import Plan

__all__ = ["made_otherwise"]


def made_otherwise(store: Store, slot: int, status: Status, plan: Plan) -> list[str] | None:
    """Compare a trial's result with what the plan would make.

    Parameters
    ----------
    slot : int
        The trial's place.
    status : Status
        Its mark in the plan's mode.

    Returns
    -------
    list of str, or None
        Names of settings that were others when the result was made: none where it is what the
        plan would make. None where there is no result, or it failed.
    """
    if plan.sequence is not None and status != Status.COMPLETE:
        return None
    mode = plan.mode.name
    (text,) = store.provenances(mode, [slot])
    made = Record.parse(text)
    if plan.sequence is None:
        return [] if made.vouches_for(plan.features_identity(), plan.keep) else None
    if made.sequence is None:
        return None
    if "imported" in made.sequence:
        return [f"imported from {made.sequence['imported'].get('format')}"]
    other = differences(made.sequence["identity"], plan.sequence_identity())
    if plan.feature is not None:
        other += differences(made.sequence["features"], plan.features_identity())
    elif made.features and made.sequence["features"] != made.features["identity"]:
        return None  # its features were made anew since
    return None if store.error(mode, slot) else other
