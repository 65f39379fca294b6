"""What there is in a project of DeepEthogram; only its settings are read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from soupxr.errors import FormatError
from soupxr.ingest import VIDEO_SUFFIXES
from soupxr.io.sheet import read_bytes

__all__ = ["BACKGROUND", "Project", "ProjectVideo", "open_project"]

CONFIG = "project_config.yaml"
BACKGROUND = "background"
#: Settings have a few kB. Files that are looked through for checkpoints.
MOST_BYTES, MOST_FILES = 1 << 20, 20_000
#: What PyYAML raises, beside its own, where values are none.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class ProjectVideo:
    """One video's folder."""

    name: str
    video: Path
    labels: Path | None
    outputs: Path | None
    predictions: Path | None
    stats: Path | None


@dataclass(frozen=True)
class Project:
    """What a project says of itself.

    Parameters
    ----------
    classes : list of str
        Background first.
    """

    folder: Path
    name: str
    labeler: str
    classes: list[str]
    normalization: Mapping[str, Any]
    videos: list[ProjectVideo]
    checkpoints: list[Path]

    @property
    def behaviors(self) -> list[str]:
        """Its classes without background."""
        return [name for name in self.classes if name != BACKGROUND]


def open_project(path: Path) -> Project:
    """Find everything in a project; only its settings are read.

    Raises
    ------
    FormatError
        If there is no project, or its settings are damaged.
    """
    config = path / CONFIG if path.is_dir() else path
    settings = _yaml(config)
    about = settings.get("project")
    classes = about.get("class_names") if isinstance(about, dict) else None
    if not isinstance(about, dict) or not isinstance(classes, list):
        raise FormatError(
            f"{config}: expected the settings of a DeepEthogram project, with class_names, but "
            "found none. Give the project's folder."
        )
    strange = [place for place, name in enumerate(classes, start=1) if not _is_plain(name)]
    if strange or not all(_is_plain(about.get(name)) for name in ("name", "labeler")):
        told = f"class_names, number {strange[0]}" if strange else "name and labeler"
        raise FormatError(f"{config}: {told}: expected a text. Put it right.")
    folder = config.parent
    data = _folder(folder, about.get("data_path"), "DATA")
    if not data.is_dir():
        raise FormatError(
            f"{data}: expected the project's data, but there is no such folder. Was the project "
            "moved without it?"
        )
    models = _folder(folder, about.get("model_path"), "models")
    return Project(
        folder,
        str(about.get("name") or folder.name),
        str(about.get("labeler") or ""),
        [str(name) for name in classes],
        _normalization(settings),
        list(_videos(data)),
        _checkpoints(models),
    )


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _normalization(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Mean and deviation of each color, where they are as they should be."""
    augmentation = settings.get("augs")
    found = augmentation.get("normalization") if isinstance(augmentation, dict) else None
    return {
        name: values
        for name, values in (found if isinstance(found, dict) else {}).items()
        if isinstance(values, list) and len(values) <= 9 and all(map(_is_plain, values))
    }


def _checkpoints(models: Path) -> list[Path]:
    """Checkpoints below a folder; of one that is no project's, such as a disk's, not all."""
    below = islice(models.rglob("*"), MOST_FILES)
    return sorted(path for path in below if path.suffix in (".pt", ".ckpt"))


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    class Plain(yaml.SafeLoader):  # type: ignore[misc]  # comes untyped
        """Merges nothing: merged into each other, a few lines have more keys than memory holds."""

        def flatten_mapping(self, node: Any) -> None:
            pass

    data = read_bytes(path)
    if len(data) > MOST_BYTES:
        raise FormatError(f"{path}: expected settings, but it has {len(data) >> 20} MiB.")
    try:
        content = yaml.load(data, Plain)
    except (yaml.YAMLError, *DAMAGED) as error:
        raise FormatError(f"{path}: is damaged ({error}).") from error
    if not isinstance(content, dict):
        raise FormatError(f"{path}: expected settings, but the file holds none.")
    return content


def _folder(project: Path, named: object, usual: str) -> Path:
    """A folder of the project, which may have been moved since it was written down."""
    if isinstance(named, str) and named:
        for place in (Path(named), project / named, project / Path(named).name):
            # Unlike a Path, it has no error for what can be no name of a folder.
            if os.path.isdir(place):
                return place
    return project / usual


def _videos(data: Path) -> Iterator[ProjectVideo]:
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
        own = [path for path in videos if path.stem == folder.name] or videos
        if len(own) != 1:
            continue
        there = {path.name: path for path in files}
        stem = own[0].stem
        labels = there.get(f"{stem}_labels.csv") or there.get(f"{stem}_labels.h5")
        yield ProjectVideo(
            stem,
            own[0],
            labels,
            there.get(f"{stem}_outputs.h5"),
            there.get(f"{stem}_predictions.csv"),
            there.get("stats.yaml"),
        )
