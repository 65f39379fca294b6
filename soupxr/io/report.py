"""What an import took and what it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["ImportReport"]

#: Names that one line tells.
MOST_NAMES = 6


@dataclass(frozen=True)
class ImportReport:
    """What a file of another program brought into a store, and what was not taken.

    Parameters
    ----------
    format : str
        Such as ``"BORIS"``.
    source : str
        The file or folder.
    trials : tuple of str
        Keys of trials that were added.
    annotations : mapping of str to tuple of str
        By annotator: keys of the trials that were labelled.
    results : mapping of str to tuple of str
        By mode: keys of the trials whose results were written.
    names : mapping of str to str
        What the file calls each trial, and its key.
    notes : tuple of str
        What was decided on the way, such as bouts that overlapped.
    left : tuple of str
        What was not taken, and why.
    written : bool
        False of a dry run: nothing was taken, but would be.
    """

    format: str
    source: str
    trials: tuple[str, ...] = ()
    annotations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    results: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    written: bool = True

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        lines = [f"{self.format} from {self.source}"]
        took = [f"{len(self.trials)} new trial(s): {_some(self.trials)}"] if self.trials else []
        for name, keys in self.annotations.items():
            took.append(f"labels of {name!r} in {len(keys)} trial(s): {_some(keys)}")
        for mode, keys in self.results.items():
            took.append(f"results in mode {mode} of {len(keys)} trial(s): {_some(keys)}")
        did = "took" if self.written else "would take"
        for title, entries in ((did, took), ("note", self.notes), ("left", self.left)):
            lines += [f"  {title:<{len(did)}}  {entry}" for entry in entries or ["nothing"]]
        return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
