"""Moving convex shapes in world coordinates: the only thing that is ever drawn.

World coordinates: x to the right, y up, the floor at y = 0, and the unit is the height of an
average person. A track is a float64 array whose first axis is time, one entry per frame.
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Part:
    """A convex polygon of one colour.

    Attributes:
        points: float64 (T, N, 2), the corners in world coordinates, in order round the polygon.
        colour: RGB, three integers in 0..255.
    """

    points: np.ndarray
    colour: tuple


@dataclass(frozen=True)
class Group:
    """Parts that share one outline, drawn in order; the outline goes round their union.

    Attributes:
        parts: Tuple of Part.
        outline: RGB, or None for no outline.
    """

    parts: tuple
    outline: tuple | None = None

    def backwards(self):
        """The same group with time running the other way."""
        parts = tuple(replace(part, points=part.points[::-1]) for part in self.parts)
        return replace(self, parts=parts)


def arc(first, last, num_points):
    """Points on the unit circle.

    Args:
        first: Angle of the first point, radians, anticlockwise from +x.
        last: Angle of the last point.
        num_points: How many.

    Returns:
        float64 (num_points, 2).
    """
    angles = np.linspace(first, last, num_points)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def rotate(points, angles):
    """Rotates points about the origin, by another angle in each frame.

    Args:
        points: float64 (N, 2), or (T, N, 2).
        angles: float64 (T,), radians, anticlockwise.

    Returns:
        float64 (T, N, 2).
    """
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=-1)


def place(points, positions, angles=None):
    """Moves a rigid polygon along a track.

    Args:
        points: float64 (N, 2), the polygon about its own origin.
        positions: float64 (T, 2), where the origin goes.
        angles: float64 (T,), radians, anticlockwise; None for no rotation.

    Returns:
        float64 (T, N, 2).
    """
    points = np.asarray(points, np.float64)
    if angles is not None:
        return rotate(points, angles) + positions[:, None]
    return points[None] + positions[:, None]


def still(points, num_frames):
    """A polygon that does not move.

    Args:
        points: Sequence of (x, y).
        num_frames: T.

    Returns:
        float64 (T, N, 2), a read-only view.
    """
    points = np.asarray(points, np.float64)
    return np.broadcast_to(points, (num_frames, *points.shape))


def box(left, bottom, right, top):
    """The four corners of an upright rectangle, float64 (4, 2)."""
    return np.array([(left, bottom), (right, bottom), (right, top), (left, top)], np.float64)


def disc(centres, radius, num_points=16):
    """A disc along a track.

    Args:
        centres: float64 (T, 2).
        radius: In world units.
        num_points: Corners of the polygon that stands for it.

    Returns:
        float64 (T, num_points, 2).
    """
    return place(radius * arc(0, 2 * np.pi * (1 - 1 / num_points), num_points), centres)


def capsule(start, end, start_radius, end_radius):
    """A rounded bar between two tracks: a limb.

    Args:
        start: float64 (T, 2), the centre of the round start.
        end: float64 (T, 2).
        start_radius: In world units.
        end_radius: In world units.

    Returns:
        float64 (T, 14, 2).
    """
    along = end - start
    angles = np.arctan2(along[:, 1], along[:, 0])
    end_cap = rotate(end_radius * arc(-np.pi / 2, np.pi / 2, 7), angles) + end[:, None]
    start_cap = rotate(start_radius * arc(np.pi / 2, 3 * np.pi / 2, 7), angles) + start[:, None]
    return np.concatenate([end_cap, start_cap], axis=1)


def inset(quads, left, bottom, right, top):
    """A rectangle inside a moving four-cornered panel, in the panel's own coordinates.

    Args:
        quads: float64 (T, 4, 2), corners in the order of `box`.
        left: Where it begins; 0 is the panel's first side and 1 the opposite one.
        bottom: So for the panel's other direction.
        right: Where it ends, in the measure of `left`.
        top: In the measure of `bottom`.

    Returns:
        float64 (T, 4, 2).
    """
    u, v = box(left, bottom, right, top).T
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], axis=-1)
    return np.einsum("nk,tkc->tnc", weights, quads)


def shade(colour, factor):
    """A darker (factor below 1) or lighter (above 1) RGB colour, as three integers."""
    return tuple(int(min(255, max(0, round(value * factor)))) for value in colour)
