"""The ethogram of a film: rows of bars with names, a playhead, and what occurs now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Panel"]

Picture = npt.NDArray[np.uint8]
Color = tuple[int, int, int]

#: Bright on black, and apart for the color-blind.
COLORS: tuple[Color, ...] = (
    (61, 155, 227),
    (242, 177, 52),
    (29, 194, 140),
    (228, 155, 200),
    (244, 123, 59),
    (143, 208, 245),
    (198, 99, 141),
    (196, 196, 99),
    (135, 61, 245),
)
BLACK: Color = (0, 0, 0)
ROW: Color = (38, 38, 38)
UNKNOWN: Color = (80, 80, 80)
DIM: Color = (140, 140, 140)
WHITE: Color = (255, 255, 255)


class Panel:
    """Draws the ethogram for one frame after the other.

    Parameters
    ----------
    mask : ndarray of int8, (frame, behavior)
        1 occurs, 0 does not, −1 unlabelled.
    names : sequence of str
        Of the behaviors.
    width : int
        Of the picture, in pixels.
    start, stop : int
        Frames that are exported.
    span : "all" or int
        Frames that are shown at once.
    title : str
        Above the bars.
    fps : float
        Of the trial (Hz).
    """

    def __init__(
        self,
        mask: npt.NDArray[np.int8],
        names: Sequence[str],
        width: int,
        start: int,
        stop: int,
        span: Literal["all"] | int,
        title: str,
        fps: float,
    ) -> None:
        self.mask, self.names, self.width, self.fps = mask, list(names), width, fps
        self.start, self.stop, self.span, self.title = start, stop, span, title
        self.text_size = max(11, min(22, width // 40))
        self.row = self.text_size + 6
        self.font = ImageFont.load_default(self.text_size)
        longest = max((self.font.getlength(name) for name in self.names), default=0)
        self.gutter = min(int(longest) + 12, width // 2)
        self.height = self.row * (len(self.names) + 1) + 4
        self._bars = self._draw_bars(start, stop) if span == "all" else None
        self._labels = [[self._label(name, on) for on in (False, True)] for name in self.names]

    def draw(self, frame: int) -> Picture:
        """The panel while a frame of the trial is shown, uint8 (height, width, 3)."""
        picture = np.zeros((self.height, self.width, 3), np.uint8)
        first, last = self._shown(frame)
        bars = self._draw_bars(first, last) if self._bars is None else self._bars
        picture[:, self.gutter :] = bars
        for place, both in enumerate(self._labels):
            top = self._top(place)
            label = both[int(self.mask[frame, place] == 1)]
            picture[top : top + self.row, : self.gutter] = label
        at = self.gutter + self.column(frame, first, last)
        picture[self.row :, at : at + 2] = WHITE
        picture[: self.row] = self._head(frame)
        return picture

    def column(self, frame: int, first: int, last: int) -> int:
        """Where a frame lies among the bars, in pixels."""
        wide = self.width - self.gutter
        return min(int((frame - first + 0.5) * wide / (last - first)), wide - 2)

    def _shown(self, frame: int) -> tuple[int, int]:
        """Frames that are shown, around this one."""
        if self.span == "all":
            return self.start, self.stop
        return frame - self.span // 2, frame + self.span - self.span // 2

    def _top(self, place: int) -> int:
        return self.row * (place + 1) + 2

    def _draw_bars(self, first: int, last: int) -> Picture:
        """Bars of the frames ``[first, last)``; a bout is seen however short it is."""
        wide = self.width - self.gutter
        bars = np.zeros((self.height, wide, 3), np.uint8)
        edges = np.linspace(first, last, wide + 1)
        begin = np.floor(edges[:-1]).astype(int)
        end = np.maximum(np.ceil(edges[1:] - 1e-9).astype(int), begin + 1)
        # Counts of frames before each edge, so that any stretch is a difference.
        inside = np.clip(np.stack([begin, end]), 0, len(self.mask))
        for place in range(len(self.names)):
            top = self._top(place)
            column = self.mask[:, place]
            row = np.broadcast_to(np.array(ROW, np.uint8), (wide, 3)).copy()
            for value, color in ((-1, UNKNOWN), (1, COLORS[place % len(COLORS)])):
                before = np.concatenate([[0], np.cumsum(column == value)])
                row[before[inside[1]] > before[inside[0]]] = color
            row[inside[1] <= inside[0]] = BLACK
            bars[top : top + self.row - 2] = row
        return bars

    def _label(self, name: str, is_on: bool) -> Picture:
        """A behavior's name, lit or not."""
        color = COLORS[self.names.index(name) % len(COLORS)]
        image = Image.new("RGB", (self.gutter, self.row), color if is_on else BLACK)
        draw = ImageDraw.Draw(image)
        draw.text((6, 2), name, font=self.font, fill=BLACK if is_on else DIM)
        return np.asarray(image)

    def _head(self, frame: int) -> Picture:
        image = Image.new("RGB", (self.width, self.row), BLACK)
        draw = ImageDraw.Draw(image)
        now = f"frame {frame}   {frame / self.fps:.3f} s"
        draw.text((6, 2), self.title, font=self.font, fill=DIM)
        room = self.font.getlength(now) + 12
        draw.rectangle((self.width - room, 0, self.width, self.row), fill=BLACK)
        draw.text((self.width - room + 6, 2), now, font=self.font, fill=WHITE)
        return np.asarray(image)
