"""A stick person: proportions, colours, and joints that follow hands and feet."""

from dataclasses import dataclass

import numpy as np

from i3d_tf.synthetic.palette import HAIR, SKIN, Colour, contrasting, vivid

ANKLE = 0.035  # height of the ankle above the sole, in world units


@dataclass(frozen=True)
class Body:
    """Proportions in world units (heights of an average person) and colours.

    Attributes:
        thigh: Hip to knee.
        shank: Knee to ankle.
        torso: Hip to shoulder.
        neck: Shoulder to the centre of the head.
        head: Radius of the head.
        upper_arm: Shoulder to elbow.
        forearm: Elbow to hand.
        foot: Ankle to toe.
        girth: Factor on the thickness of everything.
        skin: Colour.
        hair: Colour.
        shirt: Colour.
        trousers: Colour.
        shoes: Colour.
        stripes: Colour of the bands on the shirt, or None.
        sleeves: True for long sleeves.
        shorts: True for bare shanks.
    """

    thigh: float
    shank: float
    torso: float
    neck: float
    head: float
    upper_arm: float
    forearm: float
    foot: float
    girth: float
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    stripes: Colour | None
    sleeves: bool
    shorts: bool

    @property
    def standing(self) -> float:
        """Height of the hip of a person who stands with knees a little bent."""
        return 0.985 * (self.thigh + self.shank) + ANKLE

    @property
    def arm(self) -> float:
        """Length of the hanging arm."""
        return 0.985 * (self.upper_arm + self.forearm)

    def shoulder(self, hip: np.ndarray, lean: np.ndarray) -> np.ndarray:
        """Returns the shoulder's track, from the hip's (T, 2) and the torso's lean (T,)."""
        return hip + self.torso * np.stack([np.sin(lean), np.cos(lean)], axis=-1)

    def head_centre(self, hip: np.ndarray, lean: np.ndarray, nod: np.ndarray) -> np.ndarray:
        """Returns the head's track; the neck leans half as far as the torso, plus `nod` (T,)."""
        angle = 0.5 * lean + nod
        return self.shoulder(hip, lean) + self.neck * np.stack(
            [np.sin(angle), np.cos(angle)], axis=-1
        )


@dataclass(frozen=True)
class Targets:
    """Tracks that determine the whole pose. The person faces +x.

    Attributes:
        hip: float64 (T, 2).
        lean: float64 (T,), forward lean of the torso, radians.
        nod: float64 (T,), forward bend of the head, radians.
        hands: Two float64 (T, 2): the hand nearer to the viewer, and the other.
        feet: Two float64 (T, 2): the ankles, in the same order.
    """

    hip: np.ndarray
    lean: np.ndarray
    nod: np.ndarray
    hands: tuple[np.ndarray, np.ndarray]
    feet: tuple[np.ndarray, np.ndarray]


def random_body(rng: np.random.Generator, against: Colour) -> Body:
    """Draws a person.

    Args:
        rng: Source of random numbers.
        against: Colour of the background, with which the clothes contrast.
    """
    leg, trunk, arm = rng.uniform((0.93, 0.93, 0.95), (1.07, 1.07, 1.08))
    shirt = contrasting(rng, (against,))
    trousers = contrasting(rng, (against, shirt))
    return Body(
        thigh=0.24 * leg,
        shank=0.24 * leg,
        torso=0.28 * trunk,
        neck=0.135 * trunk,
        head=0.078 * rng.uniform(0.9, 1.2),
        upper_arm=0.17 * arm,
        forearm=0.17 * arm,
        foot=0.085 * rng.uniform(0.9, 1.2),
        girth=rng.uniform(0.8, 1.3),
        skin=SKIN[rng.integers(len(SKIN))],
        hair=HAIR[rng.integers(len(HAIR))],
        shirt=shirt,
        trousers=trousers,
        shoes=vivid(rng),
        stripes=contrasting(rng, (shirt,)) if rng.random() < 0.5 else None,
        sleeves=bool(rng.random() < 0.5),
        shorts=bool(rng.random() < 0.3),
    )


def two_bone(
    root: np.ndarray, target: np.ndarray, first: float, second: float, bend: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bends a limb of two bones so that its end reaches a target.

    Args:
        root: float64 (T, 2), shoulder or hip.
        target: float64 (T, 2); the limb points at a target that is out of reach.
        first: Length of the bone at the root.
        second: Length of the other bone.
        bend: Side of the joint, seen along the line to the target: +1 is left, -1 right.

    Returns:
        Two float64 (T, 2): the joint between the bones, and the limb's end.
    """
    reach = target - root
    length = np.hypot(reach[:, 0], reach[:, 1])
    # A thousandth short of straight and of folded, where the joint's side is still defined.
    distance = np.clip(length, abs(first - second) + 1e-3, (first + second) * 0.999)
    direction = np.arctan2(reach[:, 1], reach[:, 0])
    cosine = (first**2 + distance**2 - second**2) / (2 * first * distance)
    angle = direction + bend * np.arccos(np.clip(cosine, -1, 1))
    joint = root + first * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    end = root + distance[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    return joint, end


def pose(body: Body, targets: Targets) -> dict[str, np.ndarray]:
    """Solves the whole skeleton.

    Returns:
        Joint to its track, float64 (T, 2) in world units. The names are hip, shoulder, head, and
        with the suffixes _near and _far elbow, hand, knee, ankle and toe.
    """
    shoulder = body.shoulder(targets.hip, targets.lean)
    joints = {
        "hip": targets.hip,
        "shoulder": shoulder,
        "head": body.head_centre(targets.hip, targets.lean, targets.nod),
    }
    for side, grip, step in zip(("near", "far"), targets.hands, targets.feet, strict=True):
        elbow, hand = two_bone(shoulder, grip, body.upper_arm, body.forearm, bend=-1)
        knee, ankle = two_bone(targets.hip, step, body.thigh, body.shank, bend=+1)
        joints[f"elbow_{side}"], joints[f"hand_{side}"] = elbow, hand
        joints[f"knee_{side}"], joints[f"ankle_{side}"] = knee, ankle
        joints[f"toe_{side}"] = ankle + np.array([body.foot, 0.02 - ANKLE])
    return joints
