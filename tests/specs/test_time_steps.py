import numpy as np
import pytest

from i3d_tf.specs.geometry import TimeSteps, receptive_fields, time_steps
from i3d_tf.specs.inception_v1 import I3D


def test_the_first_convolution_by_hand():
    # A kernel of 7 at a stride of 2: five zeros for 8 frames, two before; six for 9, three before.
    assert time_steps(I3D, "Conv3d_1a_7x7", 8) == TimeSteps(4, 1.0, 2)
    assert time_steps(I3D, "Conv3d_1a_7x7", 9) == TimeSteps(5, 0.0, 2)


@pytest.mark.parametrize(("frames", "steps"), [(9, 2), (16, 2), (64, 8), (79, 10), (250, 32)])
def test_as_many_steps_as_the_released_network_has(frames, steps):
    count, _, jump = time_steps(I3D, "Mixed_5c", frames)
    assert (count, jump) == (steps, 8)


@pytest.fixture(scope="module")
def network(random_weights):
    from i3d_tf.models.inception import inception_i3d

    model = inception_i3d(input_shape=(None, 32, 32, 3), classes=5, width_multiplier=1 / 16)
    return random_weights(model)


@pytest.mark.parametrize(
    ("endpoint", "frames"),
    [
        *(("Conv3d_2c_3x3", frames) for frames in (40, 41)),
        *(("MaxPool3d_4a_3x3", frames) for frames in (80, 81, 82, 83)),
        *(("Mixed_5c", frames) for frames in (240, 241, 243, 246)),
    ],
)
def test_the_middle_of_the_frames_that_move_a_step(network, endpoint, frames):
    """By the gradient of a step in the middle of the clip, which no padding reaches."""
    import keras
    import tensorflow as tf

    part = keras.Model(network.input, network.get_layer(endpoint).output)
    clip = np.random.default_rng(0).uniform(-1, 1, (1, frames, 32, 32, 3)).astype(np.float32)
    count, first, jump = time_steps(I3D, endpoint, frames)
    middle = count // 2
    with tf.GradientTape() as tape:
        clip = tf.convert_to_tensor(clip)
        tape.watch(clip)
        steps = part(clip, training=False)
        answer = tf.reduce_sum(steps[:, middle])
    assert steps.shape[1] == count
    seen = np.flatnonzero(np.abs(tape.gradient(answer, clip)[0].numpy()).sum((1, 2, 3)))
    assert seen[-1] - seen[0] + 1 == receptive_fields(I3D)[endpoint].field[0]
    assert (seen[0] + seen[-1]) / 2 == first + middle * jump


def test_an_endpoint_that_is_not_there():
    with pytest.raises(ValueError, match=r"`endpoint` must be one of .*; received 'Mixed_6a'"):
        time_steps(I3D, "Mixed_6a", 64)
