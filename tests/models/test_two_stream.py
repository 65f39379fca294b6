"""The feature extractor: goldens, fusions, what is frozen, what it refuses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

from soupxr.errors import ArgumentError
from soupxr.inference.network import FeatureNetwork
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import MODES

GOLDENS = [
    "hts_fast_128x128",
    "hts_fast_224x224",
    "hts_fast_concat_64x96",
    "hts_fast_finalbn_64x96",
    "hts_medium_128x128",
    "hts_slow_128x128",
    "hts_slow_concat_64x96",
]

FAST = MODES["fast"]


def _model(n_classes: int = 3, **options: Any) -> HiddenTwoStream:
    return HiddenTwoStream(FAST, n_classes, **{"window": 3, **options})


def _of_golden(golden: Any) -> HiddenTwoStream:
    arguments = golden.arguments
    model = HiddenTwoStream(
        MODES[arguments["mode"]],
        arguments["num_classes"],
        window=arguments["num_images"],
        fusion=arguments["fusion"],
        final_bn=arguments["final_bn"],
    )
    golden.fill(model)
    return model


@pytest.mark.parametrize("name", GOLDENS)
def test_reference_answers(name: str, parity: Callable[[str], Any]) -> None:
    golden = parity(name)
    model, windows = _of_golden(golden), golden.inputs()["x"]
    with torch.no_grad():
        out = model(windows)
    answers = out._asdict() | {
        "probabilities": out.logits.sigmoid(),
        "spatial_input": model.spatial_input(windows),
        "flow_input": out.flows[0],
    }
    for output in golden.spec["outputs"]:
        golden.compare(output, answers[output])


@pytest.mark.parametrize("name", GOLDENS)
def test_reference_answers_of_the_network_as_it_runs(
    name: str, parity: Callable[[str], Any]
) -> None:
    golden = parity(name)
    model, windows = _of_golden(golden), golden.inputs()["x"]
    network = FeatureNetwork(model, torch.device("cpu"), "float32")
    stacked = model.mode.layout == "stacked"
    frames = windows.unflatten(1, (-1, 3)) if stacked else windows.transpose(1, 2)
    parts = [network(window) for window in frames]
    spatial, flow, logits = (torch.cat(part) for part in zip(*parts, strict=True))
    answers = {"spatial_features": spatial, "flow_features": flow, "logits": logits}
    checked = [output for output in golden.spec["outputs"] if output in answers]
    assert "logits" in checked
    for output in checked:
        golden.compare(output, answers[output])


@pytest.mark.parametrize("mode", MODES)
def test_own_goldens(mode: str, matches_own_golden: Callable[[str], None]) -> None:
    matches_own_golden(f"two_stream_{mode}")


@pytest.mark.parametrize(
    ("mode", "size"), [("fast", 24_365_302), ("medium", 95_057_630), ("slow", 127_450_040)]
)
def test_size(mode: str, size: int) -> None:
    with torch.device("meta"):
        model = HiddenTwoStream(MODES[mode], 7)
    assert sum(parameter.numel() for parameter in model.parameters()) == size


@pytest.mark.parametrize(
    ("window", "channels"), [(11, [16, 17, 18]), (4, [6, 7, 8]), (3, [4, 5, 6])]
)
def test_the_picture_stream_sees_the_published_channels(window: int, channels: list[int]) -> None:
    with torch.device("meta"):
        model = _model(window=window)
    windows = torch.arange(3 * window).view(1, -1, 1, 1).expand(1, -1, 4, 4)
    seen = model.spatial_input(windows)
    assert seen[0, :, 0, 0].tolist() == channels
    assert seen.data_ptr() == windows[:, channels[0] :].data_ptr()


def test_average_counts_flow_one_and_a_half_times() -> None:
    out = _model().eval()(torch.randn(2, 9, 32, 32))
    assert out.spatial_logits is not None
    assert out.flow_logits is not None
    torch.testing.assert_close(out.logits, (out.spatial_logits + 1.5 * out.flow_logits) / 2.5)


def test_weighted_average_learns_its_weight() -> None:
    model = _model(fusion="weighted_average").eval()
    assert model.state_dict()["fusion.flow_weight"].tolist() == [0.5]
    with torch.no_grad():
        model.fusion.flow_weight.fill_(0.75)
    out = model(torch.randn(1, 9, 32, 32))
    torch.testing.assert_close(out.logits, 0.75 * out.flow_logits + 0.25 * out.spatial_logits)
    out.logits.sum().backward()
    assert model.fusion.flow_weight.grad is not None


def test_concatenation_classifies_both_features() -> None:
    model = _model(fusion="concatenate").eval()
    out = model(torch.randn(1, 9, 32, 32))
    assert (out.spatial_logits, out.flow_logits) == (None, None)
    features = torch.cat([out.spatial_features, out.flow_features], dim=1)
    torch.testing.assert_close(out.logits, model.fusion.fc(features))


def test_the_flow_generator_is_frozen() -> None:
    model = _model().train()
    assert model.spatial_classifier.training
    assert not any(module.training for module in model.flow_generator.modules())
    before = copy.deepcopy(model.flow_generator.state_dict())
    model(torch.randn(2, 9, 32, 32)).logits.sum().backward()
    assert all(parameter.grad is None for parameter in model.flow_generator.parameters())
    assert model.flow_classifier[0].conv1.weight.grad is not None
    assert model.spatial_classifier[0].conv1.weight.grad is not None
    for key, value in model.flow_generator.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


@pytest.mark.parametrize("fusion", ["average", "concatenate"])
def test_classes_start_at_their_frequency(fusion: Any) -> None:
    model = _model(2, fusion=fusion)
    model.start_at_frequencies(torch.tensor([1, 3]), torch.tensor([3, 1]))
    expected = torch.tensor([-1.0986, 1.0986])
    layer = model.fusion.fc if fusion == "concatenate" else model.flow_classifier[1]
    torch.testing.assert_close(layer.bias.detach(), expected, atol=1e-4, rtol=0)


def test_channels_last_and_autocast_agree() -> None:
    model = _model().eval()
    windows = torch.randn(2, 9, 48, 40)
    with torch.no_grad():
        exact = model(windows)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(windows)
        model.to(memory_format=torch.channels_last)
        other = model(windows.to(memory_format=torch.channels_last))
    for field in ("logits", "spatial_features", "flow_features"):
        torch.testing.assert_close(
            getattr(other, field), getattr(exact, field), rtol=1e-4, atol=1e-4
        )
        difference = (getattr(rough, field).float() - getattr(exact, field)).abs().max()
        assert difference < 0.05 * getattr(exact, field).abs().max()


def test_it_pickles() -> None:
    model = _model().eval()
    windows = torch.randn(1, 9, 32, 32)
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(again(windows).logits, model(windows).logits)


@pytest.mark.parametrize(
    ("mode", "shape", "wanted"),
    [
        ("fast", (1, 30, 8, 8), r"\(N, 33, H, W\) in mode 'fast'"),
        ("medium", (1, 3, 11, 8, 8), r"\(N, 33, H, W\) in mode 'medium'"),
        ("slow", (1, 33, 8, 8), r"\(N, 3, 11, H, W\) in mode 'slow'"),
        ("slow", (1, 3, 10, 8, 8), r"\(N, 3, 11, H, W\) in mode 'slow'"),
    ],
)
def test_wrong_windows_are_named(mode: str, shape: tuple[int, ...], wanted: str) -> None:
    with torch.device("meta"):
        model = HiddenTwoStream(MODES[mode], 3)
        with pytest.raises(ArgumentError, match=wanted):
            model(torch.empty(shape))


def test_concatenation_has_no_final_batch_norm() -> None:
    with pytest.raises(ArgumentError, match="final_bn: expected False with fusion='concatenate'"):
        _model(fusion="concatenate", final_bn=True)


def test_unknown_fusion() -> None:
    with pytest.raises(ArgumentError, match=r"fusion: expected one of .*but got 'sum'"):
        _model(fusion="sum")
