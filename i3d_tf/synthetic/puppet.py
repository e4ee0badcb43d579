"""The shapes of a person, from a body and its joints."""

import numpy as np

from i3d_tf.synthetic.body import Body
from i3d_tf.synthetic.palette import shade
from i3d_tf.synthetic.shapes import Group, Part, arc, capsule, disc, inset, place

OUTLINE = (25, 25, 30)
FAR_SHADE = 0.68  # limbs on the far side are darker

# Radii in world units at girth 1: (at the body's end, at the other end).
THIGH = (0.058, 0.045)
SHANK = (0.043, 0.032)
FOOT = (0.03, 0.025)
UPPER_ARM = (0.041, 0.034)
FOREARM = (0.033, 0.026)
HAND = 0.034
NECK = 0.032


def person(
    body: Body, joints: dict[str, np.ndarray], held: tuple[Group, ...] = ()
) -> tuple[Group, ...]:
    """Returns the shapes of a person in profile, facing +x.

    Args:
        body: Proportions and colours.
        joints: Tracks of the joints, see `pose`.
        held: Shapes of the thing in the near hand, drawn between the body and the near arm.

    Returns:
        Groups in drawing order, from the far side to the near one.
    """
    far = (_arm(body, joints, "far", FAR_SHADE), _leg(body, joints, "far", FAR_SHADE))
    near = _arm(body, joints, "near", 1.0)
    return (
        *far,
        _leg(body, joints, "near", 1.0),
        _torso(body, joints),
        _head(body, joints),
        *held,
        near,
    )


def _limb(joints, first, second, radii, girth, colour):
    return Part(capsule(joints[first], joints[second], *(girth * r for r in radii)), colour)


def _leg(body, joints, side, light):
    trousers = shade(body.trousers, light)
    shank = shade(body.skin if body.shorts else body.trousers, light)
    hip, knee, ankle, toe = "hip", f"knee_{side}", f"ankle_{side}", f"toe_{side}"
    return Group(
        (
            _limb(joints, knee, ankle, SHANK, body.girth, shank),
            _limb(joints, hip, knee, THIGH, body.girth, trousers),
            _limb(joints, ankle, toe, FOOT, body.girth, shade(body.shoes, light)),
        ),
        OUTLINE,
    )


def _arm(body, joints, side, light):
    # A little lighter than the shirt, so that the arm shows in front of it.
    sleeve = shade(body.shirt, 1.15 * light)
    forearm = sleeve if body.sleeves else shade(body.skin, light)
    shoulder, elbow, hand = "shoulder", f"elbow_{side}", f"hand_{side}"
    return Group(
        (
            _limb(joints, elbow, hand, FOREARM, body.girth, forearm),
            _limb(joints, shoulder, elbow, UPPER_ARM, body.girth, sleeve),
            Part(disc(joints[hand], HAND, 10), shade(body.skin, light)),
        ),
        OUTLINE,
    )


def _torso(body, joints):
    hip, shoulder = joints["hip"], joints["shoulder"]
    parts = [
        Part(capsule(shoulder, joints["head"], NECK, NECK), body.skin),
        Part(capsule(hip, shoulder, 0.07 * body.girth, 0.072 * body.girth), body.shirt),
    ]
    if body.stripes is not None:
        along = shoulder - hip
        across = 0.066 * body.girth / body.torso * np.stack([along[:, 1], -along[:, 0]], axis=-1)
        panel = np.stack([hip - across, hip + across, shoulder + across, shoulder - across], axis=1)
        for bottom in (0.15, 0.45, 0.75):
            parts.append(Part(inset(panel, 0, bottom, 1, bottom + 0.14), body.stripes))
    return Group(tuple(parts), OUTLINE)


def _head(body, joints):
    centre, radius = joints["head"], body.head
    neck = centre - joints["shoulder"]
    tilt = np.arctan2(neck[:, 1], neck[:, 0]) - np.pi / 2

    def feature(x, y, size):
        return place(radius * (size * arc(0, 2 * np.pi * 7 / 8, 8) + (x, y)), centre, tilt)

    hair = place(1.1 * radius * arc(np.radians(50), np.radians(235), 14), centre, tilt)
    return Group(
        (
            Part(disc(centre, radius), body.skin),
            Part(feature(1.02, -0.12, 0.24), body.skin),
            Part(hair, body.hair),
            Part(feature(0.5, 0.1, 0.17), OUTLINE),
        ),
        OUTLINE,
    )
