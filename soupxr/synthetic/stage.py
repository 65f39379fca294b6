"""What stands still: rig, body and fur, painted once for an animal, a session and a view."""

from __future__ import annotations

import numpy as np

from soupxr.synthetic import anatomy
from soupxr.synthetic.anatomy import Look, stream
from soupxr.synthetic.arrays import FloatArray, f32
from soupxr.synthetic.draw import Canvas, speckle
from soupxr.synthetic.pose import Camera

__all__ = ["head_cover", "stage"]

Point = tuple[float, float, float]


class _Painter:
    """Paints in world pixels through a camera."""

    def __init__(self, canvas: Canvas, camera: Camera, look: Look) -> None:
        self.canvas, self.camera, self.look = canvas, camera, look

    def rod(
        self, a: Point, b: Point, radii: tuple[float, float], tone: float, **style: float
    ) -> None:
        xy, scale = self.camera.project([a, b])
        style["soft"] = style.get("soft", 1.0) * self.camera.scale
        shape = [*xy.ravel().tolist(), *np.multiply(radii, scale).tolist()]
        self.canvas.capsule(shape, tone, **style)

    def ball(self, at: Point, radii: tuple[float, float], tone: float, **style: float) -> None:
        xy, scale = self.camera.project(at)
        style["soft"] = style.get("soft", 1.0) * self.camera.scale
        (x, y), (x_radius, y_radius) = xy.tolist(), np.multiply(radii, scale).tolist()
        self.canvas.ellipse(x, y, x_radius, y_radius, tone, **style)


def stage(look: Look, camera: Camera, animal: str, breath: float) -> FloatArray:
    """Paint all that stands still.

    Parameters
    ----------
    look : Look
        Whom to paint.
    camera : Camera
        From where.
    animal : str
        Name, from which fur and dust follow.
    breath : float
        -1 breathed out, 1 breathed in.

    Returns
    -------
    float32 array (y, x)
        Brightness, before the lamp.
    """
    rng = stream("stage", animal, camera.view)
    shape = (camera.height, camera.width)
    canvas = Canvas(_backdrop(rng, look, camera), look.light)
    painter = _Painter(canvas, camera, look)
    before = canvas.pixels.copy()
    (_side_body if camera.view == "side" else _front_body)(painter, breath)
    body = np.clip(np.abs(canvas.pixels - before) / 6.0, 0.0, 1.0)
    grain = max(1, round(2 * camera.scale))
    fur = 0.06 * speckle(rng, shape, (grain, grain)) + 0.05 * speckle(rng, shape, (6 * grain,) * 2)
    canvas.pixels *= 1 + body * fur
    _hair(rng, canvas, body, look.fur, camera.scale)
    (_side_details if camera.view == "side" else _front_details)(painter, breath)
    _rig(painter)
    return canvas.pixels


def _backdrop(rng: np.random.Generator, look: Look, camera: Camera) -> FloatArray:
    """A dark room with lights out of focus."""
    rows = np.linspace(1.15, 0.7, camera.height, dtype=np.float32)[:, None]
    pixels = np.repeat(rows * f32(look.backdrop), camera.width, axis=1)
    canvas = Canvas(pixels, look.light)
    for _ in range(6):
        size = rng.uniform(0.06, 0.2) * camera.height
        x, y = rng.uniform(0, camera.width), rng.uniform(0, camera.height)
        tone = look.backdrop + rng.uniform(-12.0, 45.0)
        canvas.ellipse(x, y, size, size, tone, soft=1.5 * size, round_off=0.2, opacity=0.8)
    return canvas.pixels


def _hair(
    rng: np.random.Generator, canvas: Canvas, body: FloatArray, fur: float, scale: float
) -> None:
    """Single hairs that catch the light, most of all where the body ends against the dark."""
    height, width = body.shape
    count = int(0.1 * body.size / max(scale, 0.25) ** 2)
    root = rng.uniform((0, 0), (width - 1, height - 1), (count, 2)).astype(np.float32)
    at = root.astype(int)
    on_body = body[at[:, 1], at[:, 0]] > 0.5
    way = rng.normal(2.2, 0.5, count)
    share = np.linspace(0.0, 1.0, max(4, round(7 * scale)), dtype=np.float32)
    hair = (
        np.stack([np.cos(way), np.sin(way)], axis=1) * (rng.uniform(3, 7, count) * scale)[:, None]
    )
    points = root[:, None] + hair[:, None] * share[:, None]
    strength = np.abs(rng.normal(0.0, 0.13 * fur + 3.0, count))
    light = (strength[:, None] * (1 - share))[on_body]
    canvas.strokes(
        points[on_body].reshape(-1, 2).astype(np.float32), light.reshape(-1).astype(np.float32)
    )


