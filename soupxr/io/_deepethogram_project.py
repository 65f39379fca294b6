"""What there is in a project of DeepEthogram; only its settings are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soupxr.errors import FormatError
from soupxr.ingest import VIDEO_SUFFIXES
from soupxr.io.sheet import read_bytes

__all__ = ["BACKGROUND", "Project", "ProjectVideo", "open_project"]

CONFIG = "project_config.yaml"
BACKGROUND = "background"


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
    if not isinstance(about, dict) or not isinstance(about.get("class_names"), list):
        raise FormatError(
            f"{config}: expected the settings of a DeepEthogram project, with class_names, but "
            "found none. Give the project's folder."
        )
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
        [str(name) for name in about["class_names"]],
        (settings.get("augs") or {}).get("normalization") or {},
        list(_videos(data)),
        sorted(p for p in models.rglob("*") if p.suffix in (".pt", ".ckpt")),
    )


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(read_bytes(path))
    except yaml.YAMLError as error:
        raise FormatError(f"{path}: is damaged ({error}).") from error
    if not isinstance(content, dict):
        raise FormatError(f"{path}: expected settings, but the file holds none.")
    return content


def _folder(project: Path, named: object, usual: str) -> Path:
    """A folder of the project, which may have been moved since it was written down."""
    if isinstance(named, str) and named:
        for place in (Path(named), project / named, project / Path(named).name):
            if place.is_dir():
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
