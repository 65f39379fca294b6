"""Classifiers: their backbones, how they start, what they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from soupxr.errors import ArgumentError
from soupxr.models._torchvision import torchvision
from soupxr.models.initialise import log_odds
from soupxr.models.resnet import Classifier, ResNet3d34


def test_resnet18_is_torchvisions() -> None:
    theirs = torchvision.models.resnet18(weights=None).eval()
    ours = Classifier("resnet18", 3, 5).eval()
    ours.start_from_pictures(theirs.state_dict())
    theirs.fc = nn.Identity()
    pictures = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        torch.testing.assert_close(ours.features(pictures), theirs(pictures))


def test_resnet50_is_torchvisions_up_to_its_compression() -> None:
    theirs = torchvision.models.resnet50(weights=None).eval()
    ours = Classifier("resnet50", 3, 5).eval()
    ours.start_from_pictures(theirs.state_dict())
    theirs.fc = nn.Identity()
    pictures = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = ours[0].compression_fc(theirs(pictures))
        torch.testing.assert_close(ours.features(pictures), expected)
    assert expected.shape == (1, 512)
    assert (expected >= 0).all()


def test_flow_starts_from_the_mean_over_colours() -> None:
    theirs = torchvision.models.resnet18(weights=None).state_dict()
    ours = Classifier("resnet18", 20, 3)
    ours.start_from_pictures(theirs)
    kernel = ours[0].conv1.weight
    assert kernel.shape == (64, 20, 7, 7)
    for channel in (0, 7, 19):
        torch.testing.assert_close(kernel[:, channel], theirs["conv1.weight"].mean(dim=1))


@pytest.mark.parametrize(
    ("backbone", "channels", "shape"),
    [
        ("resnet18", 20, (2, 20, 40, 56)),
        ("resnet50", 3, (2, 3, 40, 56)),
        ("resnet3d_34", 2, (2, 2, 10, 40, 56)),
    ],
)
@pytest.mark.parametrize("final_bn", [False, True])
def test_features_and_logits(
    backbone: Any, channels: int, shape: tuple[int, ...], final_bn: bool
) -> None:
    with torch.device("meta"):
        classifier = Classifier(backbone, channels, 7, final_bn=final_bn)
        features = classifier.features(torch.empty(shape))
        logits = classifier.classify(features)
    assert features.shape == (2, 512)
    assert logits is not None
    assert logits.shape == (2, 7)
    keys = list(classifier.state_dict())
    assert keys[0] == "0.conv1.weight"
    assert ("1.bias" in keys, "2.running_var" in keys) == (not final_bn, final_bn)


def test_without_a_linear_layer_there_are_no_logits() -> None:
    with torch.device("meta"):
        classifier = Classifier("resnet18", 3, None)
    assert classifier.classify(torch.empty(2, 512)) is None
    assert all(key.startswith("0.") for key in classifier.state_dict())


def test_features_drop_out_in_training_alone() -> None:
    classifier = Classifier("resnet18", 3, 4, dropout=0.9)
    pictures = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert (classifier.train().features(pictures) == 0).float().mean() > 0.7
        assert (classifier.eval().features(pictures) == 0).float().mean() < 0.5


@pytest.mark.parametrize("final_bn", [False, True])
def test_classes_start_at_their_frequency(final_bn: bool) -> None:
    classifier = Classifier("resnet18", 3, 3, final_bn=final_bn)
    classifier.start_at_frequencies(torch.tensor([10, 0, 5]), torch.tensor([90, 100, 0]))
    expected = torch.tensor([np.log(1 / 9), 0.0, 1.0], dtype=torch.float32)
    torch.testing.assert_close(classifier[-1].bias.detach(), expected)


def test_log_odds_of_the_reference(parity: Callable[[str], Any]) -> None:
    golden = parity("classification_loss")
    for case, (positive, negative) in enumerate(
        zip(golden.expected["counts_pos"], golden.expected["counts_neg"], strict=True)
    ):
        ours = log_odds(torch.tensor(positive), torch.tensor(negative))
        golden.compare(f"initial_bias{case}", ours)


def test_log_odds_of_a_class_that_was_never_labelled() -> None:
    assert log_odds(torch.tensor([0.0]), torch.tensor([0.0])).item() == 0


def test_convolutions_start_kaiming_normal() -> None:
    backbone = ResNet3d34(3, dropout=0)
    kernel = backbone.layer3[0].conv1.weight
    wanted = (2 / (kernel.shape[0] * 27)) ** 0.5
    assert kernel.std().item() == pytest.approx(wanted, rel=0.01)
    assert (backbone.layer3[0].bn1.weight == 1).all()


def test_unknown_backbone() -> None:
    with pytest.raises(ArgumentError, match=r"backbone: expected .*but got 'resnet34'"):
        Classifier("resnet34", 3, 4)  # type: ignore[arg-type]
