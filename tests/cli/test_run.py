"""infer and train."""

from __future__ import annotations

import json
import socket
import sys
from types import SimpleNamespace

import pytest
from results import annotate, labels, probabilities, put_result

import soupxr as sx
from soupxr.accessor import SoupAccessor
from soupxr.cli import run
from soupxr.dataset import store_of
from soupxr.stages import FeatureExtractor, FlowGenerator, SequenceModel
from soupxr.store import TrialResults

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
N = 30


@pytest.fixture
def ds(new_store):
    return new_store(*KEYS, n_frames=N)


@pytest.fixture
def store(ds):
    return store_of(ds).address


@pytest.fixture
def model_options(models):
    """Checkpoints as they are typed."""
    return [
        part
        for name, path in models().items()
        for part in (f"--{name.removesuffix('_in').replace('_', '-')}", path)
    ]


# ---------------------------------------------------------------- infer


def test_infer_does_and_resumes_and_tells_of_failures(
    soupxr, ds, store, model_options, tmp_path, film
):
    video = tmp_path / "videos/M2/S1/reach_side_v001.mp4"
    video.unlink()
    failed = soupxr("infer", store, *model_options, "--device", "cpu", code=1)
    assert "1 of 3 trial(s) failed" in failed.stderr
    assert "M2/S1/1" in failed.stderr
    assert ds.soup.trials.fast.tolist() == ["complete", "complete", "failed"]
    film(video, n_frames=N)
    done = soupxr("infer", store, *model_options)
    assert "1 done, 2 skipped, 0 failed" in done.stderr
    assert ds.soup.trials.fast.tolist() == ["complete"] * 3


def test_every_option_reaches_the_api(soupxr, store, calls, tmp_path):
    seen = calls(SoupAccessor, "infer")
    model = tmp_path / "model.ckpt"
    model.touch()
    soupxr(
        *("infer", store, "--mode", "medium", "--animal", "M1", "--overwrite"),
        *("--flow-model", model, "--feature-model", model, "--sequence-model", model),
        *("--features", "float16", "--threshold", "grab=0.4", "--threshold", "lift=0.6"),
        *("--minimum-bout", "5", "--image-size", "64x96", "--preprocessing", "plain"),
        *("--normalization", "0.5,0.5,0.5/0.25,0.25,0.25", "--device", "cpu"),
        *("--precision", "auto", "--batch-size", "7", "--every", "2"),
        *("--log", tmp_path / "run.jsonl"),
    )
    ((accessor, arguments, options),) = seen
    assert accessor._ds.animal.values.tolist() == ["M1", "M1"]
    assert arguments == ("medium",)
    assert options == {
        "overwrite": True,
        "flow_model_in": str(model),
        "feature_model_in": str(model),
        "sequence_model_in": str(model),
        "features": "float16",
        "thresholds": {"grab": 0.4, "lift": 0.6},
        "minimum_bout": 5,
        "image_size": (64, 96),
        "preprocessing": "plain",
        "normalization": ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        "device": "cpu",
        "precision": "auto",
        "batch_size": 7,
        "every": 2,
        "log": str(tmp_path / "run.jsonl"),
    }


def test_what_is_not_asked_for_is_left_to_the_api(soupxr, store, calls):
    seen = calls(SoupAccessor, "infer")
    soupxr("infer", store)
    soupxr("infer", store, "--batch-size", "auto", "--image-size", "64", "--normalization", "trial")
    assert [options for _, _, options in seen] == [
        {"overwrite": False},
        {"overwrite": False, "batch_size": "auto", "image_size": 64, "normalization": "trial"},
    ]


