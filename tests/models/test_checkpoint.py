"""Checkpoints: files of every kind, what is refused and how, and that nothing in them runs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import shutil
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from soupxr import modes
from soupxr.errors import ArgumentError, CheckpointError, SoupWarning
from soupxr.models import checkpoint, inert, unpickle
from soupxr.models.flow import FLOW_GENERATORS, TinyMotionNet
from soupxr.models.identify import identify
from soupxr.models.tgmj import TGMJ
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import MODES

BEHAVIORS = ("lift", "grab")
PICTURES: dict[str, Any] = {
    "window": 11,
    "image_size": (224, 224),
    "preprocessing": "antialias",
    "normalization": ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)),
}
NO_PICTURES: dict[str, Any] = dict.fromkeys(PICTURES)


def _tgmj(**options: Any) -> TGMJ:
    return TGMJ(3, 16, **{"hidden": 8, "n_layers": 2, **options})


def _write_sequence(path: Path, model: Any = None, **fields: Any) -> checkpoint.Checkpoint:
    given: dict[str, Any] = {"kind": "sequence", "mode": "fast", "behaviors": BEHAVIORS}
    given |= NO_PICTURES | fields
    return checkpoint.write(path, model=_tgmj() if model is None else model, **given)


def _write_flow(path: Path, mode: str = "fast", **fields: Any) -> checkpoint.Checkpoint:
    model = FLOW_GENERATORS[MODES[mode].flow_generator](11)
    given: dict[str, Any] = {"kind": "flow_generator", "mode": mode, "behaviors": None}
    return checkpoint.write(path, model=model, **given | PICTURES | fields)


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


# ------------------------------------------------------------------------------------ our own files
def test_a_feature_extractor_comes_back_whole(tmp_path: Path) -> None:
    model = HiddenTwoStream(MODES["fast"], 3, fusion="weighted_average", dropout=0.1)
    path = tmp_path / "feature.pt"
    written = checkpoint.write(
        path,
        kind="feature_extractor",
        mode="fast",
        model=model,
        behaviors=BEHAVIORS,
        **PICTURES,
        thresholds=np.array([0.5, 0.25, 0.75]),
        minimum_bout=[0, 3, 5],
        epoch=7,
        extra={"project": "reach", "losses": [0.5, 0.25], "note": None},
    )
    read = checkpoint.read(path, kind="feature_extractor", mode="fast", n_classes=3)
    for found in (written, read):
        assert (found.path, found.format, found.mode, found.epoch) == (path, "soupxr", "fast", 7)
        assert (found.behaviors, found.n_classes, found.assumed) == (BEHAVIORS, 3, ())
        assert (found.thresholds, found.minimum_bout) == ((0.5, 0.25, 0.75), (0, 3, 5))
        assert {name: getattr(found, name) for name in PICTURES} == PICTURES
        assert found.config == {"fusion": "weighted_average", "final_bn": False, "dropout": 0.1}
        assert found.extra == {"project": "reach", "losses": [0.5, 0.25], "note": None}
        assert found.sha256 == written.sha256
        assert _equal(found.state_dict, dict(model.state_dict()))
    built = read.build()
    windows = torch.randn(1, 33, 32, 32)
    assert isinstance(built, HiddenTwoStream)
    assert not built.training
    with torch.no_grad():
        assert torch.equal(built(windows).logits, model.eval()(windows).logits)
    built.spatial_classifier[1].bias.data.add_(1)
    assert _equal(read.state_dict, dict(model.state_dict()))
    assert torch.load(path, weights_only=True)["kind"] == "feature_extractor"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"filter_length": 6, "reduction": "mean", "n_layers": 1},
        {"soft_attention": False, "reduction": "conv1x1", "final_bn": False},
        {"nonlinear": False, "use_logits": True, "c_out": 3, "n_filters": 5},
    ],
)
def test_a_sequence_model_comes_back_whole(tmp_path: Path, options: dict[str, Any]) -> None:
    model = _tgmj(**options)
    path = tmp_path / "sequence.pt"
    _write_sequence(path, model, thresholds=(0.5, 0.5, 0.5))
    read = checkpoint.read(path, kind="sequence", mode="fast")
    built = read.build()
    assert built.config == model.config == read.config
    x = torch.randn(1, 16, 30)
    with torch.no_grad():
        assert torch.equal(built(x), model.eval()(x))
    assert (read.window, read.image_size, read.normalization) == (None, None, None)


def test_a_flow_generator_comes_back_whole(tmp_path: Path) -> None:
    written = _write_flow(tmp_path / "flow.pt", "slow", window=7)
    read = checkpoint.read(tmp_path / "flow.pt", kind="flow_generator", mode="slow", n_classes=9)
    assert (read.window, read.n_classes, read.behaviors) == (7, None, None)
    assert _equal(read.state_dict, written.state_dict)
    assert read.flow_generator() is None


def test_building_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    found = _write_sequence(tmp_path / "sequence.pt")
    before = torch.get_rng_state()
    found.build()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_flow_generator_within_a_feature_extractor(tmp_path: Path) -> None:
    model = HiddenTwoStream(MODES["fast"], 3)
    feature = checkpoint.write(
        tmp_path / "feature.pt",
        kind="feature_extractor",
        mode="fast",
        model=model,
        behaviors=BEHAVIORS,
        **PICTURES,
    )
    flow = feature.flow_generator()
    assert flow is not None
    assert (flow.kind, flow.mode, flow.window, flow.n_classes) == (
        "flow_generator",
        "fast",
        11,
        None,
    )
    assert isinstance(flow.build(), TinyMotionNet)
    assert _equal(flow.state_dict, dict(model.flow_generator.state_dict()))

    other = _write_flow(tmp_path / "flow.pt")
    replaced = feature.build(flow_generator=other)
    assert isinstance(replaced, HiddenTwoStream)
    assert _equal(dict(replaced.flow_generator.state_dict()), other.state_dict)
    assert _equal(
        dict(replaced.spatial_classifier.state_dict()), dict(model.spatial_classifier.state_dict())
    )
    with pytest.raises(CheckpointError, match="flow generator that belongs to the feature"):
        feature.build(flow_generator=_write_flow(tmp_path / "slow.pt", "slow"))
    with pytest.raises(ArgumentError, match="flow_generator: expected None"):
        other.build(flow_generator=other)


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "sequence.pt"
    first = _write_sequence(path)
    with pytest.raises(ArgumentError, match=r"path: expected a new file.*overwrite=True"):
        _write_sequence(path)
    assert checkpoint.read(path).sha256 == first.sha256
    second = _write_sequence(path, overwrite=True)
    assert checkpoint.read(path).sha256 == second.sha256 != first.sha256
    assert [file.name for file in tmp_path.iterdir()] == ["sequence.pt"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(content: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        _write_sequence(tmp_path / "sequence.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_file_holds_no_memory_around_its_tensors(tmp_path: Path) -> None:
    state = dict(_tgmj().state_dict())
    around = torch.zeros(100_000)
    around[:8] = state["h.bias"]
    state["h.bias"] = around[:8]
    _write_sequence(tmp_path / "s.pt", state, config={"filter_length": 15, "reduction": "max"})
    assert (tmp_path / "s.pt").stat().st_size < 50_000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "feature_extractor"}, "kind: expected 'sequence', as the weights are"),
        ({"mode": "quick"}, "mode: expected 'fast' or 'medium' or 'slow', but got 'quick'"),
        ({"behaviors": ("a", "b", "c")}, "behaviors: expected names for 3 classes, but got 4"),
        ({"behaviors": ("a", "a")}, "behaviors: expected 2 different names"),
        ({"behaviors": ("background", "a")}, "2 different names, without the background"),
        ({"behaviors": None}, "behaviors: expected names for 3 classes"),
        ({"thresholds": (0.5, 0.5)}, r"thresholds: expected 3 numbers in \[0, 1\]"),
        ({"thresholds": (0.5, 0.5, 50)}, r"thresholds: expected 3 numbers in \[0, 1\]"),
        ({"minimum_bout": (1, 2)}, "minimum_bout: expected frames, one number or 3"),
        ({"minimum_bout": -1}, "minimum_bout: expected frames"),
        ({"image_size": (0, 3)}, "image_size: expected"),
        ({"normalization": ((1, 1, 1), (1, 0, 1))}, "normalization: expected"),
        ({"preprocessing": "nearest"}, "preprocessing: expected 'antialias' or 'plain' or None"),
        ({"window": 11}, "window: expected None, as the weights have"),
        (
            {"config": {"filter_length": 15}},
            r"written:\n  - config\['reduction'\]: expected max, but got None.(\n|$)",
        ),
        ({"extra": {"when": {"then": 1j}}}, r"extra\['when'\]\['then'\]: expected strings"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    model = _tgmj().state_dict() if "config" in fields else _tgmj()
    with pytest.raises(ArgumentError, match=message):
        _write_sequence(tmp_path / "sequence.pt", model, **fields)
    assert list(tmp_path.iterdir()) == []


def test_a_flow_generator_says_how_pictures_are_prepared(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as error:
        _write_flow(tmp_path / "flow.pt", window=5, image_size=None, preprocessing=None)
    for argument in ("window: expected 11", "image_size:", "preprocessing:"):
        assert argument in str(error.value)


def test_a_state_dict_alone_does_not_tell_the_filter_length(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"config\['filter_length'\]: expected 15"):
        _write_sequence(tmp_path / "sequence.pt", _tgmj().state_dict())


def _altered(path: Path, **fields: Any) -> Path:
    _write_sequence(path)
    content = torch.load(path, weights_only=True)
    torch.save({k: v for k, v in (content | fields).items() if v != "gone"}, path)
    return path


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    path = _altered(tmp_path / "s.pt", format_version=2, soupxr_version="9.0")
    with pytest.raises(CheckpointError, match=r"written by soupxr 9.0.*Update soupxr"):
        checkpoint.read(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_classes": 5}, "contradicts itself"),
        ({"thresholds": (0.5,)}, "thresholds: expected 3 numbers"),
        ({"kind": "gone"}, "lacks kind"),
        ({"state_dict": {"a": torch.zeros(3)}}, "none of our networks; its first keys are a"),
        ({"state_dict": {}}, "holds no weights"),
    ],
)
def test_altered_files_are_refused(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        checkpoint.read(_altered(tmp_path / "s.pt", **fields))


# ------------------------------------------------------------------------------ what is asked for
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "sequence"}, "expected a sequence model, but this is a flow generator of mode"),
        ({"kind": "feature_extractor", "mode": "slow"}, r"of mode 'slow' \(resnet3d_34"),
        ({"mode": "medium"}, r"mode 'medium' \(MotionNet\), but .* 'fast' \(TinyMotionNet\)"),
    ],
)
def test_another_model_is_refused(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    path = _write_flow(tmp_path / "flow.pt").path
    with pytest.raises(CheckpointError, match=message) as error:
        checkpoint.read(path, **asked)
    assert str(path) in str(error.value)


def test_other_classes_or_mode_of_a_sequence_model_are_refused(tmp_path: Path) -> None:
    path = _write_sequence(tmp_path / "sequence.pt").path
    with pytest.raises(CheckpointError, match=r"expected 7 classes .*tells 3 apart"):
        checkpoint.read(path, n_classes=7)
    with pytest.raises(CheckpointError, match="Ask for mode 'fast', or give the file of mode"):
        checkpoint.read(path, mode="slow")


def test_unknown_kind_or_mode_is_an_argument_error(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="kind: expected one of 'flow_generator'"):
        checkpoint.read(tmp_path, kind="flow")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="mode: expected one of 'fast'"):
        checkpoint.read(tmp_path, mode="quick")


# -------------------------------------------------------------------------------- files of others
FILES = {
    "deg_checkpoint.pt": ("deepethogram", 7),
    "lightning_weights_only.ckpt": ("lightning", 0),
    "soup_train.ckpt": ("state_dict", 7),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_others(name: str, parity_folder: Path, parity: Callable[[str], Any]) -> None:
    recipe = parity("warp").recipe
    files = json.loads((parity_folder / "files" / "files.json").read_text())
    weights = recipe.make_weights(files)
    found = checkpoint.read(parity_folder / "files" / name, kind="sequence", mode="slow")
    assert list(found.state_dict) == list(weights)
    for key, value in weights.items():
        np.testing.assert_array_equal(found.state_dict[key].numpy(), value)
    assert (found.format, found.epoch) == FILES[name]
    assert (found.n_classes, found.mode) == (3, None)
    model = found.build()
    assert isinstance(model, TGMJ)
    assert not model.training
    if name == "soup_train.ckpt":  # says nothing beside its weights
        assert found.assumed == ("filter_length", "reduction")
        assert (found.config["filter_length"], found.behaviors, found.thresholds) == (
            15,
            None,
            None,
        )
        assert "assumed: filter_length" in repr(found)
    else:
        assert found.assumed == ()
        assert (found.config["filter_length"], found.behaviors) == (5, ("a", "b"))
        assert found.thresholds == pytest.approx(files["metrics_optimum_last_epoch"])


@pytest.fixture
def run_folder(tmp_path: Path, parity_folder: Path) -> Path:
    folder = tmp_path / "run"
    inner = folder / "lightning_checkpoints"
    inner.mkdir(parents=True)
    files = parity_folder / "files"
    shutil.copy(files / "lightning_weights_only.ckpt", inner / "epoch=0-step=12.ckpt")
    shutil.copy(files / "lightning_weights_only.ckpt", inner / "last.ckpt")
    shutil.copy(files / "deg_checkpoint.pt", folder / "checkpoint.pt")
    shutil.copy(files / "classification_metrics.h5", folder)
    return folder


def test_a_run_folder(run_folder: Path) -> None:
    with h5py.File(run_folder / "classification_metrics.h5") as metrics:
        optima = metrics["val/metrics_by_threshold/optimum"][:]
    inner = run_folder / "lightning_checkpoints"
    best = checkpoint.read(run_folder)
    assert best.path == inner / "epoch=0-step=12.ckpt"
    assert best.thresholds == pytest.approx(optima[0])
    assert checkpoint.read(inner).path == best.path
    assert checkpoint.read(inner / "last.ckpt").thresholds == pytest.approx(optima[1])
    best.path.unlink()
    assert checkpoint.read(run_folder).path == inner / "last.ckpt"
    (inner / "last.ckpt").unlink()
    assert checkpoint.read(run_folder).path == run_folder / "checkpoint.pt"
    (run_folder / "checkpoint.pt").unlink()
    with pytest.raises(CheckpointError, match="this folder holds no checkpoint"):
        checkpoint.read(run_folder)


def test_of_a_run_the_latest_best_is_taken(run_folder: Path) -> None:
    inner = run_folder / "lightning_checkpoints"
    (inner / "epoch=0-step=12.ckpt").rename(inner / "epoch=1-step=9.ckpt")
    shutil.copy(inner / "last.ckpt", inner / "epoch=0-step=99.ckpt")
    assert checkpoint.read(run_folder).path.name == "epoch=1-step=9.ckpt"


def test_metrics_that_do_not_fit_are_told(run_folder: Path) -> None:
    inner = run_folder / "lightning_checkpoints"
    (inner / "epoch=0-step=12.ckpt").rename(inner / "epoch=5-step=12.ckpt")
    with pytest.warns(SoupWarning, match=r"up to epoch 5, but got an array of shape \(2, 3\)"):
        assert checkpoint.read(run_folder).thresholds is None
    (run_folder / "classification_metrics.h5").write_text("not HDF5")
    with pytest.warns(SoupWarning, match="cannot be read"):
        assert checkpoint.read(run_folder / "checkpoint.pt").thresholds is None


def test_metrics_of_older_runs(run_folder: Path) -> None:
    with h5py.File(run_folder / "classification_metrics.h5", "w") as metrics:
        metrics["threshold_curves/val/optimum"] = np.array([[0.1, 0.2, 0.3]])
    assert checkpoint.read(run_folder).thresholds == (0.1, 0.2, 0.3)


def _lightning(
    path: Path, model: nn.Module, configuration: Any = None, prefix: str = "model."
) -> Path:
    state = OrderedDict((prefix + key, value) for key, value in model.state_dict().items())
    state["criterion.data_criterion.pos_weight"] = torch.ones(3)
    content: dict[str, Any] = {"epoch": 2, "pytorch-lightning_version": "1.5", "state_dict": state}
    torch.save(content | {"hyper_parameters": configuration or {}}, path)
    return path


def test_a_flow_generators_best_epoch_is_its_worst(tmp_path: Path) -> None:
    model = TinyMotionNet(3)
    _lightning(tmp_path / "epoch=1-step=5.ckpt", model)
    assert checkpoint.read(tmp_path).path.name == "epoch=1-step=5.ckpt"
    _lightning(tmp_path / "last.ckpt", model)
    assert checkpoint.read(tmp_path, kind="flow_generator").path.name == "last.ckpt"


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model.", "model.module."])
def test_prefixes_are_stripped(tmp_path: Path, prefix: str) -> None:
    model = TinyMotionNet(3)
    found = checkpoint.read(_lightning(tmp_path / "flow.ckpt", model, prefix=prefix))
    assert (found.mode, found.window) == ("fast", 3)
    assert _equal(found.state_dict, dict(model.state_dict()))


def test_a_bare_state_dict(tmp_path: Path) -> None:
    torch.save(TinyMotionNet(4).state_dict(), tmp_path / "flow.pt")
    found = checkpoint.read(tmp_path / "flow.pt")
    assert (found.format, found.window, found.epoch) == ("state_dict", 4, None)


def test_what_a_configuration_says_of_pictures(tmp_path: Path) -> None:
    augs: dict[str, Any] = {
        "normalization": {"N": 9, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
        "resize": [128, 256],
    }
    path = tmp_path / "flow.ckpt"
    found = checkpoint.read(_lightning(path, TinyMotionNet(3), {"augs": augs}))
    assert found.normalization == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (found.image_size, found.preprocessing) == ((128, 256), "plain")
    for unclear in ({"resize": 224}, {"resize": None}):
        found = checkpoint.read(_lightning(path, TinyMotionNet(3), {"augs": augs | unclear}))
        assert (found.image_size, found.preprocessing) == (None, "plain")
    cropped = {"augs": augs | {"crop_size": [100, 100]}}
    with pytest.warns(SoupWarning, match="cropped or padded"):
        found = checkpoint.read(_lightning(path, TinyMotionNet(3), cropped))
    assert found.image_size is None
    assert checkpoint.read(_lightning(path, TinyMotionNet(3), {})).preprocessing is None
    for unclear in ({"mean": None}, {"std": [0.1, 0.2]}, {"mean": ["a", "b", "c"]}):
        normalization = augs["normalization"] | unclear
        found = checkpoint.read(
            _lightning(path, TinyMotionNet(3), {"augs": {"normalization": normalization}})
        )
        assert found.normalization is None


def test_sup_is_read_as_supinate(tmp_path: Path) -> None:
    names = ["background", "lift", "handopen", "grab", "sup", "atmouth", "chew"]
    found = checkpoint.read(
        _lightning(tmp_path / "tgmj.ckpt", TGMJ(7), {"project": {"class_names": names}})
    )
    assert found.behaviors == modes.BEHAVIORS


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("hts_fast_128x128", ("fast", 7, 11, "average", False)),
        ("hts_fast_concat_64x96", ("fast", 7, 11, "concatenate", False)),
        ("hts_fast_finalbn_64x96", ("fast", 5, 11, "average", True)),
        ("hts_medium_128x128", ("medium", 7, 11, "average", False)),
        ("hts_slow_concat_64x96", ("slow", 4, 11, "concatenate", False)),
    ],
)
def test_feature_extractors_are_told_by_their_shapes(
    name: str, facts: tuple[Any, ...], parity: Callable[[str], Any]
) -> None:
    entries = parity(name).spec["state_dict"]
    state = {entry["key"]: torch.empty(entry["shape"], device="meta") for entry in entries}
    found = identify(state)
    config = found.config
    assert facts == (
        found.mode,
        found.n_classes,
        found.window,
        config["fusion"],
        config["final_bn"],
    )


@pytest.mark.parametrize(
    "name", ["tgmj_default_180", "tgmj_small_conv1x1", "tgmj_small_mean", "tgmj_small_plain"]
)
def test_sequence_models_are_told_by_their_shapes(name: str, parity: Callable[[str], Any]) -> None:
    golden = parity(name)
    state = {e["key"]: torch.empty(e["shape"], device="meta") for e in golden.spec["state_dict"]}
    found, wanted = identify(state), golden.arguments
    assert found.n_classes == wanted["classes"]
    theirs = {"n_features": "D", "n_layers": "num_layers", "n_filters": "n_filters"}
    theirs |= {"c_out": "c_out", "soft_attention": "soft", "final_bn": "final_bn"}
    theirs |= {"nonlinear": "nonlinear_classification", "use_logits": "use_fe_logits"}
    for ours, name_there in theirs.items():
        assert found.config[ours] == wanted[name_there]
    assert ("reduction" in found.assumed) == (wanted["reduction"] != "conv1x1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("conv3.0.bias"), r"conv3\.0\.bias missing"),
        (lambda s: s.update({"conv9.0.bias": s["conv3.0.bias"]}), r"conv9\.0\.bias unknown"),
        (
            lambda s: s.update({"conv3.0.bias": torch.zeros(7)}),
            r"conv3\.0\.bias has shape \(7,\) where \(256,\) belongs",
        ),
        (lambda s: [s.pop(key) for key in list(s) if "conv2" in key], "and .* more missing"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], Any], message: str
) -> None:
    state = dict(TinyMotionNet(3).state_dict())
    change(state)
    torch.save({"state_dict": state}, tmp_path / "flow.pt")
    with pytest.raises(CheckpointError, match=message) as error:
        checkpoint.read(tmp_path / "flow.pt")
    assert "flow generator of mode 'fast'" in str(error.value)


def test_a_mixture_of_modes_is_named(tmp_path: Path) -> None:
    with torch.device("meta"):
        state = dict(HiddenTwoStream(MODES["fast"], 3).state_dict())
        slow = FLOW_GENERATORS["TinyMotionNet3D"](11).state_dict()
    state = {key: value for key, value in state.items() if not key.startswith("flow_generator.")}
    state |= {f"flow_generator.{key}": value for key, value in slow.items()}
    small = {key: torch.zeros(value.shape, dtype=torch.bool) for key, value in state.items()}
    torch.save(small, tmp_path / "f.pt")
    with pytest.raises(CheckpointError, match="classifiers of mode 'fast' beside a flow generator"):
        checkpoint.read(tmp_path / "f.pt")


def test_a_feature_extractor_without_its_flow_generator_is_named(tmp_path: Path) -> None:
    state = {"spatial_classifier.0.conv1.weight": torch.zeros(64, 3, 7, 7)}
    torch.save(state, tmp_path / "f.pt")
    with pytest.raises(CheckpointError, match="without the flow generator that belongs inside"):
        checkpoint.read(tmp_path / "f.pt")


@pytest.mark.parametrize("prefix", ["", "0."])
def test_a_plain_residual_network_is_named(tmp_path: Path, prefix: str) -> None:
    state = {prefix + key: torch.zeros(1) for key in ("conv1.weight", "layer4.0.conv1.weight")}
    torch.save(state, tmp_path / "resnet.pt")
    with pytest.raises(CheckpointError, match="a plain residual network, of use only to start"):
        checkpoint.read(tmp_path / "resnet.pt")


@pytest.mark.parametrize("content", [[1, 2], 5, {"state_dict": None}, {"weights": "none"}, {}])
def test_other_contents_are_named(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(CheckpointError, match=r"weights|state dict"):
        checkpoint.read(tmp_path / "file.pt")


# ---------------------------------------------------------------------------- what is no checkpoint
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "this is a web page"),
        (b"behaviour,start,stop\n", "this is not a PyTorch file"),
        (b"\x80\x02K\x05.", "not one of PyTorch's"),
        (b"\x80\x02", "the file is damaged"),
        (b"PK\x03\x04" + bytes(100), "ends too early"),
    ],
)
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "file.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as error:
        checkpoint.read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("legacy", [False, True])
def test_files_cut_anywhere_are_refused(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "file.pt"
    torch.save(
        {"state_dict": _tgmj().state_dict()}, path, _use_new_zipfile_serialization=not legacy
    )
    whole = path.read_bytes()
    for keep in np.linspace(1, len(whole) - 1, 40, dtype=int):
        path.write_bytes(whole[:keep])
        with pytest.raises(CheckpointError):
            checkpoint.read(path)


# --------------------------------------------------------------------------------- nothing is run
class _Reduce:
    """Unpickled by calling a function."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


