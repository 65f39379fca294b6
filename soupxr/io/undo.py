"""What was done of several steps is undone, where one fails."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

__all__ = ["all_or_nothing"]

log = logging.getLogger(__name__)


@contextlib.contextmanager
def all_or_nothing() -> Iterator[list[Callable[[], object]]]:
    """Undo what was done if what follows fails, the last step first."""
    undo: list[Callable[[], object]] = []
    try:
        yield undo
    except BaseException:
        # On a full disk, a step may have to wait for what another gives back.
        left, n_before = undo[::-1], len(undo) + 1
        while len(left) < n_before:
            n_before, failures = len(left), {step: _failure(step) for step in left}
            left = [step for step, error in failures.items() if error is not None]
        for step in left:
            log.warning("What was written before could not be undone: %s", failures[step])
        raise


def _failure(step: Callable[[], object]) -> Exception | None:
    # Whatever one step says, the others have their turn, and the first failure of all is raised.
    try:
        step()
    except Exception as error:
        return error
    return None
