"""How the networks' weights start before training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["kaiming_", "log_odds", "repeat_rgb_kernel", "start_still_", "xavier_uniform_"]


def log_odds(positive: Tensor, negative: Tensor) -> Tensor:
    """Bias with which a class starts at its own frequency.

    Parameters
    ----------
    positive, negative : Tensor, (K,)
        Frames of the training set with and without each class.

    Returns
    -------
    Tensor, (K,)
        log(positive / negative); 0 for a class that never occurs or was never labelled, 1 for one
        that always does.
    """
    return torch.log(positive / negative).nan_to_num(nan=0.0, neginf=0.0, posinf=1.0)


def kaiming_(module: nn.Module) -> None:
    """Convolutions Kaiming-normal over their outputs, batch norms 1 and 0 (He et al. 2015)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)


def xavier_uniform_(module: nn.Module) -> None:
    """Kernels Xavier-uniform, their biases uniform in [0, 1): the start of MotionNet."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias)


def start_still_(generator: nn.Module) -> None:
    """Let a flow generator start at no flow at all, which explains most of most pictures.

    Flow that starts at random hides what there is to learn from: frames pulled back along it look
    like nothing, and most steps are then spent on unlearning it.
    """
    for name, layer in generator.named_modules():
        is_head = name.startswith("predict_flow")
        if is_head and isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def repeat_rgb_kernel(weights: Mapping[str, Tensor], in_channels: int) -> dict[str, Tensor]:
    """Fit an RGB network's first convolution to a stream with other inputs.

    Parameters
    ----------
    weights : mapping of str to Tensor
        State dict of a residual network trained on pictures.
    in_channels : int
        Channels of the stream; 3 leaves the kernel alone.

    Returns
    -------
    dict
        The same weights, with the kernel averaged over its three colours and repeated over all
        input channels. It is not rescaled, as in the published models.
    """
    fitted = dict(weights)
    kernel = fitted["conv1.weight"]
    if in_channels != kernel.shape[1]:
        grey = kernel.mean(dim=1, keepdim=True)
        fitted["conv1.weight"] = grey.repeat_interleave(in_channels, dim=1)
    return fitted
