"""The six scripts: movements of the person and the things as an action goes from phase 0 to 1.

The reversed action is the same performance with its tracks reversed, so a script cannot distinguish
the members of a pair. A pose depends only on the phase at its own instant.
"""

from dataclasses import dataclass

import numpy as np

from i3d_tf.synthetic import props
from i3d_tf.synthetic.body import ANKLE, Body, Targets, pose
from i3d_tf.synthetic.curves import mix, ramp, shift, strides, through
from i3d_tf.synthetic.puppet import person
from i3d_tf.synthetic.shapes import Group


@dataclass(frozen=True)
class Performance:
    """A scripted action.

    Attributes:
        joints: Joint to its track, float64 (T, 2), world units.
        groups: Shapes in drawing order.
        centre: (x, y) of the middle of the picture.
        height: World units from the picture's bottom to its top.
    """

    joints: dict[str, np.ndarray]
    groups: tuple[Group, ...]
    centre: tuple[float, float]
    height: float

    def backwards(self) -> "Performance":
        """Returns the reversed action."""
        joints = {name: track[::-1] for name, track in self.joints.items()}
        groups = tuple(group.backwards() for group in self.groups)
        return Performance(joints, groups, self.centre, self.height)


def perform(script: str, phase: np.ndarray, body: Body, rng: np.random.Generator) -> Performance:
    """Performs a script.

    Args:
        script: A key of SCRIPTS.
        phase: float64 (T,), progress in [0, 1].
        body: The person.
        rng: Source of random numbers for the appearance of things and the style of movement.
    """
    return SCRIPTS[script](phase, body, rng)


def _point(x, y):
    return np.stack(np.broadcast_arrays(x, y), axis=-1).astype(np.float64)


def _sway(phase, rng, size):
    """Draws a small sway, so that nobody stands perfectly still."""
    turns, start = rng.uniform((1.0, 0.0), (2.5, 1.0))
    return size * np.sin(2 * np.pi * (turns * phase + start))


def _hanging(body, shoulder, swing):
    """Returns the track of a hanging hand, swung forward by an angle, (T,) or one, in radians."""
    return shoulder + body.arm * _point(np.sin(swing), -np.cos(swing))


def _standing_feet(phase, x, rng):
    apart = rng.uniform(0.03, 0.07)
    still = np.zeros_like(phase)
    return _point(x + apart + still, ANKLE), _point(x - apart + still, ANKLE)


def _sit(phase, body, rng):
    seat = (body.shank + ANKLE) * rng.uniform(0.88, 1.0)
    back = rng.uniform(0.2, 0.25)  # from the heels to the hip of the seated person
    bow = rng.uniform(0.55, 0.8)
    hip = through(
        phase,
        (0, (0, body.standing)),
        (0.45, (-0.75 * back, 0.5 * (body.standing + seat + 0.06) + 0.02)),
        (1, (-back, seat + 0.06)),
    )
    lean = through(phase, (0, 0.0), (0.5, bow), (1, rng.uniform(-0.08, 0.1)))
    lean = lean + _sway(phase, rng, 0.015)
    shoulder = body.shoulder(hip, lean)
    reaching = shoulder + through(
        phase, (0, (0.03, -body.arm)), (0.5, (0.2, -0.2)), (1, (0.2, -0.2))
    )
    knee = (0.03, body.shank + ANKLE + 0.05)
    near = mix(reaching, knee, ramp(phase, 0.5, 0.95))
    far = mix(shift(reaching, 0.05, 0.02), (0.05, knee[1]), ramp(phase, 0.5, 0.95))
    feet = _standing_feet(phase, 0.02, rng)
    joints = pose(body, Targets(hip, lean, 0.3 * lean, (near, far), feet))
    chair = props.chair(rng, len(phase), -back, seat)
    return Performance(joints, (*chair, *person(body, joints)), (-0.1, 0.5), 1.3)