class _Evaluate(_Reduce):
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({str(self.marker)!r}, 'w').close()",)


class _State(_Reduce):
    """Unpickled by a method that gets the state."""

    __reduce__ = object.__reduce__

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["marker"].touch()


class _NewArguments:
    """Unpickled by making an object with arguments."""

    def __new__(cls, marker: Path, armed: bool = False) -> _NewArguments:
        made = super().__new__(cls)
        made.marker = marker
        if armed:
            marker.touch()
        return made

    def __getnewargs__(self) -> tuple[Path, bool]:
        return self.marker, True


@pytest.fixture
def omegaconf(monkeypatch: pytest.MonkeyPatch) -> type:
    """A configuration class as files mention it; gone when they are read."""
    module = types.ModuleType("omegaconf.dictconfig")
    config = type("DictConfig", (), {"__module__": "omegaconf.dictconfig"})
    module.DictConfig = config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, "omegaconf.dictconfig", module)
    return config


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("payload", [_Reduce, _Evaluate, _State, _NewArguments])
@pytest.mark.parametrize("place", ["beside", "in a configuration", "among the weights"])
def test_nothing_in_a_file_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    omegaconf: type,
    place: str,
    payload: type,
    legacy: bool,
) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _here())
    marker, path = tmp_path / "ran", tmp_path / "model.ckpt"
    model = _tgmj()
    content: dict[str, Any] = {"state_dict": OrderedDict(model.state_dict())}
    if place == "beside":
        content["callbacks"] = [payload(marker)]
    elif place == "among the weights":
        content["state_dict"]["h.extra"] = payload(marker)
    else:
        config = omegaconf()
        config.__dict__.update(_content={"project": payload(marker)}, _metadata=payload(marker))
        content["hyper_parameters"] = {"project": config}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)

    torch.load(path, weights_only=False)
    assert marker.exists(), "the payload is harmless: the test proves nothing"
    marker.unlink()

    if place == "among the weights":
        with pytest.raises(CheckpointError, match=r"holds no weights that we know \(found h.extra"):
            checkpoint.read(path)
    else:
        found = checkpoint.read(path)
        assert _equal(found.state_dict, dict(model.state_dict()))
        assert "inert" not in repr(found)
    assert not marker.exists()


