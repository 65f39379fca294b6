"""What checkpoints of DeepEthogram and animal-soup say beside their weights, and where.

Only what stands there plainly is taken: class names, normalisation, picture size and filter length
from a file's configuration, thresholds from the metrics file of its training run.
"""

from __future__ import annotations

import math
import re
import reprlib
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

#: Frames of a filter, and numbers about pictures, that somebody may have meant.
LONGEST_FILTER, LARGEST = 10_000, 100_000
#: Values that HDF5 unpacks at once.
MOST_VALUES = 10_000_000

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
        if not isinstance(names, list) or len(names) != n_classes or names[:1] != ["background"]:
            return None
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            return None
        # The published models write one behavior short.
        return tuple("supinate" if name == "sup" else str(name) for name in names[1:])

    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation per colour, of values in [0, 1]."""
        entry = self._get("augs", "normalization")
        if not isinstance(entry, dict):
            return None
        mean, std = entry.get("mean"), entry.get("std")
        if not _numbers(mean, 3) or not _numbers(std, 3):
            return None
        mean, std = _floats(mean), _floats(std)
        return (mean, std) if min(std) > 0 else None

    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the pictures, where resizing alone makes them."""
        size = self._get("augs", "resize")
        if not _numbers(size, 2) or self._get("augs", "crop_size") or self._get("augs", "pad"):
            return None
        height, width = (int(length) for length in size)
        return (height, width) if min(height, width) > 0 else None

    def crop(self) -> Any:
        """Crop or padding that pictures went through, which nothing here repeats; or nothing."""
        value = self._get("augs", "crop_size") or self._get("augs", "pad")
        return value if not value or isinstance(value, str | int | float) else _few(value)

    def states_pictures(self) -> bool:
        """Whether the file says how pictures were prepared, as DeepEthogram's training does."""
        return isinstance(self._groups.get("augs"), dict)

    def sequence(self) -> dict[str, Any]:
        """Arguments of the sequence model that its weights do not show."""
        stated: dict[str, Any] = {}
        length = self._get("sequence", "filter_length")
        if isinstance(length, int) and 0 < length <= LONGEST_FILTER:
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
        and all(isinstance(value, int | float) and abs(value) <= LARGEST for value in values)
    )


def _few(value: Any) -> str:
    """A value in a few words, however much it holds."""
    return reprlib.repr(value)


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
            place = next((name for name in _OPTIMA if name in file), None)
            return None if place is None else _row_of(_own_dataset(file, place), epoch, n_classes)
    except (OSError, TypeError, ValueError, LookupError, RuntimeError) as error:
        warnings.warn(
            f"{metrics}: cannot be read ({error}); thresholds not taken.", SoupWarning, stacklevel=2
        )
        return None


def _own_dataset(file: Any, place: str) -> Any:
    """A dataset of an HDF5 file, if its values stand in that file and not in another."""
    import h5py

    at = ""
    for part in place.split("/"):
        at = f"{at}/{part}"
        if isinstance(file.get(at, getlink=True), h5py.ExternalLink):
            raise ValueError(f"{at} is in another file")
    dataset = file[place]
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"{place} holds no values of its own")
    return dataset


def _row_of(optima: Any, epoch: int | None, n_classes: int) -> tuple[float, ...]:
    """One epoch's thresholds; no more is read."""
    shape = optima.shape
    row = epoch if epoch is not None else (shape or (0,))[0] - 1
    if len(shape) != 2 or shape[1] != n_classes or not 0 <= row < shape[0]:
        raise ValueError(
            f"expected thresholds of {n_classes} classes up to epoch {row}, but got an array of "
            f"shape {shape}"
        )
    if optima.chunks is not None and math.prod(optima.chunks) > MOST_VALUES:
        raise ValueError(f"its values are in pieces of {optima.chunks}")
    found = np.asarray(optima[row], dtype=float)
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"expected thresholds in [0, 1], but got {found.tolist()}")
    return cast(tuple[float, ...], tuple(found.tolist()))


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
