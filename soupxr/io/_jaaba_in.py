"""Files of JAABA, from cells to masks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.errors import FormatError
from soupxr.io import mat
from soupxr.io.arrays import Misfit, digest, fitted
from soupxr.io.gather import Gathering
from soupxr.store import ImportedResult, StoredTrial

__all__ = ["names_in", "take"]

Mask = npt.NDArray[np.int8]


def names_in(path: Path) -> list[str]:
    """Behaviors that a file tells of."""
    content = mat.load(path)
    if "allScores" in content:
        return [_behavior_of(path, content)]
    labels = _labels_of(path, content)
    names = [str(name) for of_target in _as_list(labels["names"]) for name in _as_list(of_target)]
    return list(dict.fromkeys(name for name in names if not _is_absence(name)))


def take(
    files: Sequence[Path],
    gathering: Gathering,
    annotator: str,
    mode: str | None,
    target: int | None,
) -> None:
    """Put files into a gathering."""
    found = {"scores": _Found(gathering), "labels": _Found(gathering)}
    for path in files:
        try:
            content = mat.load(path)
            trial = gathering.trial(path.name, str(path.parent), path.parent.name)
            if trial is None:
                continue
            if "allScores" in content:
                mask = found["scores"].mask(trial, path)
                _take_scores(path, content, trial, gathering, target, mask)
            else:
                mask = found["labels"].mask(trial, path)
                _take_labels(_labels_of(path, content), path, trial, gathering, target, mask)
        except (Misfit, FormatError) as error:
            told = str(error)
            gathering.problems.append(told if str(path) in told else f"{path}: {told}")
    for kind, of_kind in found.items():
        for key, mask in of_kind.masks.items():
            if (mask == -1).all():
                gathering.leave(f"{key}: nothing of it is in the {kind}")
            elif mode is not None and kind == "scores":
                gathering.result(mode, key, _result(mask, of_kind.sources[key]))
            else:
                names = ", ".join(path.name for path in of_kind.sources[key])
                gathering.label(annotator, key, mask, names)


class _Found:
    """What scores, or labels, say of each trial; -1 where they say nothing."""

    def __init__(self, gathering: Gathering) -> None:
        self._n_behaviors = len(gathering.behaviors)
        self.masks: dict[str, Mask] = {}
        self.sources: dict[str, list[Path]] = defaultdict(list)

    def mask(self, trial: StoredTrial, path: Path) -> Mask:
        """Mask of a trial, to be written into by a file."""
        self.sources[trial.key].append(path)
        shape = (trial.n_frames, self._n_behaviors)
        return self.masks.setdefault(trial.key, np.full(shape, -1, np.int8))


def _result(mask: Mask, sources: Iterable[Path]) -> ImportedResult:
    files = {path.name: digest(path) for path in sources}
    origin = {"format": "JAABA", "file": ", ".join(files), "sha256": files}
    return ImportedResult(np.full(mask.shape, np.nan, np.float32), mask, origin)


# ------------------------------------------------------------------ scores


def _behavior_of(path: Path, content: Mapping[str, Any]) -> str:
    """The behavior of a file of scores: told in it, else by its name."""
    told = content.get("behaviorName")
    if isinstance(told, str) and told:
        return told
    return re.sub(r"^scores_?", "", path.stem, flags=re.IGNORECASE) or path.stem


def _take_scores(
    path: Path,
    content: Mapping[str, Any],
    trial: StoredTrial,
    gathering: Gathering,
    target: int | None,
    mask: Mask,
) -> None:
    ours = gathering.behavior(_behavior_of(path, content), path.name)
    found = content["allScores"]
    if not isinstance(found, dict) or "scores" not in found:
        raise Misfit("expected allScores.scores")
    cells = _as_list(found["scores"])
    place = _target(target, len(cells))
    scores = _numbers(cells[place])
    occurs = scores > 0
    if "postprocessed" in found:
        processed = _as_list(found["postprocessed"])
        _target(place + 1, len(processed))
        occurs = _numbers(processed[place]) > 0
        if occurs.shape != scores.shape:
            raise Misfit(f"{len(scores)} scores, but {len(occurs)} of them postprocessed")
    labels = np.where(np.isnan(scores), -1, occurs).astype(np.int8)
    left = trial.n_frames - len(labels)
    ends = _numbers(found["tEnd"]) if "tEnd" in found and left > 0 else np.empty(0)
    if place < len(ends) and ends[place] == len(labels):
        labels = np.pad(labels, (0, left), constant_values=-1)  # the animal had gone by then
    notes: list[str] = []
    labels = fitted(labels[:, None], trial.n_frames, -1, notes)[:, 0]
    for note in notes:
        gathering.note(f"{path.name}: {note}")
    gathering.leave("scores themselves, which are no probabilities; only their sign is taken")
    if ours is not None:
        _put(labels, gathering.behaviors.index(ours), mask, ours)


def _put(labels: Mask, column: int, mask: Mask, name: str) -> None:
    if (mask[:, column] != -1).any():
        raise Misfit(f"{name} of this trial is there twice")
    mask[:, column] = labels


def _target(target: int | None, count: int) -> int:
    """Place of the animal that is meant."""
    if target is None:
        if count != 1:
            raise Misfit(f"holds {count} animals. Say which: target=1 to {count}")
        return 0
    if target > count:
        raise Misfit(f"holds {count} animal(s), not {target}")
    return target - 1


# ------------------------------------------------------------------ labels


def _labels_of(path: Path, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Stretches of each target: ``t0s``, ``t1s`` and ``names``."""
    found = content.get("labels", content)
    if not isinstance(found, dict) or not {"t0s", "t1s", "names"} <= set(found):
        raise FormatError(
            f"{path}: expected allScores, or labels with t0s, t1s and names, but the file holds "
            f"{sorted(content)}. Of a .jab project, export labels from JAABA first."
        )
    return found


