import pytest

import soupxr as sx
from soupxr.modes import BEHAVIORS, MODES, get_mode


def test_networks_of_each_mode():
    pairs = {name: (mode.flow_generator, mode.backbone) for name, mode in MODES.items()}
    assert pairs == {
        "fast": ("TinyMotionNet", "resnet18"),
        "medium": ("MotionNet", "resnet50"),
        "slow": ("TinyMotionNet3D", "resnet3d_34"),
    }


def test_published_thresholds_cover_background_and_behaviors():
    for mode in MODES.values():
        assert len(mode.published_thresholds) == 1 + len(BEHAVIORS)


@pytest.mark.parametrize("mode", ["quick", "", None, []])
def test_unknown_mode_names_the_known_ones(mode):
    with pytest.raises(sx.ArgumentError, match="'fast', 'medium', 'slow'"):
        get_mode(mode)