def test_one_stage_alone(soupxr, store, calls, tmp_path):
    features, sequence = calls(FeatureExtractor, "infer"), calls(SequenceModel, "infer")
    model = tmp_path / "model.ckpt"
    model.touch()
    soupxr("infer", store, "--only", "features", "--feature-model", model, "--every", "2")
    soupxr("infer", store, "--only", "sequence", "--sequence-model", model, "--threshold", "0.5")
    assert features[0][2] == {"overwrite": False, "feature_model_in": str(model), "every": 2}
    assert sequence[0][2] == {"overwrite": False, "model_in": str(model), "thresholds": 0.5}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "sequence", "--every", "2"], "--every does not go"),
        (["--only", "features", "--threshold", "0.5"], "--threshold does not go"),
        (["--only", "features", "--sequence-model", sys.executable], "--sequence-model does not"),
        (["--threshold", "0.5", "--threshold", "grab=0.4"], "--threshold takes one number"),
        (["--threshold", "grab=much"], "expected a number"),
        (["--image-size", "big"], "168x396"),
        (["--batch-size", "all"], "expected a number of windows"),
        (["--normalization", "0.5/0.5/0.5"], "0.5,0.5,0.5/"),
        (["--gpus", "first"], "expected all, or numbers"),
        (["--workers", "0"], "--workers"),
        (["--scheduler", "tcp://node:1", "--workers", "2"], "--scheduler"),
        (["--feature-model", "nowhere.ckpt"], "nowhere.ckpt"),
        (["--mode", "quick"], "quick"),
    ],
)
def test_wrong_use_is_told_before_anything_happens(soupxr, store, calls, arguments, said):
    seen = calls(SoupAccessor, "infer")
    assert said in soupxr("infer", store, *arguments, code=2).output
    assert not seen


def test_an_argument_that_the_api_refuses_is_wrong_use(soupxr, store):
    assert "every" in soupxr("infer", store, "--every", "0", code=2).output


def test_a_dry_run_of_infer_counts_and_writes_nothing(soupxr, ds, store, fingerprint, calls):
    put_result(ds, KEYS[0], probabilities(labels(N)))
    TrialResults(store_of(ds), "fast", KEYS[1]).fail("why")
    before, seen = fingerprint(store), calls(SoupAccessor, "infer")
    said = soupxr("infer", store, "--dry-run").output
    assert "Would infer 2 of 3 trial(s) in mode fast: 60 frames." in said
    assert "1 of them failed before" in said
    assert "1 are complete and would be skipped" in said
    # One that could not be redone is tried again.
    TrialResults(store_of(ds), "fast", KEYS[0]).fail("why")
    assert "3 of 3" in soupxr("infer", store, "--dry-run").output
    assert "3 of 3" in soupxr("infer", store, "--dry-run", "--mode", "slow").output
    assert "1 of 1" in soupxr("infer", store, "--animal", "M2", "--dry-run").output
    assert not seen
    TrialResults(store_of(ds), "fast", KEYS[0])._write("error", (0, 0), "")
    assert fingerprint(store) == before


@pytest.mark.slow
@pytest.mark.parametrize("only", [(), ("--only", "features"), ("--only", "sequence")])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_a_dry_run_takes_the_trials_that_infer_takes(
    soupxr, ds, store, model_options, tmp_path, only, overwrite
):
    """A complete one, one with features alone, and one that failed."""
    flow, feature, sequence = (model_options[i : i + 2] for i in range(0, 6, 2))
    chosen = {"features": (*flow, *feature), "sequence": sequence}
    options = chosen[only[1]] if only else model_options
    soupxr("infer", store, "--animal", "M1", "--trial", "1", *model_options)
    features = ("--only", "features", *chosen["features"])
    soupxr("infer", store, "--animal", "M1", "--trial", "2", *features)
    TrialResults(store_of(ds), "fast", KEYS[2]).fail("why")
    said = soupxr("infer", store, *only, *options, *overwrite, "--dry-run").output
    log = tmp_path / "run.jsonl"
    n_failed = int(only == ("--only", "sequence"))  # the last one has no features
    soupxr("infer", store, *only, *options, *overwrite, "--log", log, code=n_failed)
    start, *_ = map(json.loads, log.read_text().splitlines())
    assert f"Would infer {start['trials']} of 3 trial(s)" in said
    assert 0 < start["trials"] <= 3
    for option, path in zip(options[::2], options[1::2], strict=True):
        if option != "--flow-model":  # the same as inside the feature extractor
            assert str(path) in said


