"""Optic-flow generators: a window of frames in, the displacement between neighbours out.

All three return flow at 1/2, 1/4 and 1/8 of the picture, finest first, in pixels of that scale.
Pair k leads from frame k to frame k + 1; x points right, y down.

- :class:`TinyMotionNet` (mode ``fast``) and :class:`MotionNet` (``medium``) take the frames
  stacked in the channels and answer (x0, y0, x1, y1, …) there; after Zhu et al. 2017, "Hidden
  two-stream convolutional networks for action recognition".
- :class:`TinyMotionNet3D` (``slow``) takes and answers volumes.

Attribute names and their order are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from soupxr.errors import ArgumentError, expected
from soupxr.models.initialise import xavier_uniform_

__all__ = ["FLOW_GENERATORS", "Flows", "MotionNet", "TinyMotionNet", "TinyMotionNet3D"]

#: Optic flow at 1/2, 1/4 and 1/8 of the picture, pixels of that scale.
Flows = tuple[Tensor, Tensor, Tensor]

_LEAK = 0.1


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(_LEAK, inplace=True),
    )


def _merge(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm2d(outputs),
    )


def _deconv(inputs: int, outputs: int) -> nn.Sequential:
    """Upsampling by two, leaky ReLU; no batch norm."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel_size=4, stride=2, padding=1),
        nn.LeakyReLU(_LEAK, inplace=True),
    )


def _predict(inputs: int, flows: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, flows, kernel_size=3, padding=1, bias=False)


