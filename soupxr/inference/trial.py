"""One trial, from its videos to its committed ethogram."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from soupxr.dataset import data_root
from soupxr.errors import CheckpointError, SoupError, StoreError, VideoError
from soupxr.inference.engine import FeatureEngine, choose_device
from soupxr.inference.plan import ModelFile, Plan
from soupxr.inference.preprocess import Preprocessing, Statistics
from soupxr.inference.provenance import Record, differences, features_part, sequence_part
from soupxr.inference.sequence import class_probabilities
from soupxr.inference.sink import FeatureSink, rounded
from soupxr.inference.standing import made_otherwise
from soupxr.inference.stream import Behind, blocks_of, look_ahead
from soupxr.inference.task import Outcome, Report, Task
from soupxr.inference.underway import under_way
from soupxr.inference.versions import check_version
from soupxr.ingest import resolve_video
from soupxr.models import checkpoint
from soupxr.models.tgmj import TGMJ
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.schema import FEATURE_CHUNK, Status
from soupxr.store import Overtaken, Store, StoredTrial, TrialResults, correct_trial
from soupxr.store.leases import Held, Lease, of_trial, take
from soupxr.video import VideoInfo, VideoReader, lazy_frames, probe
from soupxr.video.fingerprint import fingerprint

__all__ = ["forget_models", "process", "record_failure"]

log = logging.getLogger(__name__)

#: Statistics of a trial are taken over every tenth frame, as for the published models.
STATISTICS_STRIDE = 10
#: Processes that may die over a trial before it is given up.
MOST_DEATHS = 3

FeatureStream = Generator[npt.NDArray[np.float32], None, None]

#: Trials that dask runs in several threads wait for one loading instead of each doing it.
_LOADING = threading.Lock()


def process(task: Task, report: Report | None = None) -> Outcome:
    """Infer one trial and commit it; a failure is recorded in the store and in the outcome.

    A trial that another run is at work on is left alone; one that it has done meanwhile, too.

    Parameters
    ----------
    report : callable, optional
        Told how many more frames are done, now and then.

    Raises
    ------
    VersionMismatch
        If the task was made by another version of soupxr.
    """
    check_version(task.version)
    started = time.perf_counter()
    work = _Work(task, report or (lambda _: None))
    held, error = None, None
    try:
        lease = take(task.address, of_trial(task.plan.mode.name, task.key), task.dead)
        if isinstance(lease, Held):
            held = lease
        else:
            with under_way(lease):
                error = _under_lease(task, work, lease)
    except Exception as failure:  # no lease can be had: the store is gone, or cannot be written
        error = record_failure(task, _reason(failure))
    return Outcome(
        key=task.key,
        n_frames=work.n_frames,
        seconds=time.perf_counter() - started,
        error=error,
        notes=tuple(work.notes),
        held=held,
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


def _under_lease(task: Task, work: _Work, lease: Lease) -> str | None:
    """Work on the trial that is ours now; say why it failed, or None."""
    if lease.deaths >= MOST_DEATHS:
        return record_failure(
            task,
            f"{lease.deaths} processes in a row died while they worked on this trial, most likely "
            "for want of memory. Look at the video; on a smaller batch_size it may go well.",
        )
    try:
        work.run()
    except Overtaken as overtaken:
        work.notes.append(f"{overtaken}; this one was left to it")
    except Exception as failure:
        log.debug("trial %s failed", task.key, exc_info=True)
        return record_failure(task, _reason(failure))
    return None


def record_failure(task: Task, reason: str) -> str:
    """Write down in the store why a trial failed; returns what is told of it."""
    try:
        TrialResults(Store(task.address), task.plan.mode.name, task.key).fail(reason)
    except (StoreError, OSError) as unwritable:
        return f"{reason} (and this could not be recorded: {unwritable})"
    return reason


def _reason(failure: Exception) -> str:
    if isinstance(failure, SoupError):
        return str(failure)
    return f"{type(failure).__name__}: {failure}"


class _Work:
    """The steps of one trial, and what they find out on the way."""

    def __init__(self, task: Task, report: Report) -> None:
        self.address = task.address
        self.key = task.key
        self.plan = task.plan
        self.task = task
        self.redo_features = task.redo_features
        self.report = report
        self.notes: list[str] = []
        self.n_frames = 0

    def run(self) -> None:
        self._open()
        trial = self.store.trial(self.key)
        self.n_frames = trial.n_frames
        mark = self._finished_mark(trial)
        if not self.task.redo and self._needs_no_network(trial, mark):
            self.report(trial.n_frames)
            return
        if self.plan.feature is None:
            features = self._stored_features(trial)
        else:
            features = self._features_from(trial)
        with closing(features):
            if self.plan.sequence is None:
                for _ in features:
                    pass
            else:
                self._ethogram(features)

    def _open(self) -> None:
        """Open the store as it is now."""
        self.store = Store(self.address)
        self.results = TrialResults(self.store, self.plan.mode.name, self.key)
        self.record = Record.parse(self.results.provenance)

    def _finished_mark(self, trial: StoredTrial) -> Status:
        """The trial's mark, once what died while it replaced a result is finished."""
        (mark,) = self.store.statuses(self.plan.mode.name, [trial.slot])
        if mark == Status.REPLACING and self.results.finish_replacement():
            self._open()
            return Status.COMPLETE
        return Status(int(mark))

    def _needs_no_network(self, trial: StoredTrial, mark: Status) -> bool:
        """Whether it was done meanwhile, or by a process that died, or can be at once."""
        other = made_otherwise(self.store, trial.slot, mark, self.plan)
        if other is not None:
            if other:
                self.notes.append(
                    f"{self.key}: is complete meanwhile, with other settings than asked for "
                    f"({', '.join(other)}); pass overwrite=True to redo it"
                )
            return True
        return mark == Status.DECIDING and self._is_decided(trial)

    def _is_decided(self, trial: StoredTrial) -> bool:
        """Finish what died while it decided anew; whether that gives what the plan would make."""
        part = self.record.sequence
        if part is None or self.plan.decision is None:
            return False
        wanted = self.plan.sequence_identity()
        same_features = self.plan.feature is None or not differences(
            part["features"], self.plan.features_identity()
        )
        if part["identity"]["sequence_model"] != wanted["sequence_model"] or not same_features:
            return False
        row = self.store.mode_index(self.plan.mode.name)
        probability = self.store.rows("probability", row, trial)
        # The background comes first; nothing depends on it.
        ethogram = self.plan.decision(np.pad(probability, ((0, 0), (1, 0))))
        self.record = replace(self.record, sequence={**part, "identity": wanted})
        self.results.decide_anew(ethogram, self.record.dump())
        return True

    # -------------------------------------------------------------- features

    def _features_from(self, trial: StoredTrial) -> FeatureStream:
        """Features of the trial's video: stored ones where they are the same, else new ones."""
        root = data_root(self.store, self.task.data_root)
        paths = [resolve_video(root, path) for path in trial.video_paths]
        video = _fingerprints(paths)
        if not self.redo_features and self._can_reuse(video):
            return self._stored_features(trial)
        infos = [probe(path) for path in paths]
        return self._new_features(self._corrected(trial, infos), infos, video)

    def _corrected(self, trial: StoredTrial, infos: list[VideoInfo]) -> StoredTrial:
        """The trial as its videos are now, in the store too."""
        n_frames, fps = min(info.n_frames for info in infos), infos[0].fps
        self.n_frames = n_frames
        if n_frames == trial.n_frames and math.isclose(fps, trial.fps, rel_tol=1e-6):
            return trial
        self.notes.append(
            f"{self.key}: the video had {trial.n_frames} frames at {trial.fps:g} Hz when it was "
            f"added and has {n_frames} at {fps:g} Hz now; earlier results of all modes are void"
        )
        correct_trial(self.address, self.key, n_frames, fps)
        self._open()
        return replace(trial, n_frames=n_frames, fps=fps)

    def _can_reuse(self, video: list[str]) -> bool:
        wanted = self.plan.features_identity() | {"video": video}
        return self.record.vouches_for(wanted, self.plan.keep)

    def _stored_features(self, trial: StoredTrial) -> FeatureStream:
        if self.record.features is None or self.record.features["kept"] == "none":
            raise StoreError(
                f"there are no stored features in mode {self.plan.mode.name}. "
                "Run ds.soup.infer(...) or ds.soup.feature_extractor.infer(...) first."
            )
        wanted = self.plan.sequence_wants
        if wanted not in (None, self.record.features["identity"]["feature_model"]):
            raise StoreError(
                "the stored features are of another feature extractor than the sequence model "
                "learnt from. Run ds.soup.feature_extractor.infer(...) with that one, or train the "
                "sequence model anew."
            )
        for start in range(0, trial.n_frames, FEATURE_CHUNK):
            stop = min(start + FEATURE_CHUNK, trial.n_frames)
            part = self.results.read_features(start, stop)
            if any(np.isnan(values).any() for values in part.values()):
                raise StoreError(
                    f"the stored features of frames {start} to {stop} are incomplete. "
                    "Run ds.soup.feature_extractor.infer(..., overwrite=True)."
                )
            self.report(stop - start)
            yield np.concatenate([part["spatial"], part["flow"]], axis=1)

    def _new_features(
        self, trial: StoredTrial, infos: list[VideoInfo], video: list[str]
    ) -> FeatureStream:
        """Extract features and store them on the way, as the plan wants them kept."""
        preprocessing = self._preprocessing(trial, infos)
        join = self.store.attrs["join"]
        frames = lazy_frames([info.path for info in infos], trial.n_frames, infos, join=join)
        engine = _engine(self.plan)
        keep = self.plan.keep
        self.results.start_features(self.record.dump_claim())
        # Closed by name: a notebook keeps the traceback, and with it all that it refers to.
        with (
            closing(look_ahead(blocks_of(frames))) as blocks,
            closing(engine.extract(blocks, preprocessing, self.plan.every)) as stream,
            Behind() as behind,
        ):
            sink = FeatureSink(self.results, behind) if keep != "none" else None
            for features in stream:
                kept = rounded(features) if keep == "float16" else features
                if sink is not None:
                    sink.add(kept)
                self.report(len(kept))
                yield np.concatenate([kept.spatial, kept.flow], axis=1)
            if sink is not None:
                sink.close()
        if video and _fingerprints([info.path for info in infos]) not in (video, []):
            raise VideoError(
                "a video was replaced while it was read, and nobody knows which of the two was "
                "seen. Call infer again."
            )
        part = features_part(
            self.plan, video, preprocessing, str(engine.device), self.task.feature_role
        )
        self.record = replace(self.record, features=part)
        if keep != "none":
            self.results.commit_features(self.record.dump())

    def _preprocessing(self, trial: StoredTrial, infos: list[VideoInfo]) -> Preprocessing:
        moments = self.plan.normalization
        if moments is None:
            statistics = trial_statistics(infos, trial.n_frames)
            moments = statistics.mean, statistics.std
        return Preprocessing(self.plan.image_size, self.plan.preprocessing, *moments)

    # -------------------------------------------------------------- ethogram

    def _ethogram(self, features: FeatureStream) -> None:
        """Decide and commit."""
        assert self.plan.decision is not None
        probability = class_probabilities(_sequence_model(self.plan), features)
        ethogram = self.plan.decision(probability)
        assert self.record.features is not None
        part = sequence_part(self.plan, self.record.features, self.task.sequence_role)
        self.record = replace(self.record, sequence=part)
        self.results.commit(probability[:, 1:], ethogram, self.record.dump())


