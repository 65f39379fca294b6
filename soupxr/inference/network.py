"""The feature extractor as it runs: the same function, laid out for the machine.

What is done, and left undone, is the choice of measurements (``benchmarks/infer.py``):

- batch norms are folded into convolutions;
- channels lie next to each other in memory, as the convolutions of CPUs and GPUs want them;
- in half precision the weights are converted once and not at each pass, and the linear layers on
  top stay in single precision;
- in mode ``slow``, windows share what the first convolution makes of the frames they share.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from soupxr.inference.numbers import strict_float32
from soupxr.inference.preprocess import frame_windows
from soupxr.models.folding import frozen_copy
from soupxr.models.shared_taps import SharedTaps
from soupxr.models.two_stream import HiddenTwoStream

__all__ = ["FeatureNetwork", "FeatureTensors"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class FeatureTensors(NamedTuple):
    """Features (N, 512) of both streams and logits (N, K), float32, on the device."""

    spatial: Tensor
    flow: Tensor
    logits: Tensor


class FeatureNetwork:
    """A feature extractor that takes consecutive frames.

    Parameters
    ----------
    model : HiddenTwoStream
        Copied; it stays as it is.
    device : torch.device
        Where it runs.
    precision : {"float32", "bfloat16"}
        Number format of the convolutions. float32 means it: TF32 is switched off meanwhile.
    """

    def __init__(self, model: HiddenTwoStream, device: torch.device, precision: str) -> None:
        self.mode, self.window, self.device = model.mode, model.window, device
        self.dtype = DTYPES[precision]
        self.model = frozen_copy(model, model.mode.layout)
        # Typed so, because each mode has others.
        self._generator: Any = self.model.flow_generator
        self._backbone: Any = self.model.spatial_classifier[0]
        self.model.to(device)
        for part in (self._generator, self._backbone, self.model.flow_classifier[0]):
            part.to(self.dtype)
        self._first = self._shared() if model.mode.layout == "volume" else None

    def __call__(self, frames: Tensor, every: int = 1) -> FeatureTensors:
        """Features of windows of these frames.

        Parameters
        ----------
        frames : Tensor, ((N − 1)·every + window, 3, height, width)
            Normalised, float32, on the device.
        every : int, default 1
            Frames from one window's first to the next one's.
        """
        with torch.inference_mode(), self._numbers():
            frames = frames.to(self.dtype, memory_format=torch.channels_last)
            spatial, flow = self._features(frames, every)
            spatial, flow = spatial.float(), flow.float()
            return FeatureTensors(spatial, flow, self.model.fuse(spatial, flow).fused)

    def _features(self, frames: Tensor, every: int) -> tuple[Tensor, Tensor]:
        model = self.model
        if self._first is not None:
            of_flow, of_spatial = self._first
            flows = self._generator.after_first(of_flow(frames, every))
            spatial = self._backbone.after_first(of_spatial(frames, every))
        else:
            windows = frame_windows(frames, self.window, self.mode.layout, every)
            flows = self._generator(windows)
            pictures = model.spatial_input(windows).contiguous(memory_format=torch.channels_last)
            spatial = model.spatial_classifier.features(pictures)
        return spatial, model.flow_classifier.features(flows[0])

    def _shared(self) -> tuple[SharedTaps, SharedTaps]:
        """First convolutions of the two networks that see the RGB volumes."""
        conv, _, activation = self._generator.conv1
        return (
            SharedTaps(conv, self.window, activation),
            SharedTaps(self._backbone.conv1, self.window, self._backbone.relu),
        )

    def _numbers(self) -> AbstractContextManager[Any]:
        return strict_float32(self.device) if self.dtype == torch.float32 else nullcontext()
