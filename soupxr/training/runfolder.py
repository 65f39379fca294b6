"""The folder of one training run, ``model_out``: what it was, how it went, what came out.

=============== ===========================================================================
``best.ckpt``   the best epoch; what ``infer`` takes
``last.ckpt``   the last one
``resume.ckpt`` optimiser, schedule and all that ``resume=True`` needs
``run.json``    arguments, split, inputs, versions
``metrics.csv`` one row an epoch
``curves.png``  the same as a picture
``.run.lock``   held by the process that trains; empty
=============== ===========================================================================
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from soupxr.errors import ArgumentError, TrainingError, expected, listed
from soupxr.files import is_unfinished, whole_file

__all__ = ["RunFolder", "telling_of_disk"]

#: Arguments that may differ when a run is resumed.
RELAXED = ("max_epochs", "device", "num_workers")
#: What every ``run.json`` says.
RECORDED = {"kind", "mode", "arguments", "split", "inputs", "started"}
#: Of the process that trains in a folder; the file itself may stay there.
LOCK = ".run.lock"


class RunFolder:
    """One run's files.

    Parameters
    ----------
    path : Path
        The folder.
    facts : dict
        What stands in ``run.json``.
    """

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.facts = facts

    @classmethod
    def open(cls, model_out: str | os.PathLike[str], *, resume: bool) -> RunFolder:
        """Take a new folder, or an interrupted run's.

        Raises
        ------
        ArgumentError
            If the folder holds something else, or a run that is not to be resumed.
        """
        path = Path(model_out).expanduser().resolve()
        if path.exists() and not path.is_dir():
            raise ArgumentError(expected("model_out", "a folder", str(model_out)))
        facts = cls._facts(path)
        if facts and not resume:
            state = "a finished" if facts.get("finished") else "an interrupted"
            raise ArgumentError(
                expected(
                    "model_out",
                    "a new folder",
                    str(model_out),
                    f"It holds {state} run ({facts['kind']}, mode {facts['mode']}, started "
                    f"{facts['started']}). Pass resume=True to go on with it, or choose another.",
                )
            )
        there = list(path.iterdir()) if path.exists() else []
        # Killed before there was a record of it, a run leaves a piece of that.
        if not facts and not all(is_unfinished(file) or file.name == LOCK for file in there):
            raise ArgumentError(
                expected("model_out", "a new or empty folder", str(model_out), "Choose another.")
            )
        return cls(path, facts)

    @staticmethod
    def _facts(path: Path) -> dict[str, Any]:
        try:
            facts = json.loads((path / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise TrainingError(f"{path / 'run.json'}: cannot be read ({error}).") from None
        if not isinstance(facts, dict) or not facts.keys() >= RECORDED:
            raise TrainingError(
                f"{path / 'run.json'}: expected the record of a training run, but it is another "
                "file. Choose another folder."
            )
        return facts

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Be the one process that trains in this folder.

        Raises
        ------
        ArgumentError
            If another one does, or did since the folder was opened.
        TrainingError
            If nothing can be written there.
        """
        with telling_of_disk(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK, timeout=0, mode=0o666)
            try:
                lock.acquire()
            except Timeout:
                raise self._busy("Another process is training in it.") from None
            except NotImplementedError:  # a file system without locks: as good as it gets
                pass
        try:
            if self._facts(self.path) != self.facts:
                raise self._busy("Another process began or went on with a run in it meanwhile.")
            yield
        finally:
            if not self.facts and os.listdir(self.path) == [LOCK]:
                # Nothing was begun: what is not occupied should not look so.
                with suppress(OSError):
                    (self.path / LOCK).unlink()
                    self.path.rmdir()
            lock.release()

    def _busy(self, why: str) -> ArgumentError:
        remedy = f"{why} Wait until it is done, or choose another folder."
        return ArgumentError(
            expected("model_out", "a folder of this call's own", str(self.path), remedy)
        )

    # ---------------------------------------------------------------- beginning

    @property
    def resumes(self) -> bool:
        """Whether there is an epoch to go on from."""
        return self.resume_file.is_file()

    @property
    def recorded_split(self) -> dict[str, Any] | None:
        """The split of the run that is resumed."""
        split = self.facts.get("split")
        return None if split is None else dict(split)

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Record what the run is; of a run that is resumed, check that it is the same.

        Parameters
        ----------
        facts : mapping
            ``kind``, ``mode``, ``arguments``, ``split``, ``inputs``; plain values.

        Raises
        ------
        ArgumentError
            If the run was begun with others; names each.
        TrainingError
            If it cannot be recorded.
        """
        wanted = json.loads(json.dumps(facts))
        if self.facts:
            self._check_same(wanted)
            wanted = self.facts | {"arguments": wanted["arguments"]}
        else:
            wanted |= {"started": _now(), "versions": _versions()}
        wanted |= {"finished": None}
        with telling_of_disk(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for left in filter(is_unfinished, list(self.path.iterdir())):
                left.unlink(missing_ok=True)
        self._write_facts(wanted)

    def _check_same(self, wanted: Mapping[str, Any]) -> None:
        differing = [
            f"{name}: {old!r} then, {new!r} now"
            for part in ("arguments", "inputs")
            for name, new in wanted[part].items()
            if name not in RELAXED and (old := self.facts[part].get(name)) != new
        ]
        for name in ("kind", "mode"):
            if self.facts[name] != wanted[name]:
                differing.insert(0, f"{name}: {self.facts[name]!r} then, {wanted[name]!r} now")
        if differing:
            raise ArgumentError(
                f"resume: expected the same run as the one in {self.path}, but these differ:"
                f"{listed(differing)}\nRepeat its call, or start anew in another folder."
            )

    # ---------------------------------------------------------------- going on

    @property
    def best(self) -> Path:
        """Checkpoint of the best epoch."""
        return self.path / "best.ckpt"

    @property
    def last(self) -> Path:
        """Checkpoint of the last epoch."""
        return self.path / "last.ckpt"

    @property
    def resume_file(self) -> Path:
        """All that resuming needs."""
        return self.path / "resume.ckpt"

    def write_history(self, history: list[dict[str, float]]) -> None:
        """Write ``metrics.csv`` anew."""
        columns = list(dict.fromkeys(name for row in history for name in row))
        with (
            telling_of_disk(self.path),
            whole_file(self.path / "metrics.csv") as path,
            path.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(history)

    def finish(self, stopped: str) -> None:
        """Record that the run is over, and why."""
        self._write_facts(self.facts | {"finished": _now(), "stopped": stopped})

    def _write_facts(self, facts: dict[str, Any]) -> None:
        with telling_of_disk(self.path), whole_file(self.path / "run.json") as path:
            path.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        self.facts = facts


@contextmanager
def telling_of_disk(folder: Path) -> Iterator[None]:
    """Turn what the operating system says to who writes in a run's folder into a TrainingError.

    Raises
    ------
    TrainingError
        In place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{folder}: cannot be written ({error}). Check the disk's free space and your "
            "permission to write there; the same call with resume=True goes on after the last "
            "whole epoch."
        ) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("soupxr", "torch", "pytorch-lightning", "numpy")}
