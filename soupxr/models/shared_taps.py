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

    def forward(self, frames: Tensor) -> Tensor:
        """Activated maps of every window.

        Parameters
        ----------
        frames : Tensor, (N + n − 1, C, H, W)
            Consecutive ones.

        Returns
        -------
        Tensor, (N, K, n, h, w)
        """
        maps = functional.conv2d(frames, self.weight, None, self.stride, self.padding)
        maps = maps.view(len(maps), self.taps, self.channels, *maps.shape[-2:])
        count, reach = len(frames) - self.window + 1, self.taps // 2
        volumes = torch.empty(
            (count, self.channels, self.window, *maps.shape[-2:]),
            dtype=maps.dtype,
            device=maps.device,
            memory_format=_format_of(frames),
        )
        whole: Tensor | None = None
        for place in range(self.window):
            first, last = max(place - reach, 0), min(place + reach, self.window - 1)
            if last - first + 1 < self.taps:
                volumes[:, :, place] = self._sum(maps, place, place, count, first, last)
                continue
            if whole is None:
                # Sums that no window's end cuts short are the same for all that hold the frame.
                inner = count + self.window - 1 - 2 * reach
                whole = self._sum(maps, reach, reach, inner, 0, 2 * reach)
            volumes[:, :, place] = whole[place - reach : place - reach + count]
        return volumes

    def _sum(
        self, maps: Tensor, start: int, place: int, count: int, first: int, last: int
    ) -> Tensor:
        """Activated sums for ``count`` windows or frames, the first from frame ``start`` on.

        The frame is at ``place`` of its window; taps see that window's frames ``first`` to
        ``last``.
        """
        reach = self.taps // 2
        total = self.bias.float().view(-1, 1, 1).expand(count, -1, *maps.shape[-2:]).clone()
        for shift in range(first - place, last - place + 1):
            total += maps[start + shift : start + shift + count, shift + reach]
        activated: Tensor = self.activation(total.to(maps.dtype))
        return activated


def _format_of(frames: Tensor) -> torch.memory_format:
    laid_out = frames.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last_3d if laid_out else torch.contiguous_format
