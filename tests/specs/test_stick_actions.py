import pytest

from i3d_tf.specs.stick_actions import STICK_ACTIONS, STICK_LABELS, stick_action


def test_actions_are_six_pairs_that_reverse_each_other():
    assert len(set(STICK_LABELS)) == 12
    assert len({action.script for action in STICK_ACTIONS}) == 6
    for action in STICK_ACTIONS:
        other = stick_action(action.reversal)
        assert other.reversal == action.name
        assert other.script == action.script
        assert other.backwards != action.backwards
        assert other.mirrored == action.mirrored


def test_labels_are_sorted_like_class_folders():
    assert list(STICK_LABELS) == sorted(action.name for action in STICK_ACTIONS)


def test_every_action_may_be_mirrored():
    assert all(action.mirrored for action in STICK_ACTIONS)


def test_stick_action_names_the_choices():
    with pytest.raises(ValueError, match=r"`action` must be one of .*'sit_down'.*received 'jump'"):
        stick_action("jump")