def _fingerprints(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Fingerprint of each video; none where one cannot be read, and probing says why."""
    try:
        return [fingerprint(path) for path in paths]
    except OSError:
        return []


def trial_statistics(
    infos: Sequence[VideoInfo], n_frames: int, into: Statistics | None = None
) -> Statistics:
    """Statistics over every tenth frame of the joined picture, padding included.

    ``into`` adds them to those of other trials.
    """
    statistics = Statistics() if into is None else into
    tallest = max(info.height for info in infos)
    for info in infos:
        with VideoReader(info.path, info) as reader:
            for frames in reader.sample(every=STATISTICS_STRIDE, stop=n_frames):
                statistics.add(frames)
                statistics.add_black(len(frames) * (tallest - info.height) * info.width)
    return statistics


# ------------------------------------------------------------------ models, loaded once a process


@lru_cache(maxsize=1)
def _load_engine(
    flow: ModelFile | None, feature: ModelFile, device: str, precision: str, batch: int | str
) -> FeatureEngine:
    model = _read(feature).build(flow_generator=None if flow is None else _read(flow))
    assert isinstance(model, HiddenTwoStream)
    return FeatureEngine(model, choose_device(device), precision, batch)


def _engine(plan: Plan) -> FeatureEngine:
    assert plan.feature is not None
    with _LOADING:
        return _load_engine(plan.flow, plan.feature, plan.device, plan.precision, plan.batch_size)


@lru_cache(maxsize=1)
def _load_sequence(file: ModelFile, device: str) -> TGMJ:
    model = _read(file).build().to(choose_device(device))
    assert isinstance(model, TGMJ)
    return model


def _sequence_model(plan: Plan) -> TGMJ:
    assert plan.sequence is not None
    with _LOADING:
        return _load_sequence(plan.sequence, plan.device)


def _read(file: ModelFile) -> checkpoint.Checkpoint:
    found = checkpoint.read(file.path)
    if found.sha256 != file.sha256:
        raise CheckpointError(
            f"{file.path}: the checkpoint was replaced while it was in use; start again."
        )
    return found


def forget_models() -> None:
    """Free the memory of loaded models."""
    _load_engine.cache_clear()
    _load_sequence.cache_clear()
