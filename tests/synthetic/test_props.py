import numpy as np
import pytest

from i3d_tf.synthetic import props
from i3d_tf.synthetic.body import random_body

SEEDS = range(12)


def corners(groups):
    return np.concatenate([part.points for group in groups for part in group.parts], axis=1)


def test_chair_stands_on_the_floor_with_its_seat_in_place():
    for seed in SEEDS:
        points = corners(props.chair(np.random.default_rng(seed), 3, x=-0.2, seat=0.25))
        assert points[..., 1].min() == 0
        assert 0.25 in points[..., 1]
        assert points[..., 0].min() < -0.2 < points[..., 0].max()


def test_parcel_has_its_size_and_follows_its_track():
    for seed in SEEDS:
        track = np.array([[0.0, 0.0], [1.0, 2.0]])
        points = corners(props.parcel(np.random.default_rng(seed), track, 0.1))
        np.testing.assert_allclose(np.ptp(points, axis=1), 0.2, atol=1e-12)
        np.testing.assert_allclose(points[1] - points[0], np.broadcast_to((1, 2), points[0].shape))


def test_hat_is_as_wide_as_its_brim_and_rises_above_it():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        body = random_body(rng, (90, 90, 90))
        points = corners(props.hat(rng, np.zeros((1, 2)), np.zeros(1), 0.13, body))
        assert np.ptp(points[..., 0]) == pytest.approx(0.26)
        assert points[..., 1].max() >= 0.8 * 0.13


def test_door_fills_its_frame_only_when_closed():
    for seed in SEEDS:
        towards = bool(seed % 2)
        angles = np.array([0, np.pi / 2])
        handle, (_, leaf) = props.door(np.random.default_rng(seed), angles, towards)
        panel = leaf.parts[0].points
        np.testing.assert_allclose(np.ptp(panel[0], axis=0), (0.48, 1.06))
        # Seen edge on, it is a line at the hinge; taller at its free edge if that came nearer.
        assert np.ptp(panel[1, :, 0]) == pytest.approx(0, abs=1e-9)
        free_edge = panel[1, 2, 1] - panel[1, 1, 1]
        assert (free_edge > 1.06) == towards
        assert panel[0, :, 0].min() < handle[0, 0] < panel[0, :, 0].min() + 0.1


def test_ladder_has_evenly_spaced_rungs():
    (group,) = props.ladder(np.random.default_rng(0), 1, x=0.2, slope=0.1, spacing=0.16)
    heights = [part.points[0, :, 1].mean() for part in group.parts[:-2]]
    np.testing.assert_allclose(np.diff(heights), 0.16)


def test_crate_moves_with_its_left_side_on_the_floor():
    for seed in SEEDS:
        left = np.array([0.0, 0.5])
        points = corners(props.crate(np.random.default_rng(seed), left, 0.4, 0.5))
        assert points[..., 1].min() == pytest.approx(0, abs=1e-9)
        assert points[..., 1].max() == pytest.approx(0.5)
        np.testing.assert_allclose(points[..., 0].min(axis=1), left, atol=1e-9)