def head_cover(look: Look, camera: Camera) -> tuple[tuple[slice, slice], FloatArray]:
    """Where the head hides what is behind it: a part of the picture, and 0 to 1 within it."""
    flat = Canvas(np.zeros((camera.height, camera.width), np.float32), (0.0, 0.0))
    painter = _Painter(flat, camera, look)
    (_side_head if camera.view == "side" else _front_head)(painter, 1.0, round_off=0.0)
    rows, columns = (np.flatnonzero(flat.pixels.max(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return (slice(0, 0), slice(0, 0)), flat.pixels[:0, :0]
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return box, flat.pixels[box].copy()


def _side_head(paint: _Painter, tone: float, round_off: float) -> None:
    build = paint.look.build
    style = {"round_off": round_off}
    paint.rod((62, 90, 0), (88, 94, 0), (34 * build, 26 * build), tone, **style)
    paint.rod((88, 94, 0), (127, 99, 0), (25 * build, 11 * build), tone, **style)


def _front_head(paint: _Painter, tone: float, round_off: float) -> None:
    build = paint.look.build
    paint.rod((95, 90, 0), (124, 96, 0), (22 * build, 13 * build), tone, round_off=round_off)


def _side_body(paint: _Painter, breath: float) -> None:
    fur, build = paint.look.fur, paint.look.build
    chest = build * (1 + 0.018 * breath)
    paint.rod((-30, 160, -20), (34, 148, 0), (70 * chest, 44 * chest), fur)
    paint.rod((34, 132, 0), (58, 98, 0), (44 * build, 37 * build), fur, round_off=0.3)
    _side_head(paint, 1.08 * fur, round_off=0.38)


def _side_details(paint: _Painter, breath: float) -> None:
    fur, skin = paint.look.fur, paint.look.skin
    paint.ball((40, 58, 14), (17, 23), 0.55 * fur + 0.25 * skin, turn=-0.5, round_off=0.25)
    paint.ball((42, 61, 16), (10, 15), 0.3 * fur + 0.3 * skin, turn=-0.5, round_off=-0.3)
    paint.ball((84, 77, 20), (6.5, 6.0), 14.0, round_off=0.0)
    paint.ball((86, 75, 21), (1.6, 1.6), 250.0, round_off=0.0)
    paint.ball((136, 95, 0), (4.5, 5.0), 0.75 * skin, round_off=0.5)
    paint.ball((108, 102, 12), (12, 8), fur * 1.25, soft=8.0, round_off=0.1)
    # The other forelimb stays on the bar, behind.
    paint.rod((46, 158, -24), (50, 190, -26), (10, 5), 0.6 * fur)
    paint.rod((50, 190, -26), (66, 206, -26), (5, 4.5), 0.55 * paint.look.skin)


def _front_body(paint: _Painter, breath: float) -> None:
    fur, build = paint.look.fur, paint.look.build
    chest = build * (1 + 0.018 * breath)
    paint.ball((30, 176, 0), (52 * chest, 62 * chest), 0.85 * fur)
    for side in (-1.0, 1.0):
        paint.ball((38, 62, 40 * side), (20 * build, 22 * build), 0.8 * fur, round_off=0.3)
    paint.ball((62, 92, 0), (41 * build, 42 * build), fur, round_off=0.38)
    _front_head(paint, 1.12 * fur, round_off=0.42)


def _front_details(paint: _Painter, breath: float) -> None:
    fur, skin = paint.look.fur, paint.look.skin
    for side in (-1.0, 1.0):
        ear = 0.45 * fur + 0.3 * skin
        paint.ball((40, 62, 41 * side), (12, 14), ear, round_off=-0.2)
        paint.ball((84, 80, 25 * side), (5.2, 5.6), 14.0, round_off=0.0)
        paint.ball((86, 78, 25 * side - 1.5), (1.5, 1.5), 250.0, round_off=0.0)
        paint.ball((112, 104, 8 * side), (8, 7), fur * 1.25, soft=6.0, round_off=0.1)
    paint.ball((136, 95, 0), (4.6, 3.6), 0.75 * skin, round_off=0.5)
    paint.rod((46, 160, -24), (50, 190, -26), (9, 5), 0.8 * fur)
    paint.rod((50, 190, -26), (66, 207, -26), (5.5, 5.0), 0.8 * skin)
    for digit in range(4):
        across = -31.5 + 3.8 * digit
        paint.rod((66, 207, across), (72, 213, across - 0.8), (2.3, 2.0), 0.8 * skin)


def _rig(paint: _Painter) -> None:
    """Bar to rest on, post with the pellet, head holder."""
    bar = anatomy.BAR_HEIGHT + 5
    if paint.camera.view == "side":
        paint.rod((24, bar, 20), (92, bar, 20), (4, 4), 105.0)
        paint.rod((10, 34, 0), (66, 40, 0), (6, 6), 120.0, soft=2.0)
        paint.rod((8, -10, 0), (12, 34, 0), (7, 7), 95.0, soft=3.0)
    else:
        paint.rod((80, bar, 46), (80, bar, 12), (4, 4), 105.0)
        paint.rod((80, bar, -12), (80, bar, -46), (4, 4), 105.0)
        paint.rod((60, 38, 40), (60, 38, -40), (5, 5), 115.0, soft=2.0)
    x, y, z = anatomy.PELLET
    top = y + anatomy.PELLET_RADIUS + 4
    paint.rod((x, top, z), (x, 300, z), (4.5, 5.0), 130.0, round_off=0.6)
    paint.rod((x - 3.5, top - 1.5, z), (x + 3.5, top - 1.5, z), (2.2, 2.2), 150.0)
