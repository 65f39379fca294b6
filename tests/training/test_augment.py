"""Random changes of pictures, each held against what it is in words or in a formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soupxr.training.augment import Augmentation

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
NOTHING = {"flip": 0.0, "rotate": 0.0, "jitter": 0.0, "gray": 0.0}


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(n=3, frames=4, height=12, width=20, seed=0, low=0.0, high=1.0):
    values = torch.rand(n, frames, 3, height, width, generator=chance(seed))
    return low + (high - low) * values


def only(**settings):
    return Augmentation(**(NOTHING | settings))


def jitter(**widths):
    return only(
        jitter=1.0, **({"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0} | widths)
    )


def luma(clips):
    return (clips * LUMA).sum(dim=-3)


# ---------------------------------------------------------------- all of it


def test_nothing_is_changed_where_nothing_is_wanted():
    clips = noise()
    torch.testing.assert_close(Augmentation.none()(clips, chance()), clips, rtol=0, atol=0)


@settings(max_examples=40)
@given(
    st.integers(0, 1000),
    st.sampled_from([(7, 7), (8, 20), (21, 6)]),
    st.sampled_from([Augmentation(), Augmentation(1, 1, 45, 1, 1, 1, 1, 1, 0.5, 0)]),
)
def test_shape_and_range_stay(seed, size, augmentation):
    clips = noise(5, 2, *size, seed=seed).round()
    changed = augmentation(clips, chance(seed))
    assert changed.shape == clips.shape
    assert changed.dtype == clips.dtype
    assert changed.min() >= -1e-6
    assert changed.max() <= 1 + 1e-6


def test_the_clips_given_are_left_alone():
    clips = noise(8)
    before = clips.clone()
    Augmentation()(clips, chance())
    assert torch.equal(clips, before)


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_all_frames_of_a_window_change_alike(seed):
    clips = noise(4, 1, seed=seed).expand(4, 6, 3, 12, 20)
    changed = Augmentation()(clips, chance(seed))
    assert torch.equal(changed, changed[:, :1].expand_as(changed))


def test_frames_keep_their_order_and_their_differences():
    clips = noise(6, 5)
    changed = only(flip=1.0, rotate=1.0, rotation=10.0)(clips, chance())
    for frame in range(5):
        alone = only(flip=1.0, rotate=1.0, rotation=10.0)(clips[:, frame, None], chance())
        torch.testing.assert_close(changed[:, frame], alone[:, 0])


def test_a_seed_says_what_happens():
    clips = noise(8)
    first = Augmentation()(clips, chance(5))
    torch.manual_seed(1)
    assert torch.equal(Augmentation()(clips, chance(5)), first)
    assert not torch.equal(Augmentation()(clips, chance(6)), first)
    source = chance(5)
    Augmentation()(clips, source)
    assert not torch.equal(Augmentation()(clips, source), first)


def test_samples_of_a_batch_are_changed_each_in_its_way():
    clips = noise(1).expand(12, 4, 3, 12, 20)
    changed = only(rotate=1.0, jitter=1.0)(clips, chance())
    for i in range(12):
        for j in range(i):
            assert (changed[i] - changed[j]).abs().max() > 1e-3


# ---------------------------------------------------------------- mirrors


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (31, 17), (224, 224), (64, 352)])
@pytest.mark.parametrize(
    ("settings", "axes"),
    [
        ({"flip": 1.0}, [4]),
        ({"flip_vertically": 1.0}, [3]),
        ({"flip": 1.0, "flip_vertically": 1.0}, [3, 4]),
    ],
)
def test_a_mirror_image_is_exact(size, settings, axes):
    clips = noise(2, 2, *size)
    mirrored = only(**settings)(clips, chance())
    # Where the grid is rounded, a pixel takes a little of its neighbour; far below 8 bits.
    torch.testing.assert_close(mirrored, clips.flip(axes), rtol=0, atol=1e-4)


def test_samples_that_are_not_mirrored_stay_beside_those_that_are():
    clips = noise(40, 1)
    changed = only(flip=0.5)(clips, chance())
    same = (changed - clips).abs().amax(dim=(1, 2, 3, 4)) < 1e-4
    mirrored = (changed - clips.flip(4)).abs().amax(dim=(1, 2, 3, 4)) < 1e-4
    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()


# ---------------------------------------------------------------- rotations


def dots(height, width, places):
    """Black with Gaussian dots of half a dozen pixels at (x, y)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    spots = [torch.exp(-((x - px) ** 2 + (y - py) ** 2) / 8.0) for px, py in places]
    return torch.stack(spots)[:, None].expand(-1, 3, -1, -1)[None]


