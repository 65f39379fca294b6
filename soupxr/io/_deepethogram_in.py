"""Projects of DeepEthogram, from their files to trials, labels and results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.bouts import MINIMUM_THRESHOLD
from soupxr.dataset import data_root
from soupxr.errors import ArgumentError, FormatError, expected
from soupxr.io._deepethogram_project import BACKGROUND, Project, ProjectVideo
from soupxr.io.arrays import Misfit, digest, ethogram_of, fitted, spread
from soupxr.io.gather import Address, Gathering, NewTrial
from soupxr.io.hdf5 import array, open_file, texts
from soupxr.io.sheet import is_empty, read_rows, to_number
from soupxr.modes import MODES
from soupxr.schema import trial_key
from soupxr.store import ImportedResult, StoredTrial

__all__ = ["Wanted", "take"]

#: What the index column is called: by pandas not at all.
INDEX = frozenset(["", "unnamed: 0", "index", "frame", "0"])


@dataclass(frozen=True)
class Wanted:
    """Which results are wanted."""

    mode: str | None
    group: str | None
    any: bool


def take(
    project: Project,
    gathering: Gathering,
    annotator: str | None,
    experiment: str,
    wanted: Wanted,
) -> None:
    """Put a project into a gathering."""
    if wanted.mode is not None and wanted.mode not in MODES:
        raise ArgumentError(expected("mode", f"one of {list(MODES)}", wanted.mode))
    views = gathering.store.labels("view")
    if len(views) != 1:
        raise FormatError(
            f"{project.folder}: DeepEthogram keeps one joined video a trial, but the store has the "
            f"views {views}. Make a store of one view: soupxr.create(…, views=['joined'])."
        )
    who = annotator or project.labeler
    videos = _addressed(project, gathering)
    facts = gathering.add_trials(
        {
            address: NewTrial(
                video.name, {views[0]: video.video}, experiment, f"DeepEthogram {video.name}"
            )
            for address, video in videos.items()
        }
    )
    for address, video in videos.items():
        if address not in facts:
            continue
        trial = facts[address]
        if video.labels is None:
            gathering.leave(f"labels of {video.name}: it has none")
        elif not who:
            raise ArgumentError(
                "annotator: expected who labelled, for the project names no labeler. "
                "Pass annotator=..."
            )
        else:
            _take_labels(project, video.labels, trial, gathering, who)
        if wanted.any and video.outputs is not None:
            _take_results(project, video, trial, gathering, wanted)
    _tell_of_the_rest(project, gathering)


def _addressed(project: Project, gathering: Gathering) -> dict[Address, ProjectVideo]:
    """Each video, by the trial that it becomes."""
    root = data_root(gathering.store).resolve()
    stored = {
        (root / path).resolve(): (trial.animal, trial.session, trial.trial_id)
        for trial in gathering.store.trials(gathering.store.keys())
        for path in trial.video_paths
    }
    found: dict[Address, ProjectVideo] = {}
    for number, video in enumerate(project.videos, start=1):
        said = gathering.finder.said(video.name)
        if said is None and gathering.finder.names is not None:
            gathering.problems.append(f"{video.name}: trials= does not say which trial this is.")
            continue
        known = stored.get(video.video.resolve())
        if said is not None and known is not None and said != known:
            gathering.problems.append(
                f"{video.name}: its video is the trial {trial_key(*known)} already, not "
                f"{trial_key(*said)}, as trials= says. Leave that out, or remove the trial first."
            )
        address = said or known or (project.name, "DATA", number)
        if address in found:
            gathering.problems.append(
                f"{video.name}: is the same trial as {found[address].name}, by what trials= says."
            )
        found[address] = video
    return found


def _take_labels(
    project: Project, path: Path, trial: StoredTrial, gathering: Gathering, annotator: str
) -> None:
    try:
        names, values = _labels(project, path)
        notes: list[str] = []
        labels = ethogram_of(fitted(values, trial.n_frames, -1, notes))
        _check_background(names, labels)
    except (Misfit, FormatError) as error:
        gathering.problems.append(_named(path, error))
        return
    for note in notes:
        gathering.note(f"{path.name}: {note}")
    if (labels == -1).all():
        gathering.leave(f"labels of {path.name}: nothing is labelled")
        return
    columns = _columns(names, gathering, path.name)
    mask = spread(labels, columns, len(gathering.behaviors), -1)
    gathering.label(annotator, trial.key, mask, path.name)


def _labels(project: Project, path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    """Names of columns, and values (frame, class)."""
    if path.suffix == ".h5":
        with open_file(path) as file:
            name = next((n for n in ("labels", "scores") if n in file), None)
            if name is None:
                raise Misfit("expected a dataset named labels or scores")
            values = array(file[name])
        values = values[:, None] if values.ndim == 1 else values
        values = values.T if values.ndim == 2 and values.shape[0] < values.shape[1] else values
        if values.shape[1] not in (len(project.classes), len(project.behaviors)):
            raise Misfit(f"has {values.shape[1]} classes, the project {len(project.classes)}")
        with_background = values.shape[1] == len(project.classes)
        return (project.classes if with_background else project.behaviors), values
    rows = read_rows(path)
    if len(rows) < 2:
        raise Misfit("expected a header and a row a frame")
    header = [str(cell).strip() for cell in rows[0].cells]
    first = int(header[0].lower() in INDEX)
    for row in rows[1:]:
        if len(row.cells) != len(header):
            raise Misfit(f"row {row.number}: {len(row.cells)} cells under {len(header)} headers")
        strange = [cell for cell in row.cells[first:] if not _is_label(cell)]
        if strange:
            raise Misfit(f"row {row.number}: expected 1, 0 or -1, but got {strange[0]!r}")
    values = np.array([[to_number(cell) for cell in row.cells[first:]] for row in rows[1:]])
    return header[first:], values


def _is_label(cell: object) -> bool:
    """Whether it is a number, or nothing, which is unlabelled."""
    return is_empty(cell) or str(cell).strip().lower() in ("na", "nan") or isfinite(to_number(cell))


def _check_background(names: Sequence[str], labels: npt.NDArray[np.int8]) -> None:
    if BACKGROUND in names:
        place = list(names).index(BACKGROUND)
        both = (labels[:, place] == 1) & (np.delete(labels, place, axis=1) == 1).any(axis=1)
        if both.any():
            raise Misfit(f"frame {int(np.argmax(both))}: background and a behavior at once")


def _columns(names: Sequence[str], gathering: Gathering, where: str) -> dict[int, int]:
    """Place of their column → place of our behavior."""
    return {
        place: gathering.behaviors.index(ours)
        for place, name in enumerate(names)
        if name != BACKGROUND and (ours := gathering.behavior(name, where)) is not None
    }


# ------------------------------------------------------------------ results


def _take_results(
    project: Project, video: ProjectVideo, trial: StoredTrial, gathering: Gathering, wanted: Wanted
) -> None:
    assert video.outputs is not None
    notes: list[str] = []
    try:
        with open_file(video.outputs) as file:
            group, mode = _group_and_mode(file, wanted)
            if group is None:
                gathering.leave(f"{video.outputs.name}: holds no probabilities")
                return
            entry = file[group]
            probability = array(entry["P"]).astype(np.float32)
            names = texts(entry["class_names"]) if "class_names" in entry else project.classes
            thresholds = array(entry["thresholds"]) if "thresholds" in entry else None
        if probability.ndim != 2 or probability.shape[1] != len(names):
            raise Misfit(f"{group}/P: expected (frame, {len(names)}), got {probability.shape}")
        if thresholds is not None and (
            thresholds.shape != (len(names),) or thresholds.dtype.kind not in "fiu"
        ):
            raise Misfit(f"{group}/thresholds: expected {len(names)} numbers")
        probability = fitted(probability, trial.n_frames, np.nan, notes)
        ethogram, how = _decided(video, names, probability, thresholds, trial.n_frames, notes)
    except (Misfit, FormatError, KeyError) as error:
        gathering.problems.append(_named(video.outputs, error))
        return
    for note in notes:
        gathering.note(f"{video.outputs.name}: {note}")
    columns = _columns(names, gathering, video.outputs.name)
    size = len(gathering.behaviors)
    origin: dict[str, Any] = {
        "format": "DeepEthogram",
        "project": project.name,
        "file": video.outputs.name,
        "sha256": digest(video.outputs),
        "group": group,
        "ethogram": how,
    }
    if thresholds is not None:
        told = zip(names, thresholds.tolist(), strict=True)
        origin["thresholds"] = {name: round(value, 6) for name, value in told}
    gathering.leave("features and logits in output files; soupxr makes its own")
    gathering.result(
        mode,
        trial.key,
        ImportedResult(
            spread(probability, columns, size, np.nan),
            spread(ethogram, columns, size, -1).astype(np.int8),
            origin,
        ),
    )


def _group_and_mode(file: Any, wanted: Wanted) -> tuple[str | None, str]:
    """Whose probabilities, and the mode that they become; a sequence model's before others."""
    groups = {name: file[name] for name in file if "P" in file[name]}
    extractors = [name for name in groups if "spatial_features" in groups[name]]
    sequences = [name for name in groups if name not in extractors]
    if wanted.group is not None:
        if wanted.group not in groups:
            raise Misfit(f"expected the group {wanted.group!r}, but there are {sorted(groups)}")
        chosen: list[str] = [wanted.group]
    else:
        chosen = sequences or extractors
    if not chosen:
        return None, ""
    if len(chosen) > 1:
        raise Misfit(f"holds results of {sorted(chosen)}. Say which: group=...")
    if wanted.mode is not None:
        return chosen[0], wanted.mode
    behind = chosen if chosen[0] in extractors else extractors
    modes = {m.name for m in MODES.values() for name in behind if m.backbone == name}
    if len(modes) != 1:
        raise Misfit(f"the networks {sorted(behind)} do not tell a mode. Say which: mode=...")
    return chosen[0], modes.pop()


