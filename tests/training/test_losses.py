"""Losses and penalty against goldens, plain NumPy, and cases computed by hand."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from soupxr.errors import ArgumentError
from soupxr.models.flow import TinyMotionNet
from soupxr.models.tgmj import TGMJ
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import MODES
from soupxr.training.losses import (
    PHOTOMETRIC,
    FlowLoss,
    FocalLoss,
    charbonnier,
    frame_pairs,
    positive_weights,
    smoothness_map,
    softmax_loss,
    ssim_loss_map,
    warp,
)
from soupxr.training.penalty import ParameterPenalty, bare_name, decayed_parameters


def tensors(arrays: dict[str, Any]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


# ---------------------------------------------------------------- warp
def test_warp_golden(recipe: ModuleType) -> None:
    spec, golden = recipe.load("warp")
    given = tensors(recipe.make_inputs(spec))
    recipe.compare(spec, golden, "warped", warp(given["images"], given["flow"]).numpy())


def slow_warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Bilinear, pixel by pixel: place in the picture, then the four neighbours."""
    height, width = image.shape
    out = np.empty_like(image)
    for i in range(height):
        for j in range(width):
            x = min(max(j + flow[0, i, j] * width / (width - 1), 0), width - 1)
            y = min(max(i + flow[1, i, j] * height / (height - 1), 0), height - 1)
            left, top = math.floor(x), math.floor(y)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            across, down = x - left, y - top
            upper = (1 - across) * image[top, left] + across * image[top, right]
            lower = (1 - across) * image[bottom, left] + across * image[bottom, right]
            out[i, j] = (1 - down) * upper + down * lower
    return out


def test_warp_equals_a_loop() -> None:
    generator = np.random.default_rng(7)
    image = generator.random((5, 7))
    flow = generator.normal(0, 2, (2, 5, 7))
    got = warp(torch.from_numpy(image)[None, None], torch.from_numpy(flow)[None])
    np.testing.assert_allclose(got[0, 0].numpy(), slow_warp(image, flow), atol=1e-12)


def test_warp_direction() -> None:
    # The dot moves right by one: flow is +1, and pulling back brings it home.
    second = torch.zeros(1, 1, 4, 10)
    second[..., 2, 6] = 1
    flow = torch.zeros(1, 2, 4, 10)
    flow[:, 0] = 9 / 10
    back = warp(second, flow)
    assert back[0, 0, 2, 5] == pytest.approx(1, abs=1e-5)
    assert back.sum() == pytest.approx(1, abs=1e-5)


def test_warp_without_flow_is_the_picture() -> None:
    images = torch.rand(2, 3, 1, 9)
    torch.testing.assert_close(warp(images, torch.zeros(2, 2, 1, 9)), images)


# ---------------------------------------------------------------- flow loss
FLOW_CASES = {
    "flow_loss_stacked": {},
    "flow_loss_slow_preset": {"smoothness_multiplier": 0.25, "sparsity_weight": 0.05},
}


def normalised(samples: list[Any], mean: list[float], std: list[float], layout: str) -> Tensor:
    """Clips (t, h, w, 3) of uint8 as the networks see them."""
    clips = (np.stack(samples) / np.float32(255) - np.float32(mean)) / np.float32(std)
    if layout == "stacked":
        return torch.from_numpy(clips.transpose(0, 1, 4, 2, 3).astype(np.float32)).flatten(1, 2)
    return torch.from_numpy(clips.transpose(0, 4, 1, 2, 3).astype(np.float32))


def flow_case(recipe: ModuleType, name: str) -> tuple[Any, Any, Tensor, list[Tensor], FlowLoss]:
    spec, golden = recipe.load(name)
    given = recipe.make_inputs(spec)
    samples = [given["sample0"], given["sample1"]]
    windows = normalised(samples, spec["mean"], spec["std"], spec["layout"])
    flows = [torch.from_numpy(given[f"flow{i}"]).requires_grad_() for i in (2, 3, 4)]
    return spec, golden, windows, flows, FlowLoss(spec["mean"], spec["std"], **FLOW_CASES[name])


