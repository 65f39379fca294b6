"""The sequence model TGMJ: temporal Gaussian mixtures over the features of a recording.

After Piergiovanni & Ryoo 2019, "Temporal Gaussian mixture layer for videos". Each layer correlates
every feature's time course with a few learned bumps; a small head then classifies every frame from
the features themselves and from what the layers made of them.

:func:`windowed_logits` runs it over a recording. A caller that cannot hold one calls
:func:`block_logits` on consecutive blocks that start at multiples of the window; the result is the
same, because windows share nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from soupxr.errors import ArgumentError, expected
from soupxr.models.initialise import log_odds

__all__ = ["TGMJ", "WINDOW", "Reduction", "block_logits", "windowed_logits"]

#: Frames per window at inference. Quirk of the published models: windows neither overlap nor see
#: each other, so the filters see zeros at every border.
WINDOW = 180

Reduction = Literal["max", "mean", "conv1x1"]


class TGMLayer(nn.Module):
    """Every feature's time course through mixtures of learned bumps.

    Parameters
    ----------
    n_filters : int
        Bumps F that the mixtures are made of.
    filter_length : int
        Length L of a bump, frames.
    c_in, c_out : int
        Channels before and after.
    soft_attention : bool
        Mix the input channels by a softmax; otherwise by free weights, a bias and a ReLU.

    Notes
    -----
    ``forward`` maps (N, c_in, D, T) to (N, c_out, D, T).
    """

    def __init__(
        self, n_filters: int, filter_length: int, c_in: int, c_out: int, *, soft_attention: bool
    ) -> None:
        super().__init__()
        self.filter_length = filter_length
        self.c_in = c_in
        self.c_out = c_out
        self.center = nn.Parameter(0.5 * torch.randn(n_filters))
        # Quirk of the published models: they store a step between bumps that nothing reads.
        self.delta = nn.Parameter(0.01 * torch.randn(n_filters))
        self.gamma = nn.Parameter(0.0001 * torch.randn(n_filters))
        self.soft_attn = nn.Parameter(torch.empty(c_out * c_in, n_filters))
        nn.init.xavier_normal_(self.soft_attn)
        self.cls_attn: nn.Parameter | None = None
        self.convs: nn.ModuleList | None = None
        if c_in > 1 and soft_attention:
            self.cls_attn = nn.Parameter(torch.empty(1, c_out, c_in, 1, 1))
            nn.init.xavier_normal_(self.cls_attn)
        elif c_in > 1:
            self.convs = nn.ModuleList(nn.Conv2d(c_in, 1, kernel_size=1) for _ in range(c_out))

    def filters(self) -> Tensor:
        """The bumps (F, L), each of about unit sum; Cauchy in shape, whatever the layer's name."""
        # In half precision the bumps lose their shape, so autocast and half models wait outside.
        exact = torch.promote_types(self.center.dtype, torch.float32)
        center, gamma = self.center.to(exact), self.gamma.to(exact)
        last = self.filter_length - 1
        middle = (last * (torch.tanh(center) + 1) / 2).unsqueeze(1)
        width = torch.exp(1.5 - 2 * torch.tanh(gamma).abs()).unsqueeze(1)
        time = torch.arange(self.filter_length, dtype=exact, device=center.device)
        bumps = 1 / (math.pi * width * (((time - middle) / width) ** 2 + 1))
        return bumps / (bumps.sum(dim=1, keepdim=True) + 1e-6)

    def kernels(self) -> tuple[Tensor, Tensor | None]:
        """Kernels (c_out, c_in, L), the mixing of input channels folded in, and biases (c_out,)."""
        with torch.autocast(self.center.device.type, enabled=False):
            bumps = self.filters()
            mixture = self.soft_attn.to(bumps.dtype).softmax(dim=1) @ bumps
            kernels = mixture.view(self.c_out, self.c_in, self.filter_length)
            if self.cls_attn is not None:
                shares = self.cls_attn.to(bumps.dtype).softmax(dim=2)
                return kernels * shares.view(self.c_out, self.c_in, 1), None
            if self.convs is not None:
                weights = torch.cat([cast(Tensor, conv.weight) for conv in self.convs])
                biases = torch.cat([cast(Tensor, conv.bias) for conv in self.convs])
                shares = weights.to(bumps.dtype)
                return kernels * shares.view(self.c_out, self.c_in, 1), biases
            return kernels, None

    def forward(self, x: Tensor) -> Tensor:
        kernels, biases = self.kernels()
        before = (self.filter_length - 1) // 2
        n, _, features, _ = x.shape
        # Every feature's course is a row of its own in a 1-D convolution: on CPUs that trains
        # nearly twice as fast as a 2-D one with kernels one row high.
        rows = x.transpose(1, 2).flatten(0, 1)
        if self.filter_length % 2 == 0:
            rows = functional.pad(rows, (0, 1))
        out = functional.conv1d(rows, kernels.to(x.dtype), biases, padding=before)
        if biases is not None:
            out = functional.relu_(out)
        return out.view(n, features, self.c_out, -1).transpose(1, 2)


