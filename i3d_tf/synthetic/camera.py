"""A drifting camera: pan, zoom and a little shake, independent of the action."""

from dataclasses import dataclass

import numpy as np

PAN = (0.07, 0.04)  # world units from the middle of the clip to its end, at most, in x and y
ZOOM = 0.08  # natural logarithm of the magnification from the middle to the end, at most
DISTANCE = (-0.04, 0.1)  # natural logarithm of the magnification at the middle of the clip
SHAKE = 0.006  # world units


@dataclass(frozen=True)
class Camera:
    """Position and scale of the picture in the world.

    Attributes:
        centre: float64 (T, 2), world coordinates of the picture's middle.
        scale: float64 (T,), pixels per world unit.
        mirror: +1, or -1 for the mirror image.
        size: Pixels, the side of the picture.
    """

    centre: np.ndarray
    scale: np.ndarray
    mirror: int
    size: int

    def project(self, points: np.ndarray) -> np.ndarray:
        """Converts world coordinates to pixels.

        Args:
            points: float64 (T, N, 2), x and y, y upwards.

        Returns:
            float64 (T, N, 2), x and y in pixels, y downwards; a pixel's centre is a whole number.
        """
        direction = np.array([self.mirror, -1.0])
        offset = (points - self.centre[:, None]) * direction * self.scale[:, None, None]
        return offset + (self.size - 1) / 2


def random_drift(rng: np.random.Generator, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws a camera's movement.

    Args:
        rng: Source of random numbers.
        num_frames: T.

    Returns:
        pan, float64 (T, 2) in world units, and the logarithm of the magnification, float64 (T,).
    """
    time = np.linspace(-1, 1, num_frames)
    pan = time[:, None] * rng.uniform(-1, 1, size=2) * PAN
    turns, start = rng.uniform((1.5, 1.5), (4, 4)), rng.uniform(0, 1, size=2)
    pan = pan + SHAKE * np.sin(2 * np.pi * (time[:, None] * turns / 2 + start))
    return pan, rng.uniform(*DISTANCE) + time * rng.uniform(-ZOOM, ZOOM)
