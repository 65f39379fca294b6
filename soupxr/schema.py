"""What a store holds: dimensions, variables, dtypes, fills, chunks.

Tables only; nothing here touches a disk. ``store.py`` makes arrays from these records and is the
only module that writes them.

Two rules decide the chunks. Whatever is written in parallel has chunks of one trial, because two
processes that write parts of one chunk lose data silently. Whatever is written by one process at
a time (under the store's lock) is one chunk for all trials, because opening must be quick.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from soupxr.errors import ArgumentError, StoreError, expected

__all__ = [
    "CLIP_CHUNK",
    "FEATURE_CHUNK",
    "FRAME_CHUNK",
    "INDEXES",
    "OPTIONAL",
    "SCHEMA_VERSION",
    "VARIABLES",
    "Status",
    "Variable",
    "check_name",
    "feature_variables",
    "frame_cache_variables",
    "is_storable",
    "is_whole",
    "out_of_fold_variables",
    "replacement_variables",
    "trial_key",
    "validate",
]

SCHEMA_VERSION = 1
#: Activations of a stream of the feature extractor.
N_FEATURES = 512
JOINS = ("equal", "pad")

#: Bytes that the name of a folder can have on any file system in use.
LONGEST_NAME = 255
#: More than any store has; one that says so is damaged. Frames: a day at 1000 Hz.
MOST = {"trial": 10_000_000, "frame": 100_000_000}
MOST_LABELS = 65_536
MOST_IN_A_CHUNK = 100_000_000

#: Frames in a chunk of probabilities, ethograms and annotations.
FRAME_CHUNK = 1024
#: Frames in a chunk of features: 1 MiB of float32.
FEATURE_CHUNK = 512
#: Frames in a chunk of decoded frames: clips of 11 touch 1.6 of them on average.
CLIP_CHUNK = 16
#: Trials or annotators in one chunk of a table column: "all" of them, for any lab.
ALL = 65_536

#: The dimensions that grow, and the coordinate whose length says how far they are valid. It is
#: written last, so a reader never sees a trial whose row is not there yet.
INDEXES = {"trial": "trial", "annotator": "annotator"}


class Status(IntEnum):
    """How far a trial has come in a mode; the commit mark, always written last.

    ``DECIDING`` is a complete result whose ethogram is being decided anew: its probabilities are
    whole, so whoever finds it after a crash can finish it without a network. ``REPLACING`` is one
    that a new result, whole and beside it, is about to replace; whoever finds it can finish that.
    """

    NONE = 0
    FEATURES = 1
    COMPLETE = 2
    FAILED = 3
    DECIDING = 4
    REPLACING = 5


#: Marks of trials whose probabilities, at least, are whole.
WITH_PROBABILITIES = (Status.COMPLETE, Status.DECIDING)
#: Marks of trials with a result that no failure takes away: its probabilities, at least, are whole,
#: in their place or beside it.
WITH_RESULT = (*WITH_PROBABILITIES, Status.REPLACING)


@dataclass(frozen=True)
class Variable:
    """One array of the store.

    Parameters
    ----------
    dims : tuple of str
        Named dimensions.
    dtype : str
        NumPy dtype, or ``"str"`` for variable-length strings.
    fill : scalar
        What an unwritten element reads as; chunks of nothing else are not on disk.
    about : str
        What it means; becomes the attribute ``description``.
    units : str, optional
        Physical units.
    chunks : mapping of str to int
        Chunk length along each dimension that is not whole.
    codec : str or None
        Name of a compressor in ``store.CODECS``; None leaves Zarr's default.
    """

    dims: tuple[str, ...]
    dtype: str
    fill: Any
    about: str
    units: str | None = None
    chunks: Mapping[str, int] | None = None
    codec: str | None = None

    def chunk_shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Chunk shape for arrays whose fixed dimensions have these sizes."""
        given = self.chunks or {}
        return tuple(given.get(dim, ALL if dim in INDEXES else sizes[dim]) for dim in self.dims)


PER_TRIAL = {"mode": 1, "annotator": 1, "trial": 1}
PER_FRAME = PER_TRIAL | {"frame": FRAME_CHUNK}