def _here() -> types.ModuleType:
    """This module under the name that its classes are pickled by."""
    module = types.ModuleType(__name__)
    module.__dict__.update(globals())
    return module


@pytest.mark.parametrize(
    "program",
    [
        b"(S'touch MARKER'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch MARKER'\no.",
        b"cos\nsystem\n(S'touch MARKER'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch MARKER\x85R.",
        b"\x80\x02cos\nsystem\n(S'touch MARKER'\nt\x81.",
        b"\x80\x04cos\nsystem\n(S'touch MARKER'\nt}\x92.",
        b"c__builtin__\ngetattr\n(cos\nsystem\nS'__call__'\ntR(S'touch MARKER'\ntR.",
        b"\x80\x02ccollections\nOrderedDict\n)R(dS'__class__'\ncos\nsystem\nsb.",
        b"\x82\x01.",
        b"S'never closed",
    ],
)
def test_no_opcode_runs_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    for raw in (program, b"\x80\x02}q\x00U\nstate_dict" + program[:-1] + b"s."):
        with zipfile.ZipFile("model.pt", "w") as archive:
            archive.writestr("model/data.pkl", raw)
            archive.writestr("model/version", b"3\n")
        with pytest.raises(CheckpointError):
            checkpoint.read("model.pt")
        Path("model.pt").write_bytes(raw)
        with pytest.raises(CheckpointError):
            checkpoint.read("model.pt")
    assert not Path("MARKER").exists()


