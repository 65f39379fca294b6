"""Statistics over animals: bout rates, latencies, transitions, and what happens around a grab.

    .venv/bin/python examples/04_statistics.py [--quick]

Films a few invented animals and takes the truth about them for labels, so that nothing has to be
trained. Prints tables, and writes two pictures, each as HTML and as PNG.
"""

# %% What is needed
from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import holoviews as hv
import xarray as xr

import soupxr as sx
from soupxr.synthetic import write_dataset

parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
parser.add_argument("--quick", action="store_true", help="two small animals, in seconds")
quick = parser.parse_known_args()[0].quick
folder = Path(tempfile.mkdtemp(prefix="soupxr-"))
sx.set_options(progress=False)


def show(heading: str, values: xr.DataArray) -> None:
    """Print an array of one or two dimensions."""
    print(f"\n{heading}\n{values.to_pandas().round(3)}")


# %% A store of films whose labels are the truth
truth = write_dataset(
    folder / "videos",
    animals=2 if quick else 4,
    sessions=1 if quick else 2,
    trials=3,
    height=64,
    width=44,
)
ds = sx.create(folder / "reach.zarr", data_root=folder / "videos")
for animal in truth["animal"].unique():
    ds = ds.soup.add_item(animal)
# Trials in which nothing happens have no row; they are labelled all the same.
ds = ds.soup.annotate(truth, annotator="truth", trials="selected")

# %% Bouts by animal
stats = sx.analysis.bout_statistics(ds, annotator="truth", by="animal")
show("Bouts per minute", stats.rate)
show("Median duration of a bout (s)", stats.median_duration)
show("Mean latency to the first bout (s)", stats.latency)

# %% The same of each trial, for plain xarray to go on with: its cube, averaged over trials
grabs = sx.analysis.bout_statistics(ds, annotator="truth").n_bouts.sel(behavior="grab")
show("Grabs in a trial, mean of each session", grabs.unstack("trial").mean("trial_id"))

# %% What follows what
following = sx.analysis.transition_matrix(ds, annotator="truth", normalize=True)
show("Probability that a behavior begins next (columns) after another (rows)", following)

# %% Around each grab; −1 is unlabelled, here: beyond the trial's end
around = sx.analysis.align(ds, "grab", (-0.15, 0.25), annotator="truth")
eaten = (around.sel(behavior="atmouth", time=slice(0, None)) == 1).any("time")
show(
    "Grabs after which the pellet gets to the mouth (fraction)",
    eaten.groupby("animal").mean(),
)

# %% Pictures
drawn = {
    "raster": sx.analysis.raster(around, by="animal", title="Around each grab"),
    "mean": sx.analysis.peri_event_plot(around, by="animal", title="Mean over animals"),
}
for name, picture in drawn.items():
    hv.save(picture, folder / f"{name}.html", backend="bokeh")
    hv.save(picture, folder / f"{name}.png", backend="matplotlib")
    print(f"See {folder / name}.html and {folder / name}.png")
