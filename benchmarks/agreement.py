"""What faster ways of inferring cost: half precision, and looking at each k-th frame only.

    make demo
    python benchmarks/agreement.py [--demo demo] [--json FILE]

The demo's models infer animals that they have not seen, first in single precision on every frame,
then in each faster way. Told are how fast it is (start-up included), the largest and the mean
difference of probabilities, on how many frames the ethograms agree (of all behaviors, and of the
behavior that agrees least), and how much the mean F1 moves against the truth. Where real videos lie
beside the checkout, the same models infer these too; nobody knows their truth, so no F1 is told.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from _report import load, machine, print_machine, print_table, write_json

import soupxr as sx
from soupxr.demo import ANNOTATOR, MODE, Effort
from soupxr.synthetic import write_dataset

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "mirror"
ANIMALS = ("N1", "N2", "N3", "N4")
#: Arguments of ``infer`` by what is told of them; the first is what the others are held against.
WAYS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    **{f"every={k}": {"precision": "float32", "every": k} for k in (2, 3, 5)},
    "bfloat16, every=2": {"precision": "bfloat16", "every": 2},
}


def main() -> None:
    """Infer, compare, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="folder of the demo")
    parser.add_argument("--trials", type=int, default=4, help="trials of each new animal")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    results: dict[str, Any] = {"machine": facts}
    with sx.set_options(progress=False), tempfile.TemporaryDirectory() as folder:
        models = arguments.demo / "models"
        stores = {"rendered": rendered(Path(folder), arguments.trials)}
        if REAL.is_dir():
            stores["real"] = real(Path(folder))
        for name, ds in stores.items():
            results[name] = compare(ds, models, arguments.device)
            report(name, results[name])
    results["load_at_end"] = load()
    write_json(arguments.json, results)


def rendered(folder: Path, trials: int) -> xr.Dataset:
    """Animals like those of the demo, with their truth."""
    effort = Effort()
    truth = write_dataset(
        folder / "videos",
        animals=ANIMALS,
        trials=trials,
        n_frames=effort.n_frames,
        difficulty=effort.difficulty,
        seed=1,
    )
    ds: xr.Dataset = sx.create(folder / "rendered.zarr", data_root=folder / "videos")
    for animal in ANIMALS:
        ds = ds.soup.add_item(animal)
    return ds.soup.annotate(truth, annotator=ANNOTATOR, trials="selected")


def real(folder: Path) -> xr.Dataset:
    """Real recordings, without a truth."""
    ds: xr.Dataset = sx.create(folder / "real.zarr", data_root=REAL, join="pad")
    for animal in sorted(path.name for path in REAL.iterdir() if path.is_dir()):
        ds = ds.soup.add_item(animal)
    return ds


def compare(ds: xr.Dataset, models: Path, device: str) -> dict[str, dict[str, float]]:
    """Differences of every way to the first."""
    found: dict[str, dict[str, float]] = {}
    exact: xr.Dataset | None = None
    exact_f1 = np.nan
    for name, way in WAYS.items():
        begun = time.perf_counter()
        ds = ds.soup.infer(
            MODE,
            feature_model_in=models / "features",
            sequence_model_in=models / "sequence",
            overwrite=True,
            device=device,
            **way,
        )
        seconds = time.perf_counter() - begun
        results = ds[["probability", "ethogram"]].sel(mode=MODE).load()
        has_truth = ANNOTATOR in ds.annotator
        f1 = float(ds.soup.evaluate(MODE, ANNOTATOR, on="all").f1_mean) if has_truth else np.nan
        if exact is None:
            exact, exact_f1 = results, f1
        difference = np.abs(results.probability - exact.probability)
        agree = (results.ethogram == exact.ethogram).where(exact.ethogram >= 0)
        found[name] = {
            "largest": float(difference.max()),
            "mean": float(difference.mean()),
            "agreement": float(agree.mean()),
            "worst_agreement": float(agree.mean(("trial", "frame")).min()),
            "f1": f1,
            "f1_change": f1 - exact_f1,
            "frames": int(ds.n_frames.sum()),
            "frames_per_s": float(ds.n_frames.sum()) / seconds,
        }
    return found


def report(name: str, found: dict[str, dict[str, float]]) -> None:
    """Print one table."""
    frames = next(iter(found.values()))["frames"]
    rows = [
        (
            way,
            one["frames_per_s"],
            one["largest"],
            one["mean"],
            f"{one['agreement']:.3%}",
            f"{one['worst_agreement']:.3%}",
            None if np.isnan(one["f1"]) else f"{one['f1']:.4f}",
            None if np.isnan(one["f1"]) else f"{one['f1_change']:+.4f}",
        )
        for way, one in found.items()
    ]
    headings = (
        "",
        "frames/s",
        "largest Δp",
        "mean Δp",
        "agreement",
        "of the worst",
        "mean F1",
        "ΔF1",
    )
    print_table(f"Mode {MODE}, {frames} frames, {name}, against float32", headings, rows)


if __name__ == "__main__":
    main()
