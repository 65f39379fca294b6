"""Trials, results and labels, put into a store without videos and without running a network."""

from __future__ import annotations

import json

import numpy as np

import soupxr as sx
from soupxr.bouts import postprocess
from soupxr.dataset import store_of
from soupxr.inference.roles import Roles
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS
from soupxr.store import TrialResults

MODEL = "a" * 64


def row(key, n_frames=30, fps=500.0):
    """A trial as it is added; nobody looks for its videos."""
    animal, session, trial_id = key.split("/")
    paths = (f"{key}_side.mp4", f"{key}_front.mp4")
    return TrialRow(animal, session, int(trial_id), paths, n_frames, fps)


def probabilities(truth, seed=0, noise=1.0):
    """Probabilities that know the truth more or less, float32."""
    random = np.random.default_rng(seed)
    logits = (2.0 * (np.asarray(truth) == 1) - 1.0) * 1.5 + random.normal(0, noise, truth.shape)
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def labels(n_frames=60, seed=0, behaviors=BEHAVIORS):
    """One bout of each behavior, int8 (frame, behavior)."""
    random = np.random.default_rng(seed)
    mask = np.zeros((n_frames, len(behaviors)), np.int8)
    for column in range(len(behaviors)):
        start = random.integers(2, n_frames // 2)
        mask[start : start + random.integers(8, n_frames // 3), column] = 1
    return mask


def ethogram(probability, thresholds, minimum_bout):
    background = np.zeros((len(probability), 1), np.float32)
    limits = np.array([0.5, *thresholds])
    return postprocess(np.hstack([background, probability]), limits, minimum_bout)[:, 1:]


def put_result(
    ds,
    key,
    probability,
    *,
    mode="fast",
    thresholds=(0.5,) * 6,
    minimum_bout=3,
    model=MODEL,
    trained_on=(),
    validated_on=(),
):
    """Commit a result of one trial as inference would."""
    store = store_of(ds)
    behaviors = store.labels("behavior")
    provenance = {
        "features": None,
        "sequence": {
            "identity": {
                "sequence_model": model,
                "thresholds": dict(zip(behaviors, thresholds, strict=True)),
                "minimum_bout": minimum_bout,
            },
            "features": {},
            "sequence_model": "/models/sequence.ckpt",
            "role": Roles(frozenset(trained_on), frozenset(validated_on), known=True).of(key),
        },
    }
    TrialResults(store, mode, key).commit(
        probability, ethogram(probability, thresholds, minimum_bout), json.dumps(provenance)
    )


def annotate(ds, key, mask, annotator="human"):
    animal, session, trial_id = key.split("/")
    one = ds.sel(animal=animal, session=session, trial_id=int(trial_id))
    one.soup.annotate(np.asarray(mask), annotator=annotator)
    return sx.open(ds.attrs["soupxr_store"])


def masks(keys, n_frames):
    """Labels of several trials, by key."""
    return {key: labels(n_frames, seed) for seed, key in enumerate(keys)}


def labelled_store(folder, film, truth):
    """A store of these trials with the labels of one annotator, to be copied."""
    for key, mask in truth.items():
        animal, session, trial_id = key.split("/")
        for view in ("side", "front"):
            name = f"reach_{view}_v{int(trial_id):03d}.mp4"
            film(folder / "videos" / animal / session / name, n_frames=len(mask))
    ds = sx.create(folder / "labelled.zarr", data_root=folder / "videos")
    for animal in sorted({key.split("/")[0] for key in truth}):
        ds = ds.soup.add_item(animal, experiment="table", progress=False)
    for key, mask in truth.items():
        ds = annotate(ds, key, mask)
    return folder / "labelled.zarr"