VARIABLES: dict[str, Variable] = {
    "view": Variable(("view",), "str", "", "camera roles, left to right as they are joined"),
    "behavior": Variable(
        ("behavior",), "str", "", "behaviors, in the order of the models' classes"
    ),
    "mode": Variable(("mode",), "str", "", "inference modes"),
    "video_path": Variable(("trial", "view"), "str", "", "video, relative to data_root"),
    "n_frames": Variable(("trial",), "int64", 0, "valid frames of the trial"),
    "fps": Variable(("trial",), "float64", 0.0, "frame rate", units="Hz"),
    "experiment": Variable(("trial",), "str", "", "kind of experiment, such as table or pez"),
    "notes": Variable(("trial",), "str", "", "free text"),
    "probability": Variable(
        ("mode", "trial", "frame", "behavior"),
        "float32",
        np.nan,
        "probability of each behavior by the sequence model",
        units="1",
        chunks=PER_FRAME,
    ),
    "ethogram": Variable(
        ("mode", "trial", "frame", "behavior"),
        "int8",
        -1,
        "1 occurs, 0 does not, -1 not inferred",
        chunks=PER_FRAME,
    ),
    "annotation": Variable(
        ("annotator", "trial", "frame", "behavior"),
        "int8",
        -1,
        "1 occurs, 0 does not, -1 unlabelled, by a person",
        chunks=PER_FRAME,
    ),
    "error": Variable(("mode", "trial"), "str", "", "why the trial failed", chunks=PER_TRIAL),
    "provenance": Variable(
        ("mode", "trial"), "str", "", "JSON: how the results came about", chunks=PER_TRIAL
    ),
    "status": Variable(
        ("mode", "trial"),
        "int8",
        int(Status.NONE),
        "0 none, 1 features, 2 complete, 3 failed, 4 complete but for its ethogram, "
        "5 being replaced",
        chunks=PER_TRIAL,
        codec="raw",
    ),
    "annotator": Variable(("annotator",), "str", "", "who labelled"),
    "animal": Variable(("trial",), "str", "", "animal"),
    "session": Variable(("trial",), "str", "", "session of the animal"),
    "trial_id": Variable(("trial",), "int64", -1, "number of the trial within its session"),
    "trial": Variable(("trial",), "str", "", "animal/session/trial_id; empty once removed"),
}


def feature_variables() -> dict[str, Variable]:
    """Arrays of the child group ``features/<mode>``: what the feature extractor says."""
    chunks = {"trial": 1, "frame": FEATURE_CHUNK}
    return {
        "spatial": Variable(
            ("trial", "frame", "feature"),
            "float32",
            np.nan,
            "penultimate activations of the spatial stream",
            chunks=chunks,
            codec="features",
        ),
        "flow": Variable(
            ("trial", "frame", "feature"),
            "float32",
            np.nan,
            "penultimate activations of the flow stream",
            chunks=chunks,
            codec="features",
        ),
        "logit": Variable(
            ("trial", "frame", "class"),
            "float32",
            np.nan,
            "logits of the fused streams, background first",
            chunks=chunks,
            codec="features",
        ),
    }


def out_of_fold_variables() -> dict[str, Variable]:
    """Arrays of the group ``out_of_fold/<mode>``: what models say of trials kept from them."""
    return {
        "probability": Variable(
            ("trial", "frame", "behavior"),
            "float32",
            np.nan,
            "probability of each behavior by the fold whose training did not see the trial",
            units="1",
            chunks=PER_FRAME,
        ),
        "fold": Variable(
            ("trial",), "int8", -1, "fold that was kept from the trial; -1 none", chunks=PER_TRIAL
        ),
    }


def replacement_variables() -> dict[str, Variable]:
    """Arrays of the group ``replacement/<mode>``: new results that are to take an old one's place.

    They count where the trial is marked as ``Status.REPLACING``.
    """
    per_mode = {name: VARIABLES[name] for name in ("probability", "ethogram", "provenance")}
    arrays = {
        name: replace(variable, dims=variable.dims[1:], about=f"{variable.about}, not yet in place")
        for name, variable in per_mode.items()
    }
    length = Variable(("trial",), "int64", 0, "frames that the new result has", chunks=PER_TRIAL)
    return arrays | {"n_frames": length}


def frame_cache_variables() -> dict[str, Variable]:
    """Arrays of the group ``frames/<height>x<width>``: decoded frames, ready for training."""
    return {
        "pixels": Variable(
            ("trial", "frame", "y", "x", "channel"),
            "uint8",
            0,
            "joined views, resized; red, green, blue",
            chunks={"trial": 1, "frame": CLIP_CHUNK},
            codec="frames",
        ),
        "source": Variable(
            ("trial",),
            "str",
            "",
            "fingerprints of the videos that the frames are of; empty where they are not whole",
            chunks=PER_TRIAL,
        ),
    }


#: Arrays of groups that are made when they are first needed, by the name of their parent.
OPTIONAL = {
    "frames": frame_cache_variables(),
    "out_of_fold": out_of_fold_variables(),
    "replacement": replacement_variables(),
}


