"""The list of trials beside the picture: its columns, and what changes in them meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from soupxr.errors import SoupError
from soupxr.store import Store

__all__ = ["TrialList", "Watch"]

REFRESH_SECONDS = 3.0

log = logging.getLogger(__name__)


class TrialList:
    """Columns of the list.

    Parameters
    ----------
    address : str
        Of the store.
    keys : sequence of str
        Trials, in the order in which they are listed.
    annotator : str, optional
        Whose labels make a trial "labelled"; default: anybody's.
    """

    def __init__(self, address: str, keys: Sequence[str], annotator: str | None) -> None:
        self._address, self._keys, self._annotator = address, list(keys), annotator

    def columns(self) -> dict[str, Any]:
        """Columns as the page wants them, as the store has them at this moment.

        Trials that were removed meanwhile are left out.
        """
        store = Store(self._address)
        known = store.slot_of_each_key()
        keys = [key for key in self._keys if key in known]
        slots = [known[key] for key in keys]
        people = store.labels("annotator")
        if self._annotator is not None:
            people = [name for name in people if name == self._annotator]
        labelled = store.labelled(people, slots)
        return {
            "keys": keys,
            "animals": store.column("animal", slots).tolist(),
            "sessions": store.column("session", slots).tolist(),
            "ids": store.column("trial_id", slots).tolist(),
            "frames": store.column("n_frames", slots).tolist(),
            "labelled": labelled.astype(int).tolist(),
            "status": {mode: store.statuses(mode, slots).tolist() for mode in store.modes},
        }


class Watch:
    """Looks at the store every few seconds, and tells of columns that have changed.

    Parameters
    ----------
    trials : TrialList
        What is looked at.
    tell : callable
        Gets all columns when any has changed.
    seconds : float
        Pause between two looks.
    told : dict, optional
        Columns that have been told already.
    """

    def __init__(
        self,
        trials: TrialList,
        tell: Callable[[dict[str, Any]], None],
        seconds: float = REFRESH_SECONDS,
        *,
        told: dict[str, Any] | None = None,
    ) -> None:
        self._trials, self._tell, self._seconds = trials, tell, seconds
        self._last = told
        self._stop = threading.Event()
        self._look = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soupxr-watch", daemon=True)
        self._thread.start()

    def look(self, *, again: bool = False) -> None:
        """Look now; ``again``: and tell, whether anything has changed or not."""
        if again:
            self._last = None
        self._look.set()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._look.set()

    def _run(self) -> None:
        if self._last is not None:
            self._pause()
        while not self._stop.is_set():
            self._compare()
            self._pause()

    def _pause(self) -> None:
        self._look.wait(self._seconds)
        self._look.clear()

    def _compare(self) -> None:
        try:
            columns = self._trials.columns()
        except (SoupError, OSError) as error:
            # A trial may be removed, or a disk be away for a while: the next look will tell.
            log.info("the list of trials was not refreshed: %s", error)
        except RuntimeError:
            # Python is ending, and nothing can be read any more.
            if not self._stop.is_set():
                raise
        else:
            if columns != self._last and not self._stop.is_set():
                self._tell(columns)
            self._last = columns
