"""What may go wrong when a model is trained: what is said, and what is kept."""

from __future__ import annotations

import os

import pytest
import torch
import training_runs as runs
from results import annotate
from training_runs import (
    TRIALS,
    history,
    make_store,
    put_features,
    stopped_at,
    train_features,
    train_flow,
    train_sequence,
    truth,
)

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.models import checkpoint
from soupxr.training import fit
from soupxr.training.tasks import FlowTask, SequenceTask

TRAIN = {
    "flow_generator": train_flow,
    "feature_extractor": train_features,
    "sequence": train_sequence,
}
EVERY_STAGE = pytest.mark.parametrize("train", list(TRAIN.values()))

pytestmark = pytest.mark.usefixtures("no_curves")


def side_video(tmp_path, key):
    animal, session, trial_id = key.split("/")
    return tmp_path / f"videos/{animal}/{session}/reach_side_v{int(trial_id):03d}.mp4"


# ---------------------------------------------------------------- arguments


@EVERY_STAGE
def test_without_a_place_for_the_result(ds, train):
    with pytest.raises(sx.ArgumentError, match=r"^model_out: expected a folder"):
        train(ds, None)


def test_imagenet_has_no_volumes(ds, models, tmp_path):
    """And what could not begin does not occupy the folder."""
    flow = models("slow", behaviors=runs.BEHAVIORS)["flow_model_in"]
    with pytest.raises(sx.ArgumentError, match=r"^init: expected 'random' in this mode"):
        train_features(ds, tmp_path / "x", mode="slow", flow_model_in=flow, init="imagenet")
    assert not (tmp_path / "x").exists()


def test_a_feature_extractor_needs_a_flow_generator(ds, tmp_path):
    with pytest.raises(sx.ArgumentError, match=r"flow_model_in.*ds\.soup\.flow_generator\.train"):
        train_features(ds, tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("train", "argument"),
    [
        (train_flow, "model_in"),
        (train_features, "flow_model_in"),
        (train_features, "feature_model_in"),
        (train_sequence, "model_in"),
    ],
)
def test_a_checkpoint_of_another_mode(ds, models, tmp_path, train, argument):
    """Sequence models are alike in all modes: there it is the file that says."""
    kind = {"model_in": "flow_model_in"}.get(argument, argument)
    if train is train_sequence:
        kind, ds = "sequence_model_in", put_features(ds)
    other = models("medium", behaviors=runs.BEHAVIORS)[kind]
    with pytest.raises(sx.CheckpointError, match=r"mode 'fast'.*'medium'"):
        train(ds, tmp_path / "x", **{argument: other})
    assert not (tmp_path / "x").exists()


def test_a_checkpoint_of_another_kind(ds, models, tmp_path):
    other = models(behaviors=runs.BEHAVIORS)["feature_model_in"]
    with pytest.raises(sx.CheckpointError, match=r"expected a flow generator.*feature extractor"):
        train_flow(ds, tmp_path / "x", model_in=other)


def test_a_checkpoint_of_other_behaviors(ds, models, tmp_path):
    other = models(behaviors=("lift", "chew"), seed=7)
    with pytest.raises(sx.CheckpointError, match=r"\['lift', 'grab'\].*\['lift', 'chew'\]"):
        train_sequence(put_features(ds), tmp_path / "x", model_in=other["sequence_model_in"])
    with pytest.raises(sx.CheckpointError, match=r"\['lift', 'grab'\].*\['lift', 'chew'\]"):
        train_features(ds, tmp_path / "x", feature_model_in=other["feature_model_in"])


def test_a_window_other_than_the_checkpoints(ds, trained, tmp_path):
    with pytest.raises(sx.CheckpointError, match="windows of 5 frames, but it is for 2"):
        train_flow(ds, tmp_path / "x", model_in=trained.models / "flow", flow_window=5)
    assert not (tmp_path / "x").exists()


# ---------------------------------------------------------------- labels


def test_whose_labels(ds, tmp_path):
    ds = annotate(ds, TRIALS[0], truth(), annotator="another")
    with pytest.raises(sx.ArgumentError, match=r"annotator.*\['human', 'another'\]"):
        train_sequence(put_features(ds), tmp_path / "x")


