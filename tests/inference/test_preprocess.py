"""Preprocessing against the goldens, and what needs none."""

import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import soupxr as sx
from soupxr.inference.preprocess import (
    Preprocessing,
    Statistics,
    frame_windows,
    resize_like_opencv,
)

CPU = torch.device("cpu")


@pytest.fixture
def golden(shared):
    """Specification, expected outputs, and the two clips of the golden ``preprocess``."""
    path = shared / "parity" / "recipe.py"
    spec = importlib.util.spec_from_file_location("recipe", path)
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    about, expected = recipe.load("preprocess")
    clips = recipe.make_inputs(about)
    joined = np.concatenate([clips["side"], clips["front"][:13]], axis=2)
    moments = tuple(about["mean"]), tuple(about["std"])
    return (
        lambda name, got: recipe.compare(about, expected, name, got),
        clips["side"],
        joined,
        moments,
    )


def padded(preprocessing, clip):
    frames = preprocessing(torch.from_numpy(clip))
    edge = preprocessing.edge_frames(5, CPU)
    return torch.cat([edge, frames, edge])


@pytest.mark.parametrize(
    ("name", "size", "crop"),
    [
        ("deg_resize", (24, 32), None),
        ("deg_enlarge", (60, 64), None),
        ("deg_same", (36, 52), None),
        ("deg_crop_then_resize", (24, 24), (30, 40)),
    ],
)
def test_plain_frames_and_edge_colour(golden, name, size, crop):
    compare, side, _, moments = golden
    plain = Preprocessing(size, "plain", *moments, crop=crop)
    levels = (plain.resize(torch.from_numpy(side)) * 255).round().to(torch.uint8)
    compare(f"{name}_frames_u8", levels.numpy())
    compare(f"{name}_pad_u8", np.broadcast_to(plain.edge_color[:, None, None], (3, *size)))


@pytest.mark.parametrize(("layout", "dims"), [("stacked", "2d"), ("volume", "3d")])
def test_plain_model_input(golden, layout, dims):
    compare, side, _, moments = golden
    windows = frame_windows(padded(Preprocessing((24, 32), "plain", *moments), side), 11, layout)
    assert len(windows) == 13
    compare(f"deg_resize_model_input_{dims}", windows[[0, 6, 12]].numpy())


@pytest.mark.parametrize(("layout", "dims"), [("stacked", "2d"), ("volume", "3d")])
def test_antialiased_model_input(golden, layout, dims):
    compare, _, joined, moments = golden
    antialias = Preprocessing((24, 32), "antialias", *moments)
    compare("soup_frames_float", antialias.resize(torch.from_numpy(joined)).numpy())
    windows = frame_windows(padded(antialias, joined), 11, layout)
    compare(f"soup_model_input_{dims}_middle_window", windows[6:7].numpy())


def test_plain_resize_of_a_joined_pair(golden):
    compare, _, joined, _ = golden
    compare("joined_cv2_resize_u8", resize_like_opencv(torch.from_numpy(joined[:1]), (24, 32))[0])


def test_statistics_of_every_tenth_frame(golden, shared):
    import json

    _, side, joined, _ = golden
    notes = json.loads((shared / "parity" / "preprocess.json").read_text())["notes"]
    for clip, name in ((side, "deg_statistics_stride10"), (joined, "soup_statistics_stride10")):
        statistics = Statistics()
        for frame in clip[::10]:
            statistics.add(frame[None])
        np.testing.assert_allclose(statistics.mean, notes[name]["mean"], rtol=1e-12)
        np.testing.assert_allclose(statistics.std, notes[name]["std"], rtol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 50))
def test_statistics_equal_numpy_over_any_pieces(seed, pieces, black):
    frames = np.random.default_rng(seed).integers(0, 256, (7, 3, 4, 3), dtype=np.uint8)
    statistics = Statistics()
    for piece in np.array_split(frames, pieces):
        statistics.add(piece)
    statistics.add_black(black)
    pixels = np.concatenate([frames.reshape(-1, 3), np.zeros((black, 3), np.uint8)]) / 255
    np.testing.assert_allclose(statistics.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, pixels.std(axis=0), rtol=1e-9)


@given(st.integers(1, 12), st.integers(1, 7))
def test_windows_are_consecutive_frames(count, window):
    frames = torch.arange(count + window - 1).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    stacked = frame_windows(frames, window, "stacked")
    volume = frame_windows(frames, window, "volume")
    assert stacked.shape == (count, 3 * window, 2, 2)
    for i in range(count):
        assert stacked[i, ::3, 0, 0].tolist() == list(range(i, i + window))
        assert volume[i, 0, :, 0, 0].tolist() == list(range(i, i + window))
    assert torch.equal(stacked.view(count, window, 3, 2, 2).transpose(1, 2), volume)


def test_a_flat_picture_stays_flat():
    flat = torch.full((1, 37, 51, 3), 77, dtype=torch.uint8)
    for style in ("plain", "antialias"):
        resized = Preprocessing((24, 30), style, (0, 0, 0), (1, 1, 1)).resize(flat)
        torch.testing.assert_close(resized, torch.full((1, 3, 24, 30), 77 / 255))


def test_unknown_style():
    with pytest.raises(sx.ArgumentError, match="'antialias' or 'plain', but got 'nice'"):
        Preprocessing((24, 24), "nice", (0, 0, 0), (1, 1, 1))