def test_a_dry_run_tells_what_is_wrong_with_checkpoints(soupxr, ds, store, model_options, tmp_path):
    text = tmp_path / "thesis.docx"
    text.write_text("no weights")
    said = soupxr("infer", store, *model_options[:-1], text, "--dry-run", code=1).output
    assert "thesis.docx" in said
    assert (
        "of mode"
        in soupxr("infer", store, *model_options, "-m", "slow", "--dry-run", code=1).output
    )


def test_a_dry_run_fetches_nothing(soupxr, store, monkeypatch, tmp_path):
    monkeypatch.setenv("SOUPXR_CACHE", str(tmp_path / "cache"))
    said = soupxr("infer", store, "--dry-run").output
    assert "feature extractor: the published model of the trials' experiment, to be fetched" in said
    assert "Would infer 3 of 3 trial(s)" in said
    said = soupxr("infer", store, "--dry-run", "--only", "features").output
    assert "Would infer at most 3 of 3 trial(s)" in said
    assert not (tmp_path / "cache").exists()


def test_a_dry_run_names_what_is_given_beside_what_is_to_be_fetched(
    soupxr, store, models, monkeypatch, tmp_path
):
    monkeypatch.setenv("SOUPXR_CACHE", str(tmp_path / "cache"))
    own = models()["sequence_model_in"]
    said = soupxr("infer", store, "--sequence-model", own, "--dry-run").output
    assert "feature extractor: the published model" in said
    assert f"sequence: {own}" in said
    wrong = soupxr("infer", store, "--threshold", "nosuch=0.4", "--dry-run", code=2).output
    assert "nosuch" in wrong


def test_a_store_without_trials_is_told(soupxr, new_store, tmp_path):
    new_store(name="empty.zarr")
    assert "soupxr add" in soupxr("infer", tmp_path / "empty.zarr").output


# ---------------------------------------------------------------- several processes


class Client:
    """Stands in for a dask client."""

    def __init__(self, *arguments, **options):
        self.arguments, self.options, self.open = arguments, options, False

    def __enter__(self):
        self.open = True
        return self

    def __exit__(self, *_):
        self.open = False


@pytest.fixture
def clients(monkeypatch):
    """Clients that were made, by the cluster of this machine or to a scheduler."""
    made = []

    def make(*arguments, **options):
        made.append(Client(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(sx, "local_client", make)
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=make))
    return made


@pytest.mark.parametrize(
    ("typed", "arguments", "options"),
    [
        (["--workers", "4"], (), {"workers": 4, "gpus": None}),
        (["--gpus", "all"], (), {"workers": None, "gpus": "all"}),
        (["--gpus", "0,2", "--workers", "2"], (), {"workers": 2, "gpus": [0, 2]}),
        (["--scheduler", "tcp://node:8786"], ("tcp://node:8786",), {"timeout": run.CONNECT_S}),
    ],
)
def test_work_is_shared_as_asked(soupxr, store, clients, monkeypatch, typed, arguments, options):
    used = []
    monkeypatch.setattr(
        SoupAccessor, "infer", lambda _, mode, *, client, **__: used.append((client, client.open))
    )
    soupxr("infer", store, *typed)
    (client,) = clients
    assert (client.arguments, client.options) == (arguments, options)
    assert used == [(client, True)]
    assert not client.open


def test_no_processes_are_started_in_a_dry_run_or_unasked(soupxr, store, clients, calls):
    seen = calls(SoupAccessor, "infer")
    soupxr("infer", store, "--workers", "2", "--dry-run")
    soupxr("infer", store)
    assert not clients
    assert "client" not in seen[0][2]


