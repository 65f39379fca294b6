"""Folded batch norms, and convolutions that windows share, against what they stand for."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from soupxr.models.flow import FLOW_GENERATORS, MotionNet, TinyMotionNet, TinyMotionNet3D
from soupxr.models.folding import fold_batch_norms_
from soupxr.models.resnet import Classifier
from soupxr.models.shared_taps import SharedTaps

NETWORKS = {
    "TinyMotionNet": lambda: (TinyMotionNet(3), (2, 9, 32, 40)),
    "MotionNet": lambda: (MotionNet(3), (1, 9, 64, 64)),
    "TinyMotionNet3D": lambda: (TinyMotionNet3D(4), (1, 3, 4, 32, 40)),
    "resnet18": lambda: (Classifier("resnet18", 3, 4), (2, 3, 32, 40)),
    "resnet50": lambda: (Classifier("resnet50", 3, 4), (1, 3, 32, 40)),
    "resnet3d_34": lambda: (Classifier("resnet3d_34", 3, 4), (1, 3, 4, 32, 40)),
}
NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def _as_if_trained(network: nn.Module) -> nn.Module:
    for layer in network.modules():
        if isinstance(layer, NORMS):
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.1)
    return network.eval()


def _answers(network: nn.Module, inputs: Tensor) -> list[Tensor]:
    with torch.no_grad():
        out = network(inputs)
    return [out] if isinstance(out, Tensor) else list(out)


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_changes_no_answer_and_leaves_no_batch_norm(name: str) -> None:
    network, shape = NETWORKS[name]()
    inputs = torch.randn(shape)
    before = _answers(_as_if_trained(network), inputs)
    assert any(isinstance(layer, NORMS) for layer in network.modules())
    fold_batch_norms_(network)
    assert not any(isinstance(layer, NORMS) for layer in network.modules())
    for one, other in zip(_answers(network, inputs), before, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_every_flow_generator_was_folded() -> None:
    assert set(FLOW_GENERATORS) <= set(NETWORKS)


@settings(max_examples=40)
@given(
    window=st.integers(2, 12),
    taps=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    count=st.integers(1, 9),
    every=st.integers(1, 4),
    bias=st.booleans(),
    laid_out=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_what_windows_share_changes_no_answer(
    window: int,
    taps: int,
    stride: int,
    count: int,
    every: int,
    bias: bool,
    laid_out: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv3d(3, 5, (taps, 3, 3), (1, stride, stride), (taps // 2, 1, 1), bias=bias)
    activation = nn.LeakyReLU(0.1, inplace=True)
    frames = torch.randn((count - 1) * every + window, 3, 6, 7)
    volumes = frames.unfold(0, window, every).permute(0, 1, 4, 2, 3)
    shared = SharedTaps(copy.deepcopy(conv), window, activation)
    if laid_out:
        frames = frames.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.testing.assert_close(shared(frames, every), activation(conv(volumes)))
