"""The sequence model: goldens, a slow oracle, windows, what stays unused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soupxr.errors import ArgumentError
from soupxr.models.tgmj import TGMJ, TGMLayer, block_logits, windowed_logits

GOLDENS = [
    "tgmj_default_180",
    "tgmj_default_37",
    "tgmj_default_1",
    "tgmj_small_conv1x1",
    "tgmj_small_even_filter",
    "tgmj_small_fe_logits",
    "tgmj_small_mean",
    "tgmj_small_plain",
]


def _from(arguments: dict[str, Any]) -> TGMJ:
    return TGMJ(
        arguments["classes"],
        arguments["D"],
        n_layers=arguments["num_layers"],
        n_filters=arguments["n_filters"],
        filter_length=arguments["filter_length"],
        c_out=arguments["c_out"],
        soft_attention=arguments["soft"],
        reduction=arguments["reduction"],
        hidden=arguments["num_features"],
        nonlinear=arguments["nonlinear_classification"],
        final_bn=arguments["final_bn"],
        use_logits=arguments["use_fe_logits"],
        input_dropout=arguments["input_dropout"],
        dropout=arguments["dropout_p"],
    )


def _small(**options: Any) -> TGMJ:
    return TGMJ(3, 6, **{"hidden": 8, "c_out": 4, "filter_length": 5, **options}).eval()


@pytest.mark.parametrize("name", GOLDENS)
def test_reference_answers(name: str, parity: Callable[[str], Any]) -> None:
    golden = parity(name)
    model = _from(golden.arguments)
    golden.fill(model)
    inputs = golden.inputs()
    with torch.no_grad():
        logits = model(inputs["x"], inputs.get("fe_logits"))
        golden.compare("logits", logits)
        golden.compare("probabilities", logits.sigmoid())
        for i, layer in enumerate(model.tgm_layers):
            golden.compare(f"filters{i}", layer.filters().unsqueeze(0))
        golden.compare("tgm_output_sample", model.mixture(inputs["x"])[:, :, ::64, ::5])


def test_recordings_of_the_reference(parity: Callable[[str], Any]) -> None:
    golden = parity("sequence_inference")
    model = _from(golden.arguments)
    golden.fill(model)
    inputs = golden.inputs()
    for case in golden.spec["cases"]:
        n = case["frames"]
        features = torch.cat([inputs[f"spatial_{n}"], inputs[f"flow_{n}"]], dim=1)[0].T
        logits = windowed_logits(model, features, case["sequence_length"])
        golden.compare(f"logits_{n}", logits)
        golden.compare(f"probabilities_{n}", logits.sigmoid())


def test_own_golden(matches_own_golden: Callable[[str], None]) -> None:
    matches_own_golden("sequence")


def _slow_layer(layer: TGMLayer, x: np.ndarray) -> np.ndarray:
    """The layer by its definition, one number at a time."""
    length, state = layer.filter_length, {k: v.numpy() for k, v in layer.state_dict().items()}
    middle = (length - 1) * (np.tanh(state["center"]) + 1) / 2
    width = np.exp(1.5 - 2 * np.abs(np.tanh(state["gamma"])))
    time = np.arange(length)
    bumps = 1 / (np.pi * width[:, None] * (((time - middle[:, None]) / width[:, None]) ** 2 + 1))
    bumps /= bumps.sum(axis=1, keepdims=True) + 1e-6
    attention = np.exp(state["soft_attn"])
    kernels = attention / attention.sum(axis=1, keepdims=True) @ bumps
    _, c_in, n_features, n_frames = x.shape
    before = (length - 1) // 2
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (before, length - 1 - before)))
    out = np.zeros((len(x), layer.c_out, n_features, n_frames))
    for o in range(layer.c_out):
        for c in range(c_in):
            share, kernel = 1.0, kernels[o * c_in + c]
            if layer.cls_attn is not None:
                weights = np.exp(state["cls_attn"][0, o, :, 0, 0])
                share = weights[c] / weights.sum()
            elif layer.convs is not None:
                share = state[f"convs.{o}.weight"][0, c, 0, 0]
            for t in range(n_frames):
                out[:, o, :, t] += share * (padded[:, c, :, t : t + length] * kernel).sum(axis=-1)
        if layer.convs is not None:
            out[:, o] = np.maximum(out[:, o] + state[f"convs.{o}.bias"], 0)
    return out


@settings(max_examples=30)
@given(
    n_filters=st.integers(1, 4),
    length=st.integers(1, 8),
    c_in=st.sampled_from([1, 3]),
    c_out=st.integers(1, 3),
    soft=st.booleans(),
    n_frames=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_layer_is_its_definition(
    n_filters: int, length: int, c_in: int, c_out: int, soft: bool, n_frames: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = TGMLayer(n_filters, length, c_in, c_out, soft_attention=soft)
    x = torch.randn(2, c_in, 4, n_frames)
    with torch.no_grad():
        got = layer(x).numpy()
    np.testing.assert_allclose(got, _slow_layer(layer, x.numpy()), atol=1e-5)


@pytest.mark.parametrize("final_bn", [False, True])
def test_branches_share_their_bias(final_bn: bool) -> None:
    model = _small(final_bn=final_bn)
    first, second = (f"classify{i}.1.bias" if final_bn else f"classify{i}.bias" for i in (1, 2))
    state = model.state_dict()
    assert state[first].data_ptr() == state[second].data_ptr()
    untied = copy.deepcopy(state)
    untied[first] = torch.full((3,), 1.0)
    untied[second] = torch.full((3,), 2.0)
    model.load_state_dict(untied)
    assert model.state_dict()[first].tolist() == [2, 2, 2]
    twin = copy.deepcopy(model).to(torch.float64)
    twin.start_at_frequencies(torch.tensor([1.0, 1, 1]), torch.tensor([2.0, 2, 2]))
    assert twin.state_dict()[second].tolist() == pytest.approx([-0.6931] * 3, abs=1e-4)
    model(torch.randn(1, 6, 9)).sum().backward()
    names = [name for name, _ in model.named_parameters() if "bias" in name]
    assert (first in names, second in names) == (True, False)


def test_what_is_stored_but_unused() -> None:
    model = _small()
    model(torch.randn(1, 6, 9)).sum().backward()
    assert model.h2.weight.grad is None
    assert all(layer.delta.grad is None for layer in model.tgm_layers)
    assert model.h is not None
    assert model.h.weight.grad is not None


def test_extractor_logits_are_weighed_in_only_where_given() -> None:
    model = _small(use_logits=True)
    x, extra = torch.randn(1, 6, 9), torch.randn(1, 3, 9)
    with torch.no_grad():
        without, given = model(x), model(x, extra)
    torch.testing.assert_close(given, (2 * without + extra) / 3)
    plain = _small()
    with torch.no_grad():
        assert torch.equal(plain(x), plain(x, extra))


@settings(max_examples=25)
@given(n_frames=st.integers(0, 50), window=st.integers(1, 20))
def test_blocks_are_the_recording(n_frames: int, window: int) -> None:
    torch.manual_seed(0)
    model = _small()
    features = torch.randn(n_frames, 6)
    whole = windowed_logits(model, features, window)
    assert whole.shape == (n_frames, 3)
    for start in range(0, n_frames, window):
        block = block_logits(model, features[start : start + window], window)
        assert torch.equal(whole[start : start + window], block)
        alone = torch.zeros(window, 6)
        alone[: len(block)] = features[start : start + window]
        with torch.no_grad():
            expected = model(alone.T.unsqueeze(0))[0].T[: len(block)]
        assert torch.equal(block, expected)


def test_autocast_keeps_the_filters_exact() -> None:
    model = TGMJ(4, 32).eval()
    x = torch.randn(1, 32, 60)
    with torch.no_grad():
        exact = model(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(x)
            kernels, _ = model.tgm_layers[1].kernels()
    assert torch.equal(kernels, model.tgm_layers[1].kernels()[0])
    assert (rough.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_half_precision_model() -> None:
    model = TGMJ(4, 32).eval()
    features = torch.randn(40, 32)
    exact = windowed_logits(model, features)
    rough = windowed_logits(model.to(torch.bfloat16), features)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_start() -> None:
    model = TGMJ(4, 32, n_filters=4000, n_layers=1)
    layer = model.tgm_layers[0]
    spreads = [layer.center.std().item(), layer.delta.std().item(), layer.gamma.std().item()]
    assert spreads == pytest.approx([0.5, 0.01, 0.0001], rel=0.1)
    assert model.state_dict()["classify1.1.bias"].tolist() == [0, 0, 0, 0]


def test_wrong_features_are_named() -> None:
    with pytest.raises(
        ArgumentError, match=r"features: expected shape \(N, 6, T\), but got \(1, 9, 6\)"
    ):
        _small()(torch.randn(1, 9, 6))


def test_a_block_is_at_most_a_window() -> None:
    with pytest.raises(ArgumentError, match=r"at most 180, D\), but got \(181, 6\)"):
        block_logits(_small(), torch.randn(181, 6))


def test_inference_wants_eval_mode() -> None:
    with pytest.raises(ArgumentError, match=r"Call model.eval\(\)"):
        windowed_logits(_small().train(), torch.randn(5, 6))


def test_unknown_reduction() -> None:
    with pytest.raises(ArgumentError, match=r"reduction: expected one of .*but got 'sum'"):
        _small(reduction="sum")
