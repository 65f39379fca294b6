"""Checkpoints: one file that holds everything inference needs, read from any of the known kinds.

:func:`read` opens our own files and those of DeepEthogram and animal-soup, without running
anything that stands in them; :func:`write` makes ours. Both speak of a :class:`Checkpoint`, whose
:meth:`~Checkpoint.build` makes the network.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import os
import secrets
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from soupxr.errors import ArgumentError, CheckpointError, SoupWarning, expected, listed
from soupxr.models import foreign
from soupxr.models.fields import malformed
from soupxr.models.identify import KINDS, Facts, Kind, Unidentified, identify, misfits, some
from soupxr.models.record import (
    STORED,
    Checkpoint,
    Normalization,
    Preprocessing,
    contradictions,
    named,
)
from soupxr.models.unpickle import load
from soupxr.modes import get_mode

__all__ = ["Checkpoint", "read", "write"]

_FORMAT = "soupxr"
_FORMAT_VERSION = 1


def read(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    mode: str | None = None,
    n_classes: int | None = None,
) -> Checkpoint:
    """Open a checkpoint.

    Parameters
    ----------
    path : path-like
        File of ours, of DeepEthogram (``.pt``, Lightning's ``.ckpt``) or animal-soup, or the
        folder of a training run: its best checkpoint is taken, else the last. (For flow generators
        of DeepEthogram it is the last: their "best" is the one with the highest loss.)
    kind : {"flow_generator", "feature_extractor", "sequence"}, optional
        What it has to be.
    mode : {"fast", "medium", "slow"}, optional
        Mode that it has to belong to.
    n_classes : int, optional
        Classes that it has to tell apart, background included.

    Returns
    -------
    Checkpoint
        Nothing in the file was run; its weights are known to fit the network.

    Raises
    ------
    CheckpointError
        If it cannot be read, is damaged, or is another model than the one asked for.
    """
    if kind is not None and kind not in KINDS:
        raise ArgumentError(expected("kind", f"one of {', '.join(map(repr, KINDS))}", kind))
    if mode is not None:
        get_mode(mode)
    place = Path(path).expanduser()
    checkpoint = _read_run(place) if place.is_dir() else _read_file(place)
    _refuse_another(checkpoint, kind, mode, n_classes)
    return checkpoint


def _read_run(folder: Path) -> Checkpoint:
    files = foreign.files_of_run(folder)
    first = _read_file(files[0])
    if first.kind == "flow_generator" and first.format != "soupxr":
        kept = [file for file in files if not file.name.startswith("epoch=")]
        return _read_file(kept[0]) if kept else first
    return first


def _read_file(path: Path) -> Checkpoint:
    content = load(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: this file holds {type(content).__name__}, not weights.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if isinstance(content.get("format"), str) and content["format"] == _FORMAT:
        return _own(path, digest, content)
    return _foreign(path, digest, content)


def _facts(path: Path, state: Mapping[str, Any], settings: Mapping[str, Any]) -> Facts:
    strange = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if strange or not state:
        raise CheckpointError(
            f"{path}: this file holds no weights that we know (found {some(strange)}). "
            f"Expected a {', a '.join(KINDS.values())}."
        )
    try:
        return identify(state, settings)
    except Unidentified as error:
        raise CheckpointError(
            f"{path}: expected a {', a '.join(KINDS.values())}, but this looks like {error}."
        ) from None


def _check_fit(path: Path, state: Mapping[str, Tensor], facts: Facts) -> None:
    problems = misfits(state, facts)
    if problems:
        shown = problems[:6] + ([f"and {len(problems) - 6} more"] if len(problems) > 6 else [])
        raise CheckpointError(
            f"{path}: this looks like a {named(facts.kind, facts.mode)}, but its weights do not "
            f"fit:{listed(shown)}"
        )


def _foreign(path: Path, digest: str, content: Mapping[str, Any]) -> Checkpoint:
    try:
        state = foreign.state_dict_of(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}.") from None
    settings = foreign.Settings(content)
    facts = _facts(path, state, settings.sequence())
    _check_fit(path, state, facts)
    written_by = foreign.origin(content)
    thresholds = None
    if facts.n_classes is not None and written_by != "state_dict":
        thresholds = foreign.thresholds_of(path, facts.n_classes)
    epoch = content.get("epoch")
    if settings.crop():
        warnings.warn(
            f"{path}: this model was trained on cropped or padded pictures ({settings.crop()}), "
            "which is not repeated here; its results will be worse than they could be.",
            SoupWarning,
            stacklevel=3,
        )
    return Checkpoint(
        path=path,
        sha256=digest,
        kind=facts.kind,
        mode=facts.mode,
        n_classes=facts.n_classes,
        behaviors=settings.behaviors(facts.n_classes),
        window=facts.window,
        image_size=settings.image_size(),
        preprocessing="plain" if settings.states_pictures() else None,
        normalization=cast(Normalization | None, settings.normalization()),
        thresholds=thresholds,
        minimum_bout=None,
        format=written_by,
        soupxr_version=None,
        epoch=epoch if isinstance(epoch, int) else None,
        config=facts.config,
        extra={},
        assumed=facts.assumed,
        state_dict=state,
    )


def _own(path: Path, digest: str, content: Mapping[str, Any]) -> Checkpoint:
    version, writer = content.get("format_version"), content.get("soupxr_version")
    if not isinstance(version, int) or version != _FORMAT_VERSION:
        told = writer[:40] if isinstance(writer, str) else "of an unknown version"
        raise CheckpointError(
            f"{path}: this checkpoint was written by soupxr {told}, in a "
            "newer format. Update soupxr to read it."
        )
    lacking = [key for key in (*STORED, "state_dict") if key not in content]
    if lacking:
        raise CheckpointError(f"{path}: this checkpoint lacks {', '.join(lacking)}.")
    problems = list(malformed(content))
    if not isinstance(content["state_dict"], Mapping):
        problems.append("state_dict: expected weights by name.")
    if problems:
        raise CheckpointError(f"{path}: this checkpoint is damaged:{listed(problems)}")
    state = {str(key): value for key, value in content["state_dict"].items()}
    seen = _facts(path, state, {})
    checkpoint = Checkpoint(
        path=path,
        sha256=digest,
        format="soupxr",
        assumed=(),
        state_dict=state,
        **{key: content[key] for key in STORED},
    )
    problems = contradictions(checkpoint, seen)
    if problems:
        raise CheckpointError(f"{path}: this checkpoint contradicts itself:{listed(problems)}")
    _check_fit(path, state, dataclasses.replace(seen, config=checkpoint.config))
    return checkpoint


def _refuse_another(
    checkpoint: Checkpoint, kind: Kind | None, mode: str | None, n_classes: int | None
) -> None:
    found = named(checkpoint.kind, checkpoint.mode)
    if kind is not None and checkpoint.kind != kind:
        raise CheckpointError(
            f"{checkpoint.path}: expected a {named(kind, mode)}, but this is a {found}. "
            f"Give the file of the {KINDS[kind]}."
        )
    if mode is not None and checkpoint.mode not in (None, mode):
        raise CheckpointError(
            f"{checkpoint.path}: expected a {named(checkpoint.kind, mode)}, but this is a {found}. "
            f"Ask for mode {checkpoint.mode!r}, or give the file of mode {mode!r}."
        )
    if n_classes is not None and checkpoint.n_classes not in (None, n_classes):
        raise CheckpointError(
            f"{checkpoint.path}: expected {n_classes} classes (background and {n_classes - 1} "
            f"behaviors), but this {found} tells {checkpoint.n_classes} apart. "
            "Give a model that was trained on your behaviors."
        )


def write(
    path: str | os.PathLike[str],
    *,
    kind: Kind,
    mode: str,
    model: nn.Module | Mapping[str, Tensor],
    behaviors: Iterable[str] | None,
    window: int | None,
    image_size: tuple[int, int] | None,
    preprocessing: Preprocessing | None,
    normalization: tuple[Iterable[float], Iterable[float]] | None,
    thresholds: Iterable[float] | None = None,
    minimum_bout: int | Iterable[int] | None = None,
    config: Mapping[str, Any] | None = None,
    epoch: int | None = None,
    extra: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Checkpoint:
    """Write a checkpoint: one file that holds everything inference needs.

    The file appears whole or not at all, and has been read back when it does.

    Parameters
    ----------
    path : path-like
        Where to; its folder exists.
    kind, mode, behaviors, window, image_size, preprocessing, normalization, thresholds, \
    minimum_bout, epoch
        See :class:`~soupxr.models.record.Checkpoint`. What a sequence model cannot have or need
        not tell (window, and how pictures were prepared), a flow generator neither (behaviors),
        is None.
    model : nn.Module or mapping of str to Tensor
        The network, or its state dict.
    config : mapping, optional
        What the network's class is called with beyond what its weights show: of a sequence model
        ``filter_length`` and ``reduction``. By default the network's own ``config``.
    extra : mapping, optional
        Whatever else to keep: strings, numbers, lists and dicts of them.
    overwrite : bool, default False
        Replace a file that is there.

    Returns
    -------
    Checkpoint
        As read back.

    Raises
    ------
    ArgumentError
        If something is missing or contradicts the weights (all such things at once), or the file
        exists.
    """
    target = Path(path).expanduser()
    if target.exists() and not overwrite:
        raise ArgumentError(
            expected("path", "a new file", str(target), "Give overwrite=True to replace it.")
        )
    if not target.parent.is_dir():
        raise ArgumentError(expected("path", "a file in an existing folder", str(target)))
    if config is None:
        config = getattr(model, "config", {})
    state = model.state_dict() if isinstance(model, nn.Module) else model
    weights = {key: _compact(value) for key, value in state.items()}
    seen = _facts(target, weights, config)
    names = None if behaviors is None else tuple(behaviors)
    record = Checkpoint(
        path=target,
        sha256="",
        kind=kind,
        mode=mode,
        n_classes=None if names is None else len(names) + 1,
        behaviors=names,
        window=window,
        image_size=None if image_size is None else (int(image_size[0]), int(image_size[1])),
        preprocessing=preprocessing,
        normalization=None if normalization is None else _normalization(normalization),
        thresholds=None if thresholds is None else tuple(float(value) for value in thresholds),
        minimum_bout=_minimum_bout(minimum_bout),
        format="soupxr",
        soupxr_version=_version(),
        epoch=epoch,
        config=_shown(seen) | dict(config),
        extra=dict(extra or {}),
        assumed=(),
        state_dict=weights,
    )
    problems = [*contradictions(record, seen), *_not_plain(record.extra, "extra")]
    if problems:
        raise ArgumentError(f"This checkpoint cannot be written:{listed(problems)}")
    _check_fit(target, weights, dataclasses.replace(seen, config=record.config))
    return _save(record)


def _save(record: Checkpoint) -> Checkpoint:
    content = {name: getattr(record, name) for name in STORED}
    content |= {"format": _FORMAT, "format_version": _FORMAT_VERSION}
    content["state_dict"] = record.state_dict
    unfinished = record.path.with_name(f".{record.path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        with unfinished.open("xb") as file:
            try:
                torch.save(content, file)
            except RuntimeError as error:
                # PyTorch complains of its own archive where the disk did not take a piece of it.
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())
        checkpoint = _read_file(unfinished)
        unfinished.replace(record.path)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()
    return dataclasses.replace(checkpoint, path=record.path)


def _compact(value: Tensor) -> Tensor:
    """A tensor as it should lie in a file: on the CPU, without memory around it."""
    value = value.detach().cpu().contiguous()
    around = value.untyped_storage().nbytes() != value.numel() * value.element_size()
    return value.clone() if around else value


def _shown(seen: Facts) -> dict[str, Any]:
    return {name: value for name, value in seen.config.items() if name not in seen.assumed}


def _normalization(pair: tuple[Iterable[float], Iterable[float]]) -> Normalization:
    mean, std = (tuple(float(value) for value in values) for values in pair)
    return cast(Normalization, (mean, std))


def _minimum_bout(value: int | Iterable[int] | None) -> int | tuple[int, ...] | None:
    return tuple(int(n) for n in value) if isinstance(value, Iterable) else value


def _not_plain(value: Any, place: str) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _not_plain(entry, f"{place}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from _not_plain(entry, f"{place}[{index}]")
    elif not isinstance(value, str | bool | int | float | None):
        yield expected(place, "strings, numbers, lists and dicts", value)


def _version() -> str | None:
    try:
        return importlib.metadata.version("soupxr")
    except importlib.metadata.PackageNotFoundError:
        return None
