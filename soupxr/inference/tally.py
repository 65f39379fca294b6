"""How a run goes: counts, what failed, what the user should know, and a log of it."""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any

import soupxr
from soupxr.errors import ArgumentError, InferenceError, SoupWarning, expected, listed
from soupxr.inference.task import Outcome

__all__ = ["RunLog", "Tally"]

log = logging.getLogger(__name__)


class Tally:
    """Counts outcomes, and keeps of them only what is told at the end.

    Parameters
    ----------
    mode : str
        What is inferred.
    skipped : int
        Trials that were done before.
    """

    def __init__(self, mode: str, skipped: int) -> None:
        self.mode, self.skipped = mode, skipped
        self.done = self.frames = 0
        self.failed: dict[str, str] = {}
        self.notes: list[str] = []
        self._started = time.perf_counter()

    def __str__(self) -> str:
        told = (f"{count} {word}" for word, count in self.counts.items())
        return ", ".join(told) + " (trials)"

    @property
    def counts(self) -> dict[str, int]:
        """Trials, by what became of them."""
        return {"done": self.done, "skipped": self.skipped, "failed": len(self.failed)}

    @property
    def seconds(self) -> float:
        """Time since the run began."""
        return time.perf_counter() - self._started

    def add(self, outcome: Outcome) -> None:
        """Count one trial."""
        self.notes += outcome.notes
        if outcome.error is None:
            self.done += 1
            self.frames += outcome.n_frames
        else:
            self.failed[outcome.key] = outcome.error

    def conclude(self, errors: str) -> None:
        """Sum up; warn of notes; raise or warn of failures.

        Raises
        ------
        InferenceError
            If trials failed, unless ``errors`` is ``"warn"``.
        """
        rate = self.frames / max(self.seconds, 1e-9)
        log.info("mode %s: %s; %d frames, %.1f frames/s", self.mode, self, self.frames, rate)
        if self.notes:
            about = "about some trials:" + listed(self.notes)
            warnings.warn(about, SoupWarning, stacklevel=4)
        if not self.failed:
            return
        message = (
            f"{len(self.failed)} of {self.done + len(self.failed)} trial(s) failed in mode "
            f"{self.mode}; {self.done} are done and in the store. Put these right and call "
            "infer again, it goes on with them:"
            + listed(f"{key}: {reason}" for key, reason in self.failed.items())
        )
        if errors == "raise":
            raise InferenceError(message)
        warnings.warn(message, SoupWarning, stacklevel=4)


class RunLog:
    """Appends a line of JSON for the start, each trial, and the end of a run.

    Parameters
    ----------
    path : path or None
        File; nothing is written without one.

    Raises
    ------
    ArgumentError
        If the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._file: IO[str] | None = None
        if path is None:
            return
        try:
            # Line by line, so that it can be followed, and is whole if the run is killed.
            self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        except OSError as error:
            what = f"a file that can be written ({error.strerror})"
            raise ArgumentError(expected("log", what, os.fspath(path))) from error

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, _kind: object, error: BaseException | None, _where: TracebackType | None
    ) -> None:
        if self._file is not None:
            if error is not None:
                self.say("stopped", reason=f"{type(error).__name__}: {error}".splitlines()[0])
            self._file.close()

    def say(self, event: str, **facts: Any) -> None:
        """Write one line."""
        if self._file is not None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._file.write(json.dumps({"time": now, "event": event, **facts}) + "\n")

    def start(self, tally: Tally, address: str, n_trials: int) -> None:
        """Say what is about to be done."""
        facts = {"mode": tally.mode, "store": address, "trials": n_trials}
        self.say("start", **facts, skipped=tally.skipped, soupxr=soupxr.__version__)

    def trial(self, outcome: Outcome) -> None:
        """Say how one trial went."""
        self.say(
            "trial",
            key=outcome.key,
            status="done" if outcome.error is None else "failed",
            frames=outcome.n_frames,
            seconds=round(outcome.seconds, 3),
            worker=outcome.worker,
            **({} if outcome.error is None else {"error": outcome.error}),
            **({"notes": list(outcome.notes)} if outcome.notes else {}),
        )

    def end(self, tally: Tally) -> None:
        """Say how all of it went."""
        self.say("end", **tally.counts, frames=tally.frames, seconds=round(tally.seconds, 3))
