"""From a selection of trials to what a stage learns from."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from soupxr.dataset import data_root, keys_of, store_of
from soupxr.errors import ArgumentError, SoupWarning, TrainingError, VideoError, listed
from soupxr.framecache import open_cached
from soupxr.inference.preprocess import Preprocessing, Statistics
from soupxr.inference.trial import trial_statistics
from soupxr.ingest import resolve_video
from soupxr.labels import LabelSource, label_source, read_labels, sole_annotator, with_background
from soupxr.store import Store, StoredTrial
from soupxr.training.clips import ClipReader, Clips, VideoClips
from soupxr.training.split import TrialSummary
from soupxr.video import VideoInfo, probe
from soupxr.video.frames import FrameSource

__all__ = [
    "LabelledTrial",
    "Material",
    "class_counts",
    "frame_places",
    "known_frames",
    "labelled_trials",
    "open_clips",
    "pixel_statistics",
    "warn_of_missing",
]

#: Trials from which the mean and deviation of pixels are taken, at most.
STATISTICS_TRIALS = 64


@dataclass(frozen=True)
class LabelledTrial:
    """A trial and what is known of its frames.

    Parameters
    ----------
    labels : ndarray of int8, (n_frames, class), or None
        Background first; −1 unlabelled. None where labels play no part.
    """

    trial: StoredTrial
    labels: npt.NDArray[np.int8] | None = None

    @property
    def key(self) -> str:
        """Which trial."""
        return self.trial.key

    def summary(self) -> TrialSummary:
        """What dividing trials needs to know."""
        labels = self.labels
        return TrialSummary(
            key=self.key,
            animal=self.trial.animal,
            session=self.trial.session,
            n_frames=self.trial.n_frames if labels is None else int(known_frames(labels).sum()),
            positive=() if labels is None else tuple((labels[:, 1:] == 1).sum(axis=0).tolist()),
        )


def known_frames(labels: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Frames of which something is labelled: (frame,)."""
    return np.asarray((labels >= 0).any(axis=1))


class Material:
    """The trials of a selection, as one run of training sees them.

    Parameters
    ----------
    ds : xarray.Dataset
        The selection.
    trials : sequence of LabelledTrial
        Those that can be learnt from.
    """

    def __init__(self, ds: xr.Dataset, trials: Sequence[LabelledTrial]) -> None:
        self.store: Store = store_of(ds)
        self.root: Path = data_root(self.store)
        self.behaviors = tuple(self.store.labels("behavior"))
        self.trials = list(trials)
        self.by_key = {trial.key: trial for trial in self.trials}

    def chosen(self, keys: Sequence[str]) -> list[LabelledTrial]:
        """Those of these keys that there are, in this order."""
        return [self.by_key[key] for key in keys if key in self.by_key]

    def summaries(self) -> list[TrialSummary]:
        """What dividing trials needs to know."""
        return [trial.summary() for trial in self.trials]

    def digest(self) -> str:
        """Tells whether trials and labels are the same as in an earlier call."""
        digest = hashlib.sha256()
        for trial in self.trials:
            digest.update(f"{trial.key} {trial.trial.n_frames}\n".encode())
            if trial.labels is not None:
                digest.update(np.ascontiguousarray(trial.labels).tobytes())
        return digest.hexdigest()


def labelled_trials(
    ds: xr.Dataset, source: str, annotator: str | None, mode: str
) -> tuple[LabelSource, list[LabelledTrial]]:
    """Trials of a selection of which at least one frame is labelled.

    Raises
    ------
    ArgumentError
        If it is not clear whose labels are meant, or there are none.
    """
    store = store_of(ds)
    if source == "annotation":
        labels = label_source(store, annotator=annotator or sole_annotator(store))
    else:
        labels = label_source(store, mode=mode)
    trials = store.trials(list(dict.fromkeys(keys_of(ds))))
    found = [
        LabelledTrial(trial, with_background(mask))
        for trial, mask in read_labels(store, labels, trials)
        if (mask >= 0).any()
    ]
    if not found:
        raise ArgumentError(
            f"{labels.variable} of {labels.name!r}: none of the {len(trials)} selected trials is "
            "labelled. Add labels with ds.soup.annotate(…), or select others."
        )
    return labels, found


