import keras
import numpy as np
import pytest

from i3d_tf.layers.flow_fields import FollowTrajectories, SubtractMeanFlow


@pytest.fixture(scope="module")
def fields():
    """float32 (2, 4, 9, 11, 2): random flow of up to 3 pixels, for a bound of 1."""
    return np.random.default_rng(0).uniform(-3, 3, (2, 4, 9, 11, 2)).astype("f4")


def followed(values, fields, **arguments):
    return np.array(FollowTrajectories(bound=1.0, **arguments)([values, fields]))


def value_at(field, x, y):
    """The value of a field (H, W, C) at one point, between its four neighbors."""
    height, width, _ = field.shape
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    upper = field[top, left] * (1 - (x - left)) + field[top, right] * (x - left)
    lower = field[bottom, left] * (1 - (x - left)) + field[bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def test_points_follow_the_flow_step_by_step(fields):
    found = followed(fields, fields)
    for v, u in np.ndindex(fields.shape[2:4]):
        x, y = float(u), float(v)
        for step in range(fields.shape[1]):
            displacement = value_at(fields[1, step].astype("f8"), x, y)
            np.testing.assert_allclose(found[1, step, v, u], displacement, atol=1e-4)
            x, y = x + displacement[0], y + displacement[1]


def test_constant_flow_is_stacked_as_it_is():
    fields = np.broadcast_to(np.array([1.25, -2.5], "f4"), (1, 5, 6, 7, 2))
    np.testing.assert_allclose(followed(fields, fields), fields, rtol=1e-6)


def test_without_motion_values_stay(fields):
    values = np.random.default_rng(1).normal(size=(2, 4, 9, 11, 3)).astype("f4")
    np.testing.assert_array_equal(followed(values, np.zeros_like(fields)), values)


def test_whole_pixels_shift_the_values():
    fields = np.zeros((1, 3, 4, 5, 2), "f4")
    fields[..., 0] = 1  # a pixel to the right
    values = np.tile(np.arange(5.0, dtype="f4")[:, None], (1, 3, 4, 1, 1))
    found = followed(values, fields)[0, :, 0, :, 0]
    assert found.tolist() == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 4], [2, 3, 4, 4, 4]]


def test_bound_scales_the_flow(fields):
    scaled = FollowTrajectories(bound=20.0)([fields, fields / 20])
    np.testing.assert_allclose(np.array(scaled), followed(fields, fields), atol=1e-4)


def test_trajectories_of_two_directions_start_twice(fields):
    found = followed(fields, fields, directions=2)
    np.testing.assert_array_equal(found[:, :2], followed(fields[:, :2], fields[:, :2]))
    np.testing.assert_array_equal(found[:, 2:], followed(fields[:, 2:], fields[:, 2:]))
    with pytest.raises(ValueError, match="a multiple of 2; received inputs"):
        followed(fields[:, :3], fields[:, :3], directions=2)


def test_layers_take_images_of_any_size(fields):
    clip = keras.Input((4, None, None, 2))
    outputs = FollowTrajectories(bound=1.0)([SubtractMeanFlow()(clip), clip])
    found = np.array(keras.Model(clip, outputs)(fields))
    centered = fields - fields.mean((2, 3), keepdims=True)
    np.testing.assert_allclose(found, followed(centered, fields), atol=1e-5)


def test_each_field_loses_its_own_mean_vector():
    fields = np.zeros((1, 2, 2, 2, 2), "f4")
    fields[0, 0] = [[[1, 5], [2, 5]], [[3, 5], [6, 9]]]
    found = np.array(SubtractMeanFlow()(fields))
    assert found[0, 0].tolist() == [[[-2, -1], [-1, -1]], [[0, -1], [3, 3]]]
    assert (found[0, 1] == 0).all()
