"""Random textures for walls and floors."""

import cv2
import numpy as np

from i3d_tf.synthetic.palette import Colour

GRAIN = 0.12  # share of fine noise in every pattern


def smooth_noise(rng: np.random.Generator, side: int, cells: int) -> np.ndarray:
    """Draws random values on a coarse grid and interpolates them.

    Args:
        rng: Source of random numbers.
        side: Pixels.
        cells: Grid points per side.

    Returns:
        float32 (side, side), about 0..1.
    """
    grid = rng.random((cells, cells), np.float32)
    return cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)


def _clouds(rng, side):
    levels = (4, 9, 20)
    return sum(smooth_noise(rng, side, cells) / 2**k for k, cells in enumerate(levels)) / 1.75


def _stripes(rng, side):
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    angle, count, bend = rng.uniform((0, 6, 0), (np.pi, 16, 0.15))
    across = x * np.cos(angle) + y * np.sin(angle) + bend * smooth_noise(rng, side, 4)
    return 0.5 + 0.5 * np.clip(3 * np.sin(2 * np.pi * count * across), -1, 1)


def _bricks(rng, side):
    y, x = np.mgrid[:side, :side].astype(np.float32)
    width = side / rng.uniform(7, 16)
    height = width * rng.uniform(0.4, 1.0)
    row = np.floor(y / height)
    column = np.floor(x / width + 0.5 * (row % 2))
    tone = rng.random(4096, np.float32)[(row * 61 + column * 17).astype(int) % 4096]
    mortar = (y / height - row < 0.12) | (x / width + 0.5 * (row % 2) - column < 0.08)
    return np.where(mortar, 0.0, 0.4 + 0.6 * tone)


def _tiles(rng, side):
    y, x = np.mgrid[:side, :side].astype(np.float32)
    width = side / rng.uniform(8, 18)
    return ((np.floor(x / width) + np.floor(y / width)) % 2) * rng.uniform(0.5, 1.0)


def _shards(rng, side):
    picture = np.full((side, side), 0.5, np.float32)
    for _ in range(40):
        middle = rng.uniform(0, side, size=2)
        corners = middle + rng.normal(0, side / 10, size=(3, 2))
        cv2.fillConvexPoly(picture, np.rint(corners).astype(np.int32), rng.random(), cv2.LINE_AA)
    return picture


def _dots(rng, side):
    picture = np.zeros((side, side), np.float32)
    for centre, radius in zip(
        rng.uniform(0, side, size=(90, 2)), rng.uniform(0.008, 0.05, size=90), strict=True
    ):
        x, y = (int(value) for value in centre)
        cv2.circle(picture, (x, y), max(1, int(radius * side)), rng.random(), cv2.FILLED)
    return picture


PATTERNS = (_clouds, _stripes, _bricks, _tiles, _shards, _dots)


def random_texture(
    rng: np.random.Generator, side: int, colours: tuple[Colour, Colour], squeeze: int = 1
) -> np.ndarray:
    """Draws a texture.

    Args:
        rng: Source of random numbers.
        side: Pixels.
        colours: The two colours between which it varies.
        squeeze: Vertical compression of the pattern, an integer, like a floor's by perspective.

    Returns:
        uint8 (side, side, 3).
    """
    pattern = PATTERNS[rng.integers(len(PATTERNS))](rng, side)
    if squeeze > 1:
        pattern = np.tile(pattern[::squeeze], (squeeze, 1))[:side]
    grain = rng.random((side, side), np.float32) - 0.5 + smooth_noise(rng, side, side // 6) - 0.5
    share = np.clip(pattern + GRAIN * grain, 0, 1)[..., None].astype(np.float32)
    first, second = np.asarray(colours, np.float32)
    return np.rint(first + share * (second - first)).astype(np.uint8)
