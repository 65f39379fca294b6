"""The page's own script and style sheet, read as text; nothing is built or fetched."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FILES", "FOLDER", "source", "style"]

#: Where scripts and style sheet lie.
FOLDER = Path(__file__).parent

#: Scripts in the order in which they are joined; they share one scope and the last one exports.
FILES = (
    "dom.js",
    "stretches.js",
    "link.js",
    "frames.js",
    "clock.js",
    "controls.js",
    "lens.js",
    "player.js",
    "scale.js",
    "place.js",
    "paint.js",
    "overlay.js",
    "raster.js",
    "hits.js",
    "tip.js",
    "gestures.js",
    "pointer.js",
    "trials.js",
    "header.js",
    "alerts.js",
    "review.js",
    "theme.js",
    "layout.js",
    "watched.js",
    "commands.js",
    "order.js",
    "keys.js",
    "page.js",
)


def source() -> str:
    """Text of the page's ES module, which exports ``render({model, el})``."""
    return "\n".join(_text(name) for name in FILES)


def style() -> str:
    """Text of the page's style sheet, for the shadow root that ``el`` lies in."""
    return _text("style.css")


def _text(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")
