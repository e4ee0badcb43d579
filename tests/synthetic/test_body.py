import numpy as np
import pytest

from i3d_tf.synthetic.body import Targets, pose, random_body, two_bone


def point(x, y):
    return np.array([[x, y]], np.float64)


def test_two_bone_makes_a_3_4_5_triangle():
    # Bones of 3 and 4 whose ends are 5 apart make a right angle at the joint.
    joint, end = two_bone(point(0, 0), point(5, 0), 3, 4, bend=+1)
    np.testing.assert_allclose(joint, [[9 / 5, 12 / 5]], atol=1e-12)
    np.testing.assert_allclose(end, [[5, 0]], atol=1e-12)


def test_two_bone_bend_chooses_the_side():
    left, _ = two_bone(point(0, 0), point(5, 0), 3, 4, bend=+1)
    right, _ = two_bone(point(0, 0), point(5, 0), 3, 4, bend=-1)
    assert left[0, 1] == -right[0, 1] > 0


def test_two_bone_points_at_a_target_out_of_reach():
    joint, end = two_bone(point(0, 0), point(0, -100), 1, 1, bend=+1)
    np.testing.assert_allclose(end, [[0, -1.998]], atol=1e-12)  # a thousandth short of straight
    assert abs(joint[0, 0]) < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_pose_keeps_lengths_of_bones_and_bends_knees_forward(seed):
    rng = np.random.default_rng(seed)
    body = random_body(rng, (128, 128, 128))
    hip = rng.uniform((-0.2, 0.3), (0.2, 0.5), size=(20, 2))
    hands = tuple(rng.uniform(-1, 1, size=(20, 2)) for _ in range(2))
    feet = tuple(rng.uniform((-0.1, 0), (0.1, 0.1), size=(20, 2)) for _ in range(2))
    joints = pose(body, Targets(hip, np.full(20, 0.3), np.zeros(20), hands, feet))

    def length(first, second):
        return np.linalg.norm(joints[first] - joints[second], axis=-1)

    for side in ("near", "far"):
        for first, second, expected in (
            ("hip", f"knee_{side}", body.thigh),
            (f"knee_{side}", f"ankle_{side}", body.shank),
            ("shoulder", f"elbow_{side}", body.upper_arm),
            (f"elbow_{side}", f"hand_{side}", body.forearm),
        ):
            np.testing.assert_allclose(length(first, second), expected, atol=1e-9)
        thigh, leg = joints[f"knee_{side}"] - hip, joints[f"ankle_{side}"] - hip
        assert (leg[:, 0] * thigh[:, 1] - leg[:, 1] * thigh[:, 0] > 0).all()
    np.testing.assert_allclose(length("hip", "shoulder"), body.torso, atol=1e-9)


def test_random_bodies_differ():
    bodies = {random_body(np.random.default_rng(seed), (90, 90, 90)) for seed in range(50)}
    assert len(bodies) == 50
    assert {body.sleeves for body in bodies} == {body.shorts for body in bodies} == {True, False}
