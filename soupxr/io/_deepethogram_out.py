"""Label files as DeepEthogram keeps them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import xarray as xr

from soupxr.errors import ArgumentError, expected
from soupxr.io.chosen import Chosen, choose, new_file, write_json
from soupxr.labels import with_background

__all__ = ["write"]

RECORD = "soupxr_provenance.json"


def write(
    ds: xr.Dataset, folder: Path, mode: str | None, annotator: str | None, overwrite: bool
) -> Mapping[str, Path]:
    """Write label files; see :func:`soupxr.io.deepethogram.write`."""
    chosen = choose(ds, mode, annotator, "deepethogram.write")
    names = _names(chosen)
    files = {key: folder / name / f"{name}_labels.csv" for key, name in names.items()}
    there = [str(path) for path in (*files.values(), folder / RECORD) if path.exists()]
    if there and not overwrite:
        remedy = "Pass overwrite=True to replace them."
        raise ArgumentError(expected("folder", "one without these files", there[:5], remedy))
    for trial, mask in chosen.masks():
        path = files[trial.key]
        path.parent.mkdir(parents=True, exist_ok=True)
        rows: list[list[object]] = [["", "background", *chosen.behaviors]]
        rows += [[n, *values] for n, values in enumerate(with_background(mask).tolist())]
        with (
            new_file(path, overwrite=True) as unfinished,
            unfinished.open("w", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file, lineterminator="\n").writerows(rows)
    record = chosen.provenance()
    record["files"] = {key: path.relative_to(folder).as_posix() for key, path in files.items()}
    write_json(folder / RECORD, record)
    return files


def _names(chosen: Chosen) -> dict[str, str]:
    """What each trial's file is called."""
    names = {trial.key: trial.key.replace("/", "_") for trial in chosen.trials}
    if len(chosen.store.labels("view")) == 1:
        names = {trial.key: PurePosixPath(trial.video_paths[0]).stem for trial in chosen.trials}
    double = [name for name, count in Counter(names.values()).items() if count > 1]
    if double:
        raise ArgumentError(
            f"deepethogram.write: several trials have videos named {double[0]!r}, which would be "
            "one file. Write them into several folders: select fewer trials."
        )
    return names