def test_nobody_has_labelled(film, tmp_path):
    ds = make_store(tmp_path, film)
    with pytest.raises(sx.ArgumentError, match="nobody has labelled anything"):
        train_sequence(ds, tmp_path / "x")


def test_no_ethograms(ds, tmp_path):
    with pytest.raises(sx.ArgumentError, match="ethogram of 'fast': none of the 6 selected"):
        train_sequence(put_features(ds), tmp_path / "x", source="ethogram")


@EVERY_STAGE
def test_fewer_than_three_trials(trained_ds, tmp_path, train):
    with pytest.raises(sx.ArgumentError, match=r"trials: expected at least 3.*M1/S1/1, M1/S1/2"):
        train(trained_ds.isel(trial=[0, 1]), tmp_path / "x")
    assert not (tmp_path / "x").exists()


# ---------------------------------------------------------------- the folder


def test_a_folder_that_holds_another_run(ds, tmp_path):
    ds = put_features(ds)
    train_sequence(ds, tmp_path / "x", max_epochs=1)
    best = (tmp_path / "x/best.ckpt").read_bytes()
    with pytest.raises(sx.ArgumentError, match=r"holds a finished run \(sequence, mode fast"):
        train_sequence(ds, tmp_path / "x", max_epochs=1)
    with pytest.raises(sx.ArgumentError, match="kind: 'sequence' then, 'flow_generator' now"):
        train_flow(ds, tmp_path / "x", resume=True)
    assert (tmp_path / "x/best.ckpt").read_bytes() == best


def test_a_finished_run_has_nothing_left_to_do(ds, tmp_path):
    ds = put_features(ds)
    one = train_sequence(ds, tmp_path / "x", max_epochs=2)
    rows = history(tmp_path / "x")
    two = train_sequence(ds, tmp_path / "x", max_epochs=2, resume=True)
    assert (two.sha256, history(tmp_path / "x")) == (one.sha256, rows)


def test_only_the_same_call_is_resumed(ds, tmp_path):
    ds = put_features(ds)
    with stopped_at(epoch=1, step=0), pytest.raises(KeyboardInterrupt):
        train_sequence(ds, tmp_path / "x")
    before = (tmp_path / "x/resume.ckpt").read_bytes()
    with pytest.raises(sx.ArgumentError, match=r"interrupted run.*resume=True"):
        train_sequence(ds, tmp_path / "x")
    with pytest.raises(sx.ArgumentError) as caught:
        train_sequence(ds, tmp_path / "x", resume=True, initial_lr=1e-2, batch_size=3)
    assert "initial_lr: 0.001 then, 0.01 now" in str(caught.value)
    assert "batch_size: 2 then, 3 now" in str(caught.value)
    # Features that are another model's, and labels that are others.
    with pytest.raises(sx.ArgumentError, match="features: "):
        train_sequence(put_features(ds, model="0" * 64), tmp_path / "x", resume=True)
    ds = put_features(ds)
    changed = truth()
    changed[0, 0] = 1
    one = ds.sel(animal="M1", session="S1", trial_id=1)
    one.soup.annotate(changed, annotator="human", overwrite=True)
    with pytest.raises(sx.ArgumentError, match="trials: "):
        train_sequence(ds, tmp_path / "x", resume=True)
    assert (tmp_path / "x/resume.ckpt").read_bytes() == before


# ---------------------------------------------------------------- numbers that are none


@pytest.mark.parametrize(
    ("train", "task", "place"),
    [
        (train_sequence, SequenceTask, r"M\d/S1/\d \[-?\d+, \d+\)"),
        (train_flow, FlowTask, r"M\d/S1/\d frames \[\d+"),
    ],
)
def test_a_loss_that_is_no_number(trained_ds, tmp_path, monkeypatch, train, task, place):
    loss = task.loss
    monkeypatch.setattr(
        task,
        "loss",
        lambda self, batch: loss(self, batch) * (torch.nan if self.current_epoch == 1 else 1),
    )
    before = trained_ds.soup.models
    with pytest.raises(sx.TrainingError) as caught:
        train(trained_ds, tmp_path / "x")
    assert caught.match(f"not a number in epoch 1 at .*{place}")
    assert caught.match("best checkpoint before is kept: .*best.ckpt")
    assert checkpoint.read(tmp_path / "x").epoch == 0
    assert len(history(tmp_path / "x")) == 1
    assert trained_ds.soup.models.equals(before)


