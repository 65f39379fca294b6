"""What training minimises: flow loss and classification losses; torch alone.

The flow loss judges optic flow without labels: a frame must look like the next one pulled back
along the flow. All of it is computed in single precision, whatever precision the networks run in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from soupxr.errors import ArgumentError, expected

__all__ = [
    "FlowLoss",
    "FlowLossParts",
    "FocalLoss",
    "charbonnier",
    "frame_pairs",
    "positive_weights",
    "smoothness_map",
    "softmax_loss",
    "ssim_loss_map",
    "warp",
]

#: Label of what nobody has labelled.
IGNORED = -1

# ---------------------------------------------------------------------------- optic flow
#: Exponent and width of the L1 term and of the smoothness term.
PHOTOMETRIC = (0.4, 1e-4)
SMOOTH = (0.3, 1e-7)
#: Smoothness counts more where the picture is coarser; finest scale first.
SMOOTHNESS_WEIGHTS = (0.01, 0.02, 0.04, 0.08, 0.16)
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2


class FlowLossParts(NamedTuple):
    """Flow loss and its parts, each summed over scales.

    Parameters
    ----------
    total : Tensor, ()
        Mean over pairs of the sum of the parts.
    ssim, l1, smoothness, sparsity : Tensor, (pairs,)
        Of every pair of frames, weights included.
    """

    total: Tensor
    ssim: Tensor
    l1: Tensor
    smoothness: Tensor
    sparsity: Tensor


class FlowLoss(nn.Module):
    """How badly flow explains what changes from frame to frame (Zhu et al. 2017).

    Parameters
    ----------
    mean, std : sequence of 3 floats
        With which the windows were normalised, RGB, for pixel values in [0, 1].
    smoothness_multiplier : float, default 1
        Weight of the smoothness term. DeepEthogram's slow preset: 0.25.
    sparsity_weight : float, default 0
        Weight of the mean absolute flow. DeepEthogram's slow preset: 0.05.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        smoothness_multiplier: float = 1.0,
        sparsity_weight: float = 0.0,
    ) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != 3:
                raise ArgumentError(expected(name, "three numbers, one a colour", values))
            colours = torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, colours, persistent=False)
        self.smoothness_multiplier = smoothness_multiplier
        self.sparsity_weight = sparsity_weight

    def forward(self, windows: Tensor, flows: Sequence[Tensor]) -> FlowLossParts:
        """Judge the flow of a batch.

        Parameters
        ----------
        windows : Tensor, (N, 3n, H, W) or (N, 3, n, H, W)
            Normalised frames, as the flow generator saw them.
        flows : sequence of Tensors, (N, 2(n − 1), h, w) or (N, 2, n − 1, h, w)
            Its answer, finest scale first; pixels of each scale.

        Returns
        -------
        FlowLossParts
        """
        if len(flows) > len(SMOOTHNESS_WEIGHTS):
            expectation = f"at most {len(SMOOTHNESS_WEIGHTS)} scales"
            raise ArgumentError(expected("flows", expectation, len(flows)))
        with torch.autocast(windows.device.type, enabled=False):
            frames = self._pixels(windows)
            scales = [self._scale(frames, flow.float(), i) for i, flow in enumerate(flows)]
            ssim, l1, smoothness, sparsity = torch.stack(scales).sum(dim=0)
            total = (ssim + l1 + smoothness + sparsity).mean()
        return FlowLossParts(total, ssim, l1, smoothness, sparsity)

    def _pixels(self, windows: Tensor) -> Tensor:
        """Undo layout and normalisation: (N, n, 3, H, W), values in [0, 1]."""
        n, *_, height, width = windows.shape
        volume = windows.ndim == 5
        frames = windows.transpose(1, 2) if volume else windows.reshape(n, -1, 3, height, width)
        return (frames.float() * self.std + self.mean).clamp(0, 1)

    def _scale(self, frames: Tensor, flow: Tensor, scale: int) -> Tensor:
        """Parts at one scale: (4, pairs)."""
        flow = _pairwise(flow)
        first, second = frame_pairs(frames, (flow.shape[-2], flow.shape[-1]))
        if len(first) != len(flow):
            expectation = f"flow between all neighbours, {len(first)} pairs"
            raise ArgumentError(expected("flows", expectation, len(flow)))
        estimate = warp(second, flow)
        parts = (
            ssim_loss_map(first, estimate),
            charbonnier(first - estimate, *PHOTOMETRIC),
            smoothness_map(flow) * (SMOOTHNESS_WEIGHTS[scale] * self.smoothness_multiplier),
            flow.abs() * self.sparsity_weight,
        )
        return torch.stack([part.mean(dim=(1, 2, 3)) for part in parts])


