import numpy as np
import pytest

from i3d_tf.specs.geometry import (
    FIGURE_3,
    STEP_RULES,
    TimeSteps,
    cell_steps,
    endpoint_shapes,
    head_positions,
    head_steps,
    receptive_fields,
    time_steps,
    variable_shapes,
)
from i3d_tf.specs.inception_v1 import I3D, INCEPTION_V1, Conv, MaxPool, without_time


def test_endpoint_shapes_of_one_convolution():
    row = Conv("Conv3d_a", 2, (1, 3, 3), (1, 2, 2))
    assert endpoint_shapes([row], (4, 5, 6, 3)) == {"Conv3d_a": (4, 3, 3, 2)}
    assert endpoint_shapes([without_time(row)], (5, 6, 3)) == {"Conv2d_a": (3, 3, 2)}


def test_variable_shapes_of_the_2d_network_are_those_of_i3d_without_time():
    images = variable_shapes(INCEPTION_V1, 3, 400)
    clips = variable_shapes(I3D, 3, 400)
    assert list(images) == [path.replace("3d", "2d") for path in clips]
    for flat, shape in zip(images.values(), clips.values(), strict=True):
        assert flat == (shape[1:] if len(shape) == 5 else shape)


@pytest.mark.parametrize("endpoint", ["MaxPool3d_2a_3x3", "MaxPool3d_3a_3x3", "MaxPool3d_4a_3x3"])
def test_receptive_fields_are_those_of_figure_3(endpoint):
    assert receptive_fields(I3D)[endpoint].field == FIGURE_3[endpoint]


def test_figure_3_counts_four_of_the_five_blocks_between_the_last_two_max_pools():
    four_blocks = [row for row in I3D if row.name != "Mixed_4b"]
    fields = {name: span.field for name, span in receptive_fields(four_blocks).items()}
    assert {name: fields[name] for name in FIGURE_3} == FIGURE_3
    # With all five it is one block, that is 2 taps x 4 frames and 2 taps x 16 pixels, more.
    assert receptive_fields(I3D)["MaxPool3d_5a_2x2"].field == (59 + 8, 219 + 32, 219 + 32)
    assert receptive_fields(I3D)["head"].field == (99 + 8, 539 + 32, 539 + 32)


def test_receptive_field_of_two_pools_by_hand():
    pool = MaxPool("p", (2, 2, 2), (2, 2, 2))
    spans = receptive_fields([pool, pool._replace(name="q")])
    assert spans["p"] == ((2, 2, 2), (2, 2, 2))
    assert spans["q"] == ((4, 4, 4), (4, 4, 4))


def test_time_steps_of_the_first_convolution_by_hand():
    # A kernel of 7 at a stride of 2: five zeros for 8 frames, two before; six for 9, three before.
    assert time_steps(I3D, "Conv3d_1a_7x7", 8) == TimeSteps(4, 1.0, 2)
    assert time_steps(I3D, "Conv3d_1a_7x7", 9) == TimeSteps(5, 0.0, 2)


@pytest.mark.parametrize(("frames", "steps"), [(9, 2), (16, 2), (64, 8), (79, 10), (250, 32)])
def test_time_steps_are_as_many_as_in_the_released_network(frames, steps):
    count, _, jump = time_steps(I3D, "Mixed_5c", frames)
    assert (count, jump) == (steps, 8)


@pytest.mark.parametrize(
    ("endpoint", "frames"),
    [
        *(("Conv3d_2c_3x3", frames) for frames in (40, 41)),
        *(("MaxPool3d_4a_3x3", frames) for frames in (80, 81, 82, 83)),
        *(("Mixed_5c", frames) for frames in (240, 241, 243, 246)),
    ],
)
def test_time_steps_are_centered_on_the_frames_that_change_them(tiny_network, endpoint, frames):
    """By the gradient of a step in the middle of the clip, beyond the reach of any padding."""
    import keras
    import tensorflow as tf

    network = tiny_network("inception_i3d")
    part = keras.Model(network.input, network.get_layer(endpoint).output)
    clip = np.random.default_rng(0).uniform(-1, 1, (1, frames, 32, 32, 3)).astype(np.float32)
    count, first, jump = time_steps(I3D, endpoint, frames)
    middle = count // 2
    with tf.GradientTape() as tape:
        clip = tf.convert_to_tensor(clip)
        tape.watch(clip)
        steps = part(clip, training=False)
        total = tf.reduce_sum(steps[:, middle])
    assert steps.shape[1] == count
    inside = np.flatnonzero(np.abs(tape.gradient(total, clip)[0].numpy()).sum((1, 2, 3)))
    assert inside[-1] - inside[0] + 1 == receptive_fields(I3D)[endpoint].field[0]
    assert (inside[0] + inside[-1]) / 2 == first + middle * jump


def test_cell_steps_are_time_steps_along_every_axis():
    # Of 224 pixels the paddings of all layers but the first are behind the frame alone.
    found = cell_steps(I3D, "Mixed_5c", (64, 224, 32))
    assert found[0] == time_steps(I3D, "Mixed_5c", 64)
    assert found[1] == TimeSteps(7, 23.0, 32)
    assert found[1].centers == (23, 55, 87, 119, 151, 183, 215)
    assert found[2].length == 1


def test_head_positions_by_hand():
    found = {rule: head_positions(I3D, 64, rule) for rule in STEP_RULES}
    assert found["centers"] == (9, 17, 25, 33, 41, 49, 57)
    assert found["align_corners"] == (0, 10.5, 21, 31.5, 42, 52.5, 63)
    # The first of 7 parts of 64 frames ends at 64 / 7.
    assert found["half_pixels"][:2] == pytest.approx((32 / 7 - 0.5, 96 / 7 - 0.5))
    with pytest.raises(ValueError, match="`num_frames` must be enough for the head; received 8"):
        head_steps(I3D, 8)


def test_time_steps_name_the_endpoints():
    with pytest.raises(ValueError, match=r"`endpoint` must be one of .*; received 'Mixed_6a'"):
        time_steps(I3D, "Mixed_6a", 64)