@pytest.mark.parametrize("part", ["training", "validation"])
def test_features_that_are_no_numbers(ds, tmp_path, part):
    """The trial is named, whichever part it is in; nothing that infers is left behind."""
    ds = put_features(ds)
    whole = train_sequence(ds, tmp_path / "whole", max_epochs=1)
    key = whole.extra["training"]["split"][part][0]
    store = store_of(ds)
    store.features("fast")["spatial"][store.trial(key).slot, 5] = float("nan")
    with pytest.raises(sx.TrainingError, match=rf"not a number in epoch 0 at .*{key} \["):
        train_sequence(ds, tmp_path / "x", batch_size=3)
    assert not (tmp_path / "x/best.ckpt").exists()
    assert ds.soup.models.path.tolist() == [str(whole.path)]


# ---------------------------------------------------------------- videos that vanish


def after_the_first_epoch(monkeypatch, act):
    """Do something between two epochs."""
    recorded = fit._Recorder.on_train_epoch_end

    def end(self, trainer, task):
        recorded(self, trainer, task)
        if trainer.current_epoch == 0:
            act()

    monkeypatch.setattr(fit._Recorder, "on_train_epoch_end", end)


@pytest.mark.parametrize("damage", ["removed", "truncated"])
def test_a_video_that_is_lost_in_the_middle_of_a_run(ds, tmp_path, monkeypatch, damage):
    settings = {"group": "trial", "batch_size": 4, "training_steps": 8}
    whole = train_flow(ds, tmp_path / "whole", max_epochs=1, **{**settings, "training_steps": 1})
    key = whole.extra["training"]["split"]["training"][0]
    video = side_video(tmp_path, key)

    def lose():
        video.unlink() if damage == "removed" else os.truncate(video, 700)

    after_the_first_epoch(monkeypatch, lose)
    with pytest.warns(sx.SoupWarning, match=f"{key}: .*(?s:.)*without this trial") as told:
        found = train_flow(ds, tmp_path / "x", max_epochs=2, **settings)
    assert len(told) == 1, "told more than once"
    assert len(history(tmp_path / "x")) == 2
    assert ds.soup.models.path.tolist()[-1] == str(found.path)


def test_a_validation_part_of_which_nothing_is_left(trained, ds, tmp_path, monkeypatch):
    runs.spare_resume_files(monkeypatch)
    flow = trained.models / "flow"
    kept_back = checkpoint.read(flow).extra["training"]["split"]["validation"]

    def lose_all():
        for key in kept_back:
            side_video(tmp_path, key).unlink()

    after_the_first_epoch(monkeypatch, lose_all)
    message = "no trial of the validation part can be read(?s:.*)kept: .*best.ckpt"
    with (
        pytest.warns(sx.SoupWarning, match=f"(?s)^({'|'.join(kept_back)}): .*without this trial"),
        pytest.raises(sx.TrainingError, match=message),
    ):
        train_features(ds, tmp_path / "x", flow_model_in=flow, training_steps=1)
    assert checkpoint.read(tmp_path / "x").epoch == 0


def test_videos_of_which_none_can_be_read(ds, tmp_path):
    for video in (tmp_path / "videos").rglob("*.mp4"):
        video.unlink()
    with pytest.raises(sx.TrainingError, match=r"can be read:(?s:.*)M\d/S1/2"):
        train_flow(ds, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_videos_that_were_never_there(ds, tmp_path):
    side_video(tmp_path, TRIALS[2]).unlink()
    with pytest.warns(sx.SoupWarning, match=f"(?s)1 trial.*left out.*{TRIALS[2]}"):
        train_flow(ds, tmp_path / "x", max_epochs=1, training_steps=1)
    assert len(history(tmp_path / "x")) == 1