@settings(max_examples=60)
@given(place=st.integers(0, 5000), byte=st.integers(0, 255), legacy=st.booleans())
def test_damage_is_found_or_harmless(
    place: int, byte: int, legacy: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "file.pt"
    buffer = io.BytesIO()
    torch.save(
        {"state_dict": _tgmj().state_dict()}, buffer, _use_new_zipfile_serialization=not legacy
    )
    damaged = bytearray(buffer.getvalue())
    damaged[place % len(damaged)] = byte
    path.write_bytes(damaged)
    with contextlib.suppress(CheckpointError):
        checkpoint.read(path)


# ------------------------------------------------------------------------------- the interpreter
def _tensors() -> dict[str, Any]:
    base = torch.arange(24, dtype=torch.float32)
    return {
        "view": base.view(4, 6).T,
        "slice": base[3:9:2],
        "shared": base,
        "scalar": torch.tensor(5),
        "empty": torch.zeros(0, 3),
        "half": torch.ones(2, dtype=torch.float16),
        "bfloat": torch.ones(2, dtype=torch.bfloat16),
        "double": torch.ones(2, dtype=torch.float64),
        "bool": torch.tensor([True, False]),
        "bytes": torch.arange(3, dtype=torch.uint8),
        "parameter": nn.Parameter(torch.ones(2, 2)),
        "size": torch.Size((2, 3)),
        "plain": [1, 2.5, "three", None, True, (4, 5), {"six": {7}}, b"8", 2**70],
        "ordered": OrderedDict(a=1),
    }


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_the_interpreter_reads_what_torch_reads(
    tmp_path: Path, legacy: bool, protocol: int
) -> None:
    content = _tensors()
    path = tmp_path / "file.pt"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    found = (unpickle._load_legacy if legacy else unpickle._load_zip)(path)
    assert list(found) == list(content)
    if protocol == 2:  # sets and long bytes are calls there
        content["plain"][6:8] = found["plain"][6:8]
    for key, value in content.items():
        if isinstance(value, Tensor):
            assert found[key].dtype == value.dtype
            assert torch.equal(found[key], value)
        else:
            assert found[key] == value
    found["shared"][0] = 99
    assert found["view"][0, 0] == 99


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((10**9,), (0,), 0), ((5,), (1,), 0), ((4,), (1,), 1), ((4,), (1,), -1)],
)
def test_tensors_stay_within_their_memory(size: Any, stride: Any, offset: int) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        inert._tensor(inert.Storage(torch.zeros(4)), offset, size, stride)


def test_configurations_may_hold_themselves() -> None:
    config = inert.Foreign("omegaconf.dictconfig DictConfig")
    config.state = {"_content": {"itself": config, "leaf": inert.Foreign("n", state={"_val": 3})}}
    assert inert.plain(config) == {"itself": None, "leaf": 3}
    assert inert.plain(inert.Foreign("os system", ("rm",))) is None


def test_a_configuration_of_many_references_is_followed_once() -> None:
    nested: list[Any] = []
    for _ in range(29):
        nested = [nested, nested, nested]
    assert len(inert.plain(nested)) == 3


def test_checkpoint_shows_itself_in_a_line(tmp_path: Path) -> None:
    shown = repr(_write_sequence(tmp_path / "sequence.pt"))
    assert "\n" not in shown
    assert len(shown) < 200
    assert "tensor" not in shown
    assert "sequence model of mode 'fast' (TGMJ); 3 classes; lift, grab" in shown


def test_pickling_a_checkpoint(tmp_path: Path) -> None:
    found = _write_sequence(tmp_path / "sequence.pt")
    again = pickle.loads(pickle.dumps(found))
    assert again.sha256 == found.sha256
    assert _equal(again.state_dict, found.state_dict)