def _pairwise(flow: Tensor) -> Tensor:
    """Flow of one pair a row, (N·(n − 1), 2, h, w)."""
    if flow.ndim == 5:
        return flow.transpose(1, 2).flatten(0, 1)
    return flow.reshape(-1, 2, *flow.shape[-2:])


def frame_pairs(frames: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Neighbouring frames at another size, bilinear without antialiasing.

    Parameters
    ----------
    frames : Tensor, (N, n, 3, H, W)
        Pixel values.
    size : (height, width)
        Wanted, pixels.

    Returns
    -------
    tuple of two Tensors, (N·(n − 1), 3, height, width)
        Each pair's first and second frame; all pairs of a window, then the next window's.
    """
    small = functional.interpolate(
        frames.flatten(0, 1), size=size, mode="bilinear", align_corners=False
    ).view(*frames.shape[:3], *size)
    return small[:, :-1].flatten(0, 1), small[:, 1:].flatten(0, 1)


def warp(images: Tensor, flow: Tensor) -> Tensor:
    """Pull images back along flow: what was at x + flow(x) comes to x.

    Parameters
    ----------
    images : Tensor, (N, C, h, w)
        Second frames.
    flow : Tensor, (N, 2, h, w)
        Displacement from first to second frame, pixels; x points right, y down.

    Returns
    -------
    Tensor, (N, C, h, w)
        Bilinear; beyond the border the border's value.
    """
    height, width = flow.shape[-2:]
    grid_y, grid_x = (
        (2 * torch.arange(size, device=flow.device, dtype=flow.dtype) + 1) / size - 1
        for size in (height, width)
    )
    # Quirk of the published models: a grid over h and w pixels, but steps of (h − 1)/2 and
    # (w − 1)/2, so that displacements come out too large by one part in h or w.
    x = grid_x + flow[:, 0] / (max(width - 1, 1) / 2)
    y = grid_y.unsqueeze(1) + flow[:, 1] / (max(height - 1, 1) / 2)
    return functional.grid_sample(
        images,
        torch.stack([x, y], dim=-1),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )


def charbonnier(difference: Tensor, alpha: float, epsilon: float) -> Tensor:
    """Penalty that grows slower than the difference: (d² + ε²)^α, elementwise."""
    return torch.pow(difference.square() + epsilon**2, alpha)


def smoothness_map(flow: Tensor) -> Tensor:
    """Penalty on changes of flow (N, 2, h, w) to the right and downwards; beyond the edge none."""
    right = functional.pad(flow[..., :-1] - flow[..., 1:], (0, 1))
    down = functional.pad(flow[..., :-1, :] - flow[..., 1:, :], (0, 0, 0, 1))
    return charbonnier(right, *SMOOTH) + charbonnier(down, *SMOOTH)


def ssim_loss_map(first: Tensor, second: Tensor) -> Tensor:
    """1 − structural similarity of every pixel's neighbourhood (Wang et al. 2004).

    Parameters
    ----------
    first, second : Tensor, (N, C, h, w)
        Pictures with values in [0, 1]; channels are compared one by one.

    Returns
    -------
    Tensor, (N, C, h, w)
        0 where alike, at most 2.
    """
    moments = torch.stack([first, second, first * first, second * second, first * second])
    mean1, mean2, square1, square2, product = _blur(moments)
    variance1, variance2 = square1 - mean1.square(), square2 - mean2.square()
    covariance = product - mean1 * mean2
    likeness = (2 * mean1 * mean2 + SSIM_C1) * (2 * covariance + SSIM_C2)
    scale = (mean1.square() + mean2.square() + SSIM_C1) * (variance1 + variance2 + SSIM_C2)
    loss: Tensor = 1 - likeness / scale
    return loss


def _blur(pictures: Tensor) -> Tensor:
    """Gaussian mean around every pixel of the last two axes, with zeros beyond the edge."""
    return _blur_axis(_blur_axis(pictures, -1), -2)


def _blur_axis(pictures: Tensor, axis: int) -> Tensor:
    # Sums of shifted pictures, no convolution: on GPUs that may run in TF32, whose three digits
    # are too few for a variance that is the difference of two means. On CPUs it is faster too.
    half, size = SSIM_WINDOW // 2, pictures.shape[axis]
    bump = [math.exp(-((place / SSIM_SIGMA) ** 2) / 2) for place in range(-half, half + 1)]
    weights = [height / sum(bump) for height in bump]
    padded = functional.pad(pictures, (half, half) if axis == -1 else (0, 0, half, half))
    blurred = pictures * weights[half]
    for before in range(half):
        after = SSIM_WINDOW - 1 - before
        both = padded.narrow(axis, before, size) + padded.narrow(axis, after, size)
        blurred = blurred.add(both, alpha=weights[before])
    return blurred


# ---------------------------------------------------------------------------- classes
class FocalLoss(nn.Module):
    """Binary focal loss of every class (Lin et al. 2017): easy frames count less.

    Parameters
    ----------
    positive_weight : Tensor, (K,), optional
        How much more an occurrence counts than its absence; :func:`positive_weights`.
    gamma : float, default 1
        How much less easy frames count; 0 counts all alike.
    label_smoothing : float, default 0.05
        Targets are this far from 0 and 1.
    """

    positive_weight: Tensor | None

    def __init__(
        self,
        positive_weight: Tensor | None = None,
        *,
        gamma: float = 1.0,
        label_smoothing: float = 0.05,
    ) -> None:
        super().__init__()
        if gamma < 0:
            raise ArgumentError(expected("gamma", "a number of at least 0", gamma))
        if not 0 <= label_smoothing < 0.5:
            message = expected("label_smoothing", "a number in [0, 0.5)", label_smoothing)
            raise ArgumentError(message)
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        weight = None if positive_weight is None else positive_weight.detach().float()
        self.register_buffer("positive_weight", weight, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of a batch: sum over classes and frames, mean over samples.

        Parameters
        ----------
        logits : Tensor, (N, K) or (N, K, T)
            Before the sigmoid.
        labels : Tensor, of the same shape
            1 occurs, 0 does not, −1 does not count.

        Returns
        -------
        Tensor, ()
        """
        if logits.shape != labels.shape:
            shapes = (tuple(logits.shape), tuple(labels.shape))
            raise ArgumentError(expected("logits, labels", "equal shapes", shapes))
        logits = logits.float()
        occurs = labels == 1
        probability = logits.sigmoid().clamp(1e-7, 1 - 1e-7)
        hardness = torch.where(occurs, 1 - probability, probability).pow(self.gamma)
        target = occurs * (1 - 2 * self.label_smoothing) + self.label_smoothing
        hit = target * functional.logsigmoid(logits)
        if self.positive_weight is not None:
            hit = hit * self.positive_weight.view(-1, *[1] * (logits.ndim - 2))
        miss = (1 - target) * functional.logsigmoid(-logits)
        loss = -hardness * (hit + miss) * (labels != IGNORED)
        return loss.sum() / len(logits)


def softmax_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy for behaviors of which exactly one occurs at a time.

    Parameters
    ----------
    logits : Tensor, (N, K) or (N, K, T)
        Before the softmax.
    labels : Tensor of int, (N,) or (N, T)
        Class that occurs; −1 does not count.

    Returns
    -------
    Tensor, ()
        Sum over frames, mean over samples.
    """
    loss = functional.cross_entropy(
        logits.float(), labels.long(), ignore_index=IGNORED, reduction="sum"
    )
    return loss / len(logits)


def positive_weights(positive: Tensor, negative: Tensor, exponent: float = 1.0) -> Tensor:
    """How much more an occurrence must count for rare classes to be learnt.

    Parameters
    ----------
    positive, negative : Tensor, (K,)
        Frames of the training set with and without each class.
    exponent : float, default 1
        1 evens classes out, 0 leaves all at 1, DeepEthogram's own default is 0.25.

    Returns
    -------
    Tensor, (K,)
        (negative / positive)^exponent; 1 for a class that always occurs, 0 for one that never
        does.
    """
    weight = (negative.double() / positive.double()).pow(exponent)
    weight = torch.where(weight == 0, 1.0, weight)
    return weight.nan_to_num(nan=0.0, posinf=0.0).float()