def _take_labels(
    labels: Mapping[str, Any],
    path: Path,
    trial: StoredTrial,
    gathering: Gathering,
    target: int | None,
    mask: Mask,
) -> None:
    starts, stops, names = (_as_list(labels[name]) for name in ("t0s", "t1s", "names"))
    flies = [_numbers(one)[:1] for one in _as_list(labels.get("flies", []))]
    targets = [int(n) for one in flies for n in one if np.isfinite(n)]
    if target is not None and targets:
        if target not in targets:
            raise Misfit(f"labels animals {targets}, not {target}")
        place = targets.index(target)
    else:
        place = _target(target, len(starts))
    for cells in (starts, stops, names):
        _target(place + 1, len(cells))
    first, last = (_numbers(cells[place]) for cells in (starts, stops))
    told = [str(name) for name in _as_list(names[place])]
    if not len(first) == len(last) == len(told):
        raise Misfit(f"{len(first)} t0s, {len(last)} t1s and {len(told)} names")
    behaviors = {name for name in told if not _is_absence(name)}
    for number, (start, stop, name) in enumerate(zip(first, last, told, strict=True), start=1):
        if not 1 <= start < stop <= trial.n_frames + 1:
            raise Misfit(
                f"label {number}: frames {start:g} to {stop:g}, but the trial has "
                f"{trial.n_frames} frames"
            )
        begin, end = int(start) - 1, int(stop) - 1
        absent = _is_absence(name)
        for theirs in _meant(name, behaviors, path) if absent else [name]:
            ours = gathering.behavior(theirs, f"{path.name}, label {number}")
            if ours is not None:
                mask[begin:end, gathering.behaviors.index(ours)] = 0 if absent else 1


def _is_absence(name: str) -> bool:
    return name.lower() == "none" or name.lower().startswith("no_")


def _meant(name: str, behaviors: set[str], path: Path) -> list[str]:
    """Behaviors that a label says do not occur."""
    if name.lower() != "none":
        return [name[3:]]
    return sorted(behaviors) or [re.sub(r"^label(s|ed)?_?", "", path.stem, flags=re.IGNORECASE)]


def _numbers(value: Any) -> npt.NDArray[np.float64]:
    """A cell's numbers in a row."""
    try:
        return np.asarray(value if np.isrealobj(value) else None, dtype=float).ravel()
    except (ValueError, TypeError):
        raise Misfit(f"expected numbers, but got a {type(value).__name__}") from None


def _as_list(value: Any) -> list[Any]:
    """Cells as a list; what is no cell array is the only one."""
    if isinstance(value, list):
        return value
    if isinstance(value, np.ndarray) and value.size == 0:
        return []
    return [value]
