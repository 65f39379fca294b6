"""Classifiers: a residual network that makes 512 features, and a linear layer on top.

Two of them make a two-stream model: one looks at the picture, one at the optic flow. Keys of the
state dict start with ``0.`` (residual network), ``1.`` (linear layer) and ``2.`` (batch norm over
the classes, in models that have one), as in the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from soupxr.errors import ArgumentError, expected
from soupxr.models._torchvision import torchvision
from soupxr.models.initialise import kaiming_, log_odds, repeat_rgb_kernel
from soupxr.modes import BackboneName

__all__ = ["FEATURE_WIDTH", "Classifier", "ResNet2d", "ResNet3d34"]

#: Width of the features of every backbone.
FEATURE_WIDTH = 512


class ResNet2d(torchvision.models.ResNet):  # type: ignore[misc]
    """torchvision's ResNet-18 or -50 up to 512 features.

    Parameters
    ----------
    layers : tuple of int
        (2, 2, 2, 2) for ResNet-18, (3, 4, 6, 3) for ResNet-50.
    in_channels : int
        Channels of the input.
    bottleneck : bool
        Bottleneck blocks, whose 2048 channels a linear layer and a ReLU then bring to 512.
    dropout : float
        Probability with which a feature is dropped in training.
    """

    def __init__(
        self, layers: tuple[int, ...], in_channels: int, bottleneck: bool, dropout: float
    ) -> None:
        blocks = torchvision.models.resnet
        super().__init__(blocks.Bottleneck if bottleneck else blocks.BasicBlock, list(layers))
        width = 2048 if bottleneck else FEATURE_WIDTH
        self.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.fc = nn.Identity()
        self.compression_fc = (
            nn.Sequential(nn.Linear(width, FEATURE_WIDTH), nn.ReLU())
            if bottleneck
            else nn.Identity()
        )
        self.dropout = nn.Dropout(dropout)
        kaiming_(self)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features (N, 512) of pictures (N, C, H, W)."""
        features: Tensor = self.dropout(self.compression_fc(super().forward(pictures)))
        return features


class _BasicBlock3d(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm3d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        activated: Tensor = self.relu(out)
        return activated


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        _BasicBlock3d(inputs, outputs, stride),
        *(_BasicBlock3d(outputs, outputs, 1) for _ in range(blocks - 1)),
    )


class ResNet3d34(nn.Module):
    """ResNet-34 with 3-D kernels up to 512 features; time shrinks with space.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    dropout : float
        Probability with which a feature is dropped in training.
    """

    def __init__(self, in_channels: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(
            in_channels, 64, kernel_size=7, stride=(1, 2, 2), padding=3, bias=False
        )
        self.bn1 = nn.BatchNorm3d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, blocks=3, stride=1)
        self.layer2 = _stage(64, 128, blocks=4, stride=2)
        self.layer3 = _stage(128, 256, blocks=6, stride=2)
        self.layer4 = _stage(256, FEATURE_WIDTH, blocks=3, stride=2)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.dropout = nn.Dropout(dropout)
        kaiming_(self)

    def forward(self, volumes: Tensor) -> Tensor:
        """Features (N, 512) of volumes (N, C, T, H, W)."""
        return self.after_first(self.relu(self.bn1(self.conv1(volumes))))

    def after_first(self, c1: Tensor) -> Tensor:
        """The same, from what the first convolution made of the volumes."""
        x = self.maxpool(c1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        features: Tensor = self.dropout(torch.flatten(self.avgpool(x), 1))
        return features


def _backbone(name: BackboneName, in_channels: int, dropout: float) -> nn.Module:
    if name == "resnet18":
        return ResNet2d((2, 2, 2, 2), in_channels, bottleneck=False, dropout=dropout)
    if name == "resnet50":
        return ResNet2d((3, 4, 6, 3), in_channels, bottleneck=True, dropout=dropout)
    if name == "resnet3d_34":
        return ResNet3d34(in_channels, dropout)
    raise ArgumentError(expected("backbone", "'resnet18', 'resnet50' or 'resnet3d_34'", name))


class Classifier(nn.Sequential):
    """One stream: backbone, linear layer, and batch norm over the classes where asked for.

    Parameters
    ----------
    backbone : {"resnet18", "resnet50", "resnet3d_34"}
        Residual network.
    in_channels : int
        Channels of its input: 3 for pictures; for flow 2·(window − 1), or 2 in volumes.
    n_classes : int or None
        Classes, background included; None leaves the linear layer out, for fusions that bring
        their own.
    final_bn : bool, default False
        Batch norm over the classes.
    dropout : float, default 0.25
        Probability with which a feature is dropped in training.
    """

    def __init__(
        self,
        backbone: BackboneName,
        in_channels: int,
        n_classes: int | None,
        *,
        final_bn: bool = False,
        dropout: float = 0.25,
    ) -> None:
        super().__init__(_backbone(backbone, in_channels, dropout))
        self.in_channels = in_channels
        if n_classes is not None:
            self.append(nn.Linear(FEATURE_WIDTH, n_classes, bias=not final_bn))
            if final_bn:
                self.append(nn.BatchNorm1d(n_classes))

    def features(self, inputs: Tensor) -> Tensor:
        """Features (N, 512): what the linear layer sees."""
        features: Tensor = self[0](inputs)
        return features

    def classify(self, features: Tensor) -> Tensor | None:
        """Logits (N, K) of features (N, 512); None where the linear layer was left out."""
        if len(self) == 1:
            return None
        logits = features
        for layer in list(self)[1:]:
            logits = layer(logits)
        return logits

    @torch.no_grad()
    def start_at_frequencies(self, positive: Tensor, negative: Tensor) -> None:
        """Let every class start at its frequency (:func:`~soupxr.models.initialise.log_odds`)."""
        if isinstance(self[-1], nn.Linear | nn.BatchNorm1d):
            self[-1].bias.copy_(log_odds(positive, negative))

    def start_from_pictures(self, weights: Mapping[str, Tensor]) -> None:
        """Take over a backbone trained on pictures, such as torchvision's ImageNet weights.

        Parameters
        ----------
        weights : mapping of str to Tensor
            State dict of the residual network alone; its own classification layer is left out.
        """
        fitted = repeat_rgb_kernel(weights, self.in_channels)
        backbone = {name: value for name, value in fitted.items() if not name.startswith("fc.")}
        # ImageNet knows nothing of the layer that brings ResNet-50 to 512 features.
        own = {k: v for k, v in self[0].state_dict().items() if k.startswith("compression_fc.")}
        self[0].load_state_dict(own | backbone)