def centroids(clips):
    """Centre of brightness of each frame: (sample, frame, 2), as (x, y)."""
    weight = clips[:, :, 0].double()
    total = weight.sum(dim=(2, 3))
    x = (weight.sum(dim=2) * torch.arange(clips.shape[4])).sum(dim=2) / total
    y = (weight.sum(dim=3) * torch.arange(clips.shape[3])).sum(dim=2) / total
    return torch.stack([x, y], dim=2).numpy()


@pytest.mark.parametrize("size", [(81, 81), (61, 121), (121, 61), (60, 124)])
def test_dots_turn_about_the_centre_without_being_squeezed(size):
    height, width = size
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    places = middle + np.array([[12.0, 0.0], [0.0, 12.0], [-9.0, 7.0]])
    clips = dots(height, width, places).expand(20, -1, -1, -1, -1)
    before = centroids(clips) - middle
    after = centroids(only(rotate=1.0, rotation=40.0)(clips, chance())) - middle
    np.testing.assert_allclose(
        np.linalg.norm(after, axis=2), np.linalg.norm(before, axis=2), atol=0.02
    )

    def angle(points):
        return np.degrees(np.arctan2(points[..., 1], points[..., 0]))

    turned = (angle(after) - angle(before) + 180) % 360 - 180
    # One angle a sample, whatever the dot; up to the largest one, either way.
    np.testing.assert_allclose(turned, turned[:, :1].repeat(3, axis=1), atol=0.1)
    assert np.abs(turned).max() <= 40.1
    assert turned.min() < -20
    assert turned.max() > 20


@pytest.mark.parametrize("size", [(81, 81), (61, 121), (121, 61)])
def test_a_known_angle_moves_a_dot_where_trigonometry_says(size, monkeypatch):
    height, width = size
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    clips = dots(height, width, [middle + np.array([15.0, 5.0])])
    # The draws: whether to turn, how far (from the middle half-way to 30), and no mirrors.
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.full(shape, 0.75))
    x, y = centroids(only(rotate=1.0, rotation=30.0)(clips, chance()))[0, 0] - middle
    # Against the clock to the eye, as y grows downward.
    cos, sin = math.cos(math.radians(15)), math.sin(math.radians(15))
    assert (x, y) == pytest.approx((15 * cos + 5 * sin, 5 * cos - 15 * sin), abs=0.05)


def test_corners_turned_out_of_the_picture_leave_black():
    white = torch.ones(30, 1, 3, 40, 60)
    turned = only(rotate=1.0, rotation=30.0)(white, chance())
    corner = turned[..., 0, 0]
    assert (corner == 0).any()
    assert torch.allclose(turned[..., 20, 30], torch.ones(()))


def test_mirrored_and_turned_dots_keep_their_distances():
    height, width = 61, 121
    middle = np.array([60.0, 30.0])
    places = middle + np.array([[14.0, 3.0], [-6.0, 11.0], [2.0, -13.0]])
    clips = dots(height, width, places).expand(16, -1, -1, -1, -1)
    augmentation = only(flip=1.0, rotate=1.0, rotation=20.0)
    before, after = centroids(clips), centroids(augmentation(clips, chance()))
    for i, j in ((0, 1), (1, 2), (0, 2)):
        np.testing.assert_allclose(
            np.linalg.norm(after[:, i] - after[:, j], axis=1),
            np.linalg.norm(before[:, i] - before[:, j], axis=1),
            atol=0.03,
        )

    def handedness(points):
        a, b = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
        return np.sign(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])

    assert (handedness(after) == -handedness(before)).all()


# ---------------------------------------------------------------- colours


def test_gray_has_the_luma_in_every_channel():
    clips = noise()
    gray = only(gray=1.0)(clips, chance())
    for channel in range(3):
        torch.testing.assert_close(gray[:, :, channel], luma(clips), rtol=0, atol=1e-5)


def test_gray_after_jitter_is_gray():
    gray = only(gray=1.0, jitter=1.0)(noise(), chance())
    torch.testing.assert_close(gray, gray[:, :, :1].expand_as(gray), rtol=0, atol=1e-5)


def test_brightness_multiplies():
    clips = noise(40, low=0.1, high=0.7)
    ratio = jitter(brightness=0.25)(clips, chance()) / clips
    factor = ratio[:, :1, :1, :1, :1]
    torch.testing.assert_close(ratio, factor.expand_as(ratio), rtol=1e-4, atol=0)
    assert 0.75 <= factor.min() < 0.85
    assert 1.15 < factor.max() <= 1.25


