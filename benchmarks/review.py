"""What review by doubt is good for: F1 after a tenth of the frames were corrected in its order.

    make demo
    python benchmarks/review.py [--demo demo] [--seeds 12] [--work FOLDER] [--json FILE]

Takes the demo's models to animals that they have not seen. Some of these are the pool: their
ethograms are reviewed in the order of ``clean_ethograms(order="uncertain")`` until a tenth of the
frames has been looked at and set to the truth. The rival corrects as many frames, in stretches of
the same lengths, at random places. Then the sequence model is trained further, on the labels that
it was made from and on those of the pool, whole trials as the editor saves them, and judged on the
other animals, which nobody corrects. For scale, the same is done in the first seeds with nothing
and with everything corrected.

Which animals are the pool, the random places and the training change from seed to seed; within a
seed, all orders share them, so that their difference within a seed tells more than their means.
The pools of two seeds have animals in common: the standard errors speak of these animals, and of
others only roughly. Rendering and inferring the new animals takes a few minutes (once, with
``--work``), each training half a one.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from _report import machine, print_machine, print_table, write_json

import soupxr as sx
from soupxr.dashboard.doubt import doubtful_stretches
from soupxr.dataset import keys_of, store_of
from soupxr.demo import ANNOTATOR, LEARNT_FROM, MODE, Effort
from soupxr.evaluation.decisions import decide, decision_from
from soupxr.inference.sequence import class_probabilities
from soupxr.labels import LabelSource, read_labels
from soupxr.metrics import confusion_counts, mean_known, scores_from
from soupxr.models import checkpoint
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

#: Orders that are compared; the others are done for scale.
RIVALS = ("at random", "by doubt")
#: What is compared, and in which words.
FIGURES = {"labels": "labels of the pool", "judged": "on other animals"}
#: Trials of each new animal.
TRIALS = 2
#: The new animals are less alike than those that the demo learns from: why one reviews.
DIFFICULTY = 0.2
#: Of the renderer: none of these animals had a part in how the ranking and this script came to be.
ANIMALS_SEED = 2
#: How the sequence model is trained further: as the demo trained it, but shorter and in smaller
#: steps, which leave it what it knows; as many of them whatever there is to learn from.
TRAINING: dict[str, Any] = dict(Effort().sequence) | {
    "initial_lr": 3e-3,
    "max_epochs": 8,
    "training_steps": 10,
    "stop_method": "num_epochs",
}


def main() -> None:
    """Render, correct, train, judge, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="folder of the demo")
    parser.add_argument("--work", type=Path, help="keep the new animals here, or take them from it")
    parser.add_argument("--seeds", type=int, default=12, help="how often the two are compared")
    parser.add_argument("--scale", type=int, default=2, help="seeds that do the other two as well")
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
        ds = with_new_animals(arguments.demo, folder, arguments.animals)
        experiment = Experiment(
            ds, models / "sequence", arguments.judged, arguments.part, Path(scratch, "models")
        )
        for seed in range(arguments.seeds):
            orders = list(ORDERS) if seed < arguments.scale else RIVALS
            rounds.append(experiment.run(seed, orders))
            told = (f"{name} {found['judged']:.3f}" for name, found in rounds[-1].items())
            print(f"seed {seed}: {', '.join(told)}", flush=True)
    report(rounds, arguments.part)
    results = {
        "machine": facts,
        "settings": {name: getattr(arguments, name) for name in ("animals", "judged", "part")},
        "by_doubt_above_at_random": {
            what: advantage(rounds, what)._asdict() for what in FIGURES if len(rounds) > 1
        },
        "rounds": rounds,
    }
    write_json(arguments.json, results)