class TGMJ(nn.Module):
    """Sequence model: features of a recording in, logits of every frame out.

    The defaults are those of all published models.

    Parameters
    ----------
    n_classes : int
        Classes K, background included.
    n_features : int, default 1024
        Features per frame D, spatial then flow.
    n_layers, n_filters, filter_length, c_out : int, default 3, 8, 15, 8
        Layers, and each one's bumps, their length (frames) and output channels.
    soft_attention : bool, default True
        See :class:`TGMLayer`.
    reduction : {"max", "mean", "conv1x1"}, default "max"
        How the last layer's channels become one.
    hidden : int, default 128
        Width of the head's hidden layer.
    nonlinear : bool, default True
        With that layer; otherwise the head is linear.
    final_bn : bool, default True
        Batch norm over each branch's logits.
    use_logits : bool, default False
        Also weigh in the feature extractor's logits, where given.
    input_dropout, dropout : float, default 0.5
        Probability with which an input, a hidden activation is dropped in training.
    """

    def __init__(
        self,
        n_classes: int,
        n_features: int = 1024,
        *,
        n_layers: int = 3,
        n_filters: int = 8,
        filter_length: int = 15,
        c_out: int = 8,
        soft_attention: bool = True,
        reduction: Reduction = "max",
        hidden: int = 128,
        nonlinear: bool = True,
        final_bn: bool = True,
        use_logits: bool = False,
        input_dropout: float = 0.5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if reduction not in get_args(Reduction):
            names = ", ".join(repr(name) for name in get_args(Reduction))
            raise ArgumentError(expected("reduction", f"one of {names}", reduction))
        self.n_classes = n_classes
        self.n_features = n_features
        self.reduction = reduction
        self.config: dict[str, int | bool | float | str] = {
            "n_features": n_features,
            "n_layers": n_layers,
            "n_filters": n_filters,
            "filter_length": filter_length,
            "c_out": c_out,
            "soft_attention": soft_attention,
            "reduction": reduction,
            "hidden": hidden,
            "nonlinear": nonlinear,
            "final_bn": final_bn,
            "use_logits": use_logits,
            "input_dropout": input_dropout,
            "dropout": dropout,
        }
        self.weights = nn.Parameter(torch.full((3,), 1 / 3)) if use_logits else None
        self.tgm_layers = nn.ModuleList(
            TGMLayer(
                n_filters,
                filter_length,
                1 if layer == 0 else c_out,
                c_out,
                soft_attention=soft_attention,
            )
            for layer in range(n_layers)
        )
        if reduction == "conv1x1":
            self.reduction_layer = nn.Conv2d(c_out, 1, kernel_size=1)
        self.h: nn.Conv1d | None = None
        if nonlinear:
            # Quirk of the published models: both branches go through `h`; `h2` is stored, unused.
            self.h = nn.Conv1d(n_features, hidden, kernel_size=1)
            self.h2 = nn.Conv1d(n_features, hidden, kernel_size=1)
        width = hidden if nonlinear else n_features
        self.classify1 = _branch(width, n_classes, final_bn)
        self.classify2 = _branch(width, n_classes, final_bn)
        # Quirk of the published models: the branches share one bias under two keys. Should a file
        # hold two values, the one under classify2 is loaded last and wins.
        _last(self.classify2).bias = _last(self.classify1).bias
        nn.init.zeros_(self._class_bias())
        self.input_dropout = nn.Dropout(input_dropout)
        self.output_dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, logits: Tensor | None = None) -> Tensor:
        """Logits of every frame.

        Parameters
        ----------
        features : Tensor, (N, D, T)
            Features of consecutive frames.
        logits : Tensor, (N, K, T), optional
            The feature extractor's; read by models with ``use_logits`` alone.

        Returns
        -------
        Tensor, (N, K, T)
        """
        if features.ndim != 3 or features.shape[1] != self.n_features:
            raise ArgumentError(
                expected("features", f"shape (N, {self.n_features}, T)", tuple(features.shape))
            )
        summary = self._reduce(self.mixture(features))
        branch1 = self.classify1(self._hidden(features))
        branch2 = self.classify2(self._hidden(summary))
        if self.weights is None or logits is None:
            mean: Tensor = (branch1 + branch2) / 2
            return mean
        share = self.weights.softmax(dim=0)
        weighted: Tensor = share[0] * branch1 + share[1] * branch2 + share[2] * logits
        return weighted

    def mixture(self, features: Tensor) -> Tensor:
        """What the layers make of features (N, D, T): (N, c_out, D, T)."""
        x = features.unsqueeze(1)
        for layer in self.tgm_layers:
            x = layer(x)
        return x

    @torch.no_grad()
    def start_at_frequencies(self, positive: Tensor, negative: Tensor) -> None:
        """Let every class start at its frequency in the training set.

        Parameters
        ----------
        positive, negative : Tensor, (K,)
            Frames with and without each class.
        """
        self._class_bias().copy_(log_odds(positive, negative))

    def _class_bias(self) -> Tensor:
        bias = _last(self.classify1).bias
        assert bias is not None
        return bias

    def _reduce(self, mixture: Tensor) -> Tensor:
        if self.reduction == "max":
            return mixture.amax(dim=1)
        if self.reduction == "mean":
            return mixture.mean(dim=1)
        reduced: Tensor = self.reduction_layer(mixture)
        return reduced.squeeze(1)

    def _hidden(self, x: Tensor) -> Tensor:
        x = self.input_dropout(x)
        if self.h is not None:
            x = self.output_dropout(functional.relu(self.h(x)))
        return x


