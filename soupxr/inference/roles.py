"""What part a trial had in the training of the models that judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from soupxr.models.checkpoint import Checkpoint

__all__ = ["Role", "Roles", "nearest"]

#: From nearest to farthest. "unknown": a model from elsewhere does not say.
Role = Literal["training", "validation", "unknown", "unseen"]
ORDER: tuple[Role, ...] = ("training", "validation", "unknown", "unseen")


@dataclass(frozen=True)
class Roles:
    """Trials that a model learnt from, and on which its best epoch was chosen.

    Parameters
    ----------
    training, validation : frozenset of str
        Their keys.
    known : bool
        False for models that do not say.
    """

    training: frozenset[str] = frozenset()
    validation: frozenset[str] = frozenset()
    known: bool = False

    @classmethod
    def told_by(cls, found: Checkpoint | None) -> Roles:
        """What a checkpoint of ours says; None and others say nothing."""
        split = found.extra.get("training", {}).get("split") if found else None
        if not split:
            return cls()
        return cls(frozenset(split["training"]), frozenset(split["validation"]), known=True)

    def of(self, key: str) -> Role:
        """The part that a trial had."""
        if not self.known:
            return "unknown"
        if key in self.training:
            return "training"
        return "validation" if key in self.validation else "unseen"


def nearest(*roles: Role) -> Role:
    """What a result's role is, of those that a trial had for the models behind it."""
    return min(roles, key=ORDER.index)
