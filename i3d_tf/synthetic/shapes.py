"""Moving convex shapes in world coordinates, of which everything is drawn.

World coordinates: x to the right, y up, the floor at y = 0, and the unit is the height of an
average person. A track is a float64 array whose first axis is time, one entry per frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from i3d_tf.synthetic.palette import Colour


@dataclass(frozen=True)
class Part:
    """A convex polygon of one colour.

    Attributes:
        points: float64 (T, N, 2), the corners in world coordinates, in order round the polygon.
        colour: Colour of its area.
    """

    points: np.ndarray
    colour: Colour


@dataclass(frozen=True)
class Group:
    """Parts with one outline around their union.

    Attributes:
        parts: Polygons in drawing order.
        outline: Colour of the outline, or None for no outline.
    """

    parts: tuple[Part, ...]
    outline: Colour | None = None

    def backwards(self) -> "Group":
        """Returns the same group with time running backwards."""
        parts = tuple(replace(part, points=part.points[::-1]) for part in self.parts)
        return replace(self, parts=parts)


def arc(first: float, last: float, num_points: int) -> np.ndarray:
    """Returns points on the unit circle.

    Args:
        first: Angle of the first point, radians, anticlockwise from +x.
        last: Angle of the last point.
        num_points: Number of points.

    Returns:
        float64 (num_points, 2).
    """
    angles = np.linspace(first, last, num_points)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def rotate(points: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotates points about the origin, by one angle a frame.

    Args:
        points: float64 (N, 2), or (T, N, 2).
        angles: float64 (T,), radians, anticlockwise.

    Returns:
        float64 (T, N, 2).
    """
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=-1)


def place(
    points: np.ndarray | Sequence, positions: np.ndarray, angles: np.ndarray | None = None
) -> np.ndarray:
    """Moves a rigid polygon along a track.

    Args:
        points: (N, 2), the polygon around its own origin.
        positions: float64 (T, 2), track of the origin.
        angles: float64 (T,), radians, anticlockwise; None for no rotation.

    Returns:
        float64 (T, N, 2).
    """
    points = np.asarray(points, np.float64)
    if angles is not None:
        return rotate(points, angles) + positions[:, None]
    return points[None] + positions[:, None]


def still(points: np.ndarray | Sequence, num_frames: int) -> np.ndarray:
    """Repeats a polygon that does not move.

    Args:
        points: (N, 2).
        num_frames: T.

    Returns:
        float64 (T, N, 2), a read-only view.
    """
    points = np.asarray(points, np.float64)
    return np.broadcast_to(points, (num_frames, *points.shape))


def box(left: float, bottom: float, right: float, top: float) -> np.ndarray:
    """Returns the four corners of an upright rectangle, float64 (4, 2)."""
    return np.array([(left, bottom), (right, bottom), (right, top), (left, top)], np.float64)


def disc(centres: np.ndarray, radius: float, num_points: int = 16) -> np.ndarray:
    """Returns a disc along a track.

    Args:
        centres: float64 (T, 2).
        radius: In world units.
        num_points: Corners of the polygon that approximates it.

    Returns:
        float64 (T, num_points, 2).
    """
    return place(radius * arc(0, 2 * np.pi * (1 - 1 / num_points), num_points), centres)


def capsule(
    start: np.ndarray, end: np.ndarray, start_radius: float, end_radius: float
) -> np.ndarray:
    """Returns a rounded bar between two tracks, such as a limb.

    Args:
        start: float64 (T, 2), centre of the round start.
        end: float64 (T, 2), centre of the round end.
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


def inset(quads: np.ndarray, left: float, bottom: float, right: float, top: float) -> np.ndarray:
    """Returns a rectangle inside a moving four-cornered panel, in the panel's own coordinates.

    Args:
        quads: float64 (T, 4, 2), corners in the order of `box`.
        left: Left side; 0 is the panel's left side and 1 its right side.
        bottom: Bottom side; 0 is the panel's bottom and 1 its top.
        right: Right side, measured like `left`.
        top: Top side, measured like `bottom`.

    Returns:
        float64 (T, 4, 2).
    """
    u, v = box(left, bottom, right, top).T
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], axis=-1)
    return np.einsum("nk,tkc->tnc", weights, quads)
