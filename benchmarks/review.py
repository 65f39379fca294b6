"""What review by doubt is good for: F1 after a tenth of the frames were corrected in its order.

    make demo
    python benchmarks/review.py [--demo demo] [--seeds 8] [--work FOLDER] [--json FILE]

Takes the demo's models to animals that they have not seen. Some of these are the pool: their
ethograms are reviewed in the order of ``clean_ethograms(order="uncertain")`` until a tenth of the
frames has been looked at and set to the truth. The rival corrects as many frames, in stretches of
the same lengths, at random places. Then the sequence model is trained further on all labels of the
pool, whether corrected or not, and judged on the other animals, which nobody corrects. For scale,
the same is done with nothing and with everything corrected.

Which animals are the pool, the random places and the training change from seed to seed; within a
seed, all orders share them. Rendering and inferring the new animals takes a few minutes (once, with
``--work``), each of the four trainings of a seed half a one.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from _report import machine, print_machine, print_table, write_json

import soupxr as sx
from soupxr.dashboard.doubt import doubtful_stretches
from soupxr.dataset import keys_of, store_of
from soupxr.demo import ANNOTATOR, MODE, Effort
from soupxr.evaluation.decisions import decide, decision_from
from soupxr.inference.sequence import class_probabilities
from soupxr.labels import LabelSource, read_labels
from soupxr.metrics import confusion_counts, mean_known, scores_from
from soupxr.models.checkpoint import Checkpoint
from soupxr.store import Store, write_annotations
from soupxr.synthetic import write_dataset

Mask = npt.NDArray[np.int8]
#: Ethograms or labels of trials, each (n_frames, behavior), by key.
Masks = dict[str, Mask]
#: Frames ``[start, stop)`` of a trial.
Place = tuple[str, int, int]
#: Figures of one seed, by order.
Round = dict[str, dict[str, float]]

#: Trials of each new animal.
TRIALS = 2
#: The new animals are less alike than those that the demo learns from: why one reviews.
DIFFICULTY = 0.2
#: How the sequence model is trained further: as the demo trained it, but shorter.
TRAINING: dict[str, Any] = dict(Effort().sequence) | {
    "max_epochs": 6,
    "stop_method": "num_epochs",
    "group": "animal",
}


def main() -> None:
    """Render, correct, train, judge, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="folder of the demo")
    parser.add_argument("--work", type=Path, help="keep the new animals here, or take them from it")
    parser.add_argument("--seeds", type=int, default=8, help="how often all is done")
    parser.add_argument("--animals", type=int, default=24, help="new animals")
    parser.add_argument("--judged", type=int, default=14, help="those of them to judge on")
    parser.add_argument("--part", type=float, default=0.1, help="of the pool's frames to correct")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    torch.set_num_threads(2)
    rounds = []
    with sx.set_options(progress=False), tempfile.TemporaryDirectory() as scratch:
        folder = arguments.work or Path(scratch)
        models = arguments.demo / "models"
        ds = new_animals(models, folder, arguments.animals)
        experiment = Experiment(
            ds, models / "sequence", arguments.judged, arguments.part, Path(scratch, "models")
        )
        for seed in range(arguments.seeds):
            rounds.append(experiment.run(seed))
            told = (f"{name} {found['judged']:.3f}" for name, found in rounds[-1].items())
            print(f"seed {seed}: {', '.join(told)}", flush=True)
    report(rounds, arguments.part)
    settings = {name: getattr(arguments, name) for name in ("animals", "judged", "part")}
    write_json(arguments.json, {"machine": facts, "settings": settings, "rounds": rounds})


