"""A stick person: proportions, clothes, and the joints that reach given hands and feet."""

from dataclasses import dataclass

import numpy as np

from i3d_tf.synthetic.palette import HAIR, SKIN, contrasting, vivid

ANKLE = 0.035  # height of the ankle above the sole, in world units


@dataclass(frozen=True)
class Body:
    """Proportions in world units (heights of an average person) and colours in RGB.

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
        skin: RGB.
        hair: RGB.
        shirt: RGB.
        trousers: RGB.
        shoes: RGB.
        stripes: RGB of the bands on the shirt, or None.
        sleeves: Whether the sleeves are long.
        shorts: Whether the shanks are bare.
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
    skin: tuple
    hair: tuple
    shirt: tuple
    trousers: tuple
    shoes: tuple
    stripes: tuple | None
    sleeves: bool
    shorts: bool

    @property
    def standing(self):
        """Height of the hip of a person who stands at ease (knees a little bent)."""
        return 0.985 * (self.thigh + self.shank) + ANKLE

    @property
    def arm(self):
        """Length of the hanging arm."""
        return 0.985 * (self.upper_arm + self.forearm)

    def shoulder(self, hip, lean):
        """The shoulder's track, from the hip's (T, 2) and the torso's lean (T,) in radians."""
        return hip + self.torso * np.stack([np.sin(lean), np.cos(lean)], axis=-1)

    def head_centre(self, hip, lean, nod):
        """The head's track; the neck leans half as far as the torso, and by `nod` (T,) besides."""
        angle = 0.5 * lean + nod
        return self.shoulder(hip, lean) + self.neck * np.stack(
            [np.sin(angle), np.cos(angle)], axis=-1
        )


@dataclass(frozen=True)
class Targets:
    """What a script prescribes: tracks from which the whole pose follows. The person faces +x.

    Attributes:
        hip: float64 (T, 2).
        lean: float64 (T,), radians that the torso leans forward.
        nod: float64 (T,), radians that the head bends forward.
        hands: Two float64 (T, 2): the hand nearer to the viewer, and the other.
        feet: Two float64 (T, 2): the ankles, in the same order.
    """

    hip: np.ndarray
    lean: np.ndarray
    nod: np.ndarray
    hands: tuple
    feet: tuple


def random_body(rng, against):
    """Draws a person.

    Args:
        rng: numpy.random.Generator.
        against: RGB of what is behind; the clothes stand out from it.

    Returns:
        A Body.
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


def two_bone(root, target, first, second, bend):
    """Bends a limb of two bones so that its end reaches a target.

    Args:
        root: float64 (T, 2), shoulder or hip.
        target: float64 (T, 2); one out of reach is pointed at.
        first: Length of the bone at the root.
        second: Length of the other bone.
        bend: +1 or -1: to which side of the line to the target the joint goes (+1 is its left).

    Returns:
        Two float64 (T, 2): the joint between the bones, and the limb's end.
    """
    reach = target - root
    wanted = np.hypot(reach[:, 0], reach[:, 1])
    # A thousandth short of straight and of folded: there the joint's side is still defined.
    distance = np.clip(wanted, abs(first - second) + 1e-3, (first + second) * 0.999)
    direction = np.arctan2(reach[:, 1], reach[:, 0])
    cosine = (first**2 + distance**2 - second**2) / (2 * first * distance)
    angle = direction + bend * np.arccos(np.clip(cosine, -1, 1))
    joint = root + first * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    end = root + distance[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    return joint, end


def pose(body, targets):
    """Solves the whole skeleton.

    Args:
        body: Body.
        targets: Targets.

    Returns:
        Dictionary from a joint's name to its track, float64 (T, 2) in world units. The names are
        hip, shoulder, head, and with the suffixes _near and _far elbow, hand, knee, ankle and toe.
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
