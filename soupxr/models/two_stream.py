"""The feature extractor: a picture stream and a flow stream, fused (Zhu et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from soupxr.errors import ArgumentError, expected
from soupxr.models.flow import FLOW_GENERATORS, Flows
from soupxr.models.initialise import log_odds
from soupxr.models.resnet import FEATURE_WIDTH, Classifier
from soupxr.modes import Mode

__all__ = ["FusionName", "HiddenTwoStream", "TwoStreamOutput"]

FusionName = Literal["average", "concatenate", "weighted_average"]


class TwoStreamOutput(NamedTuple):
    """What one forward pass of :class:`HiddenTwoStream` yields.

    Parameters
    ----------
    logits : Tensor, (N, K)
        Before the sigmoid, background first.
    spatial_features, flow_features : Tensor, (N, 512)
        What each stream's linear layer sees; the sequence model reads [spatial; flow].
    spatial_logits, flow_logits : Tensor, (N, K), or None
        Logits of the streams alone; None where the fusion classifies.
    flows : tuple of three Tensors
        Optic flow, finest first.
    """

    logits: Tensor
    spatial_features: Tensor
    flow_features: Tensor
    spatial_logits: Tensor | None
    flow_logits: Tensor | None
    flows: Flows


class FusedLogits(NamedTuple):
    """Logits (N, K), and those of the streams alone, or None where the fusion classifies."""

    fused: Tensor
    spatial: Tensor | None
    flow: Tensor | None


class _Average(nn.Module):
    """Mean of the streams' logits, in which flow counts one and a half times.

    Quirk of the published models: the weight is a constant that no checkpoint stores.
    """

    flow_weight = 1.5

    def forward(self, spatial: Tensor, flow: Tensor) -> Tensor:
        return (spatial + self.flow_weight * flow) / (1 + self.flow_weight)


class _WeightedAverage(nn.Module):
    """Mean of the streams' logits with a learned weight."""

    def __init__(self) -> None:
        super().__init__()
        self.flow_weight = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, spatial: Tensor, flow: Tensor) -> Tensor:
        return self.flow_weight * flow + (1 - self.flow_weight) * spatial


