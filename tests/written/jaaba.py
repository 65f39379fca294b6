"""Scores as JAABA writes them."""

import numpy as np

from soupxr.bouts import mask_to_bouts

#: Frames of the films that are scored.
N = 50


def cells(values):
    """A MATLAB cell array, one row."""
    array = np.empty((1, len(values)), dtype=object)
    for place, value in enumerate(values):
        array[0, place] = value
    return array


def scores_of(bouts, n=N, start=0):
    """Scores (1, n): positive in bouts, NaN before ``start``."""
    scores = np.full(n, -1.5)
    for first, last in bouts:
        scores[first:last] = 2.5
    scores[:start] = np.nan
    return scores[None, :]


def put_scores(folder, behavior, animals, name=None, postprocessed=None, n_frames=N, **more):
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"scores_{behavior}.mat")
    content = {
        "scores": cells(animals),
        "tStart": np.ones((1, len(animals))),
        "tEnd": np.full((1, len(animals)), n_frames),
        "scoreNorm": 1.0,
        "t0s": cells([mask_to_bouts(a[0] > 0)[:, 0] + 1 for a in animals]),
        "t1s": cells([mask_to_bouts(a[0] > 0)[:, 1] + 1 for a in animals]),
    }
    if postprocessed is not None:
        content["postprocessed"] = cells(postprocessed)
    savemat(path, {"allScores": content, "timestamp": 1.0, **more})
    return path
