"""What a file brings, gathered before anything is written; then all of it is, or nothing.

What fails on the way is undone. On a full disk, a result that was just being replaced may stay half
replaced; it is finished later, as the imported one. A process that is killed in the middle may
leave new trials without their labels; the same call, made again, adds those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr import ingest
from soupxr.annotation.arrays import behavior_name
from soupxr.dataset import data_root, keys_of, open_dataset, reopen, store_of
from soupxr.errors import ArgumentError, FormatError, expected, listed, one_of
from soupxr.io.matching import TrialFinder, TrialNames
from soupxr.io.report import ImportReport
from soupxr.io.spans import Rest, Span, paint
from soupxr.io.undo import all_or_nothing
from soupxr.labels import annotator_problem
from soupxr.modes import get_mode
from soupxr.options import get_option
from soupxr.schema import trial_key
from soupxr.store import (
    ImportedResult,
    Store,
    StoredTrial,
    add_trials,
    has_result,
    labelled_trials,
    read_annotation,
    remove_trials,
    withdraw_annotator,
    write_annotations,
    write_imported,
)

__all__ = ["Address", "BehaviorNames", "Gathering", "Missing", "NewTrial"]

Mask = npt.NDArray[np.int8]
Address = tuple[str, str, int]
#: Theirs → ours; None leaves a behavior out.
BehaviorNames = Mapping[str, str | None]
Missing = Literal["refuse", "leave"]

#: Rows that one message names.
MOST_ROWS = 10
#: Problems that one message tells.
MOST_PROBLEMS = 50


@dataclass(frozen=True)
class NewTrial:
    """A trial to add.

    Parameters
    ----------
    name : str
        What the file calls it.
    videos : mapping of str to Path
        File of each view.
    """

    name: str
    videos: Mapping[str, Path]
    experiment: str = ""
    notes: str = ""


class Gathering:
    """Collects what a file brings and what is wrong with it; writes it in one go.

    Parameters
    ----------
    ds : Dataset
        The store; labels are taken for the trials of this selection.
    form, source : str
        Format and file, for messages and the report.
    behaviors, trials, missing
        As the user of a ``read`` function gives them.
    """

    def __init__(
        self,
        ds: xr.Dataset,
        form: str,
        source: str,
        *,
        behaviors: BehaviorNames | None = None,
        trials: TrialNames = None,
        missing: Missing = "refuse",
    ) -> None:
        one_of("missing", missing, ("refuse", "leave"))
        self.ds, self.store, self.form, self.source = ds, store_of(ds), form, source
        self.behaviors = self.store.labels("behavior")
        self.missing = missing
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.left: list[str] = []
        self.names: dict[str, str] = {}
        self._said = dict(behaviors or {})
        self._met: set[str] = set()
        self._by_bouts_alone = False
        strange = {n for n in self._said.values() if n is not None} - set(self.behaviors)
        if strange:
            wanted = f"values of {self.behaviors}, or None to leave one out"
            raise ArgumentError(expected("behaviors", wanted, sorted(strange)))
        keys = list(dict.fromkeys(keys_of(ds))) if ds.sizes.get("trial", 1) else []
        selected = self.store.trials(keys)
        self.trials = {trial.key: trial for trial in selected}
        stored = self.store.trials(self.store.keys())
        others = [trial for trial in stored if trial.key not in self.trials]
        self.finder = TrialFinder(selected, trials, others)
        self._new: dict[Address, NewTrial] = {}
        self._rows: list[ingest.TrialRow] = []
        self._masks: dict[str, dict[str, Mask]] = defaultdict(dict)
        self._results: dict[str, dict[str, ImportedResult]] = defaultdict(dict)
        self._lacking: dict[tuple[str, str], list[str]] = defaultdict(list)

    # ------------------------------------------------------------------ names

    def behavior(self, name: str, where: str) -> str | None:
        """Our name of a behavior; None where it is left out or not known."""
        ours = self._ours(name)
        if ours is None and name in self._said:
            self.leave(f"behavior {name!r}, as asked")
        elif ours is None:
            self._lacking["behavior", name].append(where)
        return ours

    def _ours(self, name: str) -> str | None:
        self._met.add(name)
        if name in self._said:
            return self._said[name]
        known = behavior_name(name, self.behaviors)
        return known if known in self.behaviors else None

    def untold(self, theirs: Iterable[str] | None, left: Iterable[str] = ()) -> list[str]:
        """Behaviors of ours of which a file says nothing, not even that they do not occur.

        Parameters
        ----------
        theirs : iterable of str or None
            Names of all that could be scored; None where that is not known.
        left : iterable of str
            Their names of what was scored but is not taken.
        """
        if theirs is None:
            self._by_bouts_alone = True
            out = {behavior_name(name, self.behaviors) for name, o in self._said.items() if not o}
            told = (set(self.behaviors) - out) | set(self._said.values())
        else:
            told = {self._ours(name) for name in theirs}
        told -= {self._ours(name) for name in left}
        return [name for name in self.behaviors if name not in told]

    def trial(self, where: str, *names: str) -> StoredTrial | None:
        """The trial of these names; None where there is none."""
        found = self.finder.find(*(name for name in names if name))
        if isinstance(found, str):
            self.problems.append(f"{where}: {found}. Say which with trials={{name: trial}}.")
            return None
        if found is None:
            self._lacking["trial", next((n for n in names if n), "without a name")].append(where)
            return None
        name = next(n for n in names if n)
        self.names.setdefault(name, found.key)
        self.tell_of_folder(name, found)
        return found

    def tell_of_folder(self, name: str, trial: StoredTrial) -> None:
        """Note that a video was known by its name, though its folder is another."""
        if self.finder.is_by_name_alone(name, trial.key):
            self.note(f"{name} is taken for {trial.key} by its name; its folder is another")

    def leave(self, what: str) -> None:
        """Note what is not taken, once."""
        if what not in self.left:
            self.left.append(what)

    def note(self, what: str) -> None:
        """Note what the user should know, once."""
        if what not in self.notes:
            self.notes.append(what)

    # ------------------------------------------------------------------ contents

    def add_trials(self, new: Mapping[Address, NewTrial]) -> dict[Address, StoredTrial]:
        """Measure the videos of trials that the store does not have; nothing is written yet.

        Returns
        -------
        mapping
            Facts on every trial that is fine, whether it is new or was there.
        """
        known = {trial.key: trial for trial in self.store.trials(self.store.keys())}
        facts: dict[Address, StoredTrial] = {}
        wanted: dict[Address, Mapping[str, Path]] = {}
        root = data_root(self.store)
        for address, trial in new.items():
            key = trial_key(*address)
            if key in known and key not in self.trials:
                self.leave(f"{key}, which is in the store but not selected")
                continue
            self.names[trial.name] = key
            if key in known:
                if not _same_videos(known[key], trial.videos.values(), root):
                    self.problems.append(
                        f"{trial.name}: {key} is in the store with another video, "
                        f"{known[key].video_paths[0]}. Give it another place: trials=..."
                    )
                facts[address] = known[key]
            else:
                wanted[address] = trial.videos
        rows, problems = ingest.survey_files(
            root,
            self.store.labels("view"),
            wanted,
            join=self.store.attrs["join"],
            progress=bool(get_option("progress")),
        )
        self.problems += problems
        self._rows += rows
        for row in rows:
            address = (row.animal, row.session, row.trial_id)
            self._new[address] = new[address]
            facts[address] = StoredTrial(
                row.key, -1, *address, row.video_paths, row.n_frames, row.fps, ""
            )
        self.trials |= {trial.key: trial for trial in facts.values()}
        return facts

    def label(self, annotator: str, key: str, mask: Mask, where: str) -> None:
        """Take a mask (n_frames, behavior) of one trial."""
        if key in self._masks[annotator]:
            self.problems.append(
                f"{where}: labels of {annotator!r} for {key} are there twice. Leave one out."
            )
        self._masks[annotator][key] = mask

    def paint(
        self,
        annotator: str,
        key: str,
        spans: Iterable[Span],
        where: str,
        rest: Rest = "absent",
        observed: Sequence[tuple[int, int]] | None = None,
        untold: Sequence[str] = (),
    ) -> None:
        """Take the bouts of one trial; where no bout is, ``untold`` behaviors are unlabelled."""
        n_frames = self.trials[key].n_frames
        painted = paint(spans, n_frames, self.behaviors, rest, observed)
        unknown = np.isin(self.behaviors, untold) & (painted.mask == 0)
        painted.mask[unknown] = -1
        if unknown.any():
            self.note(f"of {', '.join(untold)} nothing is said, so they are unlabelled")
        self.problems += painted.problems
        for note in painted.notes:
            self.note(f"{key}: {note}")
        self.label(annotator, key, painted.mask, where)

    def result(self, mode: str, key: str, result: ImportedResult) -> None:
        """Take a result of one trial."""
        self._results[get_mode(mode).name][key] = result

    # ------------------------------------------------------------------ writing

    def commit(
        self, overwrite: bool = False, dry_run: bool = False
    ) -> tuple[xr.Dataset, ImportReport]:
        """Write all of it, or say what would be written.

        Raises
        ------
        FormatError
            If anything is wrong; tells all of it, and nothing is written.
        """
        self._tell_of_lacking()
        self._tell_of_silence()
        self._check_targets(overwrite)
        if not (self.problems or self._rows or self._results or any(self._masks.values())):
            why = listed(self.left) if self.left else " The file is empty."
            self.problems.append(f"{self.source}: holds nothing that could be taken.{why}")
        if self.problems:
            told = self.problems[:MOST_PROBLEMS]
            more = len(self.problems) - len(told)
            told += [f"and {more} more"] if more else []
            raise FormatError(
                f"{self.source}: nothing was written, for {len(self.problems)} problem(s):"
                f"{listed(told)}"
            )
        if dry_run:
            return self.ds, replace(self._report(), written=False)
        with all_or_nothing() as undo:
            self._write(overwrite, undo)
        ds = open_dataset(self.store.address) if self._rows else reopen(self.ds)
        return ds, self._report()

    def _tell_of_lacking(self) -> None:
        for (kind, name), rows in self._lacking.items():
            told = _rows(rows)
            if self.missing == "leave":
                self.leave(f"{kind} {name!r}, which the store does not have ({told})")
            elif kind == "behavior":
                self.problems.append(
                    f"behavior {name!r}: expected one of {self.behaviors} ({told}). Pass "
                    f"behaviors={{{name!r}: ours}}, or None for ours to leave it out, or "
                    'missing="leave".'
                )
            else:
                self.problems.append(
                    f"trial {name!r}: not among the {len(self.trials)} selected trials ({told}). "
                    f'Pass trials={{{name!r}: "animal/session/trial_id"}}, or missing="leave".'
                )

    def _tell_of_silence(self) -> None:
        """Note what may be otherwise than a user thinks, for nothing in the file speaks of it."""
        for name in sorted(set(self._said) - self._met):
            self.note(f"behaviors: there is no {name!r} in the file")
        for name in self.finder.unmet():
            self.note(f"trials: there is no {name!r} in the file")
        masks = [mask for of_one in self._masks.values() for mask in of_one.values()]
        if not (self._by_bouts_alone and masks):
            return
        values = np.concatenate(masks)
        never = (values == 0).all(axis=0)
        if never.any():
            names = [name for name, is_never in zip(self.behaviors, never, strict=True) if is_never]
            self.note(
                f"there is no bout of {', '.join(names)}, which count as absent; if nobody looked "
                f"for them, pass behaviors={{{names[0]!r}: None}}"
            )

    def _check_targets(self, overwrite: bool) -> None:
        for annotator, masks in self._masks.items():
            problem = annotator_problem(self.store, annotator)
            self.problems += [problem] if problem else []
            there = [self.trials[key] for key in masks if self.trials[key].slot >= 0]
            if not overwrite:
                self.problems += [
                    f"{key}: {annotator!r} has labelled this trial already. Pass overwrite=True "
                    "to replace these labels."
                    for key in labelled_trials(self.store, annotator, there)
                ]
        for mode, results in self._results.items():
            there = [self.trials[key] for key in results if self.trials[key].slot >= 0]
            self.problems += [
                f"{trial.key}: there is a result in mode {mode} already. Pass overwrite=True to "
                "replace it."
                for trial in there
                if not overwrite and has_result(self.store, mode, trial.key)
            ]

    def _write(self, overwrite: bool, undo: list[Callable[[], object]]) -> None:
        address = self.store.address
        if self._rows:
            new = [self._new[row.animal, row.session, row.trial_id] for row in self._rows]
            experiments, notes = [n.experiment for n in new], [n.notes for n in new]
            add_trials(address, self._rows, experiments, notes)
            keys = [row.key for row in self._rows]
            undo.append(lambda: remove_trials(address, keys))
        added = {row.key for row in self._rows}  # which go with all that they have
        for mode, results in self._results.items():
            for key, result in results.items():
                write_imported(
                    address, mode, key, result, overwrite=overwrite,
                    undo=None if key in added else undo,
                )  # fmt: skip
        for annotator, masks in self._masks.items():
            if annotator not in Store(address).labels("annotator"):
                undo.append(partial(withdraw_annotator, address, annotator))
            there = [key for key in masks if key not in added]
            undo += [_relabeller(address, annotator, key, masks[key]) for key in there]
            write_annotations(address, annotator, masks, overwrite=overwrite)

    def _report(self) -> ImportReport:
        return ImportReport(
            self.form,
            self.source,
            trials=tuple(row.key for row in self._rows),
            annotations={name: tuple(masks) for name, masks in self._masks.items() if masks},
            results={mode: tuple(results) for mode, results in self._results.items()},
            names=dict(self.names),
            notes=tuple(self.notes),
            left=tuple(self.left),
        )


def _relabeller(address: str, annotator: str, key: str, new: Mask) -> Callable[[], object]:
    """A call that puts back the labels that a trial has now, where the new ones are still there."""
    old = {key: read_annotation(address, annotator, key)}

    def relabel() -> None:
        if annotator in Store(address).labels("annotator"):
            write_annotations(address, annotator, old, expected={key: new})

    return relabel


def _same_videos(trial: StoredTrial, paths: Iterable[Path], root: Path) -> bool:
    known = {ingest.resolve_video(root, path).resolve() for path in trial.video_paths}
    return {path.resolve() for path in paths} <= known


def _rows(rows: Sequence[str]) -> str:
    more = f" and {len(rows) - MOST_ROWS} more" if len(rows) > MOST_ROWS else ""
    return ", ".join(rows[:MOST_ROWS]) + more
