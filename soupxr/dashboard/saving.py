"""Edits go to disk as they are made, and the page hears how that went.

What is told as saved is on disk. What cannot be saved is kept and tried again; what would replace
labels that this page never showed is kept too, until somebody decides.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from soupxr.dashboard import save_report
from soupxr.dashboard.save_report import Report, State
from soupxr.errors import ArgumentError, SoupError, StoreError, expected
from soupxr.store import Conflict, PartlyWritten, read_annotation, write_annotations

__all__ = ["Report", "Saver", "State"]

Mask = npt.NDArray[np.int8]

#: Pauses between tries (s); the last one is repeated.
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
#: How long a page that closes waits for what is not on disk yet.
CLOSE_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


@dataclasses.dataclass
class _Trial:
    """What a page knows of one trial's labels on disk, and what it wants there."""

    annotator: str
    #: Labels last seen on disk; None for none.
    seen: Mask | None
    #: Whose labels the page showed before it wanted to save them under another name.
    former: str | None = None
    #: Labels that are not on disk yet.
    mask: Mask | None = None
    version: int = 0
    #: When to write or, in a conflict, to report (monotonic); None for not before it is told to.
    due: float | None = None
    failures: int = 0
    conflict: Conflict | None = None

    def want(self, mask: Mask, version: int) -> None:
        self.mask, self.version = _kept(mask), version
        self.try_now()

    def try_now(self) -> None:
        self.due, self.failures = time.monotonic(), 0

    def is_done(self) -> None:
        self.mask = self.due = self.former = self.conflict = None
        self.failures = 0


