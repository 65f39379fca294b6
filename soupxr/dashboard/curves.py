"""Probability curves beside the bars, with the thresholds that made the bars."""

from __future__ import annotations

from typing import Any

import numpy as np

from soupxr.dashboard.sheet import thinned
from soupxr.evaluation.decisions import results_of
from soupxr.store import Store, StoredTrial

__all__ = ["curves_of"]


def curves_of(store: Store, trial: StoredTrial, mode: str) -> list[dict[str, Any]]:
    """Curves of a trial as the page wants them; none where nothing was inferred.

    Long ones keep the extremes of each stretch.
    """
    behaviors = store.labels("behavior")
    result = results_of(store, mode, [trial])[trial.key]
    if not result.is_complete:
        return []
    probability, decision = result.probability(store), result.decision(behaviors)
    curves = []
    for behavior in range(len(behaviors)):
        x, y = thinned(probability[:, behavior])
        threshold = None if decision is None else float(decision.thresholds[1 + behavior])
        curves.append(
            {
                "behavior": behavior,
                "x": np.asarray(x, float).tolist(),
                "y": np.round(np.asarray(y, float), 4).tolist(),
                "threshold": threshold,
            }
        )
    return curves
