import itertools

import numpy as np
import pytest

from i3d_tf.specs.stick_actions import STICK_ACTIONS, STICK_LABELS
from i3d_tf.synthetic.long_video import (
    MAX_ACTIONS,
    SHOTS,
    draw_long_video,
    long_schedule,
    script_actions,
)

SCHEDULES = [long_schedule((0, seed)) for seed in range(60)]


def test_actions_are_where_the_progress_goes_from_end_to_end():
    for schedule in SCHEDULES:
        phase = np.concatenate([shot.phase for shot in schedule.shots])
        assert len(phase) == schedule.num_frames
        backwards = {action.name: action.backwards for action in STICK_ACTIONS}
        for span in schedule.spans:
            moves = phase[span.start : span.end]
            ends = [1, 0] if backwards[span.action] else [0, 1]
            np.testing.assert_allclose(moves[[0, -1]], ends, atol=1e-12)


def test_pauses_stay_near_an_end():
    for schedule in SCHEDULES:
        is_idle = np.ones(schedule.num_frames, bool)
        for span in schedule.spans:
            is_idle[span.start : span.end] = False
        has_script = np.repeat(
            [shot.script is not None for shot in schedule.shots],
            [len(shot.phase) for shot in schedule.shots],
        )
        phase = np.concatenate([shot.phase for shot in schedule.shots])[is_idle & has_script]
        assert np.minimum(phase, 1 - phase).max() <= 0.05
        assert 0.2 < is_idle.mean() < 0.8


def test_shots_perform_different_scripts_and_turns_alternate():
    for schedule in SCHEDULES:
        scripts = [shot.script for shot in schedule.shots if shot.script is not None]
        assert len(scripts) == len(set(scripts)) == SHOTS
        assert SHOTS <= len(schedule.spans) <= SHOTS * MAX_ACTIONS
        script = {action.name: action.script for action in STICK_ACTIONS}
        for first, second in itertools.pairwise(schedule.spans):
            assert first.end < second.start
            assert first.action != second.action
            if script[first.action] == script[second.action]:
                assert second.action in script_actions(script[first.action])


def test_all_actions_are_about_equally_frequent():
    names = [span.action for schedule in SCHEDULES for span in schedule.spans]
    counts = {name: names.count(name) for name in STICK_LABELS}
    assert min(counts.values()) > 0.5 * len(names) / len(STICK_LABELS)


def test_draw_long_video_follows_the_schedule_and_the_seed():
    schedule = long_schedule((7, 3))
    first = np.stack(list(draw_long_video((7, 3), 64)))
    assert first.shape == (schedule.num_frames, 64, 64, 3)
    assert first.dtype == np.uint8
    again = np.stack(list(itertools.islice(draw_long_video((7, 3), 64), 20)))
    np.testing.assert_array_equal(again, first[:20])
    # Between a pause and an action there is no cut, nor within an action.
    span = schedule.spans[0]
    jumps = np.abs(np.diff(first[span.start - 3 : span.end + 3].astype(float), axis=0))
    assert jumps.mean(axis=(1, 2, 3)).max() < 20


def test_long_schedule_refuses_negative_seeds():
    with pytest.raises(ValueError, match="`seed` must be an integer >= 0; received -1"):
        long_schedule((0, -1))
