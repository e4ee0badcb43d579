"""A convolution over a part of a clip, with its halo, against the same over the whole clip."""

import numpy as np
import pytest

from i3d_tf.layers.halo import halo_given, is_halo_given
from i3d_tf.layers.unit import Unit3D

CLIP = np.random.default_rng(0).uniform(-1, 1, (2, 12, 6, 5, 4)).astype(np.float32)
TOLERANCE = 1e-6  # sums in another order


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 1, 1), (5, 3, 3)])
@pytest.mark.parametrize("strides", [(1, 1, 1), (1, 2, 2)])
def test_unit_takes_the_steps_beside_a_part_of_a_clip(kernel, strides):
    unit = Unit3D(3, kernel, strides)
    reach = kernel[0] // 2
    whole = np.array(unit(CLIP))
    with halo_given():
        part = np.array(unit(CLIP[:, 4 - reach : 9 + reach]))
    np.testing.assert_allclose(part, whole[:, 4:9], atol=TOLERANCE)


def test_unit_with_a_stride_in_time_starts_with_the_first_step():
    unit = Unit3D(3, (3, 1, 1), (2, 1, 1))
    whole = np.array(unit(CLIP))  # SAME padding of 12 steps: one zero, behind the last
    with halo_given():
        part = np.array(unit(CLIP[:, 2:9]))
    np.testing.assert_allclose(part, whole[:, 1:4], atol=TOLERANCE)


def test_halo_is_no_longer_given_after_an_error():
    assert not is_halo_given()
    with pytest.raises(ValueError, match="`kernel_size`"), halo_given():
        Unit3D(3, (3, 3))(CLIP)
    assert not is_halo_given()
