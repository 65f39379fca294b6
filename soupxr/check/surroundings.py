"""Are the videos and the checkpoints that a store speaks of there, and what they were?"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from soupxr.check.found import Finding, reason
from soupxr.errors import ArgumentError, VideoError
from soupxr.inference.provenance import Record
from soupxr.ingest import resolve_video
from soupxr.store import Store, StoredTrial, models
from soupxr.store.address import is_url
from soupxr.video import VideoInfo, probe_many
from soupxr.video.fingerprint import fingerprint
from soupxr.video.remote import is_remote

__all__ = ["Checkpoints", "Fingerprints", "video_findings"]

#: Trials whose videos are measured at once, between two steps of the progress bar.
WAVE = 64


# ------------------------------------------------------------------ videos


class Fingerprints:
    """Videos that results were made of, by mode and trial."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, list[str]]] = {}

    def note(self, mode: str, trial: StoredTrial, record: Record) -> None:
        """Keep what a record says of its videos."""
        features = record.features["identity"] if record.features else {}
        made_of = (record.sequence or {}).get("features") or features
        if made_of.get("video"):
            self._of.setdefault(trial.key, {})[mode] = list(made_of["video"])

    def of(self, trial: StoredTrial) -> dict[str, list[str]]:
        """Fingerprints by mode."""
        return self._of.get(trial.key, {})


def video_findings(
    root: Path,
    trials: Sequence[StoredTrial],
    known: Fingerprints,
    progress: Callable[[int], object],
) -> Iterator[Finding]:
    """Videos that are missing, cannot be read, or are not those that were added."""
    # Behind a URL, many servers give files but list no folders.
    if not is_remote(root) and not root.is_dir():
        progress(sum(len(trial.video_paths) for trial in trials))
        problem = (
            f"the folder of the videos, {root}, is not there; no video was looked at. Is its drive "
            "connected? If it has another name here, say so: sx.set_options(data_root=…), or "
            "--data-root in a shell"
        )
        yield Finding("error", "video", problem)
        return
    yield from _shared(trials)
    for start in range(0, len(trials), WAVE):
        wave = trials[start : start + WAVE]
        paths = {trial.key: _paths(root, trial) for trial in wave}
        every = list(dict.fromkeys(path for found in paths.values() for path in found))
        facts = dict(zip(every, probe_many(every, progress=lambda *_: progress(1)), strict=True))
        for trial in wave:
            infos = [facts[path] for path in paths[trial.key]]
            yield from _judge(trial, infos, known.of(trial))


def _shared(trials: Sequence[StoredTrial]) -> Iterator[Finding]:
    """Videos of more than one trial: what was learnt from the one would judge the other."""
    first: dict[str, str] = {}
    for trial in trials:
        known = {first.setdefault(path, trial.key) for path in trial.video_paths}
        if others := sorted(known - {trial.key}):
            problem = f"its video is also that of {', '.join(others)}"
            named = (trial.animal, trial.session, trial.trial_id)
            yield Finding("warning", "video", problem, named)


def _paths(root: Path, trial: StoredTrial) -> list[Path]:
    try:
        return [resolve_video(root, path) for path in trial.video_paths]
    except ArgumentError:  # told with the table
        return []


def _judge(
    trial: StoredTrial, infos: Sequence[VideoInfo | VideoError], made_of: dict[str, list[str]]
) -> Iterator[Finding]:
    named = (trial.animal, trial.session, trial.trial_id)
    unreadable = [info for info in infos if isinstance(info, VideoError)]
    for error in unreadable:
        yield Finding("error", "video", str(error), named)
    videos = [info for info in infos if isinstance(info, VideoInfo)]
    if unreadable or not videos:
        return
    n_frames, fps = min(info.n_frames for info in videos), videos[0].fps
    if n_frames != trial.n_frames or not math.isclose(fps, trial.fps, rel_tol=1e-6):
        yield Finding(
            "error",
            "video",
            f"the video has {n_frames} frames at {fps:g} Hz, but had {trial.n_frames} at "
            f"{trial.fps:g} Hz when it was added; infer with overwrite=True corrects that",
            named,
        )
        return
    try:
        now = [fingerprint(info.path) for info in videos]
    except (OSError, VideoError) as error:  # gone, or silent, since it was measured
        yield Finding("error", "video", f"a video cannot be read ({reason(error)})", named)
        return
    for mode, then in made_of.items():
        if then != now:
            problem = "the video is another one than this result was made of"
            yield Finding("warning", "video", problem, named, mode)


# ------------------------------------------------------------------ checkpoints


class Checkpoints:
    """Models that results were made with, and those that the store knows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._paths: dict[str, set[str]] = {}
        self._kinds: dict[str, str] = {}
        self._results: Counter[str] = Counter()
        for model in models(store):
            self._note(model.sha256, model.path, f"{model.kind.replace('_', ' ')} ({model.mode})")

    def note(self, mode: str, record: Record) -> None:
        """Keep what a record says of its models."""
        features, sequence = record.features or {}, record.sequence or {}
        for part, name in (
            (features, "flow_model"),
            (features, "feature_model"),
            (sequence, "sequence_model"),
        ):
            sha256, path = part.get("identity", {}).get(name), part.get(name)
            if isinstance(sha256, str) and isinstance(path, str):
                self._note(sha256, path, f"{name.replace('_', ' ')} ({mode})")
                self._results[sha256] += 1

    def findings(self) -> Iterator[Finding]:
        """Checkpoints that are not where they were, or not what they were."""
        for sha256, paths in self._paths.items():
            there = [place for path in sorted(paths) if (place := self._place(path))]
            try:
                if any(_digest(place) == sha256 for place in there):
                    continue
                state = "has changed" if there else "is missing"
            except OSError as error:
                state = f"cannot be read ({reason(error)})"
            n = self._results[sha256]
            yield Finding(
                "warning",
                "checkpoint",
                f"the {self._kinds[sha256]} {min(paths)} {state}; "
                + (f"{n} result(s) were made with it" if n else "it was trained on this store"),
            )

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._paths)

    def _note(self, sha256: str, path: str, kind: str) -> None:
        self._paths.setdefault(sha256, set()).add(path)
        self._kinds.setdefault(sha256, kind)

    def _place(self, path: str) -> str | None:
        """Where a checkpoint lies; what was given as a relative path may be beside the store."""
        beside = [] if is_url(self._store.address) else [str(Path(self._store.address).parent)]
        return next(filter(os.path.isfile, _candidates(path, beside)), None)


def _candidates(path: str, folders: Iterable[str]) -> Iterator[str]:
    yield path
    for folder in folders:
        yield os.path.join(folder, path)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
