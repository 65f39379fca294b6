"""Random changes of training pictures: per sample, alike in all frames of a window but for drift.

The ranges are DeepEthogram's. All chance comes from a generator that the caller seeds, and is drawn
on the CPU, so a run sees the same changes on every device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Augmentation"]

#: Luminance of red, green and blue (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
#: From RGB to luminance and the plane of colours around it, in which a hue is an angle (NTSC).
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
#: How unsteady a drift is, as a part of its speed.
DRIFT_TREMOR = 0.2
#: Largest motion by turning and by growing at the upper edge, as a part of the largest drift.
DRIFT_AT_EDGE = 0.5


@dataclass(frozen=True)
class Augmentation:
    """How far training pictures are changed at random.

    Parameters
    ----------
    flip : float, default 0.5
        Probability of a mirror image, left for right.
    flip_vertically : float, default 0
        Probability of one upside down.
    rotation : float, default 10
        Largest angle, in degrees, either way; black where nothing was.
    rotate : float, default 0.5
        Probability of a rotation.
    zoom : float, default 0
        Largest relative change of size, either way, drawn for every sample.
    shift : float, default 0
        Largest shift in either direction, as a part of the picture, drawn for every sample. Zoom
        and shift help where cameras stand a little differently from one animal to the next.
    jitter : float, default 0.5
        Probability of changed colours.
    brightness, contrast, saturation : float, default 0.25, 0.1, 0.1
        Largest relative change.
    hue : float, default 0.1
        Largest shift, in turns of the colour circle.
    gray : float, default 0.5
        Probability that colours are taken away.
    drift : float, default 0
        Largest speed at which the whole picture moves within a clip, in pixels a frame, drawn for
        every sample; it turns and grows a little too. For flow generators: a still camera shows
        them little motion, and nothing then teaches them more than that nothing moves.
    """

    flip: float = 0.5
    flip_vertically: float = 0.0
    rotation: float = 10.0
    rotate: float = 0.5
    zoom: float = 0.0
    shift: float = 0.0
    jitter: float = 0.5
    brightness: float = 0.25
    contrast: float = 0.1
    saturation: float = 0.1
    hue: float = 0.1
    gray: float = 0.5
    drift: float = 0.0

    @classmethod
    def none(cls) -> Augmentation:
        """Change nothing."""
        return cls(flip=0.0, flip_vertically=0.0, rotate=0.0, jitter=0.0, gray=0.0)

    def __call__(self, clips: Tensor, generator: torch.Generator) -> Tensor:
        """Change clips.

        Parameters
        ----------
        clips : Tensor, (N, n, 3, H, W)
            RGB in [0, 1].
        generator : torch.Generator
            On the CPU.

        Returns
        -------
        Tensor, (N, n, 3, H, W)
            In [0, 1]; the same tensor where nothing is to change.
        """
        moves = self._moves(len(clips), generator)
        matrix, brightness, contrast = self._colors(len(clips), generator)
        if self.drift:
            clips = _drifted(clips, moves, self._drifts(clips, generator))
        else:
            clips = _moved(clips, moves)
        return _recolored(clips, matrix, brightness, contrast)

    # ---------------------------------------------------------------- drawing

    def _moves(self, n: int, generator: torch.Generator) -> Tensor:
        """Where each pixel comes from: (N, 2, 3), turned, mirrored and scaled about the centre."""
        draw = torch.rand(n, 7, generator=generator)
        turned = draw[:, 0] < self.rotate
        angle = torch.where(turned, (2 * draw[:, 1] - 1) * math.radians(self.rotation), 0.0)
        scale = 1 + self.zoom * (2 * draw[:, 4] - 1)
        mirror_x = torch.where(draw[:, 2] < self.flip, -scale, scale)
        mirror_y = torch.where(draw[:, 3] < self.flip_vertically, -scale, scale)
        cos, sin = angle.cos(), angle.sin()
        rows = [cos * mirror_x, -sin * mirror_y, sin * mirror_x, cos * mirror_y]
        # Half a picture is 1 in the coordinates of a sampling grid.
        shift = 2 * self.shift * (2 * draw[:, 5:] - 1)
        return torch.cat([torch.stack(rows, 1).view(n, 2, 2), shift.unsqueeze(2)], dim=2)

    def _drifts(self, clips: Tensor, generator: torch.Generator) -> Tensor:
        """Where each frame's pixels come from, the middle one's from where they are.

        (N, n, 2, 3), as a sampling grid wants it.
        """
        n, frames, _, height, width = clips.shape
        pixel = torch.tensor([2 / width, 2 / height])

        def draw(*shape: int) -> Tensor:
            return 2 * torch.rand(*shape, generator=generator) - 1

        speed = draw(n, 1, 2) * torch.rand(n, 1, 1, generator=generator)
        tremor = DRIFT_TREMOR * draw(n, frames, 2) * speed.abs().amax(dim=2, keepdim=True)
        passed = torch.arange(frames) - frames // 2
        place = (speed * passed[:, None] + tremor * (passed != 0)[:, None]) * self.drift * pixel
        # What turning and growing do at the upper edge, in pixels a frame.
        at_edge = DRIFT_AT_EDGE * self.drift * draw(n, 2, 1) * 2 / height * passed
        angle, scale = at_edge[:, 0], 1 + at_edge[:, 1]
        cos, sin = scale * angle.cos(), scale * angle.sin()
        rows = torch.stack([cos, -sin * height / width, sin * width / height, cos], dim=2)
        return torch.cat([rows.view(n, frames, 2, 2), place.unsqueeze(3)], dim=3)

    def _colors(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """One linear map of colours a sample: matrix (N, 3, 3); brightness and contrast (N,).

        Brightness, contrast, saturation, hue and the loss of colour are all linear in a pixel's
        colour, but for contrast's mean; so they are one matrix, and values are clamped once.
        """
        draw = torch.rand(n, 6, generator=generator)
        on = (draw[:, 0] < self.jitter).float()

        def factor(column: int, width: float) -> Tensor:
            return 1 + on * width * (2 * draw[:, column] - 1)

        luma = torch.tensor([LUMA] * 3)
        saturation = factor(3, self.saturation)
        saturation = torch.where(draw[:, 5] < self.gray, torch.zeros(()), saturation)
        matrix = _hue_rotation(on * self.hue * (2 * draw[:, 4] - 1))
        keep, grey = saturation.view(n, 1, 1), (1 - saturation).view(n, 1, 1)
        matrix = (keep * torch.eye(3) + grey * luma) @ matrix
        brightness, contrast = factor(1, self.brightness), factor(2, self.contrast)
        return matrix * (brightness * contrast).view(n, 1, 1), brightness, contrast


def _hue_rotation(turns: Tensor) -> Tensor:
    """Matrices (N, 3, 3) that turn colours around the grey axis and keep their luminance."""
    to_yiq = torch.tensor(YIQ)
    cos, sin = (2 * math.pi * turns).cos(), (2 * math.pi * turns).sin()
    one, nil = torch.ones_like(cos), torch.zeros_like(cos)
    turn = torch.stack([one, nil, nil, nil, cos, -sin, nil, sin, cos], 1).view(-1, 3, 3)
    rotation: Tensor = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return rotation


# -------------------------------------------------------------------- applying


def _moved(clips: Tensor, moves: Tensor) -> Tensor:
    """Clips whose pixels come from where ``moves`` (N, 2, 3) says, black from outside."""
    if torch.equal(moves, torch.eye(2, 3).expand_as(moves)):
        return clips
    n, frames, colors, height, width = clips.shape
    theta = _in_pixels(moves, height, width).to(clips)
    grid = functional.affine_grid(theta, [n, 1, height, width], align_corners=False)
    flat = clips.reshape(n, frames * colors, height, width)
    moved = functional.grid_sample(flat, grid, mode="bilinear", align_corners=False)
    return moved.view_as(clips)


def _drifted(clips: Tensor, moves: Tensor, drifts: Tensor) -> Tensor:
    """Clips that are moved as a whole, and each frame by its ``drifts`` (N, n, 2, 3) as well.

    The border goes on outside: a black edge that comes and goes would be motion of its own.
    """
    n, frames, _, height, width = clips.shape
    below = torch.tensor([0.0, 0.0, 1.0]).expand(n, 1, 3)
    whole = torch.cat([_in_pixels(moves, height, width), below], dim=1)
    each = torch.cat([drifts, below.unsqueeze(1).expand(n, frames, 1, 3)], dim=2)
    theta = (whole.unsqueeze(1) @ each)[:, :, :2].flatten(0, 1).to(clips)
    flat = clips.flatten(0, 1)
    grid = functional.affine_grid(theta, list(flat.shape), align_corners=False)
    moved = functional.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    return moved.view_as(clips)


def _in_pixels(moves: Tensor, height: int, width: int) -> Tensor:
    """Moves (N, 2, 3) whose angles are those of the picture, for a sampling grid.

    That counts x and y in half widths and half heights, not in pixels.
    """
    return moves * torch.tensor([[1.0, height / width, 1.0], [width / height, 1.0, 1.0]])


def _recolored(clips: Tensor, matrix: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Clips whose colours went through ``matrix``, with contrast about each sample's mean."""
    # No more than the rounding of a hue rotation by nothing.
    if torch.allclose(matrix, torch.eye(3), atol=1e-6) and bool((contrast == 1).all()):
        return clips
    luma = torch.tensor(LUMA).to(clips).view(1, 1, 3, 1, 1)
    mean = (clips * luma).sum(dim=2).mean(dim=(1, 2, 3)) * brightness.to(clips)
    offset = ((1 - contrast.to(clips)) * mean).view(-1, 1, 1, 1, 1)
    colored = torch.einsum("nij,ntjhw->ntihw", matrix.to(clips), clips)
    return (colored + offset).clamp_(0, 1)
