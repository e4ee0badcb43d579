from i3d_tf.specs.inception_v1 import (
    ENDPOINTS,
    FIRST_KERNEL,
    FIRST_KERNEL_2D,
    INCEPTION_V1_ENDPOINTS,
    Conv,
    Mixed,
    name_without_time,
    widen,
    without_time,
)


def test_widen_rounds_and_keeps_at_least_one_filter():
    block = Mixed("m", 64, (96, 128), (16, 32), 32)
    assert widen(block, 0.25) == Mixed("m", 16, (24, 32), (4, 8), 8)
    assert widen(block, 0.001) == Mixed("m", 1, (1, 1), (1, 1), 1)
    assert widen(block, 1.0) == block


def test_without_time_drops_the_first_number_and_renames():
    assert without_time(Conv("Conv3d_a", 2, (7, 3, 3), (2, 2, 2))) == (
        Conv("Conv2d_a", 2, (3, 3), (2, 2))
    )
    assert tuple(map(name_without_time, ENDPOINTS)) == INCEPTION_V1_ENDPOINTS


def test_first_kernels_are_those_of_the_first_convolution():
    assert FIRST_KERNEL == "Conv3d_1a_7x7/conv_3d/kernel"
    assert FIRST_KERNEL_2D == "Conv2d_1a_7x7/conv_2d/kernel"