def with_new_animals(demo: Path, folder: Path, count: int) -> xr.Dataset:
    """The animals that the demo's models learnt from, and others, inferred by these models."""
    address = folder / "review.zarr"
    animals = [f"N{i}" for i in range(1, count + 1)]
    if not address.exists():
        shutil.copytree(demo / "videos", folder / "videos", dirs_exist_ok=True)
        truth = write_dataset(
            folder / "videos",
            animals=animals,
            trials=TRIALS,
            n_frames=Effort().n_frames,
            difficulty=DIFFICULTY,
            seed=ANIMALS_SEED,
            overwrite=True,
        )
        shutil.copytree(demo / "reach.zarr", address)
        new: xr.Dataset = sx.open(address)
        for animal in animals:
            new = new.soup.add_item(animal, experiment="table")
        new = new.isel(trial=new.animal.isin(animals))
        new.soup.annotate(truth, annotator=ANNOTATOR, trials="selected")
    ds: xr.Dataset = sx.open(address)
    ds.isel(trial=ds.animal.isin(animals)).soup.infer(
        MODE,
        feature_model_in=demo / "models" / "features",
        sequence_model_in=demo / "models" / "sequence",
    )
    ds = sx.open(address)
    return ds.isel(trial=ds.animal.isin([*LEARNT_FROM, *animals]))


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
        The new animals, and those that the model learnt from.
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

    def run(self, seed: int, orders: Sequence[str]) -> Round:
        """Figures of the pool's labels and on the animals judged, before and after each order."""
        rng = np.random.default_rng(seed)
        is_known = self.ds.animal.isin(LEARNT_FROM)
        animals = rng.permutation(np.unique(self.ds.animal.values[~is_known.values]))
        is_judged = self.ds.animal.isin(animals[: self.n_judged])
        known, judged = self.ds.isel(trial=is_known), self.ds.isel(trial=is_judged)
        ds = self.ds.isel(trial=~(is_known | is_judged))
        said, truth = labels(ds, "ethogram", MODE), labels(ds, "annotation", ANNOTATOR)
        n_frames = round(self.part * sum(map(len, said.values())))
        pool = Pool(said, truth, doubtful(store_of(ds), list(said), n_frames), rng)
        learnt = labels(known, "annotation", ANNOTATOR)
        goal = labels(judged, "annotation", ANNOTATOR)
        before = f1(labels(judged, "ethogram", MODE), goal)
        results = {"before": {"labels": f1(said, truth), "judged": before}}
        for name in orders:
            masks = ORDERS[name](pool)
            model = self.retrained(learnt | masks, name, seed)
            results[name] = {
                "labels": f1(masks, truth),
                "judged": f1(inferred(judged, model), goal),
                "errors_left": errors(masks, truth) / errors(said, truth),
            }
        return results

    def retrained(self, masks: Masks, name: str, seed: int) -> Checkpoint:
        """The model after these labels, which the store gets as an editor would save them."""
        annotator = f"corrected {name}"
        write_annotations(store_of(self.ds).address, annotator, masks, overwrite=True)
        is_labelled = [key in masks for key in keys_of(self.ds)]
        folder = self.models / f"{name} {seed}"
        self.ds.isel(trial=is_labelled).soup.sequence.train(
            MODE,
            model_in=self.start,
            model_out=folder,
            annotator=annotator,
            seed=seed,
            **TRAINING,
        )
        # Not the best epoch: that is the best for the few trials of the animals learnt from before
        # that are kept for validation, and tells little of new animals.
        return checkpoint.read(folder / "last.ckpt")


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


class Advantage(NamedTuple):
    """By how much one order is above the other, seed by seed.

    Parameters
    ----------
    mean, standard_error : float
        Of the differences within a seed.
    seeds_above, seeds : int
        In how many of them it is above.
    """

    mean: float
    standard_error: float
    seeds_above: int
    seeds: int


def advantage(rounds: Sequence[Round], what: str) -> Advantage:
    """How far a figure by doubt is above that at random; of two seeds or more."""
    random, doubt = (np.array([one[name][what] for one in rounds]) for name in RIVALS)
    gain = doubt - random
    error = gain.std(ddof=1) / len(gain) ** 0.5
    return Advantage(float(gain.mean()), float(error), int((gain > 0).sum()), len(gain))


def report(rounds: Sequence[Round], part: float) -> None:
    """Print means and deviations over the seeds, and how the two orders compare."""
    rows = []
    for name in rounds[0]:
        found = [one[name] for one in rounds if name in one]
        left = np.mean([one.get("errors_left", 1.0) for one in found])
        told = (_told([one[what] for one in found]) for what in FIGURES)
        rows.append((name, len(found), f"{left:.0%}", *told))
    print_table(
        f"Mean F1 before and after {part:.0%} of the frames were corrected, and a model trained "
        "on these labels; mean ± deviation over the seeds",
        ("corrected", "seeds", "errors left", *FIGURES.values()),
        rows,
    )
    print()
    for what, where in FIGURES.items():
        if len(rounds) > 1:
            mean, error, above, seeds = advantage(rounds, what)
            print(
                f"{where}: by doubt {mean:+.3f} ± {error:.3f} (standard error of the paired "
                f"difference) above at random; above it in {above} of {seeds} seeds"
            )


def _told(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


if __name__ == "__main__":
    main()