def new_animals(models: Path, folder: Path, count: int) -> xr.Dataset:
    """Animals that these models have not seen, inferred by them."""
    address = folder / "review.zarr"
    if not address.exists():
        animals = [f"N{i}" for i in range(1, count + 1)]
        truth = write_dataset(
            folder / "videos",
            animals=animals,
            trials=TRIALS,
            n_frames=Effort().n_frames,
            difficulty=DIFFICULTY,
            overwrite=True,
        )
        new: xr.Dataset = sx.create(address, data_root=folder / "videos")
        for animal in animals:
            new = new.soup.add_item(animal, experiment="table")
        new.soup.annotate(truth, annotator=ANNOTATOR, trials="selected")
    ds: xr.Dataset = sx.open(address).soup.infer(
        MODE,
        feature_model_in=models / "features",
        sequence_model_in=models / "sequence",
    )
    return ds


# ------------------------------------------------------------------ what is corrected


@dataclass(frozen=True, eq=False)
class Pool:
    """Trials that can be corrected.

    Parameters
    ----------
    said, truth : dict of str to ndarray of int8, (n_frames, behavior)
        The model's ethograms, and what they should be.
    doubtful : sequence of (str, int, int)
        What is looked at by doubt.
    rng : Generator
        Decides what is looked at by chance.
    """

    said: Masks
    truth: Masks
    doubtful: Sequence[Place]
    rng: np.random.Generator

    def corrected(self, places: Sequence[Place]) -> Masks:
        """The ethograms with these frames set to the truth."""
        masks = {key: mask.copy() for key, mask in self.said.items()}
        for key, start, stop in places:
            masks[key][start:stop] = self.truth[key][start:stop]
        return masks

    def anywhere(self) -> list[Place]:
        """As many stretches as the doubtful ones, as long, and likewise apart, anywhere."""
        free = {key: np.ones(len(mask), bool) for key, mask in self.said.items()}
        lengths = sorted((stop - start for _, start, stop in self.doubtful), reverse=True)
        places = []
        for length in lengths:
            starts = [(key, at) for key in free for at in _gaps(free[key], length)]
            key, at = starts[self.rng.integers(len(starts))]
            free[key][at : at + length] = False
            places.append((key, at, at + length))
        return places


ORDERS: dict[str, Callable[[Pool], Masks]] = {
    "nothing": lambda pool: pool.said,
    "at random": lambda pool: pool.corrected(pool.anywhere()),
    "by doubt": lambda pool: pool.corrected(pool.doubtful),
    "everything": lambda pool: pool.truth,
}


def _gaps(free: npt.NDArray[np.bool_], length: int) -> list[int]:
    """First frames of all runs of so many free ones."""
    if length > len(free):
        return []
    runs = np.lib.stride_tricks.sliding_window_view(free, length).all(axis=1)
    return list(np.flatnonzero(runs).tolist())


def doubtful(store: Store, keys: Sequence[str], n_frames: int) -> list[Place]:
    """The first stretches of a review by doubt, so many frames together."""
    places = []
    for one in doubtful_stretches(store, keys, MODE):
        length = min(one.n_frames, n_frames)
        if length == 0:
            break
        places.append((one.key, one.start, one.start + length))
        n_frames -= length
    return places


# ------------------------------------------------------------------ one seed