def _upsample(flows: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(flows, flows, kernel_size=4, stride=2, padding=1)


def _finer(upsample: nn.Module, flow: Tensor) -> Tensor:
    """Bring flow to the next finer scale, where the same displacement has twice the pixels.

    Quirk of the published models: doubled by hand, on top of what the layer has learned.
    """
    finer: Tensor = 2 * upsample(flow)
    return finer


def _join(*maps: Tensor) -> Tensor:
    """Concatenate along the channels, cut to the smallest height and width.

    Upsampling makes even sizes; where the picture's half was odd, the last row or column goes.
    """
    height = min(part.shape[-2] for part in maps)
    width = min(part.shape[-1] for part in maps)
    return torch.cat([part[..., :height, :width] for part in maps], dim=1)


class _StackedFlow(nn.Module):
    """What the two 2-D generators share: their input."""

    def __init__(self, window: int) -> None:
        super().__init__()
        _check_window(window)
        self.window = window
        self.in_channels = 3 * window
        self.flow_channels = 2 * (window - 1)

    def _check(self, frames: Tensor) -> None:
        if frames.ndim != 4 or frames.shape[1] != self.in_channels:
            raise ArgumentError(
                expected(
                    "frames",
                    f"shape (N, {self.in_channels}, H, W): {self.window} RGB frames in the "
                    "channels",
                    tuple(frames.shape),
                )
            )


class TinyMotionNet(_StackedFlow):
    """Flow generator of mode ``fast``.

    Parameters
    ----------
    window : int, default 11
        Frames per window, n.

    Notes
    -----
    ``forward`` maps normalised frames (N, 3n, H, W), channel 3·frame + colour, to three flows
    (N, 2(n − 1), h, w).
    """

    def __init__(self, window: int = 11) -> None:
        super().__init__(window)
        flows = self.flow_channels
        self.conv1 = _conv(self.in_channels, 64, kernel=7)
        self.conv2 = _conv(64, 128, kernel=5, stride=2)
        self.conv3 = _conv(128, 256, kernel=3, stride=2)
        self.conv4 = _conv(256, 128, kernel=3, stride=2)
        self.deconv3 = _deconv(128, 128)
        self.deconv2 = _deconv(128, 64)
        self.xconv3 = _merge(384 + flows, 128)
        self.xconv2 = _merge(192 + flows, 64)
        self.predict_flow4 = _predict(128, flows)
        self.predict_flow3 = _predict(128, flows)
        self.predict_flow2 = _predict(64, flows)
        self.upsampled_flow4_to_3 = _upsample(flows)
        self.upsampled_flow3_to_2 = _upsample(flows)

    def forward(self, frames: Tensor) -> Flows:
        """Flow at 1/2, 1/4 and 1/8 of the picture."""
        self._check(frames)
        c2 = self.conv2(self.conv1(frames))
        c3 = self.conv3(c2)
        c4 = self.conv4(c3)

        flow4 = self.predict_flow4(c4)
        m3 = self.xconv3(_join(c3, self.deconv3(c4), _finer(self.upsampled_flow4_to_3, flow4)))
        flow3 = self.predict_flow3(m3)
        m2 = self.xconv2(_join(c2, self.deconv2(m3), _finer(self.upsampled_flow3_to_2, flow3)))
        flow2 = self.predict_flow2(m2)
        return flow2, flow3, flow4


class MotionNet(_StackedFlow):
    """Flow generator of mode ``medium``.

    Parameters
    ----------
    window : int, default 11
        Frames per window, n.

    Notes
    -----
    ``forward`` maps normalised frames (N, 3n, H, W), channel 3·frame + colour, to three flows
    (N, 2(n − 1), h, w).
    """

    def __init__(self, window: int = 11) -> None:
        super().__init__(window)
        flows = self.flow_channels
        self.conv1 = _conv(self.in_channels, 64, kernel=3)
        self.conv1_1 = _conv(64, 64, kernel=3)
        self.conv2 = _conv(64, 128, kernel=3, stride=2)
        self.conv2_1 = _conv(128, 128, kernel=3)
        self.conv3 = _conv(128, 256, kernel=3, stride=2)
        self.conv3_1 = _conv(256, 256, kernel=3)
        self.conv4 = _conv(256, 512, kernel=3, stride=2)
        self.conv4_1 = _conv(512, 512, kernel=3)
        self.conv5 = _conv(512, 512, kernel=3, stride=2)
        self.conv5_1 = _conv(512, 512, kernel=3)
        self.conv6 = _conv(512, 1024, kernel=3, stride=2)
        self.conv6_1 = _conv(1024, 1024, kernel=3)
        self.deconv5 = _deconv(1024, 512)
        self.deconv4 = _deconv(1024 + flows, 256)
        self.deconv3 = _deconv(768 + flows, 128)
        self.deconv2 = _deconv(384 + flows, 64)
        self.xconv5 = _merge(1024 + flows, 512)
        self.xconv4 = _merge(768 + flows, 256)
        self.xconv3 = _merge(384 + flows, 128)
        self.xconv2 = _merge(192 + flows, 64)
        self.predict_flow6 = _predict(1024, flows)
        self.predict_flow5 = _predict(512, flows)
        self.predict_flow4 = _predict(256, flows)
        self.predict_flow3 = _predict(128, flows)
        self.predict_flow2 = _predict(64, flows)
        self.upsampled_flow6_to_5 = _upsample(flows)
        self.upsampled_flow5_to_4 = _upsample(flows)
        self.upsampled_flow4_to_3 = _upsample(flows)
        self.upsampled_flow3_to_2 = _upsample(flows)
        xavier_uniform_(self)

    def forward(self, frames: Tensor) -> Flows:
        """Flow at 1/2, 1/4 and 1/8 of the picture."""
        self._check(frames)
        c2 = self.conv2_1(self.conv2(self.conv1_1(self.conv1(frames))))
        c3 = self.conv3_1(self.conv3(c2))
        c4 = self.conv4_1(self.conv4(c3))
        c5 = self.conv5_1(self.conv5(c4))
        c6 = self.conv6_1(self.conv6(c5))

        # Quirk of the published models: each deconvolution reads the joined maps themselves, not
        # what the merging convolution makes of them, unlike in TinyMotionNet.
        flow6 = self.predict_flow6(c6)
        j5 = _join(c5, self.deconv5(c6), _finer(self.upsampled_flow6_to_5, flow6))
        flow5 = self.predict_flow5(self.xconv5(j5))
        j4 = _join(c4, self.deconv4(j5), _finer(self.upsampled_flow5_to_4, flow5))
        flow4 = self.predict_flow4(self.xconv4(j4))
        j3 = _join(c3, self.deconv3(j4), _finer(self.upsampled_flow4_to_3, flow4))
        flow3 = self.predict_flow3(self.xconv3(j3))
        j2 = _join(c2, self.deconv2(j3), _finer(self.upsampled_flow3_to_2, flow3))
        flow2 = self.predict_flow2(self.xconv2(j2))
        return flow2, flow3, flow4


_Triple = tuple[int, int, int]


def _conv3d(
    inputs: int, outputs: int, kernel: _Triple, stride: _Triple = (1, 1, 1)
) -> nn.Sequential:
    """Convolution, batch norm, leaky ReLU; a time kernel of two shortens time by one."""
    time, height, width = ((size - 1) // 2 for size in kernel)
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel, stride, (time, height, width), bias=False),
        nn.BatchNorm3d(outputs),
        nn.LeakyReLU(_LEAK, inplace=True),
    )