def test_what_is_not_installed_is_told(soupxr, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = soupxr("infer", store, "--scheduler", "tcp://node:8786", code=1).output
    assert "pip install distributed" in said


def test_a_scheduler_that_is_not_there_is_wrong_use(soupxr, store, calls, monkeypatch):
    pytest.importorskip("distributed")
    seen = calls(SoupAccessor, "infer")
    monkeypatch.setattr(run, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    for typed in (address, "node", "carrier-pigeon://node:8786"):
        said = soupxr("infer", store, "--scheduler", typed, code=2).output
        assert "--scheduler: expected the address of a dask scheduler that runs" in said
        assert f"but got '{typed}'" in said
        assert "Start it with dask scheduler" in said
    assert not seen


def test_gpus_of_a_machine_that_has_none_are_wrong_use(soupxr, store, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    said = soupxr("infer", store, "--gpus", "all", code=2).output
    assert "gpus: this machine has no CUDA GPU that torch can use. Leave it out" in said


# ---------------------------------------------------------------- train


def test_training_options_reach_the_api(soupxr, store, calls, tmp_path):
    found = SimpleNamespace(path=tmp_path / "best.ckpt")
    flow = calls(FlowGenerator, "train", found)
    features = calls(FeatureExtractor, "train", found)
    sequence = calls(SequenceModel, "train", found)
    model = tmp_path / "model.ckpt"
    model.touch()
    out, short = tmp_path / "out", ("--max-epochs", "2", "--training-steps", "3", "--seed", "4")
    said = soupxr(
        *("train", "flow", store, "--out", out, "--model", model, *short),
        *("--flow-window", "5", "--image-size", "64", "--preprocessing", "plain"),
    ).output
    soupxr(
        *("train", "features", store, "-m", "slow", "--out", out, "--animal", "M1"),
        *("--flow-model", model, "--feature-model", model, "--annotator", "Ana"),
        *("--source", "annotation", "--init", "imagenet", "--oversampling", "0.5"),
        *("--weight-exponent", "0.25", "--folds", "3", "--group", "trial", "--validation", "0.3"),
    )
    soupxr("train", "sequence", store, "--out", out, "--model", model, "--resume", "--patience", 3)
    common = {"model_out": str(out), "resume": False}
    assert flow[0][1:] == (
        ("fast",),
        common
        | {"model_in": str(model), "max_epochs": 2, "training_steps": 3, "seed": 4}
        | {"flow_window": 5, "image_size": 64, "preprocessing": "plain"},
    )
    assert features[0][0]._ds.sizes["trial"] == 2
    assert features[0][1:] == (
        ("slow",),
        common
        | {"flow_model_in": str(model), "feature_model_in": str(model), "annotator": "Ana"}
        | {"source": "annotation", "init": "imagenet", "oversampling": 0.5}
        | {"weight_exponent": 0.25, "folds": 3, "group": "trial", "validation": 0.3},
    )
    assert sequence[0][2] == common | {"model_in": str(model), "resume": True, "patience": 3}
    assert str(found.path) in said


def test_a_flow_generator_is_trained(soupxr, ds, store, tmp_path):
    soupxr(
        *("train", "flow", store, "--out", tmp_path / "flow", "--flow-window", "2", "--quiet"),
        *("--image-size", "32", "--max-epochs", "1", "--batch-size", "2", "--device", "cpu"),
        *("--training-steps", "1", "--validation-steps", "1"),
    )
    (model,) = ds.soup.models.itertuples()
    assert (model.mode, model.kind, model.there) == ("fast", "flow_generator", True)
    said = soupxr("train", "flow", store, "--out", tmp_path / "flow", code=2).output
    assert "resume" in said


def test_a_dry_run_of_training_counts_and_writes_nothing(soupxr, ds, store, tmp_path, fingerprint):
    ds = annotate(ds, KEYS[1], labels(N), "Ana")
    out = tmp_path / "model"
    before = fingerprint(store)
    said = soupxr("train", "flow", store, "--out", out, "--dry-run").output
    assert "on 3 of 3 trial(s), 90 frames" in said
    said = soupxr("train", "features", store, "--out", out, "--dry-run").output
    assert "feature extractor of mode fast on 1 of 3 trial(s), 30 frames" in said
    said = soupxr("train", "sequence", store, "--out", out, "--dry-run").output
    assert "on 0 of 3" in said
    assert "1 labelled trial(s) have no features yet" in said
    soupxr("train", "features", store, "--out", out, "--annotator", "Ben", "--dry-run", code=2)
    assert not out.exists()
    out.mkdir()
    (out / "thesis.docx").touch()
    said = soupxr("train", "flow", store, "--out", out, "--dry-run", code=2).output
    assert "a new or empty folder" in said
    assert fingerprint(store) == before


def test_training_needs_a_folder(soupxr, store):
    assert "--out" in soupxr("train", "flow", store, code=2).output
    assert sx.open(store).soup.models.empty
