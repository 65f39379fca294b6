"""``train(folds=…)``: every trial is judged by models that never saw it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import training_runs as runs
from reference import select
from results import annotate
from training_runs import (
    LENGTH,
    TRIALS,
    put_features,
    spare_curves,
    spare_resume_files,
    train_features,
    train_sequence,
    truth,
)

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.inference.preprocess import Preprocessing
from soupxr.models import checkpoint
from soupxr.models.tgmj import windowed_logits
from soupxr.store import read_out_of_fold
from soupxr.training import crossval

FOLDS = 2

pytestmark = [pytest.mark.usefixtures("no_curves"), pytest.mark.thorough]


@pytest.fixture(scope="module")
def judged(trained, tmp_path_factory):
    """A store whose features and sequence models were both cross-validated."""
    folder = tmp_path_factory.mktemp("judged")
    with pytest.MonkeyPatch.context() as patch, sx.set_options(progress=False):
        spare_resume_files(patch)
        spare_curves(patch)
        ds = runs.copied(trained.store, folder)
        train_features(ds, folder / "models/folded", folds=FOLDS, max_epochs=1)
        ds = ds.soup.feature_extractor.infer(overwrite=True)
        train_sequence(ds, folder / "models/judge", folds=FOLDS, max_epochs=2)
        ds.soup.infer(overwrite=True)
    return folder / "reach.zarr"


@pytest.fixture
def judged_ds(judged, tmp_path):
    return runs.copied(judged, tmp_path)


def folds_of(folder):
    return [checkpoint.read(folder / f"fold{index}") for index in range(FOLDS)]


def out_of_fold(ds):
    return {key: read_out_of_fold(store_of(ds), "fast", key) for key in TRIALS}


# ---------------------------------------------------------------- no leak


@pytest.mark.parametrize("run", ["folded", "judge"])
def test_no_fold_has_seen_what_it_judges(judged, run):
    folder = judged.parent / "models" / run
    held_out = []
    for one in folds_of(folder):
        training = one.extra["training"]
        split = training["split"]
        assert training["held_out"]
        assert not set(training["held_out"]) & set(split["training"] + split["validation"])
        assert set(training["held_out"] + split["training"] + split["validation"]) == set(TRIALS)
        held_out += training["held_out"]
    assert sorted(held_out) == list(TRIALS), "each trial is kept back once"
    whole = checkpoint.read(folder).extra["training"]
    assert (whole["held_out"], whole["arguments"]["folds"]) == ([], FOLDS)


def test_both_stages_keep_back_the_same(judged):
    features, sequences = (
        [one.extra["training"]["held_out"] for one in folds_of(judged.parent / "models" / run)]
        for run in ("folded", "judge")
    )
    assert features == sequences


def test_probabilities_are_those_of_the_fold_that_kept_a_trial_back(judged, judged_ds):
    """Both networks run plainly, frame by frame."""
    stored = out_of_fold(judged_ds)
    pairs = zip(
        *(folds_of(judged.parent / "models" / run) for run in ("folded", "judge")), strict=True
    )
    for extractor, sequence in pairs:
        key = sequence.extra["training"]["held_out"][0]
        network, tgmj = extractor.build(), sequence.build()
        preprocessing = Preprocessing(runs.SIZE, "antialias", *extractor.normalization)
        frames = select(judged_ds, key).soup.video().values
        # As training sees them: rounded to 8 bits.
        pixels = preprocessing.resize(torch.from_numpy(frames.copy())).mul(255).round() / 255
        values = preprocessing.normalize(pixels)
        edge = preprocessing.edge_frames(1, torch.device("cpu"))
        padded = torch.cat([edge, values])
        features = []
        with torch.no_grad():
            for frame in range(LENGTH):
                output = network(padded[frame : frame + runs.WINDOW].flatten(0, 1)[None])
                features.append(torch.cat([output.spatial_features, output.flow_features], 1))
            wanted = torch.sigmoid(windowed_logits(tgmj, torch.cat(features)))[:, 1:]
        np.testing.assert_allclose(stored[key], wanted.numpy(), atol=2e-5)


def test_every_labelled_trial_counts(judged, judged_ds):
    stored = out_of_fold(judged_ds)
    for key, probability in stored.items():
        assert probability.shape == (LENGTH, 2)
        assert np.isfinite(probability).all()
        assert not np.allclose(probability, select(judged_ds, key).probability)
    scores = judged_ds.soup.evaluate("fast", on="out-of-fold", by="trial")
    assert scores.trial.values.tolist() == list(TRIALS)
    assert len(judged_ds.soup.evaluate("fast", by="trial").trial) < len(TRIALS)


def test_folds_are_no_models_of_the_store(judged_ds):
    paths = judged_ds.soup.models.path.tolist()
    assert len(paths) == 5
    assert not [path for path in paths if "fold0" in path or "fold1" in path]


def test_nothing_is_left_of_the_way_there(judged):
    left = {path.name for path in (judged.parent / "models/judge").iterdir()}
    assert {"fold0", "fold1", "best.ckpt", "run.json"} <= left
    assert {name for name in left if name.startswith(".")} <= {".run.lock"}


# ---------------------------------------------------------------- features from elsewhere


def test_features_that_never_saw_these_trials(ds, tmp_path):
    ds = put_features(ds)
    train_sequence(ds, tmp_path / "x", folds=3, group="trial", max_epochs=1)
    held_out = []
    for index in range(3):
        facts = json.loads((tmp_path / f"x/fold{index}/run.json").read_text())
        held_out += facts["held_out"]
    assert sorted(held_out) == list(TRIALS)
    assert all(probability is not None for probability in out_of_fold(ds).values())


def test_an_interrupted_cross_validation_goes_on(ds, tmp_path, monkeypatch):
    ds = put_features(ds)
    settings = {"folds": 2, "group": "trial", "max_epochs": 2}
    whole = train_sequence(ds, tmp_path / "whole", **settings)
    wanted = out_of_fold(ds)
    predict = crossval._predict
    with monkeypatch.context() as patch:

        def interrupted(material, fold, *rest):
            if fold.index == 1:
                raise KeyboardInterrupt
            predict(material, fold, *rest)

        patch.setattr(crossval, "_predict", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_sequence(ds, tmp_path / "x", **settings)
    there = [key for key, value in out_of_fold(ds).items() if value is not None]
    assert 0 < len(there) < len(TRIALS), "withdrawn first, then filled fold by fold"
    first = (tmp_path / "x/fold0/best.ckpt").read_bytes()
    found = train_sequence(ds, tmp_path / "x", **settings, resume=True)
    assert (tmp_path / "x/fold0/best.ckpt").read_bytes() == first, "trained twice"
    for key, probability in out_of_fold(ds).items():
        np.testing.assert_array_equal(probability, wanted[key])
    runs.assert_equal_weights(found.path, whole.path)


# ---------------------------------------------------------------- refusals


def test_an_extractor_that_has_seen_the_trials(trained_ds, tmp_path):
    """It was trained without folds: what is said of its features would be flattered."""
    message = r"^folds: expected None.*feature_extractor\.train\(…, folds=2\)"
    with pytest.raises(sx.ArgumentError, match=message):
        train_sequence(trained_ds, tmp_path / "x", folds=2)
    assert out_of_fold(trained_ds)[TRIALS[0]] is None


def test_another_number_of_folds(judged_ds, tmp_path):
    before = out_of_fold(judged_ds)
    with pytest.raises(sx.ArgumentError, match=r"^folds: expected 2, as .*, but got 3"):
        train_sequence(judged_ds, tmp_path / "x", folds=3)
    for key, probability in out_of_fold(judged_ds).items():
        np.testing.assert_array_equal(probability, before[key])


def test_a_trial_that_was_labelled_since(judged_ds, tmp_path, film):
    """No fold of its features' extractor kept it back, so no fold judges it; all learn from it."""
    for view in ("side", "front"):
        film(tmp_path / f"videos/M3/S1/reach_{view}_v001.mp4", n_frames=LENGTH)
    late = "M3/S1/1"
    ds = annotate(judged_ds.soup.add_item("M3"), late, truth()).soup.feature_extractor.infer()
    with pytest.warns(sx.SoupWarning, match=f"(?s)1 trial.*no fold judges.*{late}"):
        train_sequence(ds, tmp_path / "x", folds=2, max_epochs=1)
    assert all(probability is not None for probability in out_of_fold(ds).values())
    assert read_out_of_fold(store_of(ds), "fast", late) is None
    for one in folds_of(tmp_path / "x"):
        split = one.extra["training"]["split"]
        assert late in split["training"]


def test_a_fold_is_validated_on_what_its_extractor_was_validated_on(judged):
    models = judged.parent / "models"
    for extractor, sequence in zip(
        folds_of(models / "folded"), folds_of(models / "judge"), strict=True
    ):
        wanted = extractor.extra["training"]["split"]["validation"]
        assert sequence.extra["training"]["split"]["validation"] == wanted
