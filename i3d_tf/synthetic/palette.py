"""Random colours: vivid for people and things, muted for walls and floors."""

from collections.abc import Sequence
from colorsys import hsv_to_rgb

import numpy as np

Colour = tuple[int, int, int]  # RGB, 0..255

SKIN = (
    (255, 220, 185),
    (241, 194, 150),
    (214, 160, 115),
    (172, 116, 75),
    (122, 80, 52),
    (85, 56, 38),
)
HAIR = ((35, 25, 20), (90, 55, 30), (150, 95, 45), (225, 190, 110), (150, 150, 150), (170, 60, 30))

DISTINCT = 130.0  # Euclidean distance in RGB, 0..441, from which two colours are told apart easily
CANDIDATES = 24


def colour(hue: float, saturation: float, value: float) -> Colour:
    """Returns the RGB colour of a hue in turns, a saturation and a value in [0, 1]."""
    red, green, blue = (round(255 * channel) for channel in hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def vivid(rng: np.random.Generator) -> Colour:
    """Draws a colour for clothes and things."""
    return colour(rng.random(), rng.uniform(0.45, 1.0), rng.uniform(0.35, 1.0))


def muted(rng: np.random.Generator) -> Colour:
    """Draws a colour for walls and floors."""
    return colour(rng.random(), rng.uniform(0.05, 0.4), rng.uniform(0.3, 0.95))


def contrasting(rng: np.random.Generator, against: Sequence[Colour]) -> Colour:
    """Draws a vivid colour at least DISTINCT away from other colours.

    Args:
        rng: Source of random numbers.
        against: The other colours.

    Returns:
        The first of some candidates that is distinct, or else the farthest of them.
    """
    candidates = [vivid(rng) for _ in range(CANDIDATES)]
    gaps = np.array(candidates, np.float64)[:, None] - np.array(against, np.float64)[None]
    nearest = np.sqrt((gaps**2).sum(axis=-1)).min(axis=-1)
    distinct = np.flatnonzero(nearest >= DISTINCT)
    return candidates[distinct[0] if len(distinct) else int(nearest.argmax())]


def shade(rgb: Colour, factor: float) -> Colour:
    """Returns a darker (factor below 1) or lighter (above 1) colour."""
    red, green, blue = (int(min(255, max(0, round(value * factor)))) for value in rgb)
    return red, green, blue


def shade_towards(rgb: Colour, other: Colour, share: float) -> Colour:
    """Mixes a share in [0, 1] of another colour into a colour."""
    channels = zip(rgb, other, strict=True)
    red, green, blue = (round((1 - share) * a + share * b) for a, b in channels)
    return red, green, blue
