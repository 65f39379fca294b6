"""What part a trial had in training, as checkpoints tell it."""

import itertools

import pytest
import torch

from soupxr.inference.roles import ORDER, Roles, nearest
from soupxr.models import checkpoint
from soupxr.models.tgmj import TGMJ
from soupxr.modes import BEHAVIORS

SPLIT = {"training": ["M1/S1/1", "M1/S1/2"], "validation": ["M2/S1/1"], "group": "animal"}


def written(path, **extra):
    """A checkpoint of ours, read back from its file."""
    with torch.random.fork_rng():
        model = TGMJ(1 + len(BEHAVIORS))
    checkpoint.write(
        path,
        kind="sequence",
        mode="fast",
        model=model,
        behaviors=BEHAVIORS,
        window=None,
        image_size=None,
        preprocessing=None,
        normalization=None,
        **extra,
    )
    return checkpoint.read(path)


def test_a_trained_model_knows_its_trials(tmp_path):
    roles = Roles.told_by(written(tmp_path / "a.ckpt", extra={"training": {"split": SPLIT}}))
    assert roles.known
    assert roles.of("M1/S1/1") == roles.of("M1/S1/2") == "training"
    assert roles.of("M2/S1/1") == "validation"
    assert roles.of("M3/S1/1") == roles.of("M1/S1/12") == "unseen"


@pytest.mark.parametrize("extra", [{}, {"training": {}}, {"training": {"split": None}}])
def test_a_model_that_does_not_say_leaves_it_open(tmp_path, extra):
    roles = Roles.told_by(written(tmp_path / "a.ckpt", extra=extra))
    assert not roles.known
    assert roles.of("M1/S1/1") == "unknown"


def test_no_model_says_nothing():
    assert Roles.told_by(None).of("M1/S1/1") == "unknown"


@pytest.mark.parametrize(
    ("roles", "result"),
    [
        (("unseen", "unseen"), "unseen"),
        (("unseen", "unknown"), "unknown"),
        (("unknown", "validation", "unseen"), "validation"),
        (("unseen", "unknown", "validation", "training"), "training"),
    ],
)
def test_a_result_is_as_near_as_the_nearest_model_behind_it(roles, result):
    assert {nearest(*order) for order in itertools.permutations(roles)} == {result}


@pytest.mark.parametrize("role", ORDER)
def test_one_model_alone_decides(role):
    assert nearest(role) == nearest(role, role) == role