# -------------------------------------------------------------------- pictures


def open_clips(
    material: Material, trials: Sequence[LabelledTrial], preprocessing: Preprocessing
) -> list[Clips]:
    """Ways to read these trials' clips: from the frame cache, else from their videos.

    A trial whose video cannot be read is left out, with one warning for all.

    Raises
    ------
    TrainingError
        If none of them can be read.
    """
    clips, faults = [], []
    for trial in trials:
        try:
            reader = _reader(material, trial.trial, preprocessing)
        except VideoError as fault:
            faults.append(f"{trial.key}: {fault}")
            continue
        clips.append(
            Clips(trial.key, trial.trial.n_frames, preprocessing.size, reader, trial.labels)
        )
    if faults:
        message = f"{len(faults)} trial(s) cannot be read and are left out:{listed(faults)}"
        if not clips:
            raise TrainingError(message)
        warnings.warn(message, SoupWarning, stacklevel=2)
    return clips


def _reader(material: Material, trial: StoredTrial, preprocessing: Preprocessing) -> ClipReader:
    cached = open_cached(material.store, trial.key, preprocessing.size, preprocessing.style)
    if cached is not None:
        return cached
    return VideoClips(FrameSource(_infos(material, trial), trial.n_frames), preprocessing)


def _infos(material: Material, trial: StoredTrial) -> list[VideoInfo]:
    infos = [probe(resolve_video(material.root, path)) for path in trial.video_paths]
    short = [info for info in infos if info.n_frames < trial.n_frames]
    if short:
        raise VideoError(
            f"{short[0].path}: expected {trial.n_frames} frames as in the store, but it has "
            f"{short[0].n_frames}. If it was replaced, remove the trial and add it again."
        )
    return infos


def pixel_statistics(material: Material, trials: Sequence[LabelledTrial]) -> Statistics:
    """Mean and deviation of pixels over every tenth frame of the training part.

    Of more than 64 trials, 64 are taken, evenly.

    Raises
    ------
    TrainingError
        If none of them can be read.
    """
    statistics = Statistics()
    faults = []
    places = np.linspace(0, len(trials) - 1, min(len(trials), STATISTICS_TRIALS)).round()
    for place in places.astype(int):
        trial = trials[place].trial
        try:
            trial_statistics(_infos(material, trial), trial.n_frames, into=statistics)
        except VideoError as fault:
            faults.append(f"{trial.key}: {fault}")  # told where clips are opened
    if len(faults) == len(places):
        raise TrainingError(
            f"none of these trials of the training part can be read:{listed(faults)}"
        )
    return statistics


# -------------------------------------------------------------------- places and counts


def frame_places(clips: Sequence[Clips]) -> npt.NDArray[np.int64]:
    """Every frame that can be learnt from: (M, 2), trial and frame."""
    parts = []
    for index, trial in enumerate(clips):
        known = (
            np.ones(trial.n_frames, bool) if trial.labels is None else known_frames(trial.labels)
        )
        frames = np.flatnonzero(known)
        parts.append(np.stack([np.full_like(frames, index), frames], axis=1))
    return np.concatenate(parts).astype(np.int64)


def class_counts(
    labels: Sequence[npt.NDArray[np.int8]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames with and without each class, (K,) each."""
    positive = np.sum([(mask == 1).sum(axis=0) for mask in labels], axis=0)
    negative = np.sum([(mask == 0).sum(axis=0) for mask in labels], axis=0)
    return torch.from_numpy(positive), torch.from_numpy(negative)


def warn_of_missing(positive: torch.Tensor, behaviors: Sequence[str]) -> None:
    """Warn of behaviors that the training part never shows."""
    missing = [
        name for name, count in zip(behaviors, positive[1:].tolist(), strict=True) if not count
    ]
    if missing:
        warnings.warn(
            f"the training part has no example of {', '.join(missing)}: the model will not find "
            "them. Label some, or divide the trials otherwise (group=, seed=).",
            SoupWarning,
            stacklevel=3,
        )