class Saver:
    """Writes the labels of one page, one trial at a time, from a thread of its own.

    Of one trial, only the latest labels are written if they come faster than the disk takes them;
    of different trials, those of each. Call :meth:`close` when the page goes, or the thread stays.

    Parameters
    ----------
    address : str
        The store's, from ``soupxr.store.store_address``.
    annotator : str
        Whose labels they are.
    report : callable
        Is called with a :class:`Report`, from the saver's thread, in the order of events. It may
        take a lock that is held while anything here is called but :meth:`flush` and :meth:`close`,
        which wait for it.
    retry_seconds : sequence of float
        Pauses between tries after a failure; the last one is repeated.
    """

    def __init__(
        self,
        address: str,
        annotator: str,
        report: Callable[[Report], None],
        *,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self._address = address
        self._annotator = annotator
        self._report = report
        self._pauses = tuple(retry_seconds)
        self._trials: dict[str, _Trial] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._writing: str | None = None
        self._busy = self._closed = False

    # ---------------------------------------------------------------- what the page says

    def open(self, key: str, labels: Mask | None) -> None:
        """Remember what the page read from disk, so that later changes by others are noticed.

        Does nothing while labels of this trial are still to be written: show :meth:`unsaved` then,
        which must be asked before the labels are read.

        Parameters
        ----------
        labels : ndarray of int8, (n_frames, behavior), or None
            Those of :meth:`annotator_of` this trial; None for none.
        """
        with self._changed:
            trial = self._trials.setdefault(key, _Trial(self._annotator, None))
            if trial.mask is None:
                trial.seen = None if labels is None else _kept(labels)

    def save(self, key: str, mask: Mask, version: int) -> None:
        """Have labels written; returns at once.

        Parameters
        ----------
        key : str
            A trial that was opened.
        mask : ndarray of int8, (n_frames, behavior)
            Is copied.
        version : int
            Comes back in the reports.
        """
        with self._changed:
            if self._closed:
                raise StoreError(f"{key}: this page was closed and saves no more. Open it anew.")
            self._trials[key].want(mask, version)
            self._wake()

    def unsaved(self, key: str) -> Mask | None:
        """Labels of a trial that are not on disk yet, not to be written to; None for none."""
        with self._changed:
            return self._trials[key].mask if key in self._trials else None

    def annotator_of(self, key: str) -> str:
        """Under whose name a trial's labels are saved; see :meth:`save_as`."""
        with self._changed:
            return self._trials[key].annotator if key in self._trials else self._annotator

    def pending(self) -> dict[str, int]:
        """Trials whose newest labels are not on disk, and the versions of these."""
        with self._changed:
            return {k: t.version for k, t in self._trials.items() if t.mask is not None}

    # ---------------------------------------------------------------- conflicts

    def reload(self, key: str) -> Mask:
        """Give up labels that are not on disk, for those that are.

        Returns
        -------
        ndarray of int8, (n_frames, behavior)
            Those on disk now, −1 everywhere if there are none.

        Raises
        ------
        StoreError
            If they cannot be read; then nothing is given up.
        """
        with self._changed:
            trial = self._resting(key)
            annotator = trial.former or trial.annotator
            labels = read_annotation(self._address, annotator, key)
            trial.is_done()
            trial.annotator, trial.seen = annotator, _kept(labels)
            self._changed.notify_all()
            return labels.copy()

    def save_as(self, key: str, mask: Mask, version: int, annotator: str) -> None:
        """Have labels written under another name, this time and from now on.

        What is on disk under the present name stays as it is. If the other annotator has labelled
        this trial, that is reported as a conflict.

        Raises
        ------
        ArgumentError
            If it is no other name.
        """
        with self._changed:
            trial = self._resting(key)
            present = trial.former or trial.annotator
            if not annotator.strip() or annotator == present:
                raise ArgumentError(
                    expected("annotator", f"a name other than {present!r}", annotator)
                )
            trial.annotator, trial.seen, trial.former = annotator, None, present
            trial.conflict = None
            trial.want(mask, version)
            self._wake()

    def overwrite(self, key: str) -> None:
        """Write over the labels that a conflict told of; not over any that came later."""
        with self._changed:
            trial = self._trials[key]
            if trial.conflict is not None:
                trial.seen, trial.conflict = trial.conflict.labels, None
                trial.try_now()
                self._wake()

    # ---------------------------------------------------------------- the end

    def flush(self, timeout: float) -> bool:
        """Wait until all is on disk.

        Parameters
        ----------
        timeout : float
            Seconds. Does not wait for conflicts, which somebody has to decide.

        Returns
        -------
        bool
            Whether all is on disk.
        """
        with self._changed:
            self._changed.wait_for(self._is_idle, timeout)
            return not self.pending()

    def close(self, timeout: float = CLOSE_TIMEOUT_S) -> dict[str, int]:
        """Write what is left, without waiting longer than ``timeout`` seconds, and end.

        Returns
        -------
        dict of str to int
            Trials whose newest labels are not known to be on disk, and the versions of these.
        """
        with self._changed:
            for trial in self._trials.values():
                if trial.due is not None:
                    trial.due = time.monotonic()
            self._changed.notify_all()
        self.flush(timeout)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        return self.pending()

    # ---------------------------------------------------------------- the thread

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="soupxr-saver", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _is_idle(self) -> bool:
        return not self._busy and all(trial.due is None for trial in self._trials.values())

    def _resting(self, key: str) -> _Trial:
        """A trial, once nothing of it is being written. Never waits for a report to be taken."""
        self._changed.wait_for(lambda: self._writing != key)
        return self._trials[key]

    def _run(self) -> None:
        while (key := self._next()) is not None:
            self._deal_with(key)

    def _next(self) -> str | None:
        """Wait for the trial whose turn it is; None once closed."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            while not self._closed:
                turns = [(t.due, key) for key, t in self._trials.items() if t.due is not None]
                due, key = min(turns, default=(None, ""))
                pause = None if due is None else due - time.monotonic()
                if pause is not None and pause <= 0:
                    self._busy = True
                    return key
                self._changed.wait(pause)
            return None

    def _deal_with(self, key: str) -> None:
        with self._changed:
            trial = self._trials[key]
            begins = trial.conflict is None and trial.failures == 0
            version = trial.version
        if begins:
            self._tell(save_report.saving(key, version))
        with self._changed:
            if trial.due is None:
                return  # given up meanwhile
            self._writing, tried = key, dataclasses.replace(trial)
        error = tried.conflict or self._written(key, tried)
        with self._changed:
            self._writing = None
            told = self._settle(key, trial, tried, error)
            self._changed.notify_all()
        if told is not None:
            self._tell(told)

    def _written(self, key: str, trial: _Trial) -> Exception | None:
        """Write; why that failed, if it did."""
        assert trial.mask is not None
        try:
            write_annotations(
                self._address, trial.annotator, {key: trial.mask}, expected={key: trial.seen}
            )
        except (SoupError, OSError) as error:
            return error
        except Exception as error:  # Whatever it is, the thread must live on.
            log.exception("%s: labels could not be saved", key)
            return error
        return None

    def _settle(
        self, key: str, trial: _Trial, tried: _Trial, error: Exception | None
    ) -> Report | None:
        """Note how a write went, and word it; no word of a failure that newer labels supersede."""
        version, newest = tried.version, trial.mask is tried.mask
        if error is None:
            trial.seen, trial.former = tried.mask, None
            if newest:
                trial.is_done()
            other = None if trial.annotator == self._annotator else trial.annotator
            return save_report.saved(key, version, other)
        if isinstance(error, Conflict):
            trial.conflict = error
            if newest:
                trial.due = None
            return save_report.conflict(key, version, error.annotator, trial.former)
        if isinstance(error, PartlyWritten):
            trial.seen = _kept(error.labels[key])
        if not newest:
            return None
        pause = self._pauses[min(trial.failures, len(self._pauses) - 1)]
        trial.failures += 1
        trial.due = time.monotonic() + pause
        return save_report.failed(key, version, error, pause)

    def _tell(self, report: Report) -> None:
        try:
            self._report(report)
        except Exception:
            log.exception("%s: a report on saving was not taken", report.key)


def _kept(labels: Mask) -> Mask:
    """A copy that nobody changes."""
    copy = np.array(labels, dtype=np.int8)
    copy.setflags(write=False)
    return copy