def test_brightness_ends_at_white():
    clips = noise(20, low=0.7, high=1.0)
    changed = jitter(brightness=0.25)(clips, chance())
    rise = changed[:, :, :, 0, 0] / clips[:, :, :, 0, 0]
    assert changed.max() == 1
    assert rise.max() <= 1.25 + 1e-5


def test_contrast_spreads_about_the_mean_luma_of_the_sample():
    clips = noise(40, low=0.3, high=0.7)
    mean = luma(clips).mean(dim=(1, 2, 3)).view(-1, 1, 1, 1, 1)
    changed = jitter(contrast=0.5)(clips, chance())
    factor = (changed.std(dim=(1, 2, 3, 4)) / clips.std(dim=(1, 2, 3, 4))).view(-1, 1, 1, 1, 1)
    wanted = mean + factor * (clips - mean)
    torch.testing.assert_close(changed, wanted, rtol=0, atol=1e-4)
    assert 0.5 <= factor.min() < 0.65
    assert 1.35 < factor.max() <= 1.5 + 1e-4


def test_saturation_moves_colours_from_and_to_their_luma():
    clips = noise(40, low=0.35, high=0.65)
    gray = luma(clips)[:, :, None]
    changed = jitter(saturation=0.4)(clips, chance())
    far = clips - gray
    factor = ((changed - gray) * far).sum(dim=(1, 2, 3, 4)) / (far**2).sum(dim=(1, 2, 3, 4))
    wanted = gray + factor.view(-1, 1, 1, 1, 1) * far
    torch.testing.assert_close(changed, wanted, rtol=0, atol=1e-4)
    assert 0.6 <= factor.min() < 0.75
    assert 1.25 < factor.max() <= 1.4 + 1e-4


def test_hue_keeps_luma_and_grays_and_turns_the_rest():
    clips = noise(40, low=0.4, high=0.6)
    clips[:, :, :, :3] = clips[:, :, :1, :3]
    changed = jitter(hue=0.1)(clips, chance())
    torch.testing.assert_close(luma(changed), luma(clips), rtol=0, atol=1e-4)
    torch.testing.assert_close(changed[:, :, :, :3], clips[:, :, :, :3], rtol=0, atol=1e-3)
    assert (changed - clips)[:, :, :, 3:].abs().amax(dim=(1, 2, 3, 4)).min() > 1e-4
    assert (changed - clips)[:, :, :, 3:].abs().max() > 0.03


def test_a_third_of_a_turn_of_hue_makes_red_mostly_green_or_blue(monkeypatch):
    # Full draws: the whole of the largest shift, one way.
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.ones(shape))
    red = torch.full((1, 1, 3, 2, 2), 0.3)
    red[:, :, 0] = 0.5
    augmentation = Augmentation(**(NOTHING | {"jitter": 1.1, "hue": 1 / 3, "brightness": 0.0}))
    augmentation = Augmentation(**(vars(augmentation) | {"contrast": 0.0, "saturation": 0.0}))
    turned = augmentation(red, chance())[0, 0, :, 0, 0]
    assert turned.argmax() != 0
    whole = Augmentation(**(vars(augmentation) | {"hue": 1.0}))
    torch.testing.assert_close(whole(red, chance()), red, rtol=0, atol=1e-4)


def test_brightness_contrast_and_saturation_follow_one_upon_the_other(monkeypatch):
    # All draws one: each factor at its largest; no hue, no gray, no geometry.
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.ones(shape))
    clips = noise(3, low=0.25, high=0.55)
    changes = {"jitter": 1.1, "brightness": 0.25, "contrast": 0.1, "saturation": 0.2, "hue": 0.0}
    augmentation = Augmentation(**(NOTHING | changes))
    brighter = clips * 1.25
    mean = luma(brighter).mean(dim=(1, 2, 3)).view(-1, 1, 1, 1, 1)
    contrasted = mean + 1.1 * (brighter - mean)
    gray = luma(contrasted)[:, :, None]
    wanted = gray + 1.2 * (contrasted - gray)
    assert wanted.min() > 0
    assert wanted.max() < 1
    torch.testing.assert_close(augmentation(clips, chance()), wanted, rtol=0, atol=1e-5)


# ---------------------------------------------------------------- how often


def share(changed, clips):
    return ((changed - clips).abs().amax(dim=(1, 2, 3, 4)) > 1e-4).float().mean().item()


@pytest.mark.parametrize("name", ["flip", "flip_vertically", "rotate", "jitter", "gray"])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_each_change_comes_as_often_as_it_should(name, probability):
    clips = noise(1, 1, 8, 10).expand(2000, 1, 3, 8, 10)
    changed = only(**{name: probability})(clips, chance())
    # Within 4.5 standard deviations of a binomial distribution.
    off = abs(share(changed, clips) - probability)
    assert off < 4.5 * math.sqrt(probability * (1 - probability) / 2000)


