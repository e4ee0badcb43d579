import itertools

import numpy as np
import pytest

from i3d_tf.specs.stick_actions import STICK_ACTIONS, STICK_LABELS
from i3d_tf.synthetic.crowd import BOX_MARGIN, PEOPLE, ROUND_FRAMES, build_crowd, key_frames
from i3d_tf.synthetic.long_video import script_actions

CROWDS = [build_crowd((1, seed), 64) for seed in range(24)]
SCRIPTS = {action.name: action.script for action in STICK_ACTIONS}


def test_people_do_different_things_and_everybody_the_reverse_in_the_next_round():
    for crowd in CROWDS:
        assert len(crowd.performances) in PEOPLE
        for at_once in zip(*crowd.actions, strict=True):
            assert len({SCRIPTS[name] for name in at_once}) == len(at_once)
        for first, second, third in crowd.actions:
            assert {first, second} == set(script_actions(SCRIPTS[first]))
            assert third == first


def test_everybody_moves_around_the_key_frames():
    for crowd in CROWDS:
        for performance in crowd.performances:
            joints = np.stack(list(performance.joints.values()), axis=1)
            for frame in key_frames():
                moved = np.abs(joints[frame + 6] - joints[frame - 10]).max()
                assert moved > 0.02


def test_boxes_hold_all_joints_of_a_person_with_a_margin():
    for crowd in CROWDS:
        for frame in (0, *key_frames(), crowd.num_frames - 1):
            boxes = crowd.boxes(frame)
            assert boxes.shape == (len(crowd.performances), 4)
            assert (boxes >= 0).all()
            assert (boxes <= 1).all()
            margin = BOX_MARGIN * crowd.camera.scale[frame + 1]
            for performance, box in zip(crowd.performances, boxes * 64, strict=True):
                joints = np.stack(list(performance.joints.values()), axis=1)
                points = crowd.camera.project(joints)[frame + 1] + 0.5
                inside = (points >= box[:2] + margin - 1e-9) & (points <= box[2:] - margin + 1e-9)
                at_border = (box == 0) | (box == 64)
                assert inside.all() or at_border.any()


def test_figures_are_apart():
    overlaps = []
    for crowd in CROWDS:
        for frame in key_frames():
            boxes = crowd.boxes(frame)
            boxes = boxes[boxes[:, 0].argsort()]
            for left, right in itertools.pairwise(boxes):
                overlaps.append(max(0, left[2] - right[0]) / min(left[2:] - left[:2]))
    assert np.mean(overlaps) < 0.1
    assert max(overlaps) < 0.6


def test_who_does_what_is_random():
    first = [crowd.actions[0][0] for crowd in CROWDS]
    assert len(set(first)) >= 8
    for action in ("sit", "hat", "lift"):
        sides = [
            number / (len(crowd.actions) - 1)
            for crowd in CROWDS
            for number, names in enumerate(crowd.actions)
            if SCRIPTS[names[0]] == action
        ]
        assert 0.1 < np.mean(sides) < 0.9


def test_crowd_follows_its_seed():
    first, again = (next(build_crowd(5, 64).frames()) for _ in range(2))
    assert first.shape == (64, 64, 3)
    np.testing.assert_array_equal(first, again)
    assert build_crowd(5, 64).num_frames == 3 * ROUND_FRAMES
    assert {name for crowd in CROWDS for names in crowd.actions for name in names} <= set(
        STICK_LABELS
    )


def test_build_crowd_refuses_small_sizes():
    with pytest.raises(ValueError, match="`size` must be an integer within 64"):
        build_crowd(0, 8)
