"""``flow_generator.train``: from videos to a model that the store uses."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
import torch
import training_runs as runs
from training_runs import assert_equal_runs, history, stopped_at, train_features, train_flow

import soupxr as sx
from soupxr.models import checkpoint

LEFT = {"best.ckpt", "last.ckpt", "resume.ckpt", "run.json", "metrics.csv", "curves.png"}


def losses(folder):
    return [(row["epoch"], row["loss"], row["ssim_loss"]) for row in history(folder)]


# ---------------------------------------------------------------- what a run leaves


def test_every_stage_leaves_its_files(trained):
    assert trained.files.keys() == {"flow", "features", "sequence"}
    for files in trained.files.values():
        assert files >= LEFT
        assert not [name for name in files if "unfinished" in name]
    assert [len(history(trained.models / run)) for run in trained.files] == [
        {"flow": 3, "features": 2, "sequence": 3}[run] for run in trained.files
    ]


def test_the_checkpoint_says_what_it_is(trained):
    found = checkpoint.read(trained.models / "flow", kind="flow_generator", mode="fast")
    assert found.path.name == "best.ckpt"
    assert (found.window, found.image_size, found.preprocessing) == (2, (32, 32), "antialias")
    training = found.extra["training"]
    assert training["arguments"]["training_steps"] == 2
    assert training["arguments"]["initial_lr"] == 1e-4
    assert training["split"]["group"] == "animal"
    parts = training["split"]["training"], training["split"]["validation"]
    assert sorted(parts[0] + parts[1]) == list(runs.TRIALS)
    assert len({key[:2] for key in parts[0]} | {key[:2] for key in parts[1]}) == 2
    assert training["versions"]["soupxr"] == sx.__version__
    assert training["history"][-1]["epoch"] == found.epoch
    assert len(training["history"]) == found.epoch + 1


def test_the_best_epoch_has_the_smallest_loss(trained):
    values = [float(row["ssim_loss"]) for row in history(trained.models / "flow")]
    assert checkpoint.read(trained.models / "flow").epoch == int(np.argmin(values))
    assert checkpoint.read(trained.models / "flow/last.ckpt").epoch == 2


def test_normalisation_is_that_of_the_training_part(trained, trained_ds):
    found = checkpoint.read(trained.models / "flow")
    frames = []
    for key in found.extra["training"]["split"]["training"]:
        animal, session, trial_id = key.split("/")
        one = trained_ds.sel(animal=animal, session=session, trial_id=int(trial_id))
        frames.append(one.soup.video().values[::10] / 255)
    frames = np.concatenate(frames)
    assert found.normalization is not None
    np.testing.assert_allclose(found.normalization[0], frames.mean((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(found.normalization[1], frames.std((0, 1, 2)), atol=1e-3)


def test_the_store_knows_its_models(trained, trained_ds):
    table = trained_ds.soup.models
    assert table.kind.tolist() == ["flow_generator", "feature_extractor", "sequence"]
    assert table.there.all()
    assert table.default.all()
    assert table.metric.tolist() == ["ssim_loss", "f1_mean", "f1_mean"]
    values = [float(row["ssim_loss"]) for row in history(trained.models / "flow")]
    assert table.value[0] == pytest.approx(min(values))


def test_the_newest_model_is_the_default(trained_ds, tmp_path):
    train_flow(trained_ds, tmp_path / "again", max_epochs=1, training_steps=1)
    table = trained_ds.soup.models
    flow = table[table.kind == "flow_generator"]
    assert flow.default.tolist() == [False, True]
    assert flow.path.tolist()[1] == str(tmp_path / "again/best.ckpt")


# ---------------------------------------------------------------- chance


def test_the_same_seed_gives_the_same_model_however_many_threads_read(trained, ds, tmp_path):
    state = torch.random.get_rng_state()
    train_flow(ds, tmp_path / "flow", num_workers=1)
    assert_equal_runs(trained.models / "flow", tmp_path / "flow")
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's own chance was spent"


def test_another_seed_gives_another(trained, ds, tmp_path):
    train_flow(ds, tmp_path / "flow", seed=1, max_epochs=1)
    assert losses(tmp_path / "flow")[0] != losses(trained.models / "flow")[0]


def test_a_model_is_trained_further(trained, ds, tmp_path):
    """From weights that are there: the first loss is another, size and window are taken over."""
    found = ds.soup.flow_generator.train(
        model_in=trained.models / "flow", model_out=tmp_path / "on", max_epochs=1, **runs.SMALL
    )
    start = checkpoint.read(trained.models / "flow")
    assert (found.window, found.image_size) == (start.window, start.image_size)
    assert found.normalization == start.normalization
    assert losses(tmp_path / "on")[0] != losses(trained.models / "flow")[0]
    assert json.loads((tmp_path / "on/run.json").read_text())["inputs"]["model_in"] == start.sha256


# ---------------------------------------------------------------- interruption


@pytest.mark.parametrize("epoch", [0, 2])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(trained, ds, tmp_path, epoch):
    handler = signal.getsignal(signal.SIGINT)
    with stopped_at(epoch=epoch, step=1), pytest.raises(KeyboardInterrupt):
        train_flow(ds, tmp_path / "flow")
    assert signal.getsignal(signal.SIGINT) is handler, "Ctrl+C does not work any more"
    assert ds.soup.models.empty
    assert (tmp_path / "flow/resume.ckpt").exists() == (epoch > 0)
    train_flow(ds, tmp_path / "flow", resume=True)
    assert_equal_runs(trained.models / "flow", tmp_path / "flow")
    assert ds.soup.models.path.tolist() == [str(tmp_path / "flow/best.ckpt")]


def test_a_run_of_fewer_epochs_is_prolonged(trained, ds, tmp_path):
    train_flow(ds, tmp_path / "flow", max_epochs=2)
    train_flow(ds, tmp_path / "flow", max_epochs=3, resume=True)
    assert_equal_runs(trained.models / "flow", tmp_path / "flow")


# ---------------------------------------------------------------- what is shown


def test_silence(ds, tmp_path, capfd, caplog, recwarn):
    train_flow(ds, tmp_path / "flow", max_epochs=1, training_steps=1, progress=False)
    assert capfd.readouterr() == ("", "")
    assert [record.message for record in caplog.records] == []
    assert [str(warning.message) for warning in recwarn] == []


def test_a_bar_with_loss_and_metric(ds, tmp_path, capfd):
    train_flow(ds, tmp_path / "flow", max_epochs=1, training_steps=2, progress=True)
    shown = "".join(capfd.readouterr())
    assert "Epoch 0" in shown
    assert "2/2" in shown
    last = shown.strip().splitlines()[-1]
    assert "loss=" in last
    assert "ssim_loss=" in last
    assert "GPU" not in shown
    assert "Trainer" not in shown


# ---------------------------------------------------------------- the other modes


@pytest.mark.parametrize("mode", ["medium", "slow"])
def test_a_step_of_the_flow_generators_of_other_modes(ds, tmp_path, mode):
    found = train_flow(
        ds,
        tmp_path / "flow",
        mode=mode,
        flow_window=11,
        max_epochs=1,
        training_steps=1,
        validation_steps=1,
    )
    assert (found.mode, found.kind, found.window) == (mode, "flow_generator", 11)
    assert np.isfinite([float(value) for value in history(tmp_path / "flow")[0].values()]).all()
    with pytest.raises(sx.CheckpointError, match=f"'{mode}'"):
        train_features(ds, tmp_path / "features", mode="fast", flow_model_in=found.path)
