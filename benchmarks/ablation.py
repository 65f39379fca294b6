"""What each part of the models is good for: F1 without the picture, the flow, the sequence model.

    python benchmarks/ablation.py [--work FOLDER] [--json FILE]

Learns as the demo does, but for longer and from harder trials at 100 Hz: in the 22 ms that a window
lasts at 500 Hz, a jaw moves by less than a tenth of a pixel of the small pictures that a computer
without a GPU learns from in minutes, and no flow generator can see that.

A sequence model is trained on both streams' features, on those of the pictures alone and on those
of the flow alone, each with the other half set to zero; without a sequence model, the feature
extractor's own logits are taken, at its own thresholds. All are judged on the animals that none of
them has seen.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from _report import machine, print_machine, print_table, write_json

import soupxr as sx
from soupxr.dataset import keys_of, store_of
from soupxr.demo import ANNOTATOR, LEARNT_FROM, MODE, Effort, run
from soupxr.evaluation.decisions import decide, decision_from
from soupxr.evaluation.scoring import ScoredTrial, scores_dataset
from soupxr.inference.sequence import class_probabilities
from soupxr.models import checkpoint
from soupxr.modes import MODES
from soupxr.training.features import ArrayReader, stored_recordings
from soupxr.training.fit import fit
from soupxr.training.gather import Material, labelled_trials
from soupxr.training.recordings import Recording
from soupxr.training.request import TrainingRequest
from soupxr.training.runfolder import RunFolder
from soupxr.training.split import Split
from soupxr.training.stages import SequenceStage

#: Flow is learnt in earnest.
LONGER = Effort(
    fps=100.0,
    difficulty=0.2,
    flow=(
        ("batch_size", 16),
        ("initial_lr", 5e-4),
        ("max_epochs", 6),
        ("training_steps", 120),
        ("validation_steps", 4),
    ),
)

FloatArray = npt.NDArray[np.float32]
WIDTH = 512
#: Features that are left to each sequence model.
STREAMS = {
    "whole": slice(None),
    "pictures alone": slice(0, WIDTH),
    "flow alone": slice(WIDTH, None),
}


def main() -> None:
    """Train, judge, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, help="keep what is learnt here, or take it from it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    facts = machine()
    print_machine(facts)
    torch.set_num_threads(2)
    with sx.set_options(progress=False), tempfile.TemporaryDirectory() as scratch:
        folder = arguments.work or Path(scratch, "work")
        if not (folder / "models" / "sequence" / "best.ckpt").exists():
            run(folder, print, effort=LONGER, seed=arguments.seed)
        results = ablate(folder, arguments.seed)
    behaviors = list(next(iter(results.values())))
    rows = [(name, *(f"{found[key]:.2f}" for key in behaviors)) for name, found in results.items()]
    print_table("F1 on the animals that were kept back", ("", *behaviors), rows)
    write_json(arguments.json, {"machine": facts, "f1": results})


def ablate(demo: Path, seed: int) -> dict[str, dict[str, float]]:
    """F1 by part and behavior."""
    ds = sx.open(demo / "reach.zarr")
    is_known = ds.animal.isin(LEARNT_FROM)
    known, new = ds.isel(trial=is_known), ds.isel(trial=~is_known)
    extractor = checkpoint.read(demo / "models" / "features")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, kept in STREAMS.items():
            model = learn(known, Path(folder) / name, kept, extractor, seed)
            network: Any = model.build()

            def judge(
                features: FloatArray, network: Any = network, kept: slice = kept
            ) -> FloatArray:
                return class_probabilities(network, [masked(features, kept)])

            results[name] = score(new, model, judge)
    results["no sequence model"] = score(new, extractor, None)
    return results


def masked(features: FloatArray, kept: slice) -> FloatArray:
    """Features (frame, 1024) of which some are left, the others 0."""
    left = np.zeros_like(features)
    left[:, kept] = features[:, kept]
    return left


def learn(
    known: xr.Dataset, out: Path, kept: slice, extractor: checkpoint.Checkpoint, seed: int
) -> checkpoint.Checkpoint:
    """Train a sequence model on a part of the features, as the demo trains its own."""
    _, trials = labelled_trials(known, "annotation", ANNOTATOR, MODE)
    material = Material(known, trials)
    whole, _ = stored_recordings(material, MODE)
    recordings = {
        key: Recording(key, ArrayReader(masked(one.reader.read(0, one.n_frames), kept)), one.labels)
        for key, one in whole.items()
    }
    split = Split.from_plain(extractor.extra["training"]["split"])
    settings: dict[str, Any] = dict(Effort().sequence)
    request = TrainingRequest(
        kind="sequence", model_out=out, seed=seed, stop_method="num_epochs", **settings
    )
    folder = RunFolder.open(out, resume=False)
    folder.begin(
        {
            "kind": "sequence",
            "mode": MODE,
            "arguments": request.arguments(),
            "inputs": {},
            "split": split.to_plain(),
        }
    )
    torch.manual_seed(seed)
    stage = SequenceStage(MODES[MODE], material, split, request, start=None, recordings=recordings)
    task = stage.task()
    fit(
        task,
        stage.data(),
        folder,
        lambda path, epoch: stage.save(path, task, epoch, {}),
        device=torch.device("cpu"),
        precision="float32",
        progress=False,
    )
    return checkpoint.read(folder.best)


def score(
    new: xr.Dataset,
    model: checkpoint.Checkpoint,
    judge: Callable[[FloatArray], FloatArray] | None,
) -> dict[str, float]:
    """F1 of each behavior; without ``judge``, of the feature extractor's own logits."""
    features = new.soup.features(MODE)
    store = store_of(new)
    assert model.thresholds is not None
    behaviors = store.labels("behavior")
    decision = decision_from(model.thresholds[1:], [0] * len(behaviors))
    scored = []
    for i, trial in enumerate(store.trials(keys_of(new))):
        frames = slice(trial.n_frames)
        one = features.isel(trial=i, frame=frames)
        if judge is None:
            probability = 1 / (1 + np.exp(-one.logit.values))
        else:
            probability = judge(np.concatenate([one.spatial.values, one.flow.values], axis=1))
        truth = new.annotation.sel(annotator=ANNOTATOR).isel(trial=i, frame=frames).values
        scored.append(
            ScoredTrial(
                animal=trial.animal,
                session=trial.session,
                key=trial.key,
                fps=trial.fps,
                truth=truth,
                prediction=decide(decision, probability[:, 1:]),
            )
        )
    found = scores_dataset(scored, behaviors)
    each = {name: float(found.f1.sel(behavior=name)) for name in behaviors}
    return each | {"mean": float(found.f1_mean)}


if __name__ == "__main__":
    main()
