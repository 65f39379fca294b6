"""Is what inference left of a trial in a mode whole, and does it agree with its marks?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from soupxr.check.found import Finding, reason
from soupxr.errors import StoreError
from soupxr.inference.provenance import Record
from soupxr.schema import FEATURE_CHUNK, WITH_PROBABILITIES, Status
from soupxr.store import Store, StoredTrial, TrialResults
from soupxr.store.address import is_url
from soupxr.store.direct import trial_rows
from soupxr.store.leases import of_trial, waiting_for
from soupxr.store.ondisk import has_chunks, is_old, missing_blocks
from soupxr.store.repair import Reset, provenance_of, reset_trial
from soupxr.store.replacement import ROWS, Replacement, replacement_path
from soupxr.store.zarrs import Array, DamagedStore

__all__ = ["ModeLook", "Verdict", "statuses_of"]

DAMAGED = -2
HALF_APPLIED = (
    "new thresholds are being applied, or were when their process ended; optimize_thresholds or "
    "infer finishes it, from its probabilities"
)
HALF_REPLACED = (
    "a new result is taking the place of an old one, or was when its process ended; infer "
    "finishes it at once, without a network, and so does --repair"
)
#: How long whoever is at work on a trial is waited for (s): longer than for one who is dead.
WAIT_S = 90.0
#: How often a repair is made anew where a run changes the trial at the same moment.
ATTEMPTS = 3


def statuses_of(store: Store, mode: str, slots: Sequence[int]) -> list[int]:
    """Status codes at these places; ``DAMAGED`` where one is none of ours."""
    codes = store.marks(mode, slots).tolist()
    return [code if code in tuple(Status) else DAMAGED for code in codes]


@dataclass
class Verdict:
    """What was found of one trial in one mode.

    Parameters
    ----------
    broken : list of str
        What makes the result, or its mark, one that cannot be believed.
    features : list of str
        What is wrong with features that the provenance vouches for.
    left : list of str
        What is left over.
    empty : list of str
        What has to be emptied, for it cannot be read or nobody vouches for it.
    record : Record
        How the result came about.
    provenance : str or None
        The same, as it stands in the store; None if it cannot be read.
    """

    broken: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    record: Record = field(default_factory=Record)
    provenance: str | None = ""
    status: int = Status.NONE

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.broken or self.features or self.left)


class ModeLook:
    """Looks at one trial after the other in one mode.

    Parameters
    ----------
    quick : bool
        Of features, only look whether their files are there and as long as they say.
    """

    def __init__(self, store: Store, mode: str, *, quick: bool) -> None:
        self.store, self.mode, self.quick = store, mode, quick
        self._row = store.mode_index(mode)
        self._features = store.features(mode)
        self._beside = store.optional(replacement_path(mode))

    def findings(self, trial: StoredTrial, verdict: Verdict) -> Iterator[Finding]:
        """What a verdict has to tell, with one repair for all of it."""
        named = (trial.animal, trial.session, trial.trial_id)

        def repair() -> bool:
            return self._repair(trial)

        for problem in verdict.broken:
            yield Finding("error", "result", problem, named, self.mode, repair)
        for problem in verdict.features:
            yield Finding("error", "features", problem, named, self.mode, repair)
        for problem in verdict.left:
            yield Finding("warning", "leftover", problem, named, self.mode, repair)
        if verdict.status == Status.DECIDING and not verdict.broken:
            yield Finding("warning", "result", HALF_APPLIED, named, self.mode)
        if verdict.status == Status.REPLACING and not verdict.broken:
            yield Finding("warning", "result", HALF_REPLACED, named, self.mode, repair)

    def look(self, trial: StoredTrial, status: int) -> Verdict:
        """Look at one trial that is marked so."""
        verdict = Verdict(status=status)
        self._provenance(trial, verdict)
        self._marks(trial, verdict)
        if status != Status.REPLACING:
            self._results(trial, verdict)
        self._replacement(trial, verdict)
        self._kept_features(trial, verdict)
        return verdict

    def look_anew(self, trial: StoredTrial) -> Verdict:
        """Look at one trial as it is marked at this moment."""
        (status,) = statuses_of(self.store, self.mode, [trial.slot])
        return self.look(trial, status)

    # ---------------------------------------------------------------- what is looked at

    def _provenance(self, trial: StoredTrial, verdict: Verdict) -> None:
        verdict.provenance = provenance_of(self.store, self.mode, trial.slot)
        if verdict.provenance is None:
            verdict.broken.append("how it came about (provenance) cannot be read")
            return
        try:
            verdict.record = Record.parse(verdict.provenance)
        except DamagedStore:
            verdict.broken.append("how it came about (provenance) is no record of ours")

    def _marks(self, trial: StoredTrial, verdict: Verdict) -> None:
        try:
            error = self.store.error(self.mode, trial.slot)
        except Exception as problem:  # whatever a codec makes of damaged bytes
            verdict.broken.append(f"why it failed cannot be read ({reason(problem)})")
            verdict.empty.append("error")
            error = "?"
        record, status = verdict.record, verdict.status
        if status == DAMAGED:
            verdict.broken.append("the mark of how far it has come (status) is damaged")
        elif status == Status.FAILED and not error:
            verdict.broken.append("is marked as failed, but nothing says why")
        elif verdict.provenance is None:
            pass  # told already
        elif status in WITH_PROBABILITIES and record.sequence is None:
            verdict.broken.append("is marked as complete, but nothing says how it came about")
        elif status == Status.FEATURES and _kept(record) is None:
            verdict.broken.append("is marked as having features, but nothing vouches for them")

    def _results(self, trial: StoredTrial, verdict: Verdict) -> None:
        for name in ROWS:
            # While it is decided anew, an ethogram may be of both decisions.
            complete = verdict.status == Status.COMPLETE or (
                verdict.status == Status.DECIDING and name == "probability"
            )
            array, place = self.store.arrays[name], (self._row, trial.slot)
            if not complete and not self._on_disk(array, place):
                continue
            try:
                rows = trial_rows(self.store.address, array, place)
            except Exception as problem:  # whatever a codec makes of damaged bytes
                wrong = f"cannot be read ({reason(problem)})"
            else:
                wrong = ""
                if complete:
                    if "imported" in (verdict.record.sequence or {}):
                        # Another program need not tell of each behavior, or give probabilities.
                        told = rows[: trial.n_frames]
                        told[_unwritten(told, array.fill_value)] = 0
                    wrong = _wrong_length(rows, trial.n_frames, array.fill_value)
                    wrong = wrong or _wrong_values(name, rows[: trial.n_frames])
            if wrong:
                verdict.broken.append(f"{name} {wrong}")
                # One without the other is no result.
                verdict.empty = [*ROWS]

    def _replacement(self, trial: StoredTrial, verdict: Verdict) -> None:
        if verdict.status == Status.REPLACING:
            try:
                found = Replacement(self.store, self.mode, trial.slot).read(trial.n_frames)
            except Exception:  # whatever a codec makes of damaged bytes
                found = None
            if found is None:
                verdict.broken.append("is marked as being replaced, but by no result that is whole")
                verdict.empty += [*ROWS, "replacement"]
        elif any(self._is_abandoned(array, trial.slot) for array in self._beside.values()):
            verdict.left.append(
                "a second result is on disk that nobody needs, as a run that was killed leaves it"
            )
            verdict.empty.append("replacement")

    def _on_disk(self, array: Array, place: tuple[int, ...]) -> bool:
        """Whether anything is written there; of a store that cannot be listed, no."""
        return not is_url(self.store.address) and has_chunks(self._folder(array, place))

    def _is_abandoned(self, array: Array, slot: int) -> bool:
        """Whether what is written there is of no run that may still be at work."""
        return self._on_disk(array, (slot,)) and is_old(self._folder(array, (slot,)))

    def _folder(self, array: Array, place: tuple[int, ...]) -> str:
        return os.path.join(self.store.address, array.path, "c", *map(str, place))

    def _kept_features(self, trial: StoredTrial, verdict: Verdict) -> None:
        if _kept(verdict.record) is None:
            if any(self._is_abandoned(array, trial.slot) for array in self._features.values()):
                verdict.left.append(
                    "features are on disk that nothing vouches for, as a run that was killed "
                    "leaves them"
                )
                verdict.empty.append("features")
            return
        for name, array in self._features.items():
            try:
                if self.quick and not is_url(self.store.address) and name != "logit":
                    gaps = missing_blocks(self.store.address, array, trial.slot, trial.n_frames)
                else:
                    gaps = self._gaps(array, trial)
                wrong = f"are incomplete from frame {gaps[0]} on" if gaps else ""
            except Exception as problem:  # whatever a codec makes of damaged bytes
                wrong = f"cannot be read ({reason(problem)})"
            if wrong:
                verdict.features.append(f"features ({name}) {wrong}")
        if verdict.features:
            verdict.empty.append("features")

    def _gaps(self, array: Array, trial: StoredTrial) -> list[int]:
        for start in range(0, trial.n_frames, FEATURE_CHUNK):
            stop = min(start + FEATURE_CHUNK, trial.n_frames)
            values = np.asarray(array[trial.slot, start:stop])
            missing = np.isnan(values).any(axis=1)
            if len(values) < stop - start or missing.any():
                return [start + int(np.argmax(missing))]
        return []

    # ---------------------------------------------------------------- putting it right

    def _repair(self, trial: StoredTrial) -> bool:
        """Finish or reset what is broken, once nobody else is at work on the trial."""
        address = self.store.address
        with waiting_for(address, of_trial(self.mode, trial.key), WAIT_S):
            for _ in range(ATTEMPTS):
                verdict = self.look_anew(trial)
                if verdict.status == Status.REPLACING and self._is_finished(trial):
                    continue
                if verdict.is_sound:
                    return True
                reset_trial(address, self._reset(trial, verdict))
            return self.look_anew(trial).is_sound

    def _is_finished(self, trial: StoredTrial) -> bool:
        """Move a new result to its place; False where that cannot be."""
        try:
            results = TrialResults(Store(self.store.address), self.mode, trial.key)
            return results.finish_replacement()
        except StoreError:  # damaged
            return False

    def _reset(self, trial: StoredTrial, verdict: Verdict) -> Reset:
        features = None if verdict.features else verdict.record.features
        sequence = None if verdict.broken else verdict.record.sequence
        status = Status.FEATURES if verdict.broken else Status(verdict.status)
        if status == Status.FEATURES and _kept(Record(features)) is None:
            status = Status.NONE
        said = {"features": features, "sequence": sequence, "claim": uuid4().hex}
        return Reset(
            mode=self.mode,
            key=trial.key,
            found=verdict.provenance,
            provenance=json.dumps(said),
            status=status,
            empty=(*verdict.empty, *(("error",) if verdict.broken else ())),
        )


def _kept(record: Record) -> dict[str, Any] | None:
    """What vouches for stored features, if anything does."""
    return record.features if record.features and record.features["kept"] != "none" else None


def _unwritten(rows: npt.NDArray[Any], fill: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isnan(rows) if np.isnan(fill) else rows == fill)


def _wrong_length(rows: npt.NDArray[Any], n_frames: int, fill: Any) -> str:
    """How a trial's padded row differs from one that is as long as the trial."""
    if len(rows) < n_frames:
        return f"has room for {len(rows)} of {n_frames} frames"
    unwritten = _unwritten(rows, fill)
    missing = unwritten[:n_frames].any(axis=1)
    if missing.any():
        return f"is missing in {int(missing.sum())} of {n_frames} frames"
    beyond = int((~unwritten[n_frames:]).any(axis=1).sum())
    return f"goes on for {beyond} frames after the last of {n_frames}" if beyond else ""


def _wrong_values(name: str, rows: npt.NDArray[Any]) -> str:
    """What no model can have said."""
    if name == "ethogram":
        return "" if np.isin(rows, (0, 1)).all() else "holds other values than 0 and 1"
    return "" if ((rows >= 0) & (rows <= 1)).all() else "holds values outside 0 to 1"
