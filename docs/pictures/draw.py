"""Draw the pictures of the documentation: ``python docs/pictures/draw.py``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
INK, PALE, LINE = "#1f2933", "#52606d", "#9aa5b1"
BLUE, ORANGE, GREEN, GRAY = "#4477aa", "#cc6633", "#228833", "#7b8794"
FONT = "font-family='system-ui, sans-serif'"


def text(x: float, y: float, words: str, size: int = 13, color: str = INK, **more: str) -> str:
    """A line of text; ``anchor`` and ``weight`` as in SVG."""
    anchor, weight = more.get("anchor", "start"), more.get("weight", "normal")
    return (
        f"<text x='{x}' y='{y}' {FONT} font-size='{size}' fill='{color}' "
        f"text-anchor='{anchor}' font-weight='{weight}'>{words}</text>"
    )


def box(x: float, y: float, w: float, h: float, color: str, opacity: float = 0.15) -> str:
    """A rounded rectangle."""
    return (
        f"<rect x='{x}' y='{y}' width='{w}' height='{h}' rx='4' fill='{color}' "
        f"fill-opacity='{opacity}' stroke='{color}' stroke-width='1.2'/>"
    )


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    """A straight arrow."""
    return (
        f"<line x1='{x}' y1='{y}' x2='{to_x}' y2='{to_y}' stroke='{PALE}' stroke-width='1.4' "
        "marker-end='url(#tip)'/>"
    )


def page(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    """A whole picture, on white so that it can be read on dark pages too."""
    tip = (
        "<marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' "
        f"orient='auto'><path d='M0 0 L8 4 L0 8 z' fill='{PALE}'/></marker>"
    )
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
            f"width='{width}' height='{height}' role='img'>",
            f"<title>{title}</title><defs>{tip}</defs>",
            f"<rect width='{width}' height='{height}' rx='8' fill='#ffffff'/>",
            *parts,
            "</svg>",
            "",
        ]
    )


def slabs(x: float, y: float, name: str, color: str, layers: Sequence[str]) -> Iterator[str]:
    """A stack of (frame, behavior) planes, one for each of ``layers``."""
    w, h, step = 150, 74, 13
    last = len(layers) - 1
    for i, layer in enumerate(reversed(layers)):
        k = last - i
        left, top = x + k * step, y + (last - k) * step
        yield f"<rect x='{left}' y='{top}' width='{w}' height='{h}' rx='3' fill='#ffffff'/>"
        yield box(left, top, w, h, color)
        yield text(x + last * step + w + 8, top + 11, layer, 11, PALE)
    top = y + last * step
    for row, spans in enumerate((((12, 40),), ((44, 30), (100, 22)), ((78, 44),))):
        for start, length in spans:
            yield (
                f"<rect x='{x + start}' y='{top + 14 + row * 20}' width='{length}' height='9' "
                f"fill='{color}'/>"
            )
    yield text(x, y - 12, name, 14, color, weight="bold")
    yield text(x + w / 2, top + h + 17, "frame →", 11, PALE, anchor="middle")
    yield text(x - 8, top + h / 2 + 4, "behavior", 11, PALE, anchor="end")


def model() -> str:
    """What a store holds, and along which dimensions."""
    parts = [text(24, 32, "One Dataset: everything is labelled by trial", 16, weight="bold")]
    parts += [text(24, 66, "trial = animal / session / trial_id", 13, weight="bold")]
    trials = ("M1 / S1 / 1", "M1 / S1 / 2", "M1 / S2 / 1", "M2 / S1 / 1", "…")
    for i, name in enumerate(trials):
        parts += [box(24, 80 + i * 30, 128, 24, GRAY), text(34, 97 + i * 30, name, 12)]
    parts += [
        text(24, 256, "for each: n_frames, fps,", 12, PALE),
        text(24, 272, "experiment, notes", 12, PALE),
        text(24, 296, "for each view: video_path", 12, PALE),
        arrow(160, 122, 206, 122),
    ]
    modes = ("fast", "medium", "slow")
    parts += slabs(276, 82, "ethogram · probability", BLUE, modes)
    parts += slabs(596, 82, "annotation", ORANGE, ("Ana", "Ben"))
    parts += [
        text(276, 232, "what models say, each mode apart", 12, PALE),
        text(560, 232, "what people say, each annotator apart", 12, PALE),
        text(276, 256, "1 occurs, 0 does not, −1 not inferred", 12),
        text(560, 256, "1 occurs, 0 does not, −1 unlabelled", 12),
        text(276, 280, "for each mode: status, error, provenance", 12, PALE),
        text(276, 296, "and features, apart: ds.soup.features(mode)", 12, PALE),
    ]
    return page(810, 320, "Variables of a store and their dimensions", parts)


def way() -> str:
    """From videos to ethograms."""
    top, height = 64, 74
    stages = (
        (20, 108, GRAY, "videos", ("side + front,", "joined")),
        (166, 128, BLUE, "flow generator", ("11 frames →", "how they move")),
        (332, 128, BLUE, "feature extractor", ("picture and flow →", "2 × 512 features")),
        (498, 128, BLUE, "sequence model", ("180 frames →", "probabilities")),
        (664, 116, GREEN, "ethogram", ("thresholds,", "minimum bouts")),
    )
    parts = [text(20, 34, "From videos to ethograms", 16, weight="bold")]
    for x, w, color, name, lines in stages:
        parts += [
            box(x, top, w, height, color),
            text(x + w / 2, top + 24, name, 12, anchor="middle", weight="bold"),
        ]
        parts += [
            text(x + w / 2, top + 44 + 16 * i, line, 11, PALE, anchor="middle")
            for i, line in enumerate(lines)
        ]
    parts += [
        arrow(x + w + 3, top + height / 2, following[0] - 4, top + height / 2)
        for (x, w, *_), following in pairwise(stages)
    ]
    notes = (
        (230, "learns from", "video alone"),
        (396, "learns from", "labelled frames"),
        (562, "learns from", "labelled trials"),
    )
    for x, first, second in notes:
        parts += [
            text(x, top + height + 22, first, 11, PALE, anchor="middle"),
            text(x, top + height + 37, second, 11, ORANGE, anchor="middle", weight="bold"),
        ]
    return page(800, 190, "From videos to ethograms", parts)


if __name__ == "__main__":
    for name, picture in (("model", model()), ("way", way())):
        (HERE / f"{name}.svg").write_text(picture, encoding="utf-8")
