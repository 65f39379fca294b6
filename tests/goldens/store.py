"""How ``store_v1.zip`` was made: a store as the first version of the schema writes it.

    PYTHONPATH=tests python tests/goldens/store.py

It is not made anew, however stores come to be written: what labs have must stay readable.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from results import labels, probabilities, put_result

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.ingest import TrialRow
from soupxr.store import TrialResults, add_trials, write_annotations

KEYS = ("M1/S1/1", "M1/S1/2", "Mäuschen 2/S 1/12")
N_FRAMES = 40


def make(folder: Path) -> Path:
    """A store with results, features of one trial, labels of two people, and a new result."""
    (folder / "videos").mkdir(parents=True)
    address = folder / "reach.zarr"
    sx.create(address, folder / "videos")
    rows = []
    for key in KEYS:
        animal, session, trial_id = key.split("/")
        paths = tuple(f"{animal}/{session}/reach_{view}_v{trial_id}.mp4" for view in "sf")
        rows.append(TrialRow(animal, session, int(trial_id), paths, N_FRAMES, 500.0))
    add_trials(str(address), rows, "table", ["", "left paw", ""])
    ds = sx.open(address)
    for seed, key in enumerate(KEYS[:2]):
        put_result(ds, key, probabilities(labels(N_FRAMES, seed), seed))
    # Over an old one: beside the results there is a place for the new one now.
    put_result(ds, KEYS[0], probabilities(labels(N_FRAMES, 7), 7))
    _keep_features(ds, KEYS[2])
    for name, seed in (("Ana", 0), ("Ben", 1)):
        masks = {key: labels(N_FRAMES, seed + place) for place, key in enumerate(KEYS)}
        write_annotations(str(address), name, masks)
    return address


def _keep_features(ds, key: str) -> None:
    results = TrialResults(store_of(ds), "slow", key)
    results.start_features("{}")
    frames = np.arange(N_FRAMES, dtype=np.float32)[:, None]
    widths = {"spatial": 512, "flow": 512, "logit": 7}
    results.write_features(0, {name: frames.repeat(width, 1) for name, width in widths.items()})
    results.commit_features('{"features": {"identity": {}, "kept": "float32"}, "sequence": null}')


def main() -> None:
    """Write the archive beside this script."""
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))
        shutil.make_archive(str(Path(__file__).with_name("store_v1")), "zip", name, "reach.zarr")


if __name__ == "__main__":
    main()