def _decided(
    video: ProjectVideo,
    names: Sequence[str],
    probability: npt.NDArray[np.float32],
    thresholds: npt.NDArray[Any] | None,
    n_frames: int,
    notes: list[str],
) -> tuple[npt.NDArray[np.int8], str]:
    """Ethogram (frame, class), and how it came about."""
    if video.predictions is not None:
        rows = read_rows(video.predictions)
        header = [str(cell).strip() for cell in rows[0].cells]
        lacking = [name for name in names if name not in header]
        if lacking:
            raise Misfit(f"{video.predictions.name}: expected columns for {', '.join(lacking)}")
        places = [header.index(name) for name in names]
        cells = [[to_number(row.cells[place]) for place in places] for row in rows[1:]]
        values = fitted(np.array(cells).reshape(-1, len(names)), n_frames, -1, notes)
        return ethogram_of(values), video.predictions.name
    if thresholds is None:
        raise Misfit("expected thresholds beside the probabilities, or a predictions.csv")
    limits = np.maximum(thresholds, MINIMUM_THRESHOLD)
    decided = np.where(np.isnan(probability), -1, probability > limits)
    return decided.astype(np.int8), "probability > thresholds"


def _tell_of_the_rest(project: Project, gathering: Gathering) -> None:
    if project.checkpoints:
        told = ", ".join(str(path.relative_to(project.folder)) for path in project.checkpoints[:8])
        gathering.leave(
            f"{len(project.checkpoints)} checkpoint(s), which infer takes as they are "
            f"(flow_model_in=, feature_model_in=, sequence_model_in=): {told}"
        )
    mean, std = (project.normalization.get(name) for name in ("mean", "std"))
    if mean is not None and std is not None:
        gathering.leave(f"the project's normalization=({mean}, {std}), to be passed to infer")
    measured = sum(video.stats is not None for video in project.videos)
    if measured:
        gathering.leave(
            f"stats.yaml of {measured} video(s): infer measures pixels itself, or is told by "
            "normalization="
        )


def _named(path: Path, error: Exception) -> str:
    told = str(error)
    return told if str(path) in told else f"{path}: {told}"
