"""A project that BORIS opens."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr import ingest
from soupxr.bouts import mask_to_bouts
from soupxr.dataset import data_root
from soupxr.errors import ArgumentError
from soupxr.io.boris.placing import UNLABELLED
from soupxr.io.chosen import Chosen, choose, new_file
from soupxr.io.media import named_from
from soupxr.store import StoredTrial

__all__ = ["write"]

FORMAT_VERSION = "7.0"
N_PLAYERS = 8
#: BORIS keeps milliseconds: frames that last longer can be told apart.
MOST_FPS = 1000.0
#: Of the behaviors, in turn; those of the color-blind friendly set of Okabe and Ito.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")


def write(
    ds: xr.Dataset, path: Path, mode: str | None, annotator: str | None, overwrite: bool
) -> Path:
    """Write a project; see :func:`soupxr.io.boris.write`."""
    if not path.name.lower().endswith((".boris", ".boris.gz")):
        raise ArgumentError(
            f"path: expected a name that ends in .boris or .boris.gz, but got {str(path)!r}."
        )
    chosen = choose(ds, mode, annotator, "boris.write")
    fast = [f"{trial.key} ({trial.fps:g} Hz)" for trial in chosen.trials if trial.fps > MOST_FPS]
    if fast:
        raise ArgumentError(
            f"boris.write: BORIS keeps milliseconds, too coarse for {', '.join(fast[:5])}. "
            "Use soupxr.io.tables."
        )
    text = json.dumps(_project(chosen, path), indent=1, ensure_ascii=False)
    with new_file(path, overwrite) as unfinished:
        data = text.encode("utf-8")
        is_compressed = path.name.lower().endswith(".gz")
        unfinished.write_bytes(gzip.compress(data, mtime=0) if is_compressed else data)
    return path


def _project(chosen: Chosen, path: Path) -> dict[str, Any]:
    has_gaps = bool(chosen.unlabelled())
    _check_names(chosen.behaviors, has_gaps)
    record = chosen.provenance()
    root = data_root(chosen.store)
    # BORIS takes paths from the folder of its project.
    folder = path.parent.resolve()
    date = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    observations = {
        trial.key: _observation(trial, mask, chosen, _media(trial, root, folder), date)
        for trial, mask in chosen.masks()
    }
    return {
        "time_format": "s",
        "project_date": date,
        "project_name": f"{record['store']}: {chosen.source.variable} {chosen.source.name}",
        "project_description": json.dumps(record, ensure_ascii=False),
        "project_format_version": FORMAT_VERSION,
        "subjects_conf": {},
        "behaviors_conf": _ethogram(chosen.behaviors, has_gaps),
        "observations": observations,
        "behavioral_categories": [],
        "independent_variables": {
            str(place): {
                "label": name,
                "description": "",
                "type": "text",
                "default value": "",
                "possible values": "",
            }
            for place, name in enumerate(_variables(chosen.trials[0], chosen))
        },
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }


def _check_names(behaviors: Sequence[str], has_gaps: bool) -> None:
    """Refuse names that would come back as something else."""
    strange = [
        name
        for name in behaviors
        if name == UNLABELLED or name.lower() == "none" or name != name.strip("| ")
    ]
    if has_gaps and strange:
        raise ArgumentError(
            f"boris.write: labels are missing, which the state {UNLABELLED!r} and its modifiers "
            f"would say; the behavior {strange[0]!r} cannot be told from them. "
            "Use soupxr.io.tables."
        )


def _ethogram(behaviors: Sequence[str], has_gaps: bool) -> dict[str, Any]:
    """State events; each behavior has a key to press, as far as there are digits."""
    entries = [
        _behavior(name, str(place + 1) if place < 9 else "", COLORS[place % len(COLORS)])
        for place, name in enumerate(behaviors)
    ]
    if has_gaps:
        gap = _behavior(UNLABELLED, "0", "#999999")
        gap["description"] = "nobody has labelled this stretch; a modifier tells of which behavior"
        gap["modifiers"] = {
            "0": {
                "name": "behavior",
                "description": "",
                "type": 0,
                "ask at stop": False,
                "values": list(behaviors),
            }
        }
        entries.append(gap)
    return {str(place): entry for place, entry in enumerate(entries)}


def _behavior(code: str, key: str, color: str) -> dict[str, Any]:
    return {
        "type": "State event",
        "key": key,
        "code": code,
        "description": "",
        "color": color,
        "category": "",
        "modifiers": {},
        "excluded": "",
        "coding map": "",
    }


def _observation(
    trial: StoredTrial,
    mask: npt.NDArray[np.int8],
    chosen: Chosen,
    media: Sequence[str],
    date: str,
) -> dict[str, Any]:
    files = {str(n + 1): [media[n]] if n < len(media) else [] for n in range(N_PLAYERS)}
    # A millisecond more: BORIS leaves out what lies at the very end, for binary 0.6 is below 0.6.
    length = round(trial.n_frames / trial.fps + 0.001, 3)
    return {
        "file": files,
        "type": "MEDIA",
        "date": date,
        "description": "",
        "time offset": 0.0,
        "events": _events(trial, mask, chosen.behaviors),
        "observation time interval": [0, 0],
        "independent_variables": _variables(trial, chosen),
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": dict.fromkeys(media, length),
            "fps": dict.fromkeys(media, trial.fps),
            "hasVideo": dict.fromkeys(media, True),
            "hasAudio": dict.fromkeys(media, False),
            "offset": {str(n + 1): 0.0 for n in range(len(media))},
        },
    }


def _variables(trial: StoredTrial, chosen: Chosen) -> dict[str, str]:
    told = {
        "animal": trial.animal,
        "session": trial.session,
        "trial_id": str(trial.trial_id),
    }
    if chosen.source.variable == "annotation":
        told["annotator"] = chosen.source.name
    return told


def _media(trial: StoredTrial, root: Path, folder: Path) -> list[str]:
    """The trial's videos, from the project's folder where that is possible."""
    return [named_from(folder, ingest.resolve_video(root, path)) for path in trial.video_paths]


def _events(
    trial: StoredTrial, mask: npt.NDArray[np.int8], behaviors: Sequence[str]
) -> list[list[Any]]:
    """Time, subject, code, modifiers, comment, frame; a START and a STOP for each bout."""
    rows = [
        [round(frame / trial.fps, 3), "", code, modifiers, "", frame]
        for code, modifiers, bouts in _states(mask, behaviors)
        for frame in bouts.ravel().tolist()
    ]
    # A STOP before a START at the same frame, and both in the order of their behavior.
    return sorted(rows, key=lambda row: row[-1])


def _states(
    mask: npt.NDArray[np.int8], behaviors: Sequence[str]
) -> Iterator[tuple[str, str, npt.NDArray[np.int64]]]:
    for column, name in enumerate(behaviors):
        yield name, "", mask_to_bouts(mask[:, column] == 1)
    nobody = (mask == -1).all(axis=1)
    yield UNLABELLED, "", mask_to_bouts(nobody)
    for column, name in enumerate(behaviors):
        yield UNLABELLED, name, mask_to_bouts((mask[:, column] == -1) & ~nobody)
