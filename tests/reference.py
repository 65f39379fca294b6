"""A plain inference loop to hold the engine against: no store, no streams, no batches."""

from __future__ import annotations

import numpy as np
import torch

from soupxr import bouts
from soupxr.inference.preprocess import Preprocessing
from soupxr.models import checkpoint
from soupxr.models.tgmj import windowed_logits
from soupxr.modes import MODES


def infer_plainly(frames, models, size, thresholds=None):
    """Probability and ethogram, both (frame, behavior), of uint8 frames (frame, y, x, 3)."""
    network = checkpoint.read(models["feature_model_in"]).build()
    tgmj = checkpoint.read(models["sequence_model_in"]).build()
    preprocessing = Preprocessing(size, "antialias", (0.5,) * 3, (0.25,) * 3)
    values = preprocessing(torch.from_numpy(np.ascontiguousarray(frames)))
    edge = preprocessing.edge_frames(5, torch.device("cpu"))
    padded = torch.cat([edge, values, edge])
    features = []
    with torch.no_grad():
        for i in range(len(frames)):
            window = padded[i : i + 11]
            stacked = network.mode.layout == "stacked"
            window = window.flatten(0, 1) if stacked else window.transpose(0, 1)
            output = network(window[None])
            features.append(torch.cat([output.spatial_features, output.flow_features], dim=1))
        probability = torch.sigmoid(windowed_logits(tgmj, torch.cat(features))).numpy()
    if thresholds is None:
        thresholds = MODES[network.mode.name].published_thresholds
    ethogram = bouts.postprocess(probability, np.asarray(thresholds), minimum_bout=3)
    return probability[:, 1:], ethogram[:, 1:]


def select(ds, key, mode="fast"):
    """One trial in one mode, by its key."""
    animal, session, trial_id = key.split("/")
    return ds.sel(mode=mode, animal=animal, session=session, trial_id=int(trial_id))
