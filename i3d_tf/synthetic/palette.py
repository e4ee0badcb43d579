"""Random colours: vivid for people and things, muted for what is behind them."""

from colorsys import hsv_to_rgb

import numpy as np

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


def colour(hue, saturation, value):
    """RGB, three integers in 0..255, of a hue in turns, a saturation and a value in [0, 1]."""
    return tuple(round(255 * channel) for channel in hsv_to_rgb(hue, saturation, value))


def vivid(rng):
    """Draws a colour for clothes and things."""
    return colour(rng.random(), rng.uniform(0.45, 1.0), rng.uniform(0.35, 1.0))


def muted(rng):
    """Draws a colour for walls and floors."""
    return colour(rng.random(), rng.uniform(0.05, 0.4), rng.uniform(0.3, 0.95))


def contrasting(rng, against):
    """Draws a vivid colour that stands out.

    Args:
        rng: numpy.random.Generator.
        against: Sequence of RGB colours.

    Returns:
        The first of some candidates at least DISTINCT away from all of them, or else the farthest.
    """
    candidates = [vivid(rng) for _ in range(CANDIDATES)]
    gaps = np.array(candidates, np.float64)[:, None] - np.array(against, np.float64)[None]
    nearest = np.sqrt((gaps**2).sum(axis=-1)).min(axis=-1)
    distinct = np.flatnonzero(nearest >= DISTINCT)
    return candidates[distinct[0] if len(distinct) else int(nearest.argmax())]


def shade_towards(rgb, other, share):
    """Goes from one RGB colour towards another by a share in [0, 1]; three integers."""
    return tuple(round((1 - share) * a + share * b) for a, b in zip(rgb, other, strict=True))
