"""Colours of behaviors, as people with any colour vision see them."""

import itertools

import numpy as np
import pytest

from soupxr.dashboard.colors import DARK_PALETTE
from soupxr.dashboard.ethogram import PALETTE

#: What becomes of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)
#: CIE76; two patches beside each other differ plainly from about 5 on.
DIFFERENT = 12


def linear(color):
    values = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    x, y, z = np.cbrt(np.clip(TO_XYZ @ rgb / WHITE, 0.008856, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("palette", [PALETTE, DARK_PALETTE], ids=["light", "dark"])
def test_every_two_behaviors_can_be_told_apart(palette, vision):
    seen = [lab(np.clip(np.array(VISION[vision]) @ linear(color), 0, 1)) for color in palette]
    differences = {
        (palette[i], palette[j]): np.linalg.norm(seen[i] - seen[j])
        for i, j in itertools.combinations(range(len(palette)), 2)
    }
    pair = min(differences, key=differences.get)
    assert differences[pair] > DIFFERENT, pair


@pytest.mark.parametrize(
    ("palette", "background", "least"), [(PALETTE, "#FFFFFF", 2.2), (DARK_PALETTE, "#16181D", 3)]
)
def test_colors_stand_out_from_the_page(palette, background, least):
    def luminance(color):
        return TO_XYZ[1] @ linear(color)

    ground = luminance(background)
    for color in palette:
        darker, lighter = sorted((luminance(color), ground))
        assert (lighter + 0.05) / (darker + 0.05) > least, color
