"""Pictures as JPEG, and a place to keep some."""

from __future__ import annotations

import io
from collections import OrderedDict

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["JpegCache", "to_jpeg"]

QUALITY = 80

Key = tuple[int, str]


def to_jpeg(picture: npt.NDArray[np.uint8], max_width: int) -> bytes:
    """Encode a picture, made smaller where it is wide.

    Parameters
    ----------
    picture : array of uint8, shape (height, width, 3)
        RGB.
    max_width : int
        Pixels. A wider picture gets at most this width, and three quarters of it at least.

    Returns
    -------
    bytes
        JPEG of quality 80.
    """
    image = Image.fromarray(np.ascontiguousarray(picture))
    if image.width > max_width:
        image = _narrowed(image, max_width)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _narrowed(image: Image.Image, max_width: int) -> Image.Image:
    """Average over areas, so that what is thin grows faint and does not come and go."""
    factor = -(-image.width // max_width)
    if 4 * image.width >= 3 * max_width * factor:
        return image.reduce(factor)  # by a whole number, which takes a tenth of the time
    height = max(1, round(image.height * max_width / image.width))
    return image.resize((max_width, height), Image.Resampling.BILINEAR)


class JpegCache:
    """JPEGs by frame and view; those used last stay.

    Parameters
    ----------
    max_bytes : int
        How much to keep.

    Attributes
    ----------
    n_bytes : int
        How much is kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._jpegs: OrderedDict[Key, bytes] = OrderedDict()
        self._max_bytes, self._largest = max_bytes, 1
        self.n_bytes = 0

    def __contains__(self, key: Key) -> bool:
        return key in self._jpegs

    @property
    def room(self) -> int:
        """How many can be put in at once so that they do not push each other out."""
        return self._max_bytes // (2 * self._largest)

    def get(self, key: Key) -> bytes | None:
        """A JPEG, and note that it has been used; None where it is not kept."""
        jpeg = self._jpegs.get(key)
        if jpeg is not None:
            self._jpegs.move_to_end(key)
        return jpeg

    def put(self, key: Key, jpeg: bytes) -> None:
        """Keep a JPEG, in place of those that were used longest ago."""
        self.n_bytes += len(jpeg) - len(self._jpegs.pop(key, b""))
        self._jpegs[key] = jpeg
        self._largest = max(self._largest, len(jpeg))
        while self.n_bytes > self._max_bytes:
            self.n_bytes -= len(self._jpegs.popitem(last=False)[1])

    def clear(self) -> None:
        """Keep nothing."""
        self._jpegs.clear()
        self.n_bytes = 0
