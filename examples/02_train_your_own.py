"""Train all three stages on labels, and judge them on an animal that they have never seen.

    .venv/bin/python examples/02_train_your_own.py [--quick]

``soupxr demo`` does the same at greater length, with settings that learn something worth having.
"""

# %% [markdown]
# ## Three animals
#
# Two to learn from, one to be judged on.

# %%
import sys
import tempfile
from pathlib import Path
from typing import Any

import soupxr as sx
from soupxr.synthetic import write_dataset

QUICK = "--quick" in sys.argv
folder = Path(tempfile.mkdtemp(prefix="soupxr-"))
truth = write_dataset(
    folder / "videos",
    animals=["M1", "M2", "M3"],
    trials=2 if QUICK else 6,
    n_frames=60 if QUICK else 300,
    difficulty=0.0,
    **({"height": 64, "width": 64} if QUICK else {}),
)
ds = sx.create(folder / "reach.zarr", data_root=folder / "videos")
for animal in ("M1", "M2", "M3"):
    ds = ds.soup.add_item(animal)

# %% [markdown]
# ## Labels
#
# `trials="selected"`: in a trial without a row in the table, nothing happens.

# %%
ds = ds.soup.annotate(truth, annotator="Ana", trials="selected")
is_known = ds.animal.isin(["M1", "M2"])
known, new = ds.isel(trial=is_known), ds.isel(trial=~is_known)

# %% [markdown]
# ## Settings
#
# Of a real training: `image_size` 224, and the defaults of everything else. These learn a little,
# in minutes; the quick ones nothing, in seconds.

# %%
size = (32, 32) if QUICK else (64, 80)
common: dict[str, Any] = {"mode": "fast", "group": "trial", "stop_method": "num_epochs"}
flow: dict[str, Any] = {"max_epochs": 1, "training_steps": 25, "validation_steps": 4}
features: dict[str, Any] = {"max_epochs": 4, "training_steps": 34, "initial_lr": 1e-3}
sequence: dict[str, Any] = {"max_epochs": 20, "batch_size": 4, "initial_lr": 1e-2}
if QUICK:
    least = {"max_epochs": 1, "training_steps": 1, "validation_steps": 1, "batch_size": 2}
    flow, features, sequence = least, least, least

# %% [markdown]
# ## Frames, decoded once
#
# Training reads short clips from anywhere; from here it does so many times as fast.

# %%
known = known.soup.cache_frames(size)

# %% [markdown]
# ## Train
#
# The flow generator needs no labels. Each `train` can be stopped; the same call with `resume=True`
# goes on after the last whole epoch.

# %%
known.soup.flow_generator.train(model_out=folder / "flow", image_size=size, **common, **flow)
known.soup.feature_extractor.train(
    model_out=folder / "features", oversampling=0.5, weight_exponent=0.25, **common, **features
)
known = known.soup.feature_extractor.infer(mode="fast")
known.soup.sequence.train(model_out=folder / "sequence", **common, **sequence)
print(ds.soup.models[["mode", "kind", "metric", "value", "default"]])

# %% [markdown]
# ## How good are they on an animal that is new to them?

# %%
new = new.soup.infer(mode="fast")
scores = new.soup.evaluate(mode="fast", annotator="Ana")
print(scores[["precision", "recall", "f1", "bout_f1", "support"]].to_dataframe().round(2))
print("mean F1", float(scores.f1_mean.round(2)))
print("Curves:", scores.soup.plot(folder / "scores.html"))

# %% [markdown]
# ## Thresholds
#
# Fitted to labels, from stored probabilities; no network runs. Here on the new animal, so that its
# labels say nothing any more about how good the model is.

# %%
fitted = new.soup.optimize_thresholds(mode="fast", annotator="Ana", on="all", dry_run=True)
print(fitted[["threshold_before", "threshold", "f1_before", "f1"]].to_dataframe().round(2))