class _Concatenate(nn.Module):
    """One linear layer on both streams' features."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * FEATURE_WIDTH, n_classes)

    def forward(self, spatial: Tensor, flow: Tensor) -> Tensor:
        logits: Tensor = self.fc(torch.cat([spatial, flow], dim=1))
        return logits


_FUSIONS: dict[str, Callable[[int], nn.Module]] = {
    "average": lambda n_classes: _Average(),
    "concatenate": _Concatenate,
    "weighted_average": lambda n_classes: _WeightedAverage(),
}


class HiddenTwoStream(nn.Module):
    """Feature extractor: flow generator, one classifier on the picture, one on its flow.

    The flow generator is frozen: it stays in eval mode, gets no gradient, and is trained by
    itself.

    Parameters
    ----------
    mode : Mode
        Which networks (:mod:`soupxr.modes`).
    n_classes : int
        Classes K, background included.
    window : int, default 11
        Frames that the networks see at once.
    fusion : {"average", "concatenate", "weighted_average"}, default "average"
        How the streams become one answer.
    final_bn : bool, default False
        Batch norm over each classifier's logits; not with ``"concatenate"``.
    dropout : float, default 0.25
        Probability with which a feature is dropped in training.
    """

    def __init__(
        self,
        mode: Mode,
        n_classes: int,
        *,
        window: int = 11,
        fusion: FusionName = "average",
        final_bn: bool = False,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        if fusion not in _FUSIONS:
            names = ", ".join(repr(name) for name in _FUSIONS)
            raise ArgumentError(expected("fusion", f"one of {names}", fusion))
        joined = fusion == "concatenate"
        if joined and final_bn:
            raise ArgumentError(expected("final_bn", "False with fusion='concatenate'", final_bn))
        self.mode = mode
        self.n_classes = n_classes
        self.window = window
        self.config: dict[str, bool | float | str] = {
            "fusion": fusion,
            "final_bn": final_bn,
            "dropout": dropout,
        }

        def classifier(in_channels: int) -> Classifier:
            classes = None if joined else n_classes
            return Classifier(
                mode.backbone, in_channels, classes, final_bn=final_bn, dropout=dropout
            )

        stacked = mode.layout == "stacked"
        self.spatial_classifier = classifier(3)
        self.flow_generator = FLOW_GENERATORS[mode.flow_generator](window)
        self.flow_classifier = classifier(2 * (window - 1) if stacked else 2)
        self.fusion = _FUSIONS[fusion](n_classes)
        self.flow_generator.requires_grad_(False)
        self.flow_generator.eval()

    def train(self, mode: bool = True) -> Self:
        """Set the classifiers to training; the flow generator's statistics must not drift."""
        super().train(mode)
        self.flow_generator.eval()
        return self

    def forward(self, windows: Tensor) -> TwoStreamOutput:
        """Classify the centre frame of each window.

        Parameters
        ----------
        windows : Tensor, (N, 3·window, H, W), or (N, 3, window, H, W) in mode ``slow``
            Normalised RGB frames, oldest first; stacked ones with channel 3·frame + colour.

        Returns
        -------
        TwoStreamOutput
        """
        self._check(windows)
        with torch.no_grad():
            flows: Flows = self.flow_generator(windows)
        return self.classify(windows, flows)

    def classify(self, windows: Tensor, flows: Flows) -> TwoStreamOutput:
        """Classify windows of which the optic flow is known; see :meth:`forward`."""
        spatial_features = self.spatial_classifier.features(self.spatial_input(windows))
        # Quirk of the published models: flow enters its classifier at half resolution.
        flow_features = self.flow_classifier.features(flows[0])
        logits = self.fuse(spatial_features, flow_features)
        return TwoStreamOutput(logits.fused, spatial_features, flow_features, *logits[1:], flows)

    def fuse(self, spatial_features: Tensor, flow_features: Tensor) -> FusedLogits:
        """Logits (N, K) of features (N, 512)."""
        spatial = self.spatial_classifier.classify(spatial_features)
        flow = self.flow_classifier.classify(flow_features)
        fused = self.fusion(
            spatial_features if spatial is None else spatial,
            flow_features if flow is None else flow,
        )
        return FusedLogits(fused, spatial, flow)

    def spatial_input(self, windows: Tensor) -> Tensor:
        """The part of the windows that the picture stream sees; a view.

        Volumes are seen whole. Quirk of the published models: of stacked frames they see the three
        channels from ⌊3·window/2⌋ on, which for odd windows is not the centre frame's RGB but, for
        11 frames, green and blue of frame 5 and red of frame 6. All were trained like that.
        """
        if self.mode.layout == "volume":
            return windows
        start = math.floor(3 * self.window / 2)
        return windows[:, start : start + 3]

    @torch.no_grad()
    def start_at_frequencies(self, positive: Tensor, negative: Tensor) -> None:
        """Let every class start at its frequency in the training set.

        Parameters
        ----------
        positive, negative : Tensor, (K,)
            Frames with and without each class.
        """
        self.spatial_classifier.start_at_frequencies(positive, negative)
        self.flow_classifier.start_at_frequencies(positive, negative)
        if isinstance(self.fusion, _Concatenate):
            self.fusion.fc.bias.copy_(log_odds(positive, negative))

    def _check(self, windows: Tensor) -> None:
        stacked = self.mode.layout == "stacked"
        leading = (3 * self.window,) if stacked else (3, self.window)
        fits = windows.ndim == 3 + len(leading) and windows.shape[1:-2] == leading
        if not fits:
            wanted = ", ".join(str(size) for size in leading)
            raise ArgumentError(
                expected(
                    "windows",
                    f"shape (N, {wanted}, H, W) in mode {self.mode.name!r}",
                    tuple(windows.shape),
                )
            )
