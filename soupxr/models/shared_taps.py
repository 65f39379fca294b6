"""The first convolution over volumes, for all windows of a recording at once.

Windows that follow each other frame by frame share all frames but one, and a convolution over time
is a sum over taps, each of which sees one frame. What a tap makes of a frame is therefore computed
once and serves every window that holds the frame; only the sums are left to each. A window of 11
frames under a kernel of 7 otherwise costs 65 taps, for the first and last frames' sums are cut
short by the window's ends.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SharedTaps"]


class SharedTaps(nn.Module):
    """A 3-D convolution on all windows of consecutive frames.

    Parameters
    ----------
    conv : Conv3d
        Stride 1 in time and as many frames out as in, its time kernel odd.
    window : int
        Frames in a window, n.
    activation : Module
        What follows, pixel by pixel; done once where windows share it.
    """

    def __init__(self, conv: nn.Conv3d, window: int, activation: nn.Module) -> None:
        super().__init__()
        self.window = window
        self.taps = conv.kernel_size[0]
        self.channels = conv.out_channels
        self.stride, self.padding = conv.stride[1:], conv.padding[1:]
        # (outputs, inputs, tap, y, x) → (tap · outputs, inputs, y, x)
        weight = conv.weight.detach().permute(2, 0, 1, 3, 4).flatten(0, 1)
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
        bias = torch.zeros(self.channels) if conv.bias is None else conv.bias.detach()
        self.bias = nn.Parameter(bias.clone().to(weight), requires_grad=False)
        self.activation = activation

    def forward(self, frames: Tensor, every: int = 1) -> Tensor:
        """Activated maps of windows.

        Parameters
        ----------
        frames : Tensor, ((N − 1)·every + n, C, H, W)
            Consecutive ones.
        every : int, default 1
            Frames from one window's first to the next one's.

        Returns
        -------
        Tensor, (N, K, n, h, w)
        """
        maps = functional.conv2d(frames, self.weight, None, self.stride, self.padding)
        maps = maps.view(len(maps), self.taps, self.channels, *maps.shape[-2:])
        count, reach = (len(frames) - self.window) // every + 1, self.taps // 2
        volumes = torch.empty(
            (count, self.channels, self.window, *maps.shape[-2:]),
            dtype=maps.dtype,
            device=maps.device,
            memory_format=_format_of(frames),
        )
        # Sums that no window's end cuts short are the same for all windows that hold the frame.
        whole: Tensor | None = None
        for place in range(self.window):
            first, last = max(place - reach, 0), min(place + reach, self.window - 1)
            if last - first + 1 < self.taps:
                taps = range(first - place + reach, last - place + reach + 1)
                volumes[:, :, place] = self._sum(maps[first:], taps, count, every)
                continue
            if whole is None:
                whole = self._sum(maps, range(self.taps), len(frames) - 2 * reach, 1)
            volumes[:, :, place] = _every(whole[first:], count, every)
        return volumes

    def _sum(self, maps: Tensor, taps: range, count: int, every: int) -> Tensor:
        """Activated sums over some taps, of which the first sees the first of the maps."""
        shifted = (_every(maps[i:], count, every)[:, tap] for i, tap in enumerate(taps))
        total = next(shifted).float() + self.bias.float().view(-1, 1, 1)
        for part in shifted:
            total += part
        activated: Tensor = self.activation(total.to(maps.dtype))
        return activated


def _every(frames: Tensor, count: int, every: int) -> Tensor:
    return frames[: (count - 1) * every + 1 : every]


def _format_of(frames: Tensor) -> torch.memory_format:
    laid_out = frames.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last_3d if laid_out else torch.contiguous_format