@pytest.mark.parametrize("name", FLOW_CASES)
def test_flow_loss_golden(recipe: ModuleType, name: str) -> None:
    spec, golden, windows, flows, loss = flow_case(recipe, name)
    parts = loss(windows, flows)
    parts.total.backward()
    got = {
        "loss": parts.total,
        "SSIM": parts.ssim,
        "L1": parts.l1,
        "smoothness": parts.smoothness,
        "grad_flow2": flows[0].grad,
        "grad_flow3": flows[1].grad,
        "grad_flow4": flows[2].grad,
    }
    if "flow_sparsity" in spec["outputs"]:
        got["flow_sparsity"] = parts.sparsity
    for output, value in got.items():
        recipe.compare(spec, golden, output, value.detach().numpy())


@pytest.mark.parametrize("name", FLOW_CASES)
def test_flow_loss_maps_golden(recipe: ModuleType, name: str) -> None:
    spec, golden, windows, flows, loss = flow_case(recipe, name)
    frames = loss._pixels(windows)
    for i, flow in zip((2, 3, 4), flows, strict=True):
        pairwise = flow.detach()
        if pairwise.ndim == 5:
            pairwise = pairwise.transpose(1, 2)
        pairwise = pairwise.reshape(20, 2, *flow.shape[-2:])
        first, second = frame_pairs(frames, pairwise.shape[-2:])
        estimate = warp(second, pairwise)
        got = {
            f"t0_{i}": first,
            f"estimated_t0_{i}": estimate,
            f"ssim_loss_map_{i}": ssim_loss_map(first, estimate),
            f"charbonnier_map_{i}": charbonnier(first - estimate, *PHOTOMETRIC),
            f"smoothness_map_{i}": smoothness_map(pairwise),
        }
        for output, value in got.items():
            recipe.compare(spec, golden, output, value.numpy())


def test_flow_loss_prefers_the_true_motion() -> None:
    picture = torch.rand(1, 3, 32, 40)
    smooth = nn.functional.avg_pool2d(picture, 5, 1, 2)
    windows = torch.cat([smooth, smooth.roll(2, dims=-1)], dim=1)
    loss = FlowLoss([0.0] * 3, [1.0] * 3)
    totals = []
    for motion in (1.0, 0.0, -1.0):
        flow = torch.zeros(1, 2, 16, 20)
        flow[:, 0] = motion
        totals.append(float(loss(windows, [flow]).total))
    assert totals == sorted(totals)


def test_flow_loss_of_a_still_picture_is_the_floor() -> None:
    windows = torch.rand(1, 3, 8, 8).repeat(1, 4, 1, 1)
    parts = FlowLoss([0.5] * 3, [0.25] * 3)(windows, [torch.zeros(1, 6, 4, 4)])
    torch.testing.assert_close(parts.ssim, torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(parts.l1, torch.full((3,), (1e-4**2) ** 0.4))
    torch.testing.assert_close(parts.smoothness, torch.full((3,), 0.01 * 2 * (1e-7**2) ** 0.3))
    torch.testing.assert_close(parts.sparsity, torch.zeros(3))


def test_stacked_and_volume_are_judged_alike() -> None:
    volume = torch.rand(2, 3, 4, 12, 16)
    flow = torch.randn(2, 2, 3, 6, 8)
    loss = FlowLoss([0.4, 0.5, 0.6], [0.2, 0.3, 0.4], sparsity_weight=0.1)
    stacked = loss(volume.transpose(1, 2).flatten(1, 2), [flow.transpose(1, 2).flatten(1, 2)])
    for one, other in zip(stacked, loss(volume, [flow]), strict=True):
        torch.testing.assert_close(one, other)


def test_flow_loss_keeps_single_precision_under_autocast() -> None:
    windows, flow = torch.rand(1, 6, 16, 16), torch.randn(1, 2, 8, 8)
    loss = FlowLoss([0.5] * 3, [0.25] * 3)
    wanted = loss(windows, [flow]).total
    with torch.autocast("cpu", torch.bfloat16):
        got = loss(windows, [flow]).total
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted)