@dataclass(frozen=True)
class Experiment:
    """What all seeds share.

    Parameters
    ----------
    ds : xarray.Dataset
        The new animals.
    start : Path
        The sequence model that made their ethograms.
    n_judged : int
        Animals to judge on.
    part : float
        Of the pool's frames, to be corrected.
    models : Path
        Folder for the models trained further.
    """

    ds: xr.Dataset
    start: Path
    n_judged: int
    part: float
    models: Path

    def run(self, seed: int) -> Round:
        """Figures of the pool's labels and on the animals judged, before and after each order."""
        rng = np.random.default_rng(seed)
        animals = rng.permutation(np.unique(self.ds.animal.values))
        is_judged = self.ds.animal.isin(animals[: self.n_judged])
        ds, judged = self.ds.isel(trial=~is_judged), self.ds.isel(trial=is_judged)
        said, truth = labels(ds, "ethogram", MODE), labels(ds, "annotation", ANNOTATOR)
        n_frames = round(self.part * sum(map(len, said.values())))
        pool = Pool(said, truth, doubtful(store_of(ds), list(said), n_frames), rng)
        goal = labels(judged, "annotation", ANNOTATOR)
        before = f1(labels(judged, "ethogram", MODE), goal)
        results = {"before": {"labels": f1(said, truth), "judged": before}}
        for name, order in ORDERS.items():
            masks = order(pool)
            model = self.retrained(ds, masks, name, seed)
            results[name] = {
                "labels": f1(masks, truth),
                "judged": f1(inferred(judged, model), goal),
                "errors_left": errors(masks, truth) / errors(said, truth),
            }
        return results

    def retrained(self, ds: xr.Dataset, masks: Masks, name: str, seed: int) -> Checkpoint:
        """The model after these labels, which the store gets as an editor would save them."""
        annotator = f"corrected {name}"
        write_annotations(store_of(ds).address, annotator, masks, overwrite=True)
        model: Checkpoint = ds.soup.sequence.train(
            MODE,
            model_in=self.start,
            model_out=self.models / f"{name} {seed}",
            annotator=annotator,
            seed=seed,
            **TRAINING,
        )
        return model


def labels(ds: xr.Dataset, variable: Literal["annotation", "ethogram"], name: str) -> Masks:
    """Labels of a selection's trials."""
    store, source = store_of(ds), LabelSource(variable, name)
    trials = store.trials(keys_of(ds))
    return {trial.key: mask for trial, mask in read_labels(store, source, trials)}


def inferred(ds: xr.Dataset, model: Checkpoint) -> Masks:
    """A model's ethograms of trials whose features are there; the store keeps its own."""
    network: Any = model.build()
    assert model.thresholds is not None
    assert isinstance(model.minimum_bout, tuple)
    decision = decision_from(model.thresholds[1:], model.minimum_bout[1:])
    features = ds.soup.features(MODE)
    masks = {}
    for i, trial in enumerate(store_of(ds).trials(keys_of(ds))):
        one = features.isel(trial=i, frame=slice(trial.n_frames))
        both = np.concatenate([one.spatial.values, one.flow.values], axis=1)
        masks[trial.key] = decide(decision, class_probabilities(network, [both])[:, 1:])
    return masks


# ------------------------------------------------------------------ figures


def f1(masks: Masks, truth: Masks) -> float:
    """Mean F1 over behaviors, of all frames together."""
    confusion = sum(confusion_counts(truth[key], masks[key]) for key in truth)
    return float(mean_known(scores_from(np.asarray(confusion)).f1)[0])


def errors(masks: Masks, truth: Masks) -> int:
    """Labels that are wrong."""
    return sum(int((truth[key] != masks[key]).sum()) for key in truth)


def report(rounds: Sequence[Round], part: float) -> None:
    """Print means and deviations over the seeds, and how the two orders compare."""

    def column(name: str, what: str) -> npt.NDArray[np.float64]:
        return np.array([one[name].get(what, 1.0) for one in rounds])

    def told(name: str, what: str) -> str:
        values = column(name, what)
        return f"{values.mean():.3f} ± {values.std():.3f}"

    rows = [
        (
            name,
            f"{column(name, 'errors_left').mean():.0%}",
            told(name, "labels"),
            told(name, "judged"),
        )
        for name in rounds[0]
    ]
    print_table(
        f"Mean F1 before and after {part:.0%} of the frames were corrected, and a model trained "
        f"on these labels; mean ± deviation over {len(rounds)} seed(s)",
        ("corrected", "errors left", "labels of the pool", "on other animals"),
        rows,
    )
    print()
    for what, where in (("labels", "labels of the pool"), ("judged", "on other animals")):
        gain = column("by doubt", what) - column("at random", what)
        error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else float("nan")
        print(
            f"{where}: by doubt {gain.mean():+.3f} ± {error:.3f} (standard error) above at random; "
            f"above it in {(gain > 0).sum()} of {len(gain)} seeds"
        )


if __name__ == "__main__":
    main()
