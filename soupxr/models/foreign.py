"""What checkpoints of DeepEthogram and animal-soup say beside their weights, and where.

Only what stands there plainly is taken: class names, normalisation, picture size and filter length
from a file's configuration, thresholds from the metrics file of its training run.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from torch import Tensor

from soupxr.errors import CheckpointError, SoupWarning
from soupxr.models.inert import plain

__all__ = ["ForeignFormat", "Settings", "files_of_run", "origin", "state_dict_of", "thresholds_of"]

ForeignFormat = Literal["deepethogram", "lightning", "state_dict"]

_METRICS = "classification_metrics.h5"
_OPTIMA = ("val/metrics_by_threshold/optimum", "threshold_curves/val/optimum")


def origin(content: Mapping[str, Any]) -> ForeignFormat:
    """Which program wrote a file."""
    if "pytorch-lightning_version" in content:
        return "lightning"
    if "hyperparameters" in content or "optimizer" in content:
        return "deepethogram"
    return "state_dict"


def state_dict_of(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's weights under the network's own keys.

    Wrappers for several GPUs and for Lightning put their prefix before every key; the loss, which
    Lightning files hold too, is left out.
    """
    weights = content.get("state_dict", content)
    if not isinstance(weights, Mapping):
        raise CheckpointError("holds no state dict")
    state = {str(key): value for key, value in weights.items() if "criterion" not in str(key)}
    for prefix in ("module.", "model.", "module."):
        if next(iter(state), "").startswith(prefix):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


class Settings:
    """The configuration that a file of DeepEthogram keeps of its training.

    Parameters
    ----------
    content : mapping
        The whole file.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        stored = content.get("hyper_parameters", content.get("hyperparameters"))
        groups = plain(stored)
        self._groups: dict[str, Any] = groups if isinstance(groups, dict) else {}

    def _get(self, group: str, name: str) -> Any:
        values = self._groups.get(group)
        return values.get(name) if isinstance(values, dict) else None

    def behaviors(self, n_classes: int | None) -> tuple[str, ...] | None:
        """Names of the classes without the background, if there are as many as classes."""
        names = self._get("project", "class_names")
        if not isinstance(names, list) or len(names) != n_classes or names[0] != "background":
            return None
        # The published models write one behavior short.
        return tuple({"sup": "supinate"}.get(name, str(name)) for name in names[1:])

    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation per colour, of values in [0, 1]."""
        entry = self._get("augs", "normalization")
        if not isinstance(entry, dict):
            return None
        mean, std = entry.get("mean"), entry.get("std")
        if not _numbers(mean, 3) or not _numbers(std, 3):
            return None
        return _floats(mean), _floats(std)

    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the pictures, where resizing alone makes them."""
        size = self._get("augs", "resize")
        if not _numbers(size, 2) or self._get("augs", "crop_size") or self._get("augs", "pad"):
            return None
        height, width = _floats(size)
        return int(height), int(width)

    def crop(self) -> Any:
        """Crop or padding that pictures went through, which nothing here repeats; or nothing."""
        return self._get("augs", "crop_size") or self._get("augs", "pad")

    def states_pictures(self) -> bool:
        """Whether the file says how pictures were prepared, as DeepEthogram's training does."""
        return isinstance(self._groups.get("augs"), dict)

    def sequence(self) -> dict[str, Any]:
        """Arguments of the sequence model that its weights do not show."""
        stated: dict[str, Any] = {}
        length = self._get("sequence", "filter_length")
        if isinstance(length, int) and length > 0:
            stated["filter_length"] = length
        reduction = self._get("sequence", "tgm_reduction")
        if reduction in ("max", "mean"):
            stated["reduction"] = reduction
        return stated

    def __bool__(self) -> bool:
        return bool(self._groups)


def _numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(value, int | float) for value in values)
    )


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _epoch(path: Path) -> int | None:
    """Epoch in the name of a run's best checkpoint; None for the last one."""
    found = re.search(r"epoch=(\d+)", path.name)
    return int(found[1]) if found else None


def thresholds_of(path: Path, n_classes: int) -> tuple[float, ...] | None:
    """Thresholds that were best on the validation set, from the metrics file of the same run.

    Parameters
    ----------
    path : Path
        Checkpoint; the metrics lie beside it or, for Lightning's, one folder up.
    n_classes : int
        Background included.

    Returns
    -------
    tuple of float, or None
        One per class; those of the epoch in the checkpoint's name, else of the last one.
    """
    folders = [path.parent]
    if path.parent.name == "lightning_checkpoints":
        folders.append(path.parent.parent)
    for folder in folders:
        if (folder / _METRICS).is_file():
            return _optimum(folder / _METRICS, _epoch(path), n_classes)
    return None


def _optimum(metrics: Path, epoch: int | None, n_classes: int) -> tuple[float, ...] | None:
    import h5py

    try:
        with h5py.File(metrics, "r") as file:
            stored = next((file[name][:] for name in _OPTIMA if name in file), None)
        optima = None if stored is None else np.asarray(stored, dtype=float)
    except (OSError, TypeError, ValueError) as error:
        warnings.warn(
            f"{metrics}: cannot be read ({error}); thresholds not taken.", SoupWarning, stacklevel=2
        )
        return None
    if optima is None:
        return None
    row = len(optima) - 1 if epoch is None else epoch
    if optima.ndim != 2 or optima.shape[1] != n_classes or not 0 <= row < len(optima):
        warnings.warn(
            f"{metrics}: expected thresholds of {n_classes} classes up to epoch {row}, but got an "
            f"array of shape {optima.shape}; thresholds not taken.",
            SoupWarning,
            stacklevel=2,
        )
        return None
    return cast(tuple[float, ...], tuple(optima[row].tolist()))


def files_of_run(folder: Path) -> list[Path]:
    """The checkpoints in the folder of a training run: best, last, then the older format's."""
    places = [folder, folder / "lightning_checkpoints"]
    best = [file for place in places for file in place.glob("epoch=*.ckpt")]
    best.sort(key=lambda file: _epoch(file) or 0, reverse=True)
    named = ("best.pt", "best.ckpt", "last.ckpt", "last.pt", "checkpoint.pt")
    rest = [place / name for name in named for place in places]
    files = best + [file for file in rest if file.is_file()]
    if not files:
        raise CheckpointError(
            f"{folder}: this folder holds no checkpoint (looked for epoch=*.ckpt, "
            f"{', '.join(named)}, also in lightning_checkpoints/). Give the file itself."
        )
    return files
