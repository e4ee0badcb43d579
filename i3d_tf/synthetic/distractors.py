"""Things and people that move beside the action, independent of it."""

import numpy as np

from i3d_tf.synthetic.body import ANKLE, Targets, pose, random_body
from i3d_tf.synthetic.curves import shift
from i3d_tf.synthetic.palette import Colour, shade_towards, vivid
from i3d_tf.synthetic.puppet import person
from i3d_tf.synthetic.shapes import Group, Part, box, disc, place

HAZE = 0.35  # share of the wall's colour in things that are far away
MAX_BEHIND = 3  # distractors behind the action


def random_distractors(
    rng: np.random.Generator, num_frames: int, horizon: float, haze: Colour
) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """Draws distractors.

    Args:
        rng: Source of random numbers.
        num_frames: T.
        horizon: Height of the floor's far edge, world units.
        haze: Colour of the wall.

    Returns:
        The groups behind the performance, and those in front of it.
    """
    time = np.linspace(-1, 1, num_frames)
    behind = []
    for _ in range(rng.integers(1, MAX_BEHIND + 1)):
        kind = (_bystander, _balloon, _cart, _flapper)[rng.integers(4)]
        behind.extend(_hazy(kind(rng, time, horizon), haze))
    before = tuple(_ball(rng, time)) if rng.random() < 0.4 else ()
    return tuple(behind), before


def _hazy(groups, haze):
    for group in groups:
        parts = [Part(part.points, shade_towards(part.colour, haze, HAZE)) for part in group.parts]
        yield Group(tuple(parts), shade_towards(group.outline, haze, 0.5))


def _path(rng, time, x, y, speed):
    """Draws a straight track through a random point at the middle of the clip."""
    middle = rng.uniform((x[0], y[0]), (x[1], y[1]))
    return middle + time[:, None] * rng.uniform(-1, 1, size=2) * speed


def _bystander(rng, time, horizon):
    """Draws a person farther away who sways and swings the arms."""
    body = random_body(rng, (128, 128, 128))
    turns, start = rng.uniform(0.5, 2.0, size=3), rng.uniform(0, 1, size=3)
    waves = np.sin(2 * np.pi * (time[:, None] * turns / 2 + start)).T
    hip = np.stack([0.03 * waves[0], np.full_like(time, body.standing)], axis=-1)
    lean = 0.06 * waves[0]
    shoulder = body.shoulder(hip, lean)
    raised = rng.uniform(0, 2.0, size=2)
    size = rng.uniform(0.1, 0.7, size=2)
    hands = []
    for arm in range(2):
        angle = raised[arm] + size[arm] * waves[arm + 1]
        hands.append(shoulder + body.arm * np.stack([np.sin(angle), -np.cos(angle)], axis=-1))
    feet = [np.stack([x + 0 * time, ANKLE + 0 * time], axis=-1) for x in (0.05, -0.05)]
    joints = pose(body, Targets(hip, lean, 0 * time, tuple(hands), tuple(feet)))
    scale = rng.uniform(0.4, 0.6) * np.array([rng.choice((-1, 1)), 1])
    at = np.array([rng.choice((-1, 1)) * rng.uniform(0.25, 0.7), horizon * rng.uniform(0.6, 1.0)])
    for group in person(body, joints):
        parts = [Part(at + scale * part.points, part.colour) for part in group.parts]
        yield Group(tuple(parts), group.outline)


def _balloon(rng, time, _):
    centre = _path(rng, time, (-0.7, 0.7), (0.7, 1.15), (0.3, 0.12))
    radius = rng.uniform(0.05, 0.09)
    string = place(box(-0.006, -0.28, 0.006, 0), centre)
    colour = vivid(rng)
    yield Group((Part(string, (60, 60, 60)), Part(disc(centre, radius), colour)), (60, 60, 60))


def _cart(rng, time, horizon):
    centre = _path(rng, time, (-0.7, 0.7), (horizon + 0.07, horizon + 0.07), (0.5, 0.0))
    half, tall = rng.uniform(0.08, 0.16), rng.uniform(0.05, 0.14)
    body = place(box(-half, -0.03, half, tall), centre)
    wheels = [disc(shift(centre, side * 0.6 * half, -0.04), 0.032, 10) for side in (-1, 1)]
    parts = (Part(body, vivid(rng)), *(Part(wheel, (50, 50, 50)) for wheel in wheels))
    yield Group(parts, (30, 30, 30))


def _flapper(rng, time, _):
    """Draws a bird: two beating triangles."""
    centre = _path(rng, time, (-0.6, 0.6), (0.75, 1.15), (0.6, 0.15))
    turns, start, span = rng.uniform((3, 0, 0.08), (6, 1, 0.14))
    beat = np.sin(2 * np.pi * (turns * time / 2 + start))
    colour = vivid(rng)
    parts = []
    for side in (-1, 1):
        wing = np.array([(-0.02, 0.0), (0.02, 0.0), (side * span, 0.02)])
        parts.append(Part(place(wing, centre, 0.6 * side * beat), colour))
    yield Group(tuple(parts), (30, 30, 30))


def _ball(rng, time):
    """Draws a ball that rolls past in front, so low that it hides only feet."""
    centre = _path(rng, time, (-0.5, 0.5), (-0.06, -0.02), (0.9, 0.0))
    radius = rng.uniform(0.035, 0.06)
    stripe = place(
        box(-radius, -0.25 * radius, radius, 0.25 * radius), centre, -centre[:, 0] / radius
    )
    yield Group((Part(disc(centre, radius), vivid(rng)), Part(stripe, vivid(rng))), (30, 30, 30))