def test_flow_loss_keeps_nothing_in_checkpoints() -> None:
    assert FlowLoss([0.5] * 3, [0.25] * 3).state_dict() == {}
    assert FocalLoss(torch.ones(3)).state_dict() == {}


def test_ssim_equals_its_definition() -> None:
    generator = np.random.default_rng(3)
    one, other = generator.random((2, 13, 15))
    bump = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(bump, bump) / bump.sum() ** 2
    got = ssim_loss_map(torch.from_numpy(one)[None, None], torch.from_numpy(other)[None, None])

    def mean(values: np.ndarray) -> float:
        return float((weights * np.pad(values, 5)[6 : 6 + 11, 8 : 8 + 11]).sum())

    m1, m2 = mean(one), mean(other)
    v1, v2 = mean(one**2) - m1**2, mean(other**2) - m2**2
    c = mean(one * other) - m1 * m2
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * m1 * m2 + c1) * (2 * c + c2) / ((m1**2 + m2**2 + c1) * (v1 + v2 + c2))
    assert float(got[0, 0, 6, 8]) == pytest.approx(1 - ssim, rel=1e-9)


def test_smoothness_by_hand() -> None:
    flow = torch.tensor([[[[0.0, 3.0], [0.0, 3.0]], [[1.0, 1.0], [5.0, 5.0]]]])
    floor = (1e-7**2) ** 0.3
    got = smoothness_map(flow)
    torch.testing.assert_close(got[0, 0, 0], torch.tensor([3**0.6 + floor, 2 * floor]))
    torch.testing.assert_close(got[0, 1, :, 0], torch.tensor([4**0.6 + floor, 2 * floor]))


def test_flow_loss_arguments() -> None:
    loss = FlowLoss([0.5] * 3, [0.25] * 3)
    with pytest.raises(ArgumentError, match="mean: expected three numbers"):
        FlowLoss([0.5], [0.25] * 3)
    with pytest.raises(ArgumentError, match="flow between all neighbours, 2 pairs, but got 1"):
        loss(torch.rand(1, 9, 8, 8), [torch.zeros(1, 2, 4, 4)])
    with pytest.raises(ArgumentError, match="at most 5 scales"):
        loss(torch.rand(1, 6, 8, 8), [torch.zeros(1, 2, 4, 4)] * 6)


# ---------------------------------------------------------------- classes
def compare_loss(recipe: ModuleType, name: str, loss: nn.Module | Any) -> None:
    spec, golden = recipe.load("classification_loss")
    logits = torch.from_numpy(golden[f"{name}_logits"]).requires_grad_()
    value = loss(logits, torch.from_numpy(golden[f"{name}_labels"]))
    value.backward()
    recipe.compare(spec, golden, f"{name}_loss", value.detach().numpy())
    assert logits.grad is not None
    recipe.compare(spec, golden, f"{name}_grad", logits.grad.numpy())


def test_focal_loss_goldens(recipe: ModuleType) -> None:
    spec, golden = recipe.load("classification_loss")
    cases = [case for case in spec["cases"] if case["loss"] == "binary_focal"]
    assert len(cases) == 48
    for case in cases:
        weight = golden.get(f"{case['case']}_pos_weight")
        assert (weight is not None) == case["pos_weight"]
        loss = FocalLoss(
            None if weight is None else torch.from_numpy(weight),
            gamma=case["gamma"],
            label_smoothing=case["label_smoothing"],
        )
        compare_loss(recipe, case["case"], loss)


