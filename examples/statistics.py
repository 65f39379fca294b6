"""Statistics over animals: bout rates, latencies, transitions, and what happens around a grab.

    .venv/bin/python examples/statistics.py [--out statistics]

Films a few invented animals and takes the truth about them for labels, so that nothing has to be
trained. Prints tables; writes two pictures, each as HTML and as PNG.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import holoviews as hv
import xarray as xr

import soupxr as sx
from soupxr.synthetic import write_dataset

ANIMALS, SESSIONS, TRIALS = 3, 2, 3
WINDOW = (-0.15, 0.25)


def main() -> None:
    """Film, label, count and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("statistics"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sx.set_options(progress=False):
        ds = labelled(Path(folder))
        tables(ds)
        pictures(ds, out)


def labelled(folder: Path) -> xr.Dataset:
    """A store of small films whose labels are the truth."""
    truth = write_dataset(
        folder / "videos",
        animals=ANIMALS,
        sessions=SESSIONS,
        trials=TRIALS,
        height=64,
        width=44,
        progress=False,
    )
    ds = sx.create(folder / "reach.zarr", data_root=folder / "videos")
    for animal in truth["animal"].unique():
        ds = ds.soup.add_item(animal)
    # Trials in which nothing happens have no row; they are labelled all the same.
    return ds.soup.annotate(truth, annotator="truth", trials="selected")


def tables(ds: xr.Dataset) -> None:
    """Print what there is to count."""
    stats = sx.analysis.bout_statistics(ds, annotator="truth", by="animal")
    show("Bouts per minute", stats.rate)
    show("Median duration of a bout (s)", stats.median_duration)
    show("Mean latency to the first bout (s)", stats.latency)

    # The same of each trial, for plain xarray to go on with: its cube, averaged over trials.
    grabs = sx.analysis.bout_statistics(ds, annotator="truth").n_bouts.sel(behavior="grab")
    show("Grabs in a trial, mean of each session", grabs.unstack("trial").mean("trial_id"))

    following = sx.analysis.transition_matrix(ds, annotator="truth", normalize=True)
    show("Probability that a behavior begins next (columns) after another (rows)", following)


def pictures(ds: xr.Dataset, out: Path) -> None:
    """Draw what happens around each grab."""
    around = sx.analysis.align(ds, "grab", WINDOW, annotator="truth")
    # −1 is unlabelled, here: beyond the trial's end.
    eaten = around.sel(behavior="atmouth", time=slice(0, None))
    show("Grabs after which the pellet gets to the mouth (fraction)",
         (eaten == 1).any("time").groupby("animal").mean())  # fmt: skip
    drawn = {
        "raster": sx.analysis.raster(around, by="animal", title="Around each grab"),
        "mean": sx.analysis.peri_event_plot(around, by="animal", title="Mean over animals"),
    }
    for name, picture in drawn.items():
        hv.save(picture, out / f"{name}.html", backend="bokeh")
        hv.save(picture, out / f"{name}.png", backend="matplotlib")
        print(out / f"{name}.html", out / f"{name}.png")


def show(heading: str, values: xr.DataArray) -> None:
    """Print an array of one or two dimensions."""
    print(f"\n{heading}\n{values.to_pandas().round(3)}")


if __name__ == "__main__":
    main()
