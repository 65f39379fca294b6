"""``feature_extractor.train``: over a frozen flow generator, from every labelled frame."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
import training_runs as runs
from results import annotate, put_result
from training_runs import (
    TRIALS,
    assert_equal_runs,
    history,
    partly,
    seen_batches,
    spare_resume_files,
    stopped_at,
    train_features,
    train_flow,
    truth,
    with_background,
)

import soupxr as sx
from soupxr.models import checkpoint
from soupxr.models.flow import FLOW_GENERATORS
from soupxr.modes import MODES
from soupxr.training.clips import VideoClips
from soupxr.training.tasks import FeatureTask

pytestmark = pytest.mark.usefixtures("no_curves")


@pytest.fixture
def flow(trained):
    return trained.models / "flow"


@pytest.fixture
def spare(monkeypatch):
    spare_resume_files(monkeypatch)


# ---------------------------------------------------------------- what comes out


def test_the_checkpoint_says_what_it_is(trained):
    found = checkpoint.read(trained.models / "features", kind="feature_extractor", mode="fast")
    assert found.behaviors == runs.BEHAVIORS
    assert len(found.thresholds) == 3
    training = found.extra["training"]
    assert training["inputs"]["labels"] == {"variable": "annotation", "name": "human"}
    assert training["arguments"]["max_epochs"] == 2
    assert training["held_out"] == []
    assert len(training["history"]) == found.epoch + 1
    f1 = [float(row["f1_mean"]) for row in history(trained.models / "features")]
    assert found.epoch == int(np.argmax(f1))
    assert {"f1_background", "f1_lift", "f1_grab"} <= history(trained.models / "features")[0].keys()


def test_the_flow_generator_stays_as_it_is(trained, flow):
    """Weights and the statistics of its normalisations, in the last epoch's file too."""
    given = checkpoint.read(flow)
    for name in ("best.ckpt", "last.ckpt"):
        inside = checkpoint.read(trained.models / "features" / name).flow_generator()
        assert inside.state_dict.keys() == given.state_dict.keys()
        assert all(torch.equal(inside.state_dict[k], v) for k, v in given.state_dict.items())


def test_size_window_and_normalisation_are_those_of_the_flow_generator(trained, flow):
    found, given = checkpoint.read(trained.models / "features"), checkpoint.read(flow)
    for name in ("window", "image_size", "preprocessing", "normalization"):
        assert getattr(found, name) == getattr(given, name)
    facts = json.loads((trained.models / "features/run.json").read_text())
    assert facts["inputs"]["flow_model"] == given.sha256


def test_a_model_is_trained_further_over_the_flow_generator_that_is_given(
    trained, trained_ds, tmp_path, spare
):
    other = train_flow(trained_ds, tmp_path / "flow", seed=5, max_epochs=1, training_steps=1)
    found = train_features(
        trained_ds,
        tmp_path / "features",
        flow_model_in=other.path,
        feature_model_in=trained.models / "features",
        max_epochs=1,
        training_steps=1,
        initial_lr=1e-9,
    )
    start = checkpoint.read(trained.models / "features").state_dict
    name = next(n for n in start if n.startswith("spatial_classifier") and n.endswith("weight"))
    torch.testing.assert_close(found.state_dict[name], start[name])
    inside = found.flow_generator().state_dict
    assert all(torch.equal(inside[k], v) for k, v in other.state_dict.items())
    assert found.normalization == other.normalization


# ---------------------------------------------------------------- chance


def test_the_cache_and_the_videos_give_the_same_model(trained, flow, ds, tmp_path, monkeypatch):
    """One seed: bit for bit what was learnt from the videos."""
    ds = ds.soup.cache_frames(runs.SIZE)
    monkeypatch.setattr(VideoClips, "read", None)
    train_features(ds, tmp_path / "features", flow_model_in=flow)
    assert_equal_runs(trained.models / "features", tmp_path / "features")


def test_another_seed_gives_another(trained, flow, ds, tmp_path, spare):
    train_features(ds, tmp_path / "one", flow_model_in=flow, seed=3, max_epochs=1)
    assert history(tmp_path / "one")[0]["loss"] != history(trained.models / "features")[0]["loss"]


def test_an_interrupted_run_goes_on_as_if_nothing_had_been(trained, flow, ds, tmp_path):
    with stopped_at(epoch=1, step=1), pytest.raises(KeyboardInterrupt):
        train_features(ds, tmp_path / "features", flow_model_in=flow)
    assert len(history(tmp_path / "features")) == 1
    before = checkpoint.read(tmp_path / "features/last.ckpt").state_dict
    train_features(ds, tmp_path / "features", flow_model_in=flow, resume=True)
    after = checkpoint.read(tmp_path / "features/last.ckpt").state_dict
    moved = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert moved >= {"spatial_classifier", "flow_classifier"}, "an epoch taught it nothing"
    assert_equal_runs(trained.models / "features", tmp_path / "features")


# ---------------------------------------------------------------- which labels