def test_by_default_half_are_mirrored_turned_recoloured_or_gray_and_none_is_upside_down():
    clips = noise(1, 1, 8, 10).expand(2000, 1, 3, 8, 10)
    default = vars(Augmentation())
    for name in ("flip", "rotate", "jitter", "gray"):
        changed = only(**{name: default[name]})(clips, chance(1))
        assert share(changed, clips) == pytest.approx(0.5, abs=0.05)
    assert default["flip_vertically"] == 0


def test_changes_are_drawn_independently():
    # A mirror and a loss of colour, by themselves and together: a quarter each.
    clips = noise(1, 1, 8, 10).expand(2000, 1, 3, 8, 10)
    changed = only(flip=0.5, gray=0.5)(clips, chance())
    is_gray = (changed - changed[:, :, :1]).abs().amax(dim=(1, 2, 3, 4)) < 1e-4
    gray = luma(clips)[:, :, None]
    mirrored = (luma(changed)[:, :, None] - gray.flip(4)).abs().amax(dim=(1, 2, 3, 4)) < 1e-4
    both = (is_gray & mirrored).float().mean().item()
    assert both == pytest.approx(0.25, abs=0.045)


def test_shift_moves_the_picture_and_leaves_black():
    clips = noise(1, low=0.3, high=0.7)
    n_frames, height, width = clips.shape[1], *clips.shape[3:]
    augmentation = Augmentation(**(NOTHING | {"shift": 0.25}))
    many = clips.expand(200, n_frames, 3, height, width)
    moved = augmentation(many, chance())
    black = (moved == 0).all(dim=1).all(dim=1)
    columns = black.all(dim=1).sum(dim=1)
    assert columns.max() <= 0.25 * width + 1
    assert columns.float().mean() == pytest.approx(0.125 * width, rel=0.25)


def test_zoom_scales_about_the_centre(monkeypatch):
    # All draws one: the largest zoom, which takes pixels from further out.
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.ones(shape))
    clips = torch.zeros(1, 1, 3, 41, 61)
    clips[..., 10:31, 15:46] = 1.0
    smaller = Augmentation(**(NOTHING | {"zoom": 0.5}))(clips, chance())[0, 0, 0]
    assert smaller[20, 30] == 1
    assert smaller.sum().item() == pytest.approx(21 * 31 / 1.5**2, rel=0.05)


# ---------------------------------------------------------------- drift


def test_drift_leaves_the_middle_frame_and_moves_the_others_steadily():
    height, width, frames = 61, 81, 11
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    clips = dots(height, width, middle[None]).expand(60, frames, -1, -1, -1)
    moved = only(drift=1.5)(clips, chance())
    torch.testing.assert_close(moved[:, frames // 2], clips[:, frames // 2], rtol=0, atol=1e-5)
    steps = np.diff(centroids(moved), axis=1)
    # A speed, and what is unsteady about it, each way.
    assert np.abs(steps).max() < 1.5 * (1 + 2 * 0.2) + 0.05
    speed = np.abs(steps.mean(axis=1)).max(axis=1)
    assert speed.max() > 0.9
    assert speed.min() < 0.2
    assert np.abs(steps - steps.mean(axis=1, keepdims=True)).max() > 0.01


def test_drift_turns_and_grows_about_the_centre():
    height, width, frames = 61, 81, 11
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    pair = middle + np.array([[-20.0, 0.0], [20.0, 0.0]])
    left, right = (dots(height, width, one[None]).expand(60, frames, -1, -1, -1) for one in pair)
    augmentation = only(drift=1.5)
    across = centroids(augmentation(right, chance())) - centroids(augmentation(left, chance()))
    length = np.linalg.norm(across, axis=2)
    turned = np.degrees(np.arctan2(across[..., 1], across[..., 0]))
    np.testing.assert_allclose(length[:, frames // 2], 40, atol=0.05)
    # At most half as fast at the upper edge, 30 pixels from the centre, as the picture moves.
    change = np.abs(length[:, -1] / 40 - 1)
    assert 0.05 < change.max() < 0.2
    assert 3 < np.abs(turned[:, -1]).max() < 9


def test_drift_goes_on_with_the_border_where_nothing_was():
    clips = torch.full((20, 5, 3, 16, 20), 0.5)
    moved = only(drift=3.0)(clips, chance())
    torch.testing.assert_close(moved, clips)
