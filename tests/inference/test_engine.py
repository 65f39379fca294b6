"""The engine against a plain loop over windows."""

import numpy as np
import pytest
import torch

import soupxr as sx
from soupxr.inference.between import Features
from soupxr.inference.engine import FeatureEngine, affordable, choose_device
from soupxr.inference.network import FeatureNetwork
from soupxr.inference.preprocess import Preprocessing
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import MODES

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing((32, 40), "antialias", (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


@pytest.fixture(scope="module")
def networks():
    made = {}

    def make(mode):
        if mode not in made:
            torch.manual_seed(0)
            made[mode] = as_if_trained(HiddenTwoStream(MODES[mode], 4)).eval()
        return made[mode]

    return make


def as_if_trained(model):
    """Give batch norms something to do."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0, 0.1)
    return model


def clip(n_frames, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n_frames, 36, 50, 3), dtype=np.uint8)


def one_window_at_a_time(model, frames):
    """Features by stacking each frame's window on its own, as the definition says."""
    values = PREPROCESSING(torch.from_numpy(frames))
    flat = PREPROCESSING.edge_frames(1, CPU)[0]
    parts = []
    for i in range(len(frames)):
        window = [values[k] if 0 <= k < len(frames) else flat for k in range(i - 5, i + 6)]
        stacked = torch.stack(window)
        stacked = (
            stacked.flatten(0, 1) if model.mode.layout == "stacked" else stacked.transpose(0, 1)
        )
        with torch.no_grad():
            output = model(stacked[None])
        parts.append(
            Features(
                *(x.numpy() for x in (output.spatial_features, output.flow_features, output.logits))
            )
        )
    return Features.join(parts)


def extract(engine, frames, lengths=None):
    cuts = np.cumsum(lengths or [len(frames)])[:-1]
    return Features.join(list(engine.extract(np.split(frames, cuts), PREPROCESSING)))


def assert_close(one, other, rtol=1e-4):
    for name in ("spatial", "flow", "logit"):
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("mode", ["fast", "medium", "slow"])
def test_equals_the_plain_loop(networks, mode):
    model, frames = networks(mode), clip(14)
    assert_close(
        extract(FeatureEngine(model, CPU, batch_size=4), frames),
        one_window_at_a_time(model, frames),
    )


@pytest.mark.parametrize("n_frames", [1, 2, 4, 5, 10, 11])
def test_recordings_shorter_than_a_window(networks, n_frames):
    model, frames = networks("fast"), clip(n_frames)
    features = extract(FeatureEngine(model, CPU), frames)
    assert len(features) == n_frames
    assert_close(features, one_window_at_a_time(model, frames))


@pytest.mark.parametrize("lengths", [[30], [1] * 30, [7, 0, 23], [29, 1]])
def test_blocks_of_any_length_give_the_same(networks, lengths):
    engine = FeatureEngine(networks("fast"), CPU, batch_size=8)
    assert_close(extract(engine, clip(30), lengths), extract(engine, clip(30)), rtol=1e-5)


@pytest.mark.parametrize("mode", ["fast", pytest.param("slow", marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    ("n_frames", "every"), [(1, 3), (2, 3), (13, 3), (14, 3), (15, 2), (40, 13)]
)
def test_frames_between_those_looked_at_are_interpolated(networks, mode, n_frames, every):
    model, frames = networks(mode), clip(n_frames)
    looked_at = sorted({*range(0, n_frames, every), n_frames - 1})
    engine = FeatureEngine(model, CPU, batch_size=2)
    cuts = [range(0, n_frames, 7), range(0, n_frames, 100)]
    found, again = (
        Features.join(engine.extract([frames[i : i + c.step] for i in c], PREPROCESSING, every))
        for c in cuts
    )
    whole = extract(FeatureEngine(model, CPU), frames)
    assert_close(again, found, rtol=1e-5)
    for name in ("spatial", "flow", "logit"):
        values, expected = getattr(found, name), getattr(whole, name)[looked_at]
        scale = 1e-4 * np.abs(expected).max()
        between = [np.interp(np.arange(n_frames), looked_at, column) for column in expected.T]
        np.testing.assert_allclose(values, np.transpose(between), rtol=1e-4, atol=scale)


def test_each_frame_is_preprocessed_once(networks):
    seen = []

    class Counting(Preprocessing):
        def __call__(self, frames):
            seen.append(len(frames))
            return super().__call__(frames)

    counting = Counting((32, 40), "antialias", (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    list(
        FeatureEngine(networks("fast"), CPU, batch_size=4).extract(np.split(clip(30), 3), counting)
    )
    assert sum(seen) == 30


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("out"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        MemoryError(),
    ],
)
def test_too_little_memory_halves_the_batch_with_one_warning(networks, error, monkeypatch):
    model, frames = networks("fast"), clip(40)
    engine = FeatureEngine(model, CPU, batch_size=16)
    whole = extract(FeatureEngine(model, CPU, batch_size=4), frames)
    forward = FeatureNetwork.__call__
    refused = []

    def small_memory(network, frames, every):
        n_windows = len(frames) - 10
        if n_windows > 4:
            refused.append(n_windows)
            raise error
        return forward(network, frames, every)

    monkeypatch.setattr(FeatureNetwork, "__call__", small_memory)
    with pytest.warns(sx.SoupWarning) as caught:
        features = extract(engine, frames)
    assert_close(features, whole, rtol=1e-5)
    assert engine.batch_size == 4
    assert refused == [16, 8]
    assert len(caught) == 1
    assert "batch_size=4" in str(caught[0].message)


def test_other_errors_are_not_taken_for_memory(networks, monkeypatch):
    def broken(network, frames, every):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(FeatureNetwork, "__call__", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        extract(FeatureEngine(networks("fast"), CPU), clip(12))


def test_bfloat16_is_near_float32(networks):
    model, frames = networks("fast"), clip(12)
    exact = extract(FeatureEngine(model, CPU, "float32"), frames)
    rough = extract(FeatureEngine(model, CPU, "bfloat16"), frames)
    assert rough.logit.dtype == np.float32
    assert not np.array_equal(rough.logit, exact.logit)
    np.testing.assert_allclose(rough.logit, exact.logit, atol=0.05 * np.abs(exact.logit).max())


@pytest.mark.parametrize(
    ("most", "free", "each", "expected"),
    [(256, 1e12, 1e6, 256), (256, 100e6, 1e6, 70), (256, 0.1e6, 1e6, 1), (1, 1e12, 1e6, 1)],
)
def test_windows_that_free_memory_affords(most, free, each, expected):
    assert affordable(most, free, each) == expected


def test_devices():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(sx.ArgumentError, match='Try device="auto"'):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(sx.ArgumentError, match="device of this machine"):
            choose_device("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mode", ["fast", "medium", "slow"])
def test_gpu_equals_cpu(networks, mode):
    model, frames = networks(mode), clip(20)
    on_gpu = FeatureEngine(model, torch.device("cuda"))
    assert_close(extract(on_gpu, frames), extract(FeatureEngine(model, CPU), frames), rtol=1e-3)
