"""Arguments of a training call: each bad one is named, good ones are recorded in plain values."""

import json
from pathlib import Path

import numpy as np
import pytest

import soupxr as sx
from soupxr.errors import ArgumentError
from soupxr.training.augment import Augmentation
from soupxr.training.request import TrainingRequest

BAD = {
    "model_out": [None, 3, ["models"], b"models"],
    "source": ["labels", None, 1],
    "init": ["resnet", None],
    "stop_method": ["patience", None],
    "preprocessing": ["nearest", 1],
    "precision": ["float64", 16],
    "group": ["cage", 2],
    "batch_size": [0, 1, -4, 2.0, "32", True, float("nan")],
    "max_epochs": [0, -1, 1.5, "10", True],
    "training_steps": [0, 2.5, "all", True],
    "validation_steps": [0, 2.5, "all", True],
    "flow_window": [0, 1, 11.0, "11", True],
    "seed": [-1, 0.5, "zero", True],
    "num_workers": [0, -1, 2.0, "all", True, None],
    "initial_lr": [0, -1e-4, 1.0, 5, float("nan"), float("inf"), "fast", None],
    "weight_exponent": [-1, 10, float("nan"), "1", None],
    "oversampling": [-0.5, 11, float("inf"), "1", None],
    "validation": [0, 1, -0.1, 1.2, float("nan"), "0.2", None],
    "image_size": [0, 31, -224, 64.0, "64", True, (64,), (64, 64, 3), (64, 8), (64, 64.0), ()],
    "folds": [1, 0, -2, 2.5, "5", True],
    "augmentation": [True, "none", {"flip": 0.5}],
}


def request(kind="feature_extractor", **arguments):
    return TrainingRequest(kind=kind, **({"model_out": "models/out"} | arguments))


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_bad_argument_is_named(name, value):
    with pytest.raises(ArgumentError) as error:
        request(**{name: value})
    message = str(error.value)
    assert message.startswith(f"{name}: expected ")
    assert f"but got {value!r}" in message


def test_a_folder_has_to_be_named():
    with pytest.raises(ArgumentError, match=r'^model_out: .*new one, such as model_out="'):
        request(model_out=None)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"model_out": Path("out"), "model_in": Path("in.ckpt"), "flow_model_in": Path("flow")},
        {"image_size": np.int64(64), "seed": np.int32(3), "batch_size": np.int16(8)},
        {"image_size": (np.int64(64), 96), "validation": np.float32(0.25)},
        {"image_size": [64, 96], "num_workers": np.int64(2), "folds": np.int64(3)},
        {"augmentation": Augmentation(flip=np.float64(0.25), hue=np.float32(0.0))},
        {"initial_lr": np.float32(1e-3), "weight_exponent": 0, "oversampling": 0},
    ],
)
def test_a_call_is_recorded_in_plain_values(arguments):
    recorded = request(**arguments).arguments()
    again = json.loads(json.dumps(recorded))
    assert again == json.loads(json.dumps(request(**arguments).arguments()))
    assert again.keys() >= {"batch_size", "initial_lr", "seed", "image_size", "augmentation"}
    # Not what says where the result goes or what is shown meanwhile.
    assert not again.keys() & {"model_out", "resume", "progress", "kind"}


def test_defaults_are_recorded_as_what_they_came_to():
    with sx.set_options(precision="bfloat16"):
        recorded = request(kind="flow_generator").arguments()
    assert recorded["precision"] == "bfloat16"
    assert recorded["max_epochs"] == 10
    assert request(kind="sequence").arguments()["max_epochs"] == 100
    assert request(precision="float32").arguments()["precision"] == "float32"
    assert request(model_in=Path("a") / "b.ckpt").arguments()["model_in"] == str(Path("a/b.ckpt"))


@pytest.mark.parametrize(
    ("given", "sides"),
    [
        (None, None),
        (64, (64, 64)),
        ((64, 96), (64, 96)),
        ([64, 96], (64, 96)),
        (np.int64(32), (32, 32)),
    ],
)
def test_one_side_makes_a_square(given, sides):
    assert request(image_size=given).sides == sides


@pytest.mark.parametrize(
    ("kind", "epochs", "patience", "validation_steps"),
    [
        ("flow_generator", 10, 3, 200),
        ("feature_extractor", 20, 3, 1000),
        ("sequence", 100, 5, 1000),
    ],
)
def test_each_stage_has_its_schedule(kind, epochs, patience, validation_steps):
    schedule = request(kind=kind).schedule
    assert (schedule.max_epochs, schedule.patience) == (epochs, patience)
    assert schedule.validation_steps == validation_steps
    asked = request(kind=kind, max_epochs=2, validation_steps=7, seed=5, batch_size=3).schedule
    assert (asked.max_epochs, asked.validation_steps, asked.seed) == (2, 7, 5)
    assert asked.batch_size == 3


def test_threads_and_bars():
    assert 1 <= request().threads <= 8
    assert request(num_workers=3).threads == 3
    with sx.set_options(progress=True):
        assert request().show_progress
        assert not request(progress=False).show_progress