def _merge3d(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, batch norm."""
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel_size=3, padding=1),
        nn.BatchNorm3d(outputs),
    )


def _deconv3d(inputs: int, outputs: int) -> nn.Sequential:
    """Upsampling by two in space, batch norm, leaky ReLU."""
    return nn.Sequential(
        nn.ConvTranspose3d(
            inputs, outputs, kernel_size=(1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1), bias=False
        ),
        nn.BatchNorm3d(outputs),
        nn.LeakyReLU(_LEAK, inplace=True),
    )


def _predict3d(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, 2, kernel_size=3, padding=1))


def _upsample3d() -> nn.ConvTranspose3d:
    return nn.ConvTranspose3d(2, 2, kernel_size=(1, 4, 4), stride=(1, 2, 2), padding=(0, 1, 1))


class TinyMotionNet3D(nn.Module):
    """Flow generator of mode ``slow``.

    Parameters
    ----------
    window : int, default 11
        Frames per window, n. The weights fit any; it is kept to tell what was meant.

    Notes
    -----
    ``forward`` maps normalised frames (N, 3, n, H, W) to three flows (N, 2, n − 1, h, w).
    """

    def __init__(self, window: int = 11) -> None:
        super().__init__()
        _check_window(window)
        self.window = window
        halve = (1, 2, 2)
        self.conv1 = _conv3d(3, 16, kernel=(7, 7, 7))
        self.conv2 = _conv3d(16, 32, kernel=(5, 5, 5), stride=halve)
        self.conv3 = _conv3d(32, 64, kernel=(3, 3, 3), stride=halve)
        self.conv4 = _conv3d(64, 32, kernel=(3, 3, 3), stride=halve)
        self.conv5 = _conv3d(32, 32, kernel=(2, 3, 3))
        self.deconv3 = _deconv3d(32, 32)
        self.deconv2 = _deconv3d(32, 16)
        self.iconv3 = _conv3d(64, 64, kernel=(2, 3, 3))
        self.iconv2 = _conv3d(32, 32, kernel=(2, 3, 3))
        self.xconv3 = _merge3d(98, 32)
        self.xconv2 = _merge3d(50, 16)
        self.predict_flow4 = _predict3d(32)
        self.predict_flow3 = _predict3d(32)
        self.predict_flow2 = _predict3d(16)
        self.upsampled_flow4_to_3 = _upsample3d()
        self.upsampled_flow3_to_2 = _upsample3d()

    def forward(self, frames: Tensor) -> Flows:
        """Flow at 1/2, 1/4 and 1/8 of the picture."""
        if frames.ndim != 5 or frames.shape[1] != 3 or frames.shape[2] < 2:
            raise ArgumentError(
                expected(
                    "frames",
                    "shape (N, 3, n, H, W): RGB volumes of at least two frames",
                    tuple(frames.shape),
                )
            )
        return self.after_first(self.conv1(frames))

    def after_first(self, c1: Tensor) -> Flows:
        """The same, from what the first convolution made of the frames."""
        c2 = self.conv2(c1)
        c3 = self.conv3(c2)
        c5 = self.conv5(self.conv4(c3))

        flow4 = self.predict_flow4(c5)
        m3 = self.xconv3(
            _join(self.iconv3(c3), self.deconv3(c5), _finer(self.upsampled_flow4_to_3, flow4))
        )
        flow3 = self.predict_flow3(m3)
        m2 = self.xconv2(
            _join(self.iconv2(c2), self.deconv2(m3), _finer(self.upsampled_flow3_to_2, flow3))
        )
        flow2 = self.predict_flow2(m2)
        return flow2, flow3, flow4


def _check_window(window: int) -> None:
    if window < 2:
        raise ArgumentError(expected("window", "at least 2 frames, to have motion", window))


#: Networks by the names that :class:`soupxr.modes.Mode` uses.
FLOW_GENERATORS: dict[str, Callable[[int], nn.Module]] = {
    "TinyMotionNet": TinyMotionNet,
    "MotionNet": MotionNet,
    "TinyMotionNet3D": TinyMotionNet3D,
}
