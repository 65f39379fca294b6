"""NWB files of trials."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr import ingest
from soupxr.bouts import mask_to_bouts
from soupxr.dataset import data_root
from soupxr.errors import ArgumentError, FormatError, expected, listed
from soupxr.io.chosen import Chosen, choose, new_file
from soupxr.io.media import named_from
from soupxr.store import StoredTrial

__all__ = ["NwbRequest", "make"]

METHODS = ("manual", "automated", "curated")
#: What a ``subject`` of NWB has; any other key is an animal's name.
SUBJECT_FIELDS = frozenset(
    [
        "age",
        "age__reference",
        "date_of_birth",
        "description",
        "genotype",
        "sex",
        "species",
        "strain",
        "weight",
    ]
)

Mask = npt.NDArray[np.int8]


@dataclass(frozen=True)
class NwbRequest:
    """What the user of ``write`` wants."""

    session_start: datetime | Mapping[str, datetime]
    labeling_method: str | None
    subject: dict[str, Any]
    session_description: str
    probability: bool


def make(
    ds: xr.Dataset,
    folder: Path,
    mode: str | None,
    annotator: str | None,
    request: NwbRequest,
    overwrite: bool,
) -> Mapping[str, Path]:
    """Write NWB files; see :func:`soupxr.io.nwb.write`."""
    _check_installed()
    chosen = choose(ds, mode, annotator, "nwb.write")
    _check(request, chosen)
    files = {trial.key: folder / _name(trial) for trial in chosen.trials}
    there = [str(path) for path in files.values() if path.exists()]
    if len(set(files.values())) < len(files):
        raise ArgumentError(
            "nwb.write: names of animals or sessions differ only in characters that a file's name "
            "cannot have. Write them into several folders: select fewer trials."
        )
    if there and not overwrite:
        remedy = "Pass overwrite=True to replace them."
        raise ArgumentError(expected("folder", "one without these files", there[:5], remedy))
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as all_of_them:
        for trial, mask in chosen.masks():
            unfinished = all_of_them.enter_context(new_file(files[trial.key], overwrite=True))
            _write(unfinished, _contents(trial, mask, chosen, request, folder))
            _validate(unfinished, trial.key)
    return files


def _check_installed() -> None:
    try:
        import ndx_ethogram  # noqa: F401
    except ImportError as error:
        raise ArgumentError(
            f"nwb.write: NWB needs pynwb and ndx-ethogram ({error}). "
            "Install them with pip install pynwb ndx-ethogram."
        ) from None


def _check(request: NwbRequest, chosen: Chosen) -> None:
    if request.labeling_method not in (None, *METHODS):
        wanted = f"one of {METHODS}"
        raise ArgumentError(expected("labeling_method", wanted, request.labeling_method))
    for trial in chosen.trials:
        start = _start(request, trial)
        if not isinstance(start, datetime) or start.tzinfo is None:
            raise ArgumentError(
                expected(
                    "session_start",
                    f"a datetime with a time zone for {trial.key}",
                    start,
                    "Example: datetime(2026, 3, 1, 9, 30, tzinfo=ZoneInfo('Europe/Zurich')).",
                )
            )
    animals = {trial.animal for trial in chosen.store.trials(chosen.store.keys())}
    strange = sorted(set(request.subject) - SUBJECT_FIELDS - animals)
    if strange:
        wanted = f"names of animals, or fields among {sorted(SUBJECT_FIELDS)}"
        raise ArgumentError(expected("subject", wanted, strange))


def _start(request: NwbRequest, trial: StoredTrial) -> datetime | None:
    if isinstance(request.session_start, Mapping):
        return request.session_start.get(trial.key)
    return request.session_start


def _name(trial: StoredTrial) -> str:
    animal, session = (re.sub(r"[^\w.+-]", "-", name) for name in (trial.animal, trial.session))
    return f"sub-{animal}_ses-{session}_trial-{trial.trial_id}.nwb"


# ------------------------------------------------------------------ contents


def _contents(
    trial: StoredTrial, mask: Mask, chosen: Chosen, request: NwbRequest, folder: Path
) -> Any:
    """The NWBFile of one trial."""
    from pynwb import NWBFile
    from pynwb.file import Subject

    one = Chosen(chosen.store, chosen.source, [trial], chosen.behaviors)
    record = json.dumps(one.provenance(), ensure_ascii=False)
    described = request.session_description or trial.experiment or "behaviour on video"
    file = NWBFile(
        session_description=described,
        identifier=str(uuid4()),
        session_start_time=_start(request, trial),
        session_id=trial.session,
        experiment_description=f"trial {trial.trial_id} of {trial.animal}, {trial.session}",
        source_script=record,
        source_script_file_name="soupxr",
        was_generated_by=[["soupxr", one.provenance()["soupxr"]]],
    )
    animal = request.subject.get(trial.animal)
    facts = animal if isinstance(animal, Mapping) else request.subject
    known = {name: value for name, value in facts.items() if name in SUBJECT_FIELDS}
    file.subject = Subject(subject_id=trial.animal, **known)
    videos = list(_videos(trial, chosen, folder))
    for video in videos:
        file.add_acquisition(video)
    module = file.create_processing_module("behavior", "what the animal does, frame by frame")
    _add_bouts(file, module, trial, mask, chosen, request, record, videos[0])
    if request.probability and chosen.source.variable == "ethogram":
        _add_probability(module, trial, chosen)
    return file


def _videos(trial: StoredTrial, chosen: Chosen, folder: Path) -> Iterator[Any]:
    from pynwb.image import ImageSeries

    root = data_root(chosen.store)
    for view, path in zip(chosen.store.labels("view"), trial.video_paths, strict=True):
        named = named_from(folder.resolve(), ingest.resolve_video(root, path))
        yield ImageSeries(
            name=f"video_{view}",
            description=f"{view} view",
            external_file=[named],
            starting_frame=[0],
            num_samples=trial.n_frames,
            format="external",
            rate=trial.fps,
            starting_time=0.0,
            unit="n.a.",
        )


def _add_bouts(
    file: Any,
    module: Any,
    trial: StoredTrial,
    mask: Mask,
    chosen: Chosen,
    request: NwbRequest,
    record: str,
    video: Any,
) -> None:
    """A table of bouts for all behaviors that were labelled over the same stretches."""
    from ndx_ethogram import Ethogram, EthogramBouts
    from pynwb.epoch import TimeIntervals

    is_model = chosen.source.variable == "ethogram"
    method = request.labeling_method or ("automated" if is_model else "manual")
    alike = _labelled_alike(mask)
    for number, columns in enumerate(alike):
        suffix = "" if len(alike) == 1 else f"_{number + 1}"
        names = [chosen.behaviors[column] for column in columns]
        catalogue = Ethogram(
            name=f"behaviors{suffix}", description="behaviors that were looked for", exclusive=False
        )
        for name in names:
            catalogue.add_row(behavior=name, definition=name, behavior_type="state")
        module.add(catalogue)
        options: dict[str, Any] = {}
        seen = mask[:, columns[0]] != -1
        if not seen.all():
            intervals = TimeIntervals(
                name=f"observation_intervals{suffix}",
                description=f"stretches in which {', '.join(names)} were labelled",
            )
            for start, stop in (mask_to_bouts(seen) / trial.fps).tolist():
                intervals.add_interval(start_time=start, stop_time=stop)
            file.add_time_intervals(intervals)
            options["observation_intervals"] = intervals
        if method != "automated":
            options["annotator"] = chosen.source.name
        if method != "manual":
            options["source_software"] = f"soupxr {json.loads(record)['soupxr']}"
        table = EthogramBouts(
            name=f"ethogram{suffix}",
            description=f"bouts by {chosen.source.name}, in seconds from the trial's first frame",
            labeling_method=method,
            parameters=record,
            source_video=video,
            ethogram=catalogue,
            **options,
        )
        for start, stop, name in _bouts(mask, columns, names):
            table.add_row(start_time=start / trial.fps, stop_time=stop / trial.fps, label=name)
        file.add_time_intervals(table)


def _labelled_alike(mask: Mask) -> list[list[int]]:
    """Behaviors by the stretches over which they were labelled; those that never were, left out."""
    alike: dict[bytes, list[int]] = {}
    for column in range(mask.shape[1]):
        seen = mask[:, column] != -1
        if seen.any():
            alike.setdefault(seen.tobytes(), []).append(column)
    return list(alike.values())


def _bouts(mask: Mask, columns: list[int], names: list[str]) -> list[tuple[int, int, str]]:
    """Start, stop and behavior, in the order of time."""
    return sorted(
        (start, stop, name)
        for column, name in zip(columns, names, strict=True)
        for start, stop in mask_to_bouts(mask[:, column] == 1).tolist()
    )


def _add_probability(module: Any, trial: StoredTrial, chosen: Chosen) -> None:
    from pynwb import TimeSeries

    row = chosen.store.mode_index(chosen.source.name)
    values = chosen.store.rows("probability", row, trial)
    if not np.isnan(values).all():
        module.add(
            TimeSeries(
                name="probability",
                description=f"of {', '.join(chosen.behaviors)} (columns), by the sequence model",
                data=values,
                unit="1",
                rate=trial.fps,
                starting_time=0.0,
            )
        )


# ------------------------------------------------------------------ writing


def _write(path: Path, contents: Any) -> None:
    from pynwb import NWBHDF5IO

    with _without_advice(), NWBHDF5IO(str(path), "w") as io:
        io.write(contents)


def _validate(path: Path, key: str) -> None:
    from pynwb import validate

    with _without_advice():
        found = validate(path=str(path))
    errors = cast("list[object]", found[0] if isinstance(found, tuple) else found)
    if errors:
        raise FormatError(
            f"{key}: pynwb's validator finds fault with the file; nothing was written:"
            f"{listed(errors)}"
        )


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Without warnings of pynwb on names and deprecations, of which the user can do nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
