"""Goes through a whole store, or a selection of its trials, and gathers what is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import xarray as xr

from soupxr.check.found import Check, Finding, many, repaired
from soupxr.check.labels import annotation_findings, out_of_fold_findings, unnamed_annotators
from soupxr.check.results import ModeLook, statuses_of
from soupxr.check.structure import structure_findings, unreadable_columns, unreadable_groups
from soupxr.check.surroundings import Checkpoints, Fingerprints, video_findings
from soupxr.dataset import data_root, keys_of, store_of
from soupxr.errors import StoreError
from soupxr.options import get_option
from soupxr.progress import progress_bar
from soupxr.schema import Status
from soupxr.store import Store, StoredTrial
from soupxr.store.ondisk import abandoned, unfinished_neighbours
from soupxr.store.repair import free_abandoned, remove_unfinished

__all__ = ["check", "check_store"]


def check(
    ds: xr.Dataset,
    *,
    repair: bool = False,
    videos: bool = True,
    quick: bool = False,
    progress: bool | None = None,
) -> Check:
    """Look a selection of trials over; see ``ds.soup.check``."""
    keys = list(dict.fromkeys(keys_of(ds)))
    address = store_of(ds).address
    return check_store(address, keys, repair=repair, videos=videos, quick=quick, progress=progress)


def check_store(
    address: str,
    keys: Sequence[str] | None = None,
    *,
    repair: bool = False,
    videos: bool = True,
    quick: bool = False,
    progress: bool | None = None,
) -> Check:
    """Look a store over that may be too damaged to be opened as a Dataset.

    Parameters
    ----------
    address : str
        The store.
    keys : sequence of str, optional
        Trials to look at. Default: all.

    Returns
    -------
    Check
        What was found.

    Raises
    ------
    StoreError
        If there is no store, or none of this version.
    """
    store = Store(address)
    look = _Look(store, videos=videos, quick=quick, progress=_shown(progress))
    found = list(look.findings(keys))
    return Check(address, repaired(found) if repair else found, look.counts)


def _shown(progress: bool | None) -> bool:
    return bool(get_option("progress") if progress is None else progress)


class _Look:
    """One look over a store, and how much it has seen."""

    def __init__(self, store: Store, *, videos: bool, quick: bool, progress: bool) -> None:
        self.store, self.videos, self.quick, self.progress = store, videos, quick, progress
        self.counts = {"trials": 0, "results": 0, "labelled trials": 0, "videos": 0}
        self.closed: dict[str, Finding] = {}

    def findings(self, keys: Sequence[str] | None) -> Iterator[Finding]:
        """Everything that is not as it should be."""
        unreadable = unreadable_columns(self.store)
        if unreadable:
            yield from unreadable
            return
        self.closed = unreadable_groups(self.store)
        yield from self.closed.values()
        yield from structure_findings(self.store, self.closed)
        trials = list(self._trials(self.store.keys() if keys is None else keys))
        self.counts["trials"] = len(trials)
        checkpoints, fingerprints = Checkpoints(self.store), Fingerprints()
        yield from self._results(trials, checkpoints, fingerprints)
        yield from self._labels(trials)
        yield from checkpoints.findings()
        yield from self._leftovers()
        if self.videos:
            yield from self._videos(trials, fingerprints)

    def _trials(self, keys: Sequence[str]) -> Iterator[StoredTrial]:
        """Trials whose columns agree; of the others, the structure's findings tell."""
        try:
            yield from self.store.trials(keys)
        except StoreError:
            known = self.store.slot_of_each_key()
            for key in keys:
                if key not in known:
                    raise
                with suppress(StoreError):
                    yield self.store.trial(key)

    def _results(
        self, trials: Sequence[StoredTrial], checkpoints: Checkpoints, fingerprints: Fingerprints
    ) -> Iterator[Finding]:
        # Of a mode, nothing that stands in a group of its own can be told without all of these.
        closed = {path.rpartition("/")[2] for path in self.closed}
        modes = [mode for mode in self.store.modes if mode not in closed]
        with self._bar(len(modes) * len(trials), "results", "trial") as bar:
            for mode in modes:
                look = ModeLook(self.store, mode, quick=self.quick)
                statuses = statuses_of(self.store, mode, [trial.slot for trial in trials])
                for trial, status in zip(trials, statuses, strict=True):
                    verdict = look.look(trial, status)
                    if not verdict.is_sound:
                        # A run may have begun on the trial since its mark was read.
                        verdict = look.look_anew(trial)
                    yield from look.findings(trial, verdict)
                    checkpoints.note(mode, verdict.record)
                    fingerprints.note(mode, trial, verdict.record)
                    self.counts["results"] += status == Status.COMPLETE
                    bar.update(1)
                yield from out_of_fold_findings(self.store, mode, trials)

    def _labels(self, trials: Sequence[StoredTrial]) -> Iterator[Finding]:
        for annotator in self.store.labels("annotator"):
            for finding in annotation_findings(self.store, annotator, trials):
                self.counts["labelled trials"] += 1
                if finding is not None:
                    yield finding
        yield from unnamed_annotators(self.store)

    def _leftovers(self) -> Iterator[Finding]:
        address = self.store.address

        def free() -> bool:
            free_abandoned(address)
            return not any(abandoned(Store(address)))

        left = [] if self.closed else list(abandoned(self.store))
        if left:
            slots = {slot for _, found in left for slot in found}
            problem = (
                f"{len(slots)} place(s) without a trial still hold data "
                f"({many([name for name, _ in left])})"
            )
            yield Finding("warning", "leftover", problem, repair=free)

        def remove() -> bool:
            remove_unfinished(address)
            return not unfinished_neighbours(address)

        unfinished = unfinished_neighbours(address)
        if unfinished:
            told = many([str(place) for place in unfinished])
            problem = f"unfinished files of writers that were killed: {told}"
            yield Finding("warning", "leftover", problem, repair=remove)

    def _videos(self, trials: Sequence[StoredTrial], known: Fingerprints) -> Iterator[Finding]:
        root = data_root(self.store)
        self.counts["videos"] = sum(len(trial.video_paths) for trial in trials)
        with self._bar(self.counts["videos"], "videos", "video") as bar:
            yield from video_findings(root, trials, known, bar.update)

    def _bar(self, total: int, what: str, unit: str):  # type: ignore[no-untyped-def]
        return progress_bar(total, what, unit, enabled=self.progress)
