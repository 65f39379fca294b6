"""Thresholds and minimum bouts put into force: ethograms decided anew, without any network."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from soupxr.errors import SoupWarning, StoreError, listed
from soupxr.evaluation.decisions import Result, decide, decision_from, identity, results_of
from soupxr.inference.decision import Decision
from soupxr.inference.provenance import differences
from soupxr.store import FittedDecision, Store, TrialResults
from soupxr.store.leases import InUse, holding_trial

__all__ = ["put_into_force"]

#: How long trials that other processes are at work on are waited for, and between two looks (s).
WAIT_S = 10.0
LOOK_S = 0.2


def put_into_force(
    address: str, mode: str, fitted: FittedDecision, results: Iterable[Result], *, dry_run: bool
) -> int:
    """Derive the ethograms of all complete trials anew from their probabilities.

    Trials that another process is at work on are waited for a while; a warning names those that
    were left as they are.

    Parameters
    ----------
    address, mode : str
        The store, and which of its ethograms.
    fitted : FittedDecision
        Thresholds and minimum bouts.
    results : iterable of Result
        Of the trials; those of another sequence model stay as they are.
    dry_run : bool
        Only count.

    Returns
    -------
    int
        Ethograms that were decided otherwise until now.
    """
    store = Store(address)
    changed = 0
    notes: list[StoreError] = []
    waiting = [
        result.trial.key
        for result in results
        # A result that could not be redone is about to be redone; its error must stay to say so.
        if result.is_deciding
        or result.is_replacing
        or (result.is_complete and not store.error(mode, result.trial.slot))
    ]
    until = time.monotonic() + WAIT_S
    while waiting:
        held: list[InUse] = []
        for key in waiting:
            try:
                changed += _rederive(store, mode, key, fitted, dry_run=dry_run)
            except InUse as in_use:
                held.append(in_use)
            except StoreError as passed_by:
                notes.append(passed_by)
        if time.monotonic() > until:
            notes += held
            break
        waiting = [in_use.key for in_use in held]
        if waiting:
            time.sleep(LOOK_S)
    if notes:
        warnings.warn(
            "some ethograms were left as they are:" + listed(notes), SoupWarning, stacklevel=4
        )
    return changed


def _rederive(store: Store, mode: str, key: str, fitted: FittedDecision, *, dry_run: bool) -> bool:
    """Derive one trial's ethogram anew from its probabilities, where it was made otherwise.

    Raises
    ------
    InUse
        If another process is at work on the trial.
    """
    result = _result(store, mode, key)
    if not result.is_replacing and not _is_due(result, fitted):
        return False
    if dry_run:
        return True
    with holding_trial(store.address, mode, key):
        # Made before the provenance is read: it is what notices another process from here on.
        writer = TrialResults(store, mode, key)
        writer.finish_replacement()
        result = _result(store, mode, key)
        if not _is_due(result, fitted):
            return False
        part = result.record.sequence or {}
        sequence = {**part, "identity": {**part["identity"], **_identity(fitted)}}
        probability = result.probability(store)
        record = replace(result.record, sequence=sequence)
        writer.decide_anew(decide(_decision(fitted), probability), record.dump())
    return True


def _result(store: Store, mode: str, key: str) -> Result:
    (result,) = results_of(store, mode, [store.trial(key)]).values()
    return result


def _is_due(result: Result, fitted: FittedDecision) -> bool:
    """Whether a result's ethogram is to be decided anew."""
    part = result.record.sequence
    if result.is_replacing or part is None or result.sequence_model != fitted.sequence_model:
        return False
    differs = bool(differences(part["identity"], _identity(fitted)))
    return result.is_deciding or (result.is_complete and differs)


def _decision(fitted: FittedDecision) -> Decision:
    return decision_from(list(fitted.thresholds.values()), list(fitted.minimum_bout.values()))


def _identity(fitted: FittedDecision) -> dict[str, Any]:
    return identity(_decision(fitted), list(fitted.thresholds))
