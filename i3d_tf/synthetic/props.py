"""The things that people handle, of random appearance."""

import numpy as np

from i3d_tf.synthetic.body import Body
from i3d_tf.synthetic.curves import shift
from i3d_tf.synthetic.palette import contrasting, shade, vivid
from i3d_tf.synthetic.puppet import OUTLINE
from i3d_tf.synthetic.shapes import Group, Part, box, capsule, disc, inset, place, still

DOORWAY = (-0.02, 0.0, 0.46, 1.08)  # left, bottom, right, top
DOOR_FRAME = 0.05  # width


def chair(rng: np.random.Generator, num_frames: int, x: float, seat: float) -> tuple[Group]:
    """Draws a chair from the side; its seat has its middle at `x` and its top at height `seat`."""
    colour = vivid(rng)
    half, thick = rng.uniform(0.11, 0.14), 0.03
    back = rng.uniform(0.25, 0.42) if rng.random() < 0.7 else 0.0  # a stool has no back
    rectangles = [
        (x - half, 0, x - half + thick, seat),
        (x + half - thick, 0, x + half, seat),
        (x - half, seat - 0.045, x + half, seat),
    ]
    if back:
        rectangles.append((x - half - 0.01, seat, x - half + 0.025, seat + back))
    parts = tuple(Part(still(box(*corners), num_frames), colour) for corners in rectangles)
    return (Group(parts, OUTLINE),)


def parcel(rng: np.random.Generator, centre: np.ndarray, size: float) -> tuple[Group]:
    """Draws a box, a ball or a bag of half size `size`, along the track of its centre."""
    colour = vivid(rng)
    band = Part(
        place(box(-size, -0.2 * size, size, 0.2 * size), centre), contrasting(rng, (colour,))
    )
    kind = rng.integers(3)
    if kind == 0:
        parts = (Part(place(box(-size, -size, size, size), centre), colour), band)
    elif kind == 1:
        parts = (Part(disc(centre, size), colour), band)
    else:
        bag = [(-size, -size), (size, -size), (0.6 * size, size), (-0.6 * size, size)]
        parts = (Part(place(bag, centre), colour), band)
    return (Group(parts, OUTLINE),)


def hat(
    rng: np.random.Generator, centre: np.ndarray, angle: np.ndarray, brim: float, body: Body
) -> tuple[Group]:
    """Draws a hat along a track, rotated by `angle` (T,); its brim has the half width `brim`."""
    colour = contrasting(rng, (body.skin, body.hair, body.shirt))
    ribbon = contrasting(rng, (colour,))
    foot, top, height = 0.62 * brim, rng.uniform(0.1, 0.62) * brim, rng.uniform(0.8, 1.25) * brim
    crown = [(-foot, 0), (foot, 0), (top, height), (-top, height)]
    parts = (
        Part(place(crown, centre, angle), colour),
        Part(place(box(-foot, 0, foot, 0.25 * height), centre, angle), ribbon),
        Part(place(box(-brim, -0.16 * brim, brim, 0.1 * brim), centre, angle), colour),
    )
    return (Group(parts, OUTLINE),)


def door(
    rng: np.random.Generator, swing: np.ndarray, towards: bool
) -> tuple[np.ndarray, tuple[Group, Group]]:
    """Draws a door in a wall that is seen from the front; hinges on the right, handle on the left.

    Args:
        rng: Source of random numbers.
        swing: float64 (T,), radians from closed.
        towards: True opens it towards the viewer, False into the room behind.

    Returns:
        The handle's track, float64 (T, 2), and two groups: the doorway, and the leaf.
    """
    leaf = _door_leaf(swing, towards)
    handle = inset(leaf, 0.88, 0.5, 0.88, 0.5)[:, 0]
    colour, trim = vivid(rng), vivid(rng)
    field = shade(colour, 0.75)
    left, bottom, right, top = DOORWAY
    frame = box(left - DOOR_FRAME, bottom, right + DOOR_FRAME, top + DOOR_FRAME)
    return handle, (
        Group(
            (
                Part(still(frame, len(swing)), trim),
                Part(still(box(*DOORWAY), len(swing)), vivid(rng)),
            ),
            OUTLINE,
        ),
        Group(
            (
                Part(leaf, colour),
                Part(inset(leaf, 0.15, 0.08, 0.8, 0.4), field),
                Part(inset(leaf, 0.15, 0.52, 0.8, 0.92), field),
                Part(disc(handle, 0.03, 10), contrasting(rng, (colour,))),
            ),
            OUTLINE,
        ),
    )


def _door_leaf(swing, towards):
    """Returns the corners of a swinging leaf in perspective, float64 (T, 4, 2)."""
    left, _, right, top = DOORWAY
    bottom, eye = 0.02, 0.6
    # A pinhole camera 1.5 door widths away: the free edge grows as it comes nearer.
    depth = np.sin(swing) * (-1 if towards else 1)
    scale = 1 / (1 + depth / 2.6)
    free = right - (right - left) * np.cos(swing) * scale
    hinge = np.full_like(free, right)

    def corner(x, y, scales):
        return np.stack([x, eye + (y - eye) * scales], axis=-1)

    ones = np.ones_like(free)
    return np.stack(
        [
            corner(hinge, bottom, ones),
            corner(free, bottom, scale),
            corner(free, top, scale),
            corner(hinge, top, ones),
        ],
        axis=1,
    )


def ladder(
    rng: np.random.Generator, num_frames: int, x: float, slope: float, spacing: float
) -> tuple[Group]:
    """Draws a ladder at an angle; its near rail starts at `x` and leans by `slope`."""
    colour = vivid(rng)
    top, breadth = 1.72, 0.13
    parts = []
    for height in np.arange(spacing, top, spacing):
        start = np.array([[x + slope * height, height]])
        parts.append(capsule(start, shift(start, breadth, 0.02), 0.013, 0.013)[0])
    for offset in (breadth, 0.0):
        foot = np.array([[x + offset, 0.0]])
        parts.append(capsule(foot, shift(foot, slope * top, top), 0.019, 0.019)[0])
    return (Group(tuple(Part(still(part, num_frames), colour) for part in parts), OUTLINE),)


def crate(
    rng: np.random.Generator, left: np.ndarray, width: float, height: float
) -> tuple[Group, ...]:
    """Draws a crate of planks on the floor; `left` is the track (T,) of its left side."""
    colour = vivid(rng)
    dark = shade(colour, 0.7)
    base = 0.0
    wheels = ()
    if rng.random() < 0.5:
        base = 0.07
        rim = vivid(rng)
        wheels = tuple(_wheel(left + share * width, 0.04, rim) for share in (0.2, 0.8))
    corner = np.stack([left, np.full_like(left, base)], axis=-1)
    height = height - base
    parts = [Part(place(box(0, 0, width, height), corner), colour)]
    for low in (0.3, 0.63):
        plank = box(0, low * height, width, (low + 0.07) * height)
        parts.append(Part(place(plank, corner), dark))
    for side in (0.0, 0.86):
        post = box(side * width, 0, (side + 0.14) * width, height)
        parts.append(Part(place(post, corner), dark))
    return (*wheels, Group(tuple(parts), OUTLINE))


def _wheel(x, radius, colour):
    """Draws a wheel that rolls along its axle's track `x` (T,)."""
    axle = np.stack([x, np.full_like(x, radius)], axis=-1)
    spoke = 0.9 * box(-radius, -0.2 * radius, radius, 0.2 * radius)
    return Group(
        (
            Part(disc(axle, radius, 12), shade(colour, 0.5)),
            Part(place(spoke, axle, -x / radius), colour),
        ),
        OUTLINE,
    )
