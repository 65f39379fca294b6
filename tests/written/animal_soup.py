"""Dataframes and outputs as animal-soup writes them."""

import pathlib
import warnings

import h5py
import numpy as np
import pandas as pd


def save(df, path, key="df"):
    with warnings.catch_warnings():
        # PyTables says that objects are pickled: that is what is tested.
        warnings.simplefilter("ignore")
        df.to_hdf(path, key=key, mode="w")
    return path


def frame(n_trials=2, **more):
    rows = range(1, n_trials + 1)
    columns = {
        "animal_id": ["M1"] * n_trials,
        "session_id": ["S1"] * n_trials,
        "trial_id": list(rows),
        "vid_paths": [
            {
                "front": pathlib.PurePosixPath(f"M1/S1/reach_front_v{n:03d}.mp4"),
                "side": f"M1/S1/reach_side_v{n:03d}.mp4",
            }
            for n in rows
        ],
        "output_path": [pathlib.PurePosixPath("M1/S1/outputs.h5")] * n_trials,
        "exp_type": ["table"] * n_trials,
        "model_params": [{"mode": "fast"}] * n_trials,
        "notes": [None, "wet paw"][:n_trials],
        **more,
    }
    return pd.DataFrame(columns)


def put_outputs(folder, results, cleaned=None):
    """``results``: trial → mode → (probabilities (T, 7), ethogram (6, T))."""
    path = folder / "outputs.h5"
    with h5py.File(path, "w") as file:
        for trial, modes in results.items():
            for mode, (probability, ethogram) in modes.items():
                group = file.create_group(f"{trial}/{mode}")
                group["features/spatial"] = np.zeros((len(probability), 512), np.float32)
                group["features/flow"] = np.zeros((len(probability), 512), np.float32)
                group["features/logits"] = np.zeros_like(probability)
                group["features/probabilities"] = 1 - probability
                group["sequence/logits"] = np.zeros_like(probability)
                group["sequence/probabilities"] = probability
                group["ethogram"] = ethogram
        for trial, ethogram in (cleaned or {}).items():
            file.require_group(str(trial))["cleaned_ethogram"] = ethogram
    return path
