"""Toy networks for ``--quick``: trained for a step or two on small pictures, they know nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

__all__ = ["train_toys"]


def train_toys(ds: xr.Dataset, folder: Path, annotator: str) -> xr.Dataset:
    """Train all three stages; ``infer`` takes them from then on."""
    least: dict[str, Any] = {"mode": "fast", "group": "trial", "batch_size": 2}
    steps = {"max_epochs": 1, "training_steps": 1, "validation_steps": 1}
    ds.soup.flow_generator.train(model_out=folder / "flow", image_size=32, **least, **steps)
    ds.soup.feature_extractor.train(
        model_out=folder / "features", annotator=annotator, **least, **steps
    )
    ds = ds.soup.feature_extractor.infer(mode="fast")
    ds.soup.sequence.train(model_out=folder / "sequence", annotator=annotator, **least, **steps)
    return ds