@pytest.mark.parametrize("name", ["ce0", "ce1", "ce2", "ce3"])
def test_softmax_loss_goldens(recipe: ModuleType, name: str) -> None:
    compare_loss(recipe, name, softmax_loss)


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("exponent", [1.0, 0.25, 0.0])
def test_positive_weight_goldens(recipe: ModuleType, row: int, exponent: float) -> None:
    _, golden = recipe.load("classification_loss")
    positive, negative = (torch.from_numpy(golden[f"counts_{n}"][row]) for n in ("pos", "neg"))
    wanted = golden[f"class_weight{row}_exp{exponent}"]
    np.testing.assert_allclose(positive_weights(positive, negative, exponent), wanted, rtol=1e-6)


def test_positive_weights_by_hand() -> None:
    got = positive_weights(torch.tensor([10, 0, 100, 0]), torch.tensor([90, 100, 0, 0]))
    torch.testing.assert_close(got, torch.tensor([9.0, 0.0, 1.0, 0.0]))


def test_focal_loss_by_hand() -> None:
    z = math.log(3)  # a probability of 3/4
    logits = torch.tensor([[z, z, z]])
    labels = torch.tensor([[1, 0, -1]])
    weight = torch.tensor([2.0, 5.0, 7.0])
    plain = FocalLoss(weight, gamma=0.0, label_smoothing=0.0)(logits, labels)
    assert float(plain) == pytest.approx(-2 * math.log(0.75) - math.log(0.25))
    focal = FocalLoss(weight, gamma=2.0, label_smoothing=0.0)(logits, labels)
    assert float(focal) == pytest.approx(-2 * 0.25**2 * math.log(0.75) - 0.75**2 * math.log(0.25))
    smooth = FocalLoss(gamma=0.0, label_smoothing=0.1)(logits[:, :1], labels[:, :1])
    assert float(smooth) == pytest.approx(-0.9 * math.log(0.75) - 0.1 * math.log(0.25))


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=30)
def test_unlabelled_frames_do_not_matter(seed: int, weighted: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 8, generator=generator)
    labels = torch.randint(-1, 2, (2, 3, 8), generator=generator)
    loss = FocalLoss(torch.tensor([0.5, 2.0, 4.0]) if weighted else None)
    other = torch.where(labels == -1, torch.randn(2, 3, 8, generator=generator) * 50, logits)
    torch.testing.assert_close(loss(logits, labels), loss(other, labels))
    padded_logits = torch.cat([logits, torch.full((2, 3, 4), 9.0)], dim=2)
    padded_labels = torch.cat([labels, torch.full((2, 3, 4), -1)], dim=2)
    torch.testing.assert_close(loss(padded_logits, padded_labels), loss(logits, labels))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_extreme_logits_stay_finite(gamma: float) -> None:
    logits = torch.tensor([[-300.0, 300.0, -300.0, 300.0, 0.0]], requires_grad=True)
    loss = FocalLoss(gamma=gamma)(logits, torch.tensor([[1, 0, 0, 1, -1]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_losses_are_single_precision() -> None:
    logits = torch.randn(2, 3).bfloat16()
    assert FocalLoss()(logits, torch.ones(2, 3)).dtype == torch.float32
    assert softmax_loss(logits, torch.tensor([0, -1])).dtype == torch.float32


def test_softmax_loss_ignores_unlabelled() -> None:
    logits = torch.zeros(2, 4, 3)
    labels = torch.tensor([[0, 1, -1], [-1, -1, -1]])
    assert float(softmax_loss(logits, labels)) == pytest.approx(2 * math.log(4) / 2)


def test_class_loss_arguments() -> None:
    with pytest.raises(ArgumentError, match="equal shapes"):
        FocalLoss()(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ArgumentError, match="gamma"):
        FocalLoss(gamma=-1)
    with pytest.raises(ArgumentError, match="label_smoothing"):
        FocalLoss(label_smoothing=0.5)


# ---------------------------------------------------------------- penalty
@pytest.fixture
def regularised(recipe: ModuleType) -> tuple[Any, Any, nn.Module, dict[str, Tensor]]:
    """Golden, its model, and the weights that training is said to start from."""
    spec, golden = recipe.load("regularisation")
    weights = recipe.make_weights(spec)
    recipe.check_weights(spec, weights)
    model = TinyMotionNet()
    model.load_state_dict(tensors(weights))
    pretrained = tensors(recipe.make_weights(spec | {"salt": "pretrained/"}))
    del pretrained[spec["absent_from_pretrained"]]
    reshaped = spec["reshaped_in_pretrained"]
    pretrained[reshaped] = pretrained[reshaped][:-1]
    return spec, golden, model, pretrained


def test_l2_golden(regularised: Any) -> None:
    spec, golden, model, _ = regularised
    assert list(decayed_parameters(model)) == spec["decayed_keys"]
    recipe_compare(spec, golden, "l2", ParameterPenalty(1e-5)(model))


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "model.module."])
def test_l2_sp_golden(regularised: Any, prefix: str) -> None:
    spec, golden, model, pretrained = regularised
    wrapped = {prefix + name: tensor for name, tensor in pretrained.items()}
    penalty = ParameterPenalty(1e-3, pretrained=wrapped, pretrained_weight=1e-5, model=model)
    assert list(penalty._anchors) == spec["pretrained_keys"]
    recipe_compare(spec, golden, "l2_sp", penalty(model))
    inside = nn.ModuleDict({"model": model})
    recipe_compare(spec, golden, "l2_sp", penalty(inside))


def recipe_compare(spec: Any, golden: Any, output: str, got: Tensor) -> None:
    limit = spec["outputs"][output]["tolerance"]
    assert abs(got.item() - float(golden[output])) <= limit


def test_decayed_parameters_of_the_other_models(recipe: ModuleType) -> None:
    spec, _ = recipe.load("regularisation")
    extractor = HiddenTwoStream(MODES["fast"], 7)
    assert list(decayed_parameters(extractor)) == spec["decayed_keys_hts_fast_classifier_mode"]
    assert list(decayed_parameters(TGMJ(7))) == spec["decayed_keys_tgmj"]


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 1)
        self.bn = nn.Linear(1, 1, bias=False)
        self.b = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.a.weight.copy_(torch.tensor([[1.0, 2.0]]))
            self.b.weight.fill_(3.0)