def _lift(phase, body, rng):
    ahead = rng.uniform(0.25, 0.32)
    size = rng.uniform(0.075, 0.1)
    crouch = rng.uniform(0.5, 0.6) * body.standing
    hip = through(
        phase, (0, (0, body.standing)), (0.42, (-0.13, crouch)), (1, (-0.01, body.standing))
    )
    lean = through(phase, (0, 0.0), (0.42, rng.uniform(0.85, 1.05)), (1, rng.uniform(-0.1, 0.0)))
    lean = lean + _sway(phase, rng, 0.015)
    shoulder = body.shoulder(hip, lean)
    lifted = shoulder + through(phase, (0, (0.2, -0.25)), (1, (0.24, rng.uniform(-0.2, -0.1))))
    thing = mix((ahead, size), lifted, ramp(phase, 0.45, 0.95))
    grip = shift(thing, -0.5 * size, -0.3 * size)
    hands = mix(_hanging(body, shoulder, 0.12), grip, ramp(phase, 0.08, 0.42))
    feet = _standing_feet(phase, 0, rng)
    joints = pose(body, Targets(hip, lean, 0.2 * lean, (hands, shift(hands, 0.03, 0.03)), feet))
    carried = props.parcel(rng, thing, size)
    return Performance(joints, person(body, joints, carried), (0.08, 0.5), 1.3)


def _hat(phase, body, rng):
    lean = through(phase, (0, 0.04), (0.5, -0.06), (1, 0.0)) + _sway(phase, rng, 0.02)
    nod = through(phase, (0, 0.15), (0.5, 0.1), (1, 0.0))
    hip = _point(_sway(phase, rng, 0.01), body.standing)
    shoulder, head = body.shoulder(hip, lean), body.head_centre(hip, lean, nod)
    waist = shift(shoulder, rng.uniform(0.16, 0.22), rng.uniform(-0.3, -0.24))
    lifted = shift(shoulder, rng.uniform(0.2, 0.26), rng.uniform(0.12, 0.22))
    crown = shift(head, 0, 0.55 * body.head)
    hat = mix(mix(waist, lifted, ramp(phase, 0.0, 0.3)), crown, ramp(phase, 0.2, 0.52))
    tilt = rng.uniform(-1.2, -0.6) * (1 - ramp(phase, 0.05, 0.5))
    brim = 0.13 * rng.uniform(0.9, 1.15)
    grip = hat + 0.8 * brim * _point(np.cos(tilt), np.sin(tilt))
    # Down past the chest at some distance: near the shoulder, the elbow would turn too quickly.
    chest = shift(shoulder, 0.24, -0.1)
    near = mix(grip, chest, ramp(phase, 0.56, 0.78))
    near = mix(near, _hanging(body, shoulder, 0.05), ramp(phase, 0.68, 0.98))
    far = _hanging(body, shoulder, 0.1 + _sway(phase, rng, 0.1))
    joints = pose(body, Targets(hip, lean, nod, (near, far), _standing_feet(phase, 0, rng)))
    worn = props.hat(rng, hat, tilt, brim, body)
    return Performance(joints, person(body, joints, worn), (0.05, 0.58), 1.45)


def _door(phase, body, rng):
    swing = rng.uniform(1.15, 1.35) * ramp(phase, 0.2, 0.9)
    towards = bool(rng.random() < 0.5)
    handle, groups = props.door(rng, swing, towards)
    step = rng.uniform(0.22, 0.28)
    walk, lift_near = strides(phase, 1, leads=True)
    follow, lift_far = strides(phase, 1, leads=False)
    start = -rng.uniform(0.2, 0.24)
    hip = _point(start + step * ramp(phase, 0.15, 0.9), body.standing - 0.01)
    lean = through(phase, (0, 0.0), (0.4, 0.2), (1, 0.16)) + _sway(phase, rng, 0.015)
    shoulder = body.shoulder(hip, lean)
    near = mix(_hanging(body, shoulder, 0.1), handle, ramp(phase, 0.0, 0.2))
    far = _hanging(body, shoulder, -0.1 + _sway(phase, rng, 0.15))
    feet = (
        _point(start + 0.05 + step * walk, ANKLE + 0.05 * lift_near),
        _point(start - 0.05 + step * follow, ANKLE + 0.05 * lift_far),
    )
    joints = pose(body, Targets(hip, lean, 0.2 * lean, (near, far), feet))
    return Performance(joints, (*groups, *person(body, joints)), (0.05, 0.57), 1.4)


