"""How stored probabilities were decided upon, and how to decide anew.

No network runs here: whatever thresholds are tried, the probabilities in the store stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.inference.decision import DEFAULT_MINIMUM_BOUT, DEFAULT_THRESHOLD, Decision
from soupxr.inference.provenance import Record
from soupxr.schema import Status
from soupxr.store import FittedDecision, Store, StoredTrial, fitted_decision

__all__ = [
    "Result",
    "current_decision",
    "decide",
    "decision_from",
    "default_decision",
    "identity",
    "results_of",
]

Mask = npt.NDArray[np.int8]
Probability = npt.NDArray[np.float32]

#: The background follows from the behaviors: its own threshold and minimum bout do nothing.
NO_THRESHOLD, NO_BOUT = 0.5, 0


@dataclass(frozen=True)
class Result:
    """What the store says of one trial in one mode.

    Parameters
    ----------
    record : Record
        How the result came about.
    is_complete : bool
        Whether there is a whole result.
    is_deciding : bool
        Whether there is one but for its ethogram: who was about to decide it anew was killed, or
        is still at it.
    is_replacing : bool
        Whether a new one, which is whole, is to take its place.
    """

    trial: StoredTrial
    mode: str
    record: Record
    is_complete: bool
    is_deciding: bool = False
    is_replacing: bool = False

    @property
    def has_probabilities(self) -> bool:
        """Whether its probabilities are whole."""
        return self.is_complete or self.is_deciding

    @property
    def sequence_model(self) -> str | None:
        """SHA-256 of the sequence model, where the provenance says."""
        part = self.record.sequence or {}
        sha256 = part.get("identity", {}).get("sequence_model")
        return None if sha256 is None else str(sha256)

    @property
    def was_trained_on(self) -> bool:
        """Whether its models learnt from this very trial, as far as is known."""
        return self._role == "training"

    @property
    def was_validated_on(self) -> bool:
        """Whether the best epoch of its models was chosen by this very trial."""
        return self._role == "validation"

    def decision(self, behaviors: Sequence[str]) -> Decision | None:
        """How its ethogram came from its probabilities, where the provenance says."""
        found = (self.record.sequence or {}).get("identity", {})
        if not set(behaviors) <= set(found.get("thresholds", {})) or "minimum_bout" not in found:
            return None
        bout = found["minimum_bout"]
        return Decision(
            (NO_THRESHOLD, *(found["thresholds"][name] for name in behaviors)),
            bout if isinstance(bout, int) else (NO_BOUT, *bout[1:]),
        )

    def probability(self, store: Store) -> Probability:
        """Its probabilities (frame, behavior)."""
        return self._rows(store, "probability")

    def ethogram(self, store: Store) -> Mask:
        """Its ethogram (frame, behavior)."""
        return self._rows(store, "ethogram")

    def _rows(self, store: Store, name: str) -> npt.NDArray[Any]:
        return store.rows(name, store.mode_index(self.mode), self.trial)

    @property
    def _role(self) -> str:
        """The nearest part that the trial had in the training of its models."""
        return str((self.record.sequence or {}).get("role", "unknown"))


def results_of(store: Store, mode: str, trials: Sequence[StoredTrial]) -> dict[str, Result]:
    """What the store says of these trials, by key."""
    slots = [trial.slot for trial in trials]
    texts, marks = store.provenances(mode, slots), store.statuses(mode, slots)
    return {
        trial.key: Result(
            trial,
            mode,
            Record.parse(text),
            is_complete=int(mark) == Status.COMPLETE,
            is_deciding=int(mark) == Status.DECIDING,
            is_replacing=int(mark) == Status.REPLACING,
        )
        for trial, text, mark in zip(trials, texts, marks, strict=True)
    }


def decide(decision: Decision, probability: Probability) -> Mask:
    """Ethogram (frame, behavior) from probabilities (frame, behavior)."""
    background = np.zeros((len(probability), 1), dtype=probability.dtype)
    return decision(np.concatenate([background, probability], axis=1))


def decision_from(thresholds: Sequence[float], minimum_bout: Sequence[int]) -> Decision:
    """Decision by thresholds and minimum bouts of the behaviors."""
    return Decision((NO_THRESHOLD, *thresholds), (NO_BOUT, *minimum_bout))


def default_decision(behaviors: Sequence[str]) -> Decision:
    """What is decided where nothing was ever chosen."""
    n_behaviors = len(behaviors)
    return decision_from([DEFAULT_THRESHOLD] * n_behaviors, [DEFAULT_MINIMUM_BOUT] * n_behaviors)


def current_decision(store: Store, mode: str, behaviors: Sequence[str]) -> Decision | None:
    """The decision that was fitted for a mode, if one was."""
    fitted: FittedDecision | None = fitted_decision(store, mode)
    if fitted is None:
        return None
    return decision_from(
        [fitted.thresholds[name] for name in behaviors],
        [fitted.minimum_bout[name] for name in behaviors],
    )


def identity(decision: Decision, behaviors: Sequence[str]) -> dict[str, Any]:
    """The part of a result's identity that a decision makes, as ``Plan`` writes it."""
    bout = decision.minimum_bout
    return {
        "thresholds": dict(zip(behaviors, decision.thresholds[1:], strict=True)),
        "minimum_bout": bout if isinstance(bout, int) else list(bout),
    }
