import numpy as np
import pytest

from i3d_tf.synthetic import shapes

# Sines and cosines of quarter turns are off by rounding only.
ROUNDING = 1e-12


def test_box_corners_are_in_order():
    assert shapes.box(0, 1, 2, 3).tolist() == [[0, 1], [2, 1], [2, 3], [0, 3]]


def test_rotate_by_a_quarter_turn_maps_x_to_y():
    turned = shapes.rotate(np.array([[1.0, 0.0]]), np.array([0.0, np.pi / 2]))
    np.testing.assert_allclose(turned[:, 0], [[1, 0], [0, 1]], atol=ROUNDING)


def test_place_moves_a_polygon_along_its_track():
    track = np.array([[0.0, 0.0], [10.0, 5.0]])
    moved = shapes.place([(1, 1), (2, 1)], track)
    assert moved[1].tolist() == [[11, 6], [12, 6]]


def test_disc_has_its_radius():
    points = shapes.disc(np.array([[3.0, 4.0]]), 0.5, 12)
    np.testing.assert_allclose(np.hypot(*(points[0] - (3, 4)).T), 0.5, atol=ROUNDING)


def test_capsule_of_equal_radii_has_that_distance_from_its_bar():
    points = shapes.capsule(np.array([[0.0, 0.0]]), np.array([[2.0, 0.0]]), 0.25, 0.25)[0]
    nearest = np.stack([np.clip(points[:, 0], 0, 2), 0 * points[:, 0]], axis=-1)
    np.testing.assert_allclose(np.hypot(*(points - nearest).T), 0.25, atol=ROUNDING)


def test_capsule_of_two_radii_along_a_vertical_bar():
    points = shapes.capsule(np.array([[0.0, 0.0]]), np.array([[0.0, -1.0]]), 0.1, 0.2)[0]
    assert points[:, 1].min() == pytest.approx(-1.2)
    assert points[:, 1].max() == pytest.approx(0.1)


def test_inset_of_half_a_panel():
    panel = shapes.still(shapes.box(0, 0, 4, 2), 1)
    assert shapes.inset(panel, 0.5, 0, 1, 0.5)[0].tolist() == [[2, 0], [4, 0], [4, 1], [2, 1]]


def test_group_backwards_twice_is_itself():
    track = shapes.place(shapes.box(0, 0, 1, 1), np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]]))
    group = shapes.Group((shapes.Part(track, (1, 2, 3)),))
    turned = group.backwards()
    assert turned.parts[0].points[:, 0, 0].tolist() == [5, 1, 0]
    np.testing.assert_array_equal(turned.backwards().parts[0].points, track)
