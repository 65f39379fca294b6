"""From videos to a first ethogram.

    .venv/bin/python examples/01_first_ethogram.py [--quick]

Without ``--quick``, the published models are fetched, and get through about ten frames a second on
two cores.
"""

# %% [markdown]
# ## Videos
#
# A lab has its own; here, two animals are rendered. The truth comes along as a table of bouts.

# %%
import sys
import tempfile
from pathlib import Path

import soupxr as sx
from soupxr.synthetic import write_dataset

QUICK = "--quick" in sys.argv
folder = Path(tempfile.mkdtemp(prefix="soupxr-"))
truth = write_dataset(
    folder / "videos",
    animals=["M1", "M2"],
    trials=2,
    n_frames=60 if QUICK else 300,
    **({"height": 64, "width": 64} if QUICK else {}),
)
print(truth.head())

# %% [markdown]
# ## A store
#
# It holds the table of trials, and all results and labels. The videos stay where they are.

# %%
ds = sx.create(folder / "reach.zarr", data_root=folder / "videos")
for animal in ("M1", "M2"):
    ds = ds.soup.add_item(animal, experiment="table")
print(ds.soup)

# %% [markdown]
# ## Look at a trial
#
# Frames are decoded as they are asked for; both views stand side by side.

# %%
trial = ds.sel(animal="M1", session="S1", trial_id=1)
frames = trial.soup.video()
print(frames.sizes, frames.isel(frame=30).compute().dtype)

# %% [markdown]
# ## What people say
#
# Labels are kept under the name of who made them.

# %%
ds = ds.soup.annotate(truth, annotator="truth", trials="selected")
print(ds.soup.bouts(annotator="truth").head())

# %% [markdown]
# ## What models say
#
# The call can be stopped at any moment; made again, it goes on where it was.

# %%
if QUICK:
    from _toys import train_toys

    ds = train_toys(ds, folder / "models", "truth")

ds = ds.soup.infer(mode="fast")
print(ds.soup)

# %% [markdown]
# From here on it is plain xarray and pandas.

# %%
ethogram = ds.ethogram.sel(mode="fast", animal="M1", session="S1", trial_id=1)
print((ethogram == 1).sum("frame").to_series())
print(ds.probability.sel(mode="fast").mean("frame").to_pandas().round(2))
print(ds.soup.bouts(mode="fast").head())

# %% [markdown]
# ## A picture
#
# Bright: what the model says. Pale, below it: the truth. In a notebook it displays by itself.

# %%
import holoviews as hv  # noqa: E402

picture = ds.sel(animal="M1").soup.plot_ethogram(mode="fast", truth="truth")
hv.extension("matplotlib")
hv.save(picture, folder / "ethograms.png", backend="matplotlib")
print(f"See {folder / 'ethograms.png'}, or: soupxr view {folder / 'reach.zarr'}")
