"""``sequence.train``: from stored features and labels, divided as their extractor divided them."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import training_runs as runs
from processes import PROCESSES
from reference import select
from results import annotate, ethogram
from training_runs import (
    TRIALS,
    assert_equal_runs,
    history,
    make_store,
    partly,
    put_features,
    seen_batches,
    stopped_at,
    train_sequence,
    truth,
    with_background,
)

import soupxr as sx
from soupxr.models import checkpoint
from soupxr.training.runfolder import RunFolder
from soupxr.training.tasks import SequenceTask, Task

pytestmark = pytest.mark.usefixtures("no_curves")


def provenance(ds, key):
    return json.loads(select(ds, key).provenance.item())


def held_back(trained):
    split = checkpoint.read(trained.models / "features").extra["training"]["split"]
    return set(split["validation"])


# ---------------------------------------------------------------- what comes out


def test_the_checkpoint_says_what_it_is(trained):
    found = checkpoint.read(trained.models / "sequence", kind="sequence", mode="fast")
    features = checkpoint.read(trained.models / "features")
    assert found.behaviors == runs.BEHAVIORS
    assert (len(found.thresholds), len(found.minimum_bout)) == (3, 3)
    assert found.minimum_bout == (0, 3, 3)
    inputs = found.extra["training"]["inputs"]
    assert inputs["feature_model"] == features.sha256
    assert inputs["features"]["feature_model"] == features.sha256
    assert found.extra["training"]["arguments"]["initial_lr"] == 1e-3
    f1 = [float(row["f1_mean"]) for row in history(trained.models / "sequence")]
    assert found.epoch == int(np.argmax(f1))


def test_trials_are_divided_as_for_the_features(trained, trained_ds, tmp_path):
    wanted = checkpoint.read(trained.models / "features").extra["training"]["split"]
    found = checkpoint.read(trained.models / "sequence").extra["training"]["split"]
    assert found == wanted
    other = train_sequence(trained_ds, tmp_path / "x", seed=9, group="trial", max_epochs=1)
    assert other.extra["training"]["split"] == wanted


def test_the_ethogram_is_decided_by_the_checkpoint(trained, trained_ds):
    found = checkpoint.read(trained.models / "sequence")
    one = select(trained_ds, TRIALS[0])
    said = provenance(trained_ds, TRIALS[0])["sequence"]["identity"]
    assert said["sequence_model"] == found.sha256
    assert said["thresholds"] == dict(zip(runs.BEHAVIORS, found.thresholds[1:], strict=True))
    wanted = ethogram(one.probability.values, found.thresholds[1:], found.minimum_bout)
    np.testing.assert_array_equal(one.ethogram, wanted)


def test_results_say_what_part_a_trial_had_in_training(trained, trained_ds, film, tmp_path):
    late = "M3/S1/1"
    for view in ("side", "front"):
        film(tmp_path / f"videos/M3/S1/reach_{view}_v001.mp4", n_frames=runs.LENGTH)
    ds = annotate(trained_ds.soup.add_item("M3"), late, truth()).soup.infer()
    wanted = {key: "validation" if key in held_back(trained) else "training" for key in TRIALS}
    roles = {key: provenance(ds, key)["sequence"]["role"] for key in (*TRIALS, late)}
    assert roles == wanted | {late: "unseen"}
    assert {"training", "validation"} == set(wanted.values())
    scores = ds.soup.evaluate("fast", by="trial")
    assert set(scores.trial.values) == held_back(trained) | {late}
    assert scores.attrs["n_validation_trials"] == len(held_back(trained))
    everything = ds.soup.evaluate("fast", on="all", by="trial")
    assert everything.trial.values.tolist() == [*TRIALS, late]


def test_the_model_that_was_trained_last_infers(trained_ds, tmp_path):
    found = train_sequence(trained_ds, tmp_path / "again", seed=4, max_epochs=1)
    assert trained_ds.soup.models.default.tolist() == [True, True, False, True]
    with pytest.warns(sx.SoupWarning, match="sequence_model"):
        trained_ds.soup.infer()
    ds = trained_ds.soup.infer(overwrite=True)
    assert provenance(ds, TRIALS[3])["sequence"]["identity"]["sequence_model"] == found.sha256


def test_features_of_a_model_from_elsewhere(ds, tmp_path):
    """The store does not know what it learnt from: trials are divided by the request."""
    found = train_sequence(put_features(ds), tmp_path / "x", group="trial", max_epochs=1)
    assert found.extra["training"]["split"]["group"] == "trial"
    assert found.extra["training"]["inputs"]["feature_model"] is None


@pytest.mark.parametrize("mode", ["medium", "slow"])
def test_the_other_modes(ds, tmp_path, mode):
    ds = put_features(ds, mode)
    found = train_sequence(ds, tmp_path / "x", mode=mode, max_epochs=1)
    assert found.mode == mode
    ds = ds.soup.sequence.infer(mode)
    assert (ds.status.sel(mode=mode) == 2).all()
    assert ds.soup.models["mode"].tolist() == [mode]


def test_it_learns(ds, tmp_path):
    found = train_sequence(
        put_features(ds), tmp_path / "x", batch_size=4, training_steps=10, max_epochs=8
    )
    rows = history(tmp_path / "x")
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 2
    assert float(rows[found.epoch]["f1_mean"]) > 0.9


# ---------------------------------------------------------------- chance


def test_the_same_seed_gives_the_same_model(trained, trained_ds, tmp_path):
    train_sequence(trained_ds, tmp_path / "x")
    assert_equal_runs(trained.models / "sequence", tmp_path / "x")


def test_another_seed_gives_another(trained, trained_ds, tmp_path):
    train_sequence(trained_ds, tmp_path / "x", seed=1)
    assert history(tmp_path / "x")[0]["loss"] != history(trained.models / "sequence")[0]["loss"]


# ---------------------------------------------------------------- interruption


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(trained, trained_ds, tmp_path, epoch):
    with stopped_at(epoch=epoch, step=0), pytest.raises(KeyboardInterrupt):
        train_sequence(trained_ds, tmp_path / "x")
    train_sequence(trained_ds, tmp_path / "x", resume=True)
    assert_equal_runs(trained.models / "sequence", tmp_path / "x")


def killed_in_the_second_epoch(address, folder):
    training_step = Task.training_step

    def deadly(self, batch, index):
        if (self.current_epoch, index) == (1, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return training_step(self, batch, index)

    Task.training_step = deadly
    sx.set_options(progress=False)
    train_sequence(sx.open(address), folder)


def test_a_killed_run_goes_on_as_if_nothing_had_been(trained, trained_ds, tmp_path):
    arguments = (trained_ds.attrs["soupxr_store"], tmp_path / "x")
    victim = PROCESSES.Process(target=killed_in_the_second_epoch, args=arguments)
    victim.start()
    victim.join(120)
    assert victim.exitcode == -signal.SIGKILL
    assert len(history(tmp_path / "x")) == 1
    train_sequence(trained_ds, tmp_path / "x", resume=True)
    assert_equal_runs(trained.models / "sequence", tmp_path / "x")


@pytest.fixture
def standing_still(monkeypatch):
    """The metric never gets better."""
    figures = SequenceTask.validation_figures
    monkeypatch.setattr(
        SequenceTask, "validation_figures", lambda self: figures(self) | {"f1_mean": 0.5}
    )


@pytest.mark.usefixtures("standing_still")
def test_a_lowered_learning_rate_outlives_an_interruption(ds, tmp_path):
    """Lowered once before it, and once after, by epochs without improvement on either side."""
    ds = put_features(ds)
    settings = {"max_epochs": 15, "training_steps": 1, "stop_method": "num_epochs"}
    train_sequence(ds, tmp_path / "whole", **settings)
    rates = [float(row["lr"]) for row in history(tmp_path / "whole")]
    assert rates == pytest.approx([1e-3] * 7 + [1e-4] * 6 + [1e-5] * 2)
    with stopped_at(epoch=9, step=0), pytest.raises(KeyboardInterrupt):
        train_sequence(ds, tmp_path / "x", **settings)
    train_sequence(ds, tmp_path / "x", **settings, resume=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "x")


@pytest.mark.usefixtures("standing_still")
def test_a_run_that_was_over_but_not_recorded_as_such(ds, tmp_path, monkeypatch):
    """Stopped by the learning rate, then interrupted: no epoch is added."""
    ds = put_features(ds)
    settings = {"max_epochs": 15, "training_steps": 1, "initial_lr": 5e-6}
    train_sequence(ds, tmp_path / "whole", **settings)
    facts = json.loads((tmp_path / "whole/run.json").read_text())
    assert (len(history(tmp_path / "whole")), facts["stopped"]) == (7, "learning_rate")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", lambda self, why: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            train_sequence(ds, tmp_path / "x", **settings)
    train_sequence(ds, tmp_path / "x", **settings, resume=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "x")
    facts = json.loads((tmp_path / "x/run.json").read_text())
    assert facts["stopped"] == "learning_rate"
    assert ds.soup.models.path.tolist()[-1] == str(tmp_path / "x/best.ckpt")


# ---------------------------------------------------------------- which labels


def test_unlabelled_frames_are_never_absent(ds, tmp_path, monkeypatch):
    masks = partly()
    for key, mask in masks.items():
        ds = annotate(ds, key, mask, annotator="partly")
    batches, given = seen_batches(monkeypatch, SequenceTask)
    found = train_sequence(
        put_features(ds),
        tmp_path / "x",
        annotator="partly",
        group="trial",
        max_epochs=1,
        training_steps=50,
    )
    places = [place for batch in batches for place in batch.places]
    labels = np.concatenate([value.numpy() for value in given])
    assert labels.shape == (len(places), 3, 180)
    assert {key for key, _ in places} == set(found.extra["training"]["split"]["training"])
    for (key, start), window in zip(places, labels, strict=True):
        mask = with_background(masks[key])
        for place in range(180):
            frame = start + place
            wanted = mask[frame] if 0 <= frame < runs.LENGTH else [-1, -1, -1]
            assert window[:, place].tolist() == list(wanted)


# ---------------------------------------------------------------- features that do not fit


def test_without_features(ds, tmp_path):
    with pytest.raises(sx.ArgumentError, match=r"6 labelled.*ds\.soup\.feature_extractor\.infer"):
        train_sequence(ds, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_features_of_different_models(ds, tmp_path):
    ds = put_features(put_features(ds), keys=TRIALS[1:2], model="0" * 64)
    with pytest.raises(sx.ArgumentError, match=r"another model(?s:.*)overwrite=True(?s:.*)M1/S1/2"):
        train_sequence(ds, tmp_path / "x")


def test_only_trials_that_are_labelled_need_features(labelled, film, tmp_path):
    ds = make_store(tmp_path, film)
    for seed, key in enumerate(TRIALS[:3]):
        ds = annotate(ds, key, truth(seed=seed))
    ds = put_features(ds, keys=TRIALS[:3])
    found = train_sequence(ds, tmp_path / "x", max_epochs=1, training_steps=1)
    split = found.extra["training"]["split"]
    assert sorted(split["training"] + split["validation"]) == list(TRIALS[:3])
