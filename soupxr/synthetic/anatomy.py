"""Where everything is, and how one animal differs from the next.

The world is right-handed in pixels of a picture 176 wide and 260 high: x points where the animal
looks (to the right in the side view), y points down, z points to the side camera, which stands on
the side of the reaching paw.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

__all__ = ["VIEWS", "Look", "get_look", "stream"]

#: Camera roles, left to right as they are joined.
VIEWS = ("side", "front")

#: Size of the picture in which the world is measured.
WORLD_HEIGHT, WORLD_WIDTH = 260, 176

SHOULDER = (50.0, 150.0, 20.0)
UPPER_ARM, FOREARM = 34.0, 42.0
PALM, KNUCKLES, PHALANX = 12.0, 4.6, 8.5

#: Wrist in the four places that a reach connects.
REST = (56.0, 193.0, 26.0)
AIM = (74.0, 150.0, 22.0)
TARGET = (112.0, 159.0, 12.0)
AT_MOUTH = (107.0, 145.0, 8.0)

#: Pitch of the hand (radians, downwards) in the same places.
PITCH_REST, PITCH_AIM, PITCH_TARGET, PITCH_MOUTH = 0.55, 0.0, 0.5, -1.15
#: Roll of the hand (radians): palm down, palm up.
PRONE, SUPINE = 0.45, 2.5

PELLET = (133.0, 172.0, 10.0)
PELLET_RADIUS = 5.0
BAR_HEIGHT = 213.0
JAW_HINGE, JAW_TIP = (78.0, 109.0, 0.0), (110.0, 114.5, 0.0)
#: Turn of the jaw (radians) when it is wide open.
GAPE = 0.5


@dataclass(frozen=True)
class Look:
    """What makes one animal look and move unlike another.

    Parameters
    ----------
    fur, skin, backdrop : float
        Brightness, 0 to 255, before lighting.
    build : float
        Thickness of body and limbs; 1 is average.
    light : tuple of float
        Unit vector (x, y) in the picture that points to the lamp.
    gain : float
        Brightness of the lamp.
    zoom : float
        Magnification of the cameras.
    shift : tuple of float
        Where the cameras point (x, y), in world pixels.
    speed : float
        Pace of reaches; 1 is average.
    chew_hz, lick_hz, whisk_hz, breath_hz : float
        Rhythms, in Hz.
    """

    fur: float
    skin: float
    backdrop: float
    build: float
    light: tuple[float, float]
    gain: float
    zoom: float
    shift: tuple[float, float]
    speed: float
    chew_hz: float
    lick_hz: float
    whisk_hz: float
    breath_hz: float


def stream(*keys: int | str) -> np.random.Generator:
    """Random numbers that depend on the keys alone, on every machine."""
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else key for key in keys]
    return np.random.default_rng(words)


def get_look(animal: str, session: str, difficulty: float) -> Look:
    """How an animal looks in a session: its own coat and habits, the day's lamp and cameras.

    The more difficult, the less alike are the animals: at 0 they differ by a quarter of what
    they differ by at 1.
    """
    own, day = stream("animal", animal), stream("session", animal, session)
    spread = 0.25 + 0.75 * difficulty

    def between(low: float, high: float, chance: np.random.Generator = own) -> float:
        middle, width = (low + high) / 2, spread * (high - low)
        return float(middle + width * (chance.random() - 0.5))

    coat = 90.0 + spread * (own.choice([58.0, 88.0, 140.0]) - 90.0)
    angle = between(-2.6, -0.5) + day.normal(0.0, 0.08)
    return Look(
        fur=coat * between(0.9, 1.12),
        skin=between(165.0, 200.0),
        backdrop=between(8.0, 30.0),
        build=between(0.92, 1.1),
        light=(float(np.cos(angle)), float(np.sin(angle))),
        gain=between(1.1, 1.35) * between(0.95, 1.05, day),
        zoom=between(0.96, 1.04),
        shift=(between(-4.0, 4.0, day), between(-4.0, 4.0)),
        speed=between(0.9, 1.25),
        chew_hz=between(7.5, 10.0),
        lick_hz=between(6.0, 8.0),
        whisk_hz=between(9.0, 14.0),
        breath_hz=between(2.5, 4.5),
    )
