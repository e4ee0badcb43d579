import numpy as np
import pytest

from i3d_tf.specs.stick_actions import STICK_ACTIONS
from i3d_tf.synthetic.body import ANKLE, random_body
from i3d_tf.synthetic.curves import action_phase
from i3d_tf.synthetic.scripts import SCRIPTS, perform

SEEDS = range(20)


def performed(script, seed, phase=None):
    body = random_body(np.random.default_rng(seed), (90, 90, 90))
    if phase is None:
        phase = action_phase(np.random.default_rng(seed))
    return perform(script, phase, body, np.random.default_rng(seed)), body


def change(performance, joint, axis):
    track = performance.joints[joint][:, axis]
    return track[-1] - track[0]


def test_scripts_are_those_of_the_actions():
    assert set(SCRIPTS) == {action.script for action in STICK_ACTIONS}


@pytest.mark.parametrize("script", SCRIPTS)
def test_perform_moves_smoothly_and_stays_above_the_floor(script):
    for seed in SEEDS:
        performance, body = performed(script, seed)
        for name, track in performance.joints.items():
            assert np.isfinite(track).all()
            # A hand that crosses the whole picture in a quarter of a second moves 0.2 a frame.
            assert np.abs(np.diff(track, axis=0)).max() < 0.2, name
        for side in ("near", "far"):
            assert performance.joints[f"ankle_{side}"][:, 1].min() > ANKLE - 1e-3
            shank = performance.joints[f"knee_{side}"] - performance.joints[f"ankle_{side}"]
            np.testing.assert_allclose(np.linalg.norm(shank, axis=-1), body.shank, atol=1e-9)


@pytest.mark.parametrize("script", SCRIPTS)
def test_performance_backwards_reverses_every_track(script):
    performance, _ = performed(script, 3)
    reversed_performance = performance.backwards()
    for name, track in performance.joints.items():
        np.testing.assert_array_equal(reversed_performance.joints[name], track[::-1])
    for group, other in zip(performance.groups, reversed_performance.groups, strict=True):
        for part, other_part in zip(group.parts, other.parts, strict=True):
            np.testing.assert_array_equal(other_part.points, part.points[::-1])


@pytest.mark.parametrize("script", SCRIPTS)
def test_perform_depends_only_on_the_phase(script):
    # Sampled at other instants, the same phases show the same poses.
    fine, _ = performed(script, 4, np.linspace(0, 1, 9))
    coarse, _ = performed(script, 4, np.linspace(0, 1, 5))
    for name, track in coarse.joints.items():
        np.testing.assert_allclose(track, fine.joints[name][::2], atol=1e-9)


def test_sit_moves_the_hip_down_and_back():
    for seed in SEEDS:
        performance, body = performed("sit", seed)
        assert change(performance, "hip", 1) < -0.4 * body.thigh
        assert change(performance, "hip", 0) < -0.15
        assert abs(change(performance, "ankle_near", 0)) < 1e-3  # a straight leg gives as much


def test_lift_ends_with_the_thing_in_the_hand():
    for seed in SEEDS:
        performance, _ = performed("lift", seed)
        thing = performance.groups[5].parts[0].points.mean(axis=1)
        assert thing[-1, 1] - thing[0, 1] > 0.3
        assert np.linalg.norm(performance.joints["hand_near"][-1] - thing[-1]) < 0.12
        assert np.linalg.norm(performance.joints["hand_near"][0] - thing[0]) > 0.2
        crouching = performance.joints["hip"][:, 1].min()
        assert crouching < performance.joints["hip"][0, 1] - 0.15


def test_ladder_rises_by_three_rungs():
    for seed in SEEDS:
        performance, _ = performed("ladder", seed)
        for joint in ("hip", "ankle_near", "ankle_far"):
            assert change(performance, joint, 1) == pytest.approx(0.48, abs=0.02)


def test_hat_ends_on_the_head_and_the_hand_beside_the_body():
    for seed in SEEDS:
        performance, body = performed("hat", seed)
        brim = performance.groups[5].parts[2].points.mean(axis=1)
        above_head = brim - performance.joints["head"]
        assert np.linalg.norm(above_head[-1]) < body.head
        assert np.linalg.norm(above_head[0]) > 0.25
        assert change(performance, "hand_near", 1) < 0


def test_door_swings_by_its_handle():
    for seed in SEEDS:
        performance, _ = performed("door", seed)
        leaf = performance.groups[1]
        handle = leaf.parts[3].points.mean(axis=1)
        breadth = np.ptp(leaf.parts[0].points[..., 0], axis=1)
        assert breadth[-1] < 0.65 * breadth[0]
        # Where a door opens wide, the longest reach may fall a little short.
        gap = np.linalg.norm(performance.joints["hand_near"] - handle, axis=-1)
        assert gap[len(gap) // 3 :].max() < 0.17  # half an arm


def test_crate_moves_with_the_person():
    for seed in SEEDS:
        performance, _ = performed("crate", seed)
        crate = performance.groups[-2].parts[0].points[:, 0, 0]
        assert 0.45 < crate[-1] - crate[0] < 0.65
        gap = crate - performance.joints["hip"][:, 0]
        np.testing.assert_allclose(gap, gap[0], atol=1e-9)
        assert gap[0] > 0.2
