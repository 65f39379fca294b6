"""What is done to a store while something goes wrong, each as a function of a folder.

The folder holds ``reach.zarr`` and ``videos``. Each call can be made again after it was killed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results import labels, probabilities, put_result

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.ingest import TrialRow
from soupxr.schema import FRAME_CHUNK
from soupxr.store import Store, TrialResults, add_trials, write_annotations

#: More than one block of labels and results, and a block that is not full.
LONG = FRAME_CHUNK + 60
KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1", "M2/S1/2")
MODEL = "a" * 64
NEW_MODEL = "b" * 64


def address_of(folder: Path) -> str:
    return str(folder / "reach.zarr")


def rows(*keys: str, n_frames: int = LONG) -> list[TrialRow]:
    """Trials as measuring their videos gives them."""
    found = []
    for key in keys:
        animal, session, trial_id = key.split("/")
        views = tuple(f"{animal}/{session}/reach_{v}_v{int(trial_id):03d}.mp4" for v in "sf")
        found.append(TrialRow(animal, session, int(trial_id), views, n_frames, 500.0))
    return found


def labelled(key: str, seed: int = 0, n_frames: int = LONG) -> np.ndarray:
    """Labels of every frame, int8 (frame, behavior)."""
    return labels(n_frames, seed + sum(map(ord, key)))


def furnish(folder: Path) -> None:
    """A store of four trials with results, features and labels of two annotators."""
    (folder / "videos").mkdir(parents=True)
    ds = sx.create(folder / "reach.zarr", folder / "videos")
    add_trials(address_of(folder), rows(*KEYS))
    ds = sx.open(folder / "reach.zarr")
    for seed, key in enumerate(KEYS):
        put_result(ds, key, probabilities(labelled(key), seed, 1.5) ** 2)
    for name, seed in (("Ana", 0), ("Ben", 1)):
        masks = {key: labelled(key, seed) for key in KEYS[:3]}
        write_annotations(address_of(folder), name, masks)


#: Trials that an import brings, and their frames.
BROUGHT, SHORT = ("M3/S1/1", "M3/S1/2"), 30


def furnish_import(folder: Path, film: Callable[..., Path]) -> None:
    """A dataframe of animal-soup of an old trial and two new ones, and all that it names."""
    from written import animal_soup

    rows: dict[str, list[Any]] = defaultdict(list)
    old = KEYS[0]
    for seed, key in enumerate((old, *BROUGHT)):
        animal, session, trial_id = key.split("/")
        place = folder / "videos" / animal / session
        place.mkdir(parents=True, exist_ok=True)
        videos = {view: f"reach_{view[0]}_v{int(trial_id):03d}.mp4" for view in ("side", "front")}
        for name in videos.values():
            # Videos of trials that are there are not looked into.
            (place / name).touch() if key == old else film(place / name, n_frames=SHORT)
        n_frames = LONG if key == old else SHORT
        rows["animal_id"].append(animal)
        rows["session_id"].append(session)
        rows["trial_id"].append(int(trial_id))
        rows["vid_paths"].append({v: f"{animal}/{session}/{name}" for v, name in videos.items()})
        rows["output_path"].append(f"{animal}/{session}/outputs.h5")
        rows["cleaned_ethograms"].append(labelled(key, 20, n_frames).T.astype(np.int64))
        background = np.zeros((n_frames, 1), np.float32)
        probability = probabilities(labelled(key, 21, n_frames), seed)
        result = np.hstack([background, probability]), labelled(key, 22, n_frames).T
        if key != BROUGHT[1]:
            animal_soup.put_outputs(place, {int(trial_id): {"fast": result, "slow": result}})
    animal_soup.save(pd.DataFrame(rows), folder / "df.hdf")


def write_result(folder: Path, key: str, model: str, seed: int) -> None:
    """Write features and results of a trial, as inference does; no network runs."""
    ds = sx.open(address_of(folder))
    results = TrialResults(store_of(ds), "fast", key)
    truth = labelled(key)
    random = np.random.default_rng(seed)
    identity = {"feature_model": model}
    record = {"features": {"identity": identity, "kept": "float32"}, "sequence": None}
    old = json.loads(results.provenance or "{}").get("sequence")
    claim = {"features": None, "sequence": old, "claim": f"{random.random()}"}
    results.start_features(json.dumps(claim))
    for start in range(0, len(truth), 512):
        size = min(512, len(truth) - start)
        block = {name: random.normal(size=(size, 512)) for name in ("spatial", "flow")}
        block["logit"] = random.normal(size=(size, 1 + truth.shape[1]))
        results.write_features(start, {k: v.astype(np.float32) for k, v in block.items()})
    results.commit_features(json.dumps(record | {"sequence": old}))
    put_result(ds, key, probabilities(truth, seed), model=model)


# ------------------------------------------------------------------ calls


def create(folder: Path) -> None:
    if not (folder / "reach.zarr").exists():
        sx.create(folder / "reach.zarr", folder / "videos")


def add(folder: Path) -> None:
    there = Store(address_of(folder)).keys()
    wanted = rows("M3/S1/1", "M3/S1/2", n_frames=2 * FRAME_CHUNK + 5)
    new = [row for row in wanted if row.key not in there]
    if new:
        add_trials(address_of(folder), new, "table")


def remove(folder: Path) -> None:
    if "M1/S1/1" in Store(address_of(folder)).slot_of_each_key():
        sx.open(address_of(folder)).soup.remove_item("M1")


def annotate_anew(folder: Path) -> None:
    masks = {key: labelled(key, 7) for key in KEYS[1:]}
    write_annotations(address_of(folder), "Cleo", masks, overwrite=True)


def annotate_over(folder: Path) -> None:
    masks = {key: labelled(key, 9) for key in KEYS[2:]}
    write_annotations(address_of(folder), "Ana", masks, overwrite=True)


def thresholds(folder: Path) -> None:
    sx.open(address_of(folder)).soup.optimize_thresholds("fast", "Ana", on="all")


def infer_anew(folder: Path) -> None:
    """Results where there were none."""
    for seed, key in enumerate(KEYS[:2]):
        if (
            Store(address_of(folder)).statuses("slow", [Store(address_of(folder)).slot(key)])[0]
            != 2
        ):
            write_result(folder, key, NEW_MODEL, seed)


def import_others(folder: Path, files: Path | None = None) -> None:
    """New trials, and results and labels over old ones: what ``furnish_import`` has put there."""
    dataframe = (files or folder) / "df.hdf"
    with sx.set_options(data_root=dataframe.with_name("videos")):
        ds = sx.open(address_of(folder))
        sx.io.animal_soup.read(ds, dataframe, annotator="Ana", overwrite=True)


CALLS = {
    call.__name__: call for call in (create, add, remove, annotate_anew, annotate_over, thresholds)
}