def check_name(argument: str, name: object) -> str:
    """Refuse an animal or session name that would leave ``data_root`` or break a trial's key.

    Raises
    ------
    ArgumentError
        If the name is empty, not text, ``.`` or ``..``, or holds a separator or control character.
    """
    if not isinstance(name, str) or not name.strip():
        raise ArgumentError(expected(argument, "the name of a folder", name))
    if name in (".", "..") or any(c in name for c in "/\\:") or not name.isprintable():
        raise ArgumentError(
            expected(
                argument,
                "the plain name of one folder under data_root",
                name,
                "Names may not hold / \\ or : nor lead out of data_root.",
            )
        )
    if len(name.encode()) > LONGEST_NAME:
        raise ArgumentError(expected(argument, f"a name of up to {LONGEST_NAME} bytes", name))
    return name


def check_labels(argument: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Refuse empty, doubled or non-text labels of a dimension."""
    if isinstance(labels, str) or not all(isinstance(label, str) and label for label in labels):
        raise ArgumentError(expected(argument, "a sequence of names", labels))
    for label in labels:
        if not is_storable(label):
            raise ArgumentError(expected(argument, "names of printable characters", label))
    if not labels or len(set(labels)) != len(labels):
        raise ArgumentError(expected(argument, "one name or more, each once", tuple(labels)))
    return tuple(labels)


def is_storable(text: object) -> bool:
    """Whether this is text that can be kept: a file's name need not be; NumPy drops zeros."""
    return isinstance(text, str) and not any("\ud800" <= c <= "\udfff" or c == "\0" for c in text)


def is_whole(value: object) -> bool:
    """Whether this is a whole number, Python's or NumPy's, of 64 bits and no truth value."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        return False
    return -(2**63) <= int(value) < 2**63


def trial_key(animal: str, session: str, trial_id: int) -> str:
    """The stored key of a trial."""
    return f"{animal}/{session}/{int(trial_id)}"


def _version() -> str:
    import soupxr

    return soupxr.__version__


def validate(attrs: Mapping[str, Any], arrays: Mapping[str, Any], address: str) -> None:
    """Check that a group is a store of this schema.

    Parameters
    ----------
    attrs : mapping
        The group's attributes.
    arrays : mapping of str to array
        Its arrays; each has ``ndim`` and ``dtype``.
    address : str
        Where it is, for the message.

    Raises
    ------
    StoreError
        If it is not one of ours, of a newer version, or incomplete.
    """
    version = attrs.get("soupxr_schema")
    if version is None:
        raise StoreError(
            f"{address}: expected a soupxr store, but this Zarr group has no soupxr_schema "
            "attribute. Make a store with soupxr.create(...)."
        )
    if not is_whole(version) or version < SCHEMA_VERSION:
        raise StoreError(
            f"{address}: expected schema version {SCHEMA_VERSION}, but got {version!r}, which no "
            "released soupxr has made. Make the store anew with soupxr.create(...) and add_item."
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{address}: this store has schema version {version}, of a newer soupxr; soupxr "
            f"{_version()} expected schema version {SCHEMA_VERSION}, but got {version}. "
            "Nothing was changed. Run: pip install --upgrade soupxr"
        )
    lacking = [name for name in VARIABLES if name not in arrays]
    if lacking:
        raise StoreError(
            f"{address}: the store is incomplete, it lacks {', '.join(lacking)}. "
            "Its creation was probably interrupted: delete it and create it again."
        )
    problems = [*_wrong_attributes(attrs), *_wrong_arrays(arrays)]
    if problems:
        raise StoreError(
            f"{address}: the store is damaged: {'; '.join(problems)}. Take it from a backup."
        )


def _wrong_attributes(attrs: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(attrs.get("data_root"), str):
        yield "its attribute data_root is no path"
    if attrs.get("join") not in JOINS:
        yield f"its attribute join is none of {', '.join(JOINS)}"
    if not isinstance(attrs.get("pattern"), str | None):
        yield "its attribute pattern is no text"


def _wrong_arrays(arrays: Mapping[str, Any]) -> Iterator[str]:
    """What of the arrays is not as it was made; memory is set aside by what they say."""
    for name, variable in VARIABLES.items():
        array = arrays[name]
        names, shape, chunks = array.metadata.dimension_names, array.shape, array.chunks
        kind = np.dtype(object if variable.dtype == "str" else variable.dtype).kind
        if tuple(names or ()) != variable.dims:
            yield f"{name} is along {names}, not {variable.dims}"
        elif (array.dtype.kind == "T") != (kind == "O") or (kind not in ("O", array.dtype.kind)):
            yield f"{name} holds {array.dtype}, not {variable.dtype}"
        elif any(size > MOST.get(dim, MOST_LABELS) for dim, size in zip(names, shape, strict=True)):
            yield f"{name} has the shape {shape}"
        elif min(chunks) < 1 or math.prod(chunks) > MOST_IN_A_CHUNK:
            yield f"{name} is in pieces of {chunks}"
