"""Made-up stores for benchmarks: trials, labels and results, without a video or a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import soupxr as sx
from soupxr.evaluation.decisions import decide, decision_from, identity
from soupxr.inference.provenance import Record
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS
from soupxr.schema import Status
from soupxr.store import Store, add_trials, write_annotations

__all__ = [
    "ANNOTATOR",
    "MODE",
    "N_FRAMES",
    "mark_complete",
    "mask_of",
    "new_store",
    "rows",
    "with_results",
]

N_FRAMES = 2500
FPS = 500.0
MODE = "fast"
ANNOTATOR = "human"
#: Bouts of each behavior in a made-up trial.
BOUTS = 4
#: Trials whose results are written at once.
AT_ONCE = 50

Mask = npt.NDArray[np.int8]
Probability = npt.NDArray[np.float32]


def rows(n_trials: int) -> list[TrialRow]:
    """Made-up trials: 50 in a session, 5 sessions an animal."""
    made = []
    for number in range(n_trials):
        animal, session, trial = f"M{number // 250}", f"S{number // 50 % 5}", number % 50
        stem = f"{animal}/{session}/reach"
        videos = tuple(f"{stem}_{view}_v{trial:03d}.mp4" for view in ("side", "front"))
        made.append(TrialRow(animal, session, trial, videos, N_FRAMES, FPS))
    return made


def new_store(address: Path, root: Path, n_trials: int) -> str:
    """A store of so many trials without results."""
    sx.create(address, data_root=root)
    add_trials(str(address), rows(n_trials), "table")
    return str(address)


def mask_of(seed: int) -> Mask:
    """A mask (frame, behavior) with a few bouts of 20 to 100 frames of each behavior."""
    random = np.random.default_rng(seed)
    mask = np.zeros((N_FRAMES, len(BEHAVIORS)), np.int8)
    for behavior in range(len(BEHAVIORS)):
        for start in random.integers(0, N_FRAMES - 100, BOUTS):
            mask[start : start + random.integers(20, 100), behavior] = 1
    return mask


def mark_complete(address: str) -> None:
    """Mark all trials as complete, whatever there is of them."""
    store = Store(address)
    status = store.arrays["status"]
    row = np.full(status.shape[1], int(Status.COMPLETE), np.int8)
    status[store.mode_index(MODE)] = row


def with_results(address: Path, root: Path, n_trials: int) -> str:
    """A store of trials that a person has labelled and a mode has judged, fairly well."""
    name = new_store(address, root, n_trials)
    masks = [mask_of(number) for number in range(n_trials)]
    keys = (row.key for row in rows(n_trials))
    write_annotations(name, ANNOTATOR, dict(zip(keys, masks, strict=True)))
    for first in range(0, n_trials, AT_ONCE):
        _write_results(name, first, masks[first : first + AT_ONCE])
    mark_complete(name)
    return name


def _write_results(address: str, first: int, masks: Sequence[Mask]) -> None:
    store = Store(address)
    decision = decision_from([0.5] * len(BEHAVIORS), [10] * len(BEHAVIORS))
    part = identity(decision, BEHAVIORS) | {"sequence_model": "0" * 64}
    provenance = Record(sequence={"identity": part, "features": {}, "role": "unseen"}).dump()
    probabilities = [_probability(mask, first + i) for i, mask in enumerate(masks)]
    mode, slots = store.mode_index(MODE), slice(first, first + len(masks))
    store.arrays["probability"][mode, slots, :N_FRAMES] = np.stack(probabilities)
    ethograms = [decide(decision, probability) for probability in probabilities]
    store.arrays["ethogram"][mode, slots, :N_FRAMES] = np.stack(ethograms)
    store.arrays["provenance"][mode, slots] = np.full(len(masks), provenance, dtype=object)


def _probability(mask: Mask, seed: int) -> Probability:
    """Logits that follow the mask with noise, smooth over frames as a sequence model's are."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(N_FRAMES + 24, mask.shape[1])).cumsum(axis=0)
    smooth = (noise[24:] - noise[:-24]) / np.sqrt(24)
    logits = 6.0 * mask - 3.0 + 1.5 * smooth + 0.1 * random.normal(size=mask.shape)
    return (1 / (1 + np.exp(-logits))).astype(np.float32)