def _branch(inputs: int, n_classes: int, final_bn: bool) -> nn.Module:
    classify = nn.Conv1d(inputs, n_classes, kernel_size=1, bias=not final_bn)
    return nn.Sequential(classify, nn.BatchNorm1d(n_classes)) if final_bn else classify


def _last(branch: nn.Module) -> nn.Conv1d | nn.BatchNorm1d:
    """The layer of a branch that has the bias."""
    last = branch[-1] if isinstance(branch, nn.Sequential) else branch
    assert isinstance(last, nn.Conv1d | nn.BatchNorm1d)
    return last


@torch.no_grad()
def block_logits(model: nn.Module, block: Tensor, window: int = WINDOW) -> Tensor:
    """Logits of one block of a recording that starts at a multiple of the window.

    Parameters
    ----------
    model : TGMJ
        In eval mode; the block is brought to its device and precision.
    block : Tensor, (t, D)
        Features of at most ``window`` consecutive frames. A shorter block, the recording's last,
        is filled with zeros, and what is computed for them is cut off.
    window : int, default 180
        Frames that the model sees at once.

    Returns
    -------
    Tensor, (t, K)
        On the model's device.
    """
    if model.training:
        raise ArgumentError(
            expected("model", "a model in eval mode", "one in training mode", "Call model.eval().")
        )
    if block.ndim != 2 or len(block) > window:
        raise ArgumentError(expected("block", f"shape (at most {window}, D)", tuple(block.shape)))
    weight = next(model.parameters())
    features = block.to(weight.device, weight.dtype).T.unsqueeze(0)
    padded = functional.pad(features, (0, window - len(block)))
    logits: Tensor = model(padded)[0, :, : len(block)]
    return logits.T


def windowed_logits(model: nn.Module, features: Tensor, window: int = WINDOW) -> Tensor:
    """Logits of a whole recording.

    Parameters
    ----------
    model : TGMJ
        In eval mode.
    features : Tensor, (T, D)
        Features of every frame, spatial then flow.
    window : int, default 180
        Frames that the model sees at once.

    Returns
    -------
    Tensor, (T, K)
        On the features' device.
    """
    blocks = (block_logits(model, block, window) for block in _blocks(features, window))
    return torch.cat([block.to(features.device) for block in blocks])


def _blocks(features: Tensor, window: int) -> Iterator[Tensor]:
    # A recording without frames is one empty block, so that even its answer has K columns.
    for start in range(0, max(len(features), 1), window):
        yield features[start : start + window]
