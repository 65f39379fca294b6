"""Batch norms folded into the convolutions before them.

In eval mode a batch norm multiplies and adds what never changes, so that the convolution before
it can do both: one pass over memory less, and the same function to rounding.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["MEMORY_FORMATS", "fold_batch_norms_", "frozen_copy"]

#: Channels side by side, by layout of the mode: as convolutions of CPUs and GPUs want them.
MEMORY_FORMATS = {"stacked": torch.channels_last, "volume": torch.channels_last_3d}

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_BATCH_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)
Network = TypeVar("Network", bound=nn.Module)


def fold_batch_norms_(network: nn.Module) -> None:
    """Fold every batch norm that follows a convolution, in place.

    Residual blocks name what follows what, ``conv1`` and ``bn1``; elsewhere it is the order in a
    ``Sequential``. The network can no longer be trained, and its state dict no longer be saved.

    Parameters
    ----------
    network : Module
        In eval mode.
    """
    for parent in list(network.modules()):
        for first, second in _pairs(parent):
            conv, norm = getattr(parent, first), getattr(parent, second)
            transposed = isinstance(conv, nn.ConvTranspose2d | nn.ConvTranspose3d)
            setattr(parent, first, fuse_conv_bn_eval(conv, norm, transpose=transposed))
            setattr(parent, second, nn.Identity())


def frozen_copy(network: Network, layout: str) -> Network:
    """The same network for use alone: frozen, its batch norms folded, laid out for the machine."""
    frozen = copy.deepcopy(network).eval().requires_grad_(False)
    fold_batch_norms_(frozen)
    laid_out: Any = frozen
    laid_out.to(memory_format=MEMORY_FORMATS[layout])
    return frozen


def _pairs(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of a convolution and the batch norm that sees its output."""
    children = dict(parent.named_children())
    if isinstance(parent, nn.Sequential):
        neighbours = list(itertools.pairwise(children))
    else:
        neighbours = [(name, name.replace("conv", "bn")) for name in children]
    for first, second in neighbours:
        follows = isinstance(children.get(second), _BATCH_NORMS)
        if follows and isinstance(children[first], _CONVOLUTIONS):
            yield first, second
