import numpy as np

from i3d_tf.specs.stick_actions import CLIP_FRAMES
from i3d_tf.synthetic import curves


def phases(count=200):
    return [curves.action_phase(np.random.default_rng(seed)) for seed in range(count)]


def test_action_phase_rises_from_0_to_1():
    for phase in phases():
        assert phase[0] == 0
        assert abs(phase[-1] - 1) < 1e-12  # a sine of a whole turn, rounded
        assert (np.diff(phase) >= 0).all()


def test_action_phase_has_every_allowed_length():
    lengths = {len(phase) for phase in phases(600)}
    assert lengths == set(range(CLIP_FRAMES[0], CLIP_FRAMES[1] + 1))


def test_action_phase_holds_as_long_at_both_ends():
    before = [int((phase == 0).sum()) for phase in phases(400)]
    after = [int((phase > 1 - 1e-12).sum()) for phase in phases(400)]
    low, high = curves.HOLD_FRAMES
    # The frame at which the action starts or ends shows the resting pose too.
    assert min(before) == min(after) == low + 1
    assert max(before) == max(after) == high + 1


def test_action_phase_moves_in_a_third_of_the_frames():
    for phase in phases():
        moving = (phase > 0.01) & (phase < 0.99)
        assert moving.sum() >= len(phase) / 3


def test_ramp_is_a_smooth_step():
    values = curves.ramp(np.array([0.0, 0.2, 0.3, 0.4, 1.0]), 0.2, 0.4)
    np.testing.assert_allclose(values, [0, 0, 0.5, 1, 1], atol=1e-12)


def test_mix_is_a_weighted_mean():
    mixed = curves.mix((0, 0), (4, 8), np.array([0, 0.25, 1]))
    assert mixed.tolist() == [[0, 0], [1, 2], [4, 8]]


def test_through_passes_its_keys():
    keys = ((0, (0, 1)), (0.3, (5, 2)), (1, (3, -1)))
    values = curves.through(np.array([0, 0.3, 1]), *keys)
    np.testing.assert_allclose(values, [[0, 1], [5, 2], [3, -1]], atol=1e-12)


def test_through_between_two_keys_is_a_smooth_step():
    phase = np.linspace(0, 1, 11)
    np.testing.assert_allclose(
        curves.through(phase, (0, 0.0), (1, 2.0)), 2 * curves.ramp(phase, 0, 1), atol=1e-12
    )


def test_strides_leave_one_of_two_feet_at_rest():
    phase = np.linspace(0, 1, 101)
    lead, lead_lift = curves.strides(phase, 2, leads=True)
    trail, trail_lift = curves.strides(phase, 2, leads=False)
    assert lead[[0, 25, 50, 75, 100]].tolist() == [0, 1, 1, 2, 2]
    assert trail[[0, 25, 50, 75, 100]].tolist() == [0, 0, 1, 1, 2]
    assert (np.minimum(lead_lift, trail_lift) < 1e-12).all()
