import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.flow.compute import to_grey
from i3d_tf.video import sampling, transforms, transforms_tf

SIZES = [
    (48, 64),  # enlarged: beyond the outermost pixels there is nothing to mix
    (64, 48),
    (97, 97),
    (192, 256),  # halved
    (321, 123),
    (240, 1000),
    (1, 5),
]


@pytest.fixture(scope="module")
def resize():
    """One traced function for all sizes, as in an exported model."""
    frames = tf.TensorSpec([None, None, None, 3], tf.uint8)
    return tf.function(
        lambda clip: transforms_tf.resize_short_side(clip, 96), input_signature=[frames]
    )


def noise(*shape):
    """Every level beside every other: the hardest picture to resize alike."""
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_resize_short_side_equals_opencv(resize, size):
    frames = noise(3, *size, 3)
    resized = resize(frames).numpy().astype(int)
    expected = transforms.resize_short_side(frames, 96).astype(int)
    # Equal where OpenCV uses its own code; another library beneath it may round otherwise.
    np.testing.assert_allclose(resized, expected, rtol=0, atol=1)
    assert (resized != expected).mean() <= 0.01


def test_resize_short_side_returns_frames_of_that_size(resize):
    frames = noise(2, 100, 96, 3)
    np.testing.assert_array_equal(resize(frames), frames)


def test_resize_short_side_keeps_plain_picture(resize):
    frames = np.full((1, 33, 71, 3), (0, 128, 255), np.uint8)
    resized = resize(frames).numpy()
    assert resized.shape == (1, 96, 207, 3)
    np.testing.assert_array_equal(np.unique(resized.reshape(-1, 3), axis=0), [[0, 128, 255]])


def test_grey_crop_and_scaling_equal_numpy():
    frames = noise(2, 41, 36, 3)
    np.testing.assert_array_equal(transforms_tf.to_grey(frames), to_grey(frames))
    np.testing.assert_array_equal(
        transforms_tf.center_crop(tf.constant(frames), 32), transforms.center_crop(frames, 32)
    )
    np.testing.assert_array_equal(
        transforms_tf.preprocess_input(frames, "rgb"), transforms.preprocess_input(frames, "rgb")
    )
    motion = np.float32([[[[0, -40], [10, 20.5]]]])
    np.testing.assert_array_equal(
        transforms_tf.preprocess_input(motion, "flow"), [[[[0, -1], [0.5, 1]]]]
    )


@pytest.mark.parametrize(("number", "wanted"), [(3, 7), (9, 4), (5, 5)])
def test_uniform_windows_of_one_are_the_first_frames(number, wanted):
    np.testing.assert_array_equal(
        transforms_tf.uniform_windows(number, wanted, 1), [sampling.first_frames(number, wanted)]
    )


@pytest.mark.parametrize("number", [3, 4, 20, 23])
def test_uniform_windows_equal_numpy(number):
    np.testing.assert_array_equal(
        transforms_tf.uniform_windows(number, 4, 3), sampling.uniform_windows(number, 4, 3)
    )


def test_preprocess_batch_equals_preprocess_input():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    batch = transforms_tf.preprocess_batch(levels, "rgb")
    # Both round once or twice, at numbers of up to 1: float32's half unit there is 6e-8.
    np.testing.assert_allclose(batch, transforms.preprocess_input(levels), atol=1.2e-7)
    flow = np.linspace(-25, 25, 64, dtype=np.float32).reshape(1, 4, 8, 2)
    batch = transforms_tf.preprocess_batch(flow, "flow")
    np.testing.assert_array_equal(batch, transforms.preprocess_input(flow, "flow"))


@pytest.mark.parametrize("number", [2, 5, 7, 20, 23])
def test_uniform_snippets_equal_numpy(number):
    np.testing.assert_array_equal(
        transforms_tf.uniform_snippets(number, 5, 3),
        sampling.uniform_snippets(number, 5, 3).reshape(1, -1),
    )


@pytest.mark.parametrize("factors", [(1.0, 1.0, 1.0), (0.7, 1.3, 0.1), (1.4, 0.6, 1.4), (2, 2, 2)])
def test_change_colours_equals_opencv(factors):
    frames = noise(2, 37, 41, 3)
    changed = transforms_tf.change_colours(frames, transforms.colour_matrix(*factors)).numpy()
    np.testing.assert_array_equal(changed, transforms.change_colours(frames, *factors))