def test_penalty_by_hand() -> None:
    toy = Toy()
    assert list(decayed_parameters(toy)) == ["a.weight", "b.weight"]
    assert ParameterPenalty(0.1)(toy).item() == pytest.approx(0.05 * (1 + 4 + 9))

    start = {"model.a.weight": torch.tensor([[1.0, 0.0]]), "model.b.weight": torch.zeros(5)}
    penalty = ParameterPenalty(0.1, pretrained=start, pretrained_weight=10.0, model=toy)
    assert penalty(toy).item() == pytest.approx(5 * 4 + 0.05 * 9)
    assert penalty.state_dict() == {}

    toy.a.requires_grad_(False)
    assert penalty(toy).item() == pytest.approx(0.05 * 9)


def test_penalty_is_zero_where_training_starts() -> None:
    toy = Toy()
    penalty = ParameterPenalty(0.1, pretrained=toy.state_dict(), model=toy)
    assert penalty(toy).item() == 0
    with torch.no_grad():
        toy.b.weight += 1
    assert penalty(toy).item() > 0


def test_frozen_model_has_no_penalty() -> None:
    frozen = Toy().requires_grad_(False)
    assert ParameterPenalty(0.1)(frozen).item() == 0


def test_pretrained_weights_of_another_network() -> None:
    with pytest.raises(ArgumentError, match="pretrained: expected weights of the model"):
        ParameterPenalty(0.1, pretrained={"c.weight": torch.zeros(1, 1)}, model=Toy())
    with pytest.raises(ArgumentError, match="model"):
        ParameterPenalty(0.1, pretrained={})


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("model.conv1.weight", "conv1.weight"),
        ("_orig_mod.module.conv1.weight", "conv1.weight"),
        ("modelling.weight", "modelling.weight"),
        ("conv1.model.weight", "conv1.model.weight"),
    ],
)
def test_bare_name(name: str, bare: str) -> None:
    assert bare_name(name) == bare