def _ladder(phase, body, rng):
    spacing, rungs = 0.16, 3
    slope = rng.uniform(0.08, 0.2)  # lean of the ladder per unit of height
    gap = 0.24  # from the ladder to the hip
    walk, lift_near = strides(phase, rungs, leads=True)
    follow, lift_far = strides(phase, rungs, leads=False)

    def on_ladder(height, away):
        return _point(gap + slope * height - away, height)

    climbed = spacing * (0.5 * (walk + follow) + 1)
    hip = on_ladder(climbed + 0.93 * body.standing, gap) + _point(0.012 * (lift_near - lift_far), 0)
    lean = 0.1 + slope + _sway(phase, rng, 0.02)
    grips = 6 if body.shoulder(hip, lean)[0, 1] < 6.2 * spacing else 7
    feet = (
        on_ladder(spacing * (1 + walk), 0.03 + 0.08 * lift_near),
        on_ladder(spacing * (1 + follow), 0.03 + 0.08 * lift_far),
    )
    # Each hand moves with the opposite foot.
    hands = (
        on_ladder(spacing * (grips + follow), 0.02 + 0.08 * lift_far),
        on_ladder(spacing * (grips + walk), 0.02 + 0.08 * lift_near),
    )
    joints = pose(body, Targets(hip, lean, -0.15 + 0 * phase, hands, feet))
    groups = props.ladder(rng, len(phase), gap, slope, spacing)
    return Performance(joints, (*groups, *person(body, joints)), (0.16, 0.86), 1.85)


def _crate(phase, body, rng):
    travel = rng.uniform(0.5, 0.62)
    count = int(rng.integers(2, 4))
    width, height = rng.uniform((0.34, 0.4), (0.46, 0.52))
    walk, lift_near = strides(phase, count, leads=True)
    follow, lift_far = strides(phase, count, leads=False)
    start = -0.57
    moved = travel * 0.5 * (walk + follow) / count
    hip = _point(start + moved, 0.955 * body.standing)
    lean = rng.uniform(0.16, 0.3) + _sway(phase, rng, 0.02)
    reach = rng.uniform(0.36, 0.42)
    edge = start + reach + moved
    hands = _point(edge, height * 0.95)
    feet = (
        _point(start + travel * walk / count, ANKLE + 0.06 * lift_near),
        _point(start - 0.06 + travel * follow / count, ANKLE + 0.06 * lift_far),
    )
    joints = pose(body, Targets(hip, lean, 0 * phase, (hands, shift(hands, 0.02, 0.03)), feet))
    crate = props.crate(rng, edge + 0.02, width, height)
    return Performance(joints, person(body, joints, crate), (0.02, 0.55), 1.6)


def stroll(phase: np.ndarray, body: Body, rng: np.random.Generator) -> Performance:
    """Walks through the picture: no action of the dataset. See `perform`."""
    count = int(rng.integers(3, 5))
    way = 1.7
    walk, lift_near = strides(phase, count, leads=True)
    follow, lift_far = strides(phase, count, leads=False)
    start = -0.5 * way
    hip = _point(start + way * 0.5 * (walk + follow) / count, 0.965 * body.standing)
    lean = rng.uniform(0.0, 0.1) + _sway(phase, rng, 0.02)
    shoulder = body.shoulder(hip, lean)
    # An arm swings with the leg of the other side.
    swing = rng.uniform(0.5, 0.9) * (walk - follow - 0.25)
    hands = (_hanging(body, shoulder, -swing), _hanging(body, shoulder, swing))
    feet = (
        _point(start + 0.1 + way * walk / count, ANKLE + 0.06 * lift_near),
        _point(start - 0.1 + way * follow / count, ANKLE + 0.06 * lift_far),
    )
    joints = pose(body, Targets(hip, lean, 0 * phase, hands, feet))
    return Performance(joints, person(body, joints), (0.0, 0.52), 1.45)


SCRIPTS = {
    "sit": _sit,
    "door": _door,
    "lift": _lift,
    "ladder": _ladder,
    "hat": _hat,
    "crate": _crate,
}
