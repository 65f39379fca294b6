"""Flow generators: goldens, state dicts, odd sizes, what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from soupxr.errors import ArgumentError
from soupxr.models.flow import FLOW_GENERATORS, MotionNet, TinyMotionNet, TinyMotionNet3D
from soupxr.modes import MODES

GOLDENS = [
    "flow_tinymotionnet_64x128",
    "flow_tinymotionnet_75x101",
    "flow_tinymotionnet_48x64_5images",
    "flow_motionnet_64x128",
    "flow_motionnet_75x101",
    "flow_tinymotionnet3d_64x128",
    "flow_tinymotionnet3d_75x101",
]

#: Parameters and state-dict entries of each network.
SIZES = {
    "TinyMotionNet": (1_951_784, 53),
    "MotionNet": (45_882_896, 133),
    "TinyMotionNet3D": (437_738, 78),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_reference_answers(name: str, parity: Callable[[str], Any]) -> None:
    golden = parity(name)
    network = FLOW_GENERATORS[golden.spec["reference"]["cls"]]
    model = golden.fill(network(golden.arguments["num_images"]))
    with torch.no_grad():
        flows = model(golden.inputs()["x"])
    for output, flow in zip(("flow2", "flow3", "flow4"), flows, strict=True):
        golden.compare(output, flow)


@pytest.mark.parametrize("mode", MODES)
def test_own_goldens(mode: str, matches_own_golden: Callable[[str], None]) -> None:
    matches_own_golden(f"flow_{mode}")


@pytest.mark.parametrize("name", SIZES)
def test_size(name: str) -> None:
    with torch.device("meta"):
        model = FLOW_GENERATORS[name](11)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert (parameters, len(model.state_dict())) == SIZES[name]


@pytest.mark.parametrize(("height", "width"), [(33, 47), (32, 48), (40, 35)])
@pytest.mark.parametrize("network", [TinyMotionNet, MotionNet])
def test_every_scale_is_half_the_one_before_rounded_up(
    network: type[nn.Module], height: int, width: int
) -> None:
    with torch.device("meta"):
        flows = network(3)(torch.empty(1, 9, height, width))
    half = (-(-height // 2), -(-width // 2))
    quarter = (-(-half[0] // 2), -(-half[1] // 2))
    eighth = (-(-quarter[0] // 2), -(-quarter[1] // 2))
    assert [flow.shape for flow in flows] == [(1, 4, *size) for size in (half, quarter, eighth)]


@pytest.mark.parametrize("frames", [2, 3, 11])
def test_volumes_of_any_length(frames: int) -> None:
    with torch.device("meta"):
        flows = TinyMotionNet3D()(torch.empty(2, 3, frames, 33, 40))
    assert [flow.shape for flow in flows] == [
        (2, 2, frames - 1, 17, 20),
        (2, 2, frames - 1, 9, 10),
        (2, 2, frames - 1, 5, 5),
    ]


def _channels_last(model: nn.Module, x: Tensor) -> tuple[nn.Module, Tensor]:
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return model.to(memory_format=layout), x.to(memory_format=layout)


@pytest.mark.parametrize("mode", ["fast", "slow"])
def test_channels_last_and_autocast_agree(mode: str) -> None:
    shape = (1, 3, 5, 24, 32) if mode == "slow" else (1, 15, 24, 32)
    model = FLOW_GENERATORS[MODES[mode].flow_generator](5).eval()
    x = torch.randn(shape)
    with torch.no_grad():
        exact = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(x)
        last_model, last_x = _channels_last(model, x)
        other = last_model(last_x)
    for a, b, c in zip(exact, other, rough, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)
        assert (c.float() - a).abs().max() < 0.05 * a.abs().max()


def test_motionnet_starts_xavier_with_positive_biases() -> None:
    model = MotionNet(3)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            receptive = layer.weight[0, 0].numel()
            fans = (layer.weight.shape[0] + layer.weight.shape[1]) * receptive
            assert layer.weight.abs().max() <= (6 / fans) ** 0.5
            if layer.bias is not None:
                assert 0 <= layer.bias.min() <= layer.bias.max() < 1


@pytest.mark.parametrize("network", [TinyMotionNet, MotionNet])
@pytest.mark.parametrize("shape", [(1, 30, 16, 16), (33, 16, 16), (1, 3, 11, 16, 16)])
def test_wrong_frames_are_named(network: type[nn.Module], shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        model = network(11)
    with pytest.raises(ArgumentError, match=r"\(N, 33, H, W\)") as error:
        model(torch.empty(shape, device="meta"))
    assert f"but got {shape}" in str(error.value)


@pytest.mark.parametrize("shape", [(1, 33, 16, 16), (1, 2, 11, 16, 16), (1, 3, 1, 16, 16)])
def test_wrong_volumes_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match=r"\(N, 3, n, H, W\)"):
        TinyMotionNet3D()(torch.empty(shape))


@pytest.mark.parametrize("name", SIZES)
def test_one_frame_has_no_motion(name: str) -> None:
    with pytest.raises(ArgumentError, match="window: expected at least 2 frames"):
        FLOW_GENERATORS[name](1)