def test_unlabelled_frames_are_not_learnt_from_and_never_absent(
    flow, ds, tmp_path, monkeypatch, spare
):
    masks = partly()
    for key, mask in masks.items():
        ds = annotate(ds, key, mask, annotator="partly")
    batches, given = seen_batches(monkeypatch, FeatureTask)
    found = train_features(
        ds,
        tmp_path / "features",
        flow_model_in=flow,
        annotator="partly",
        group="trial",
        max_epochs=1,
        batch_size=8,
        training_steps=100,
        validation_steps=1,
    )
    seen = [place for batch in batches for place in batch.places]
    labels = np.concatenate([value.numpy() for value in given])
    wanted = {key: with_background(mask) for key, mask in masks.items()}
    np.testing.assert_array_equal(labels, [wanted[key][frame] for key, frame in seen])
    assert (labels >= 0).any(axis=1).all()
    assert (labels == -1).any(), "the trial without grab was not met: this shows nothing"
    learnt = {key for key, _ in seen}
    assert learnt == set(found.extra["training"]["split"]["training"])
    assert TRIALS[5] not in found.extra["training"]["split"]["validation"]
    known = sum(int((masks[key] >= 0).any(axis=1).sum()) for key in learnt)
    assert len(set(seen)) == len(seen), "a frame came twice in one epoch"
    assert known - 8 < len(seen) <= known, "labelled frames were left out"


def test_ethograms_as_labels(flow, ds, tmp_path, monkeypatch, spare):
    """Of complete trials alone, and as they are, not what a person said."""
    random = np.random.default_rng(0)
    for seed, key in enumerate(TRIALS[:4]):
        said = truth(seed=seed + 3) * 0.9 + random.random((runs.LENGTH, 2)) * 0.05
        put_result(ds, key, said.astype(np.float32), thresholds=(0.5, 0.5), minimum_bout=0)
    batches, given = seen_batches(monkeypatch, FeatureTask)
    found = train_features(
        ds, tmp_path / "features", flow_model_in=flow, source="ethogram", max_epochs=1
    )
    split = found.extra["training"]["split"]
    assert sorted(split["training"] + split["validation"]) == list(TRIALS[:4])
    seen = [place for batch in batches for place in batch.places]
    wanted = {key: with_background(truth(seed=seed + 3)) for seed, key in enumerate(TRIALS)}
    labels = np.concatenate([value.numpy() for value in given])
    np.testing.assert_array_equal(labels, [wanted[key][frame] for key, frame in seen])
    assert found.extra["training"]["inputs"]["labels"] == {"variable": "ethogram", "name": "fast"}


def test_a_behavior_that_the_training_part_never_shows(flow, ds, tmp_path, spare):
    for key in TRIALS[:4]:
        mask = truth()
        mask[:, 1] = 0
        ds = annotate(ds, key, mask, annotator="no grab")
    with pytest.warns(sx.SoupWarning, match="no example of grab:"):
        train_features(
            ds,
            tmp_path / "features",
            flow_model_in=flow,
            annotator="no grab",
            max_epochs=1,
            training_steps=1,
        )
    assert np.isfinite(float(history(tmp_path / "features")[0]["loss"]))


def test_oversampling_draws_rare_behaviors_more_often(flow, ds, tmp_path, monkeypatch, spare):
    for key in TRIALS:
        mask = np.zeros((runs.LENGTH, 2), np.int8)
        mask[3:19, 0] = 1
        mask[20, 1] = 1
        ds = annotate(ds, key, mask, annotator="rare")
    _, given = seen_batches(monkeypatch, FeatureTask)
    train_features(
        ds,
        tmp_path / "features",
        flow_model_in=flow,
        annotator="rare",
        oversampling=1.0,
        max_epochs=1,
        batch_size=12,
        training_steps=3,
        validation_steps=1,
    )
    labels = np.concatenate([value.numpy() for value in given])
    assert (labels[:, 2] == 1).mean() > 0.15, "one frame in 24, were they drawn alike"


# ---------------------------------------------------------------- the other modes


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["medium", "slow"])
def test_a_step_of_the_feature_extractors_of_other_modes(ds, tmp_path, spare, mode):
    given = checkpoint.write(
        tmp_path / "flow.ckpt",
        kind="flow_generator",
        mode=mode,
        model=FLOW_GENERATORS[MODES[mode].flow_generator](11),
        behaviors=None,
        window=11,
        image_size=runs.SIZE,
        preprocessing="antialias",
        normalization=((0.5, 0.4, 0.3), (0.25, 0.25, 0.25)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = train_features(
            ds,
            tmp_path / "features",
            mode=mode,
            flow_model_in=given.path,
            max_epochs=1,
            training_steps=1,
            validation_steps=1,
        )
    assert (found.mode, found.n_classes, found.window) == (mode, 3, 11)
    assert found.normalization == given.normalization
    assert np.isfinite(float(history(tmp_path / "features")[0]["loss"]))
