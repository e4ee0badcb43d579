import numpy as np

from i3d_tf.video.transforms import change_colours


def one_pixel(*values):
    return np.array(values, np.uint8).reshape(1, 1, 1, 3)


def test_factors_of_one_change_nothing():
    frames = one_pixel(1, 2, 3)
    assert change_colours(frames) is frames


def test_brightness_scales_and_saturates():
    assert change_colours(one_pixel(100, 10, 200), brightness=1.5).ravel().tolist() == [
        150,
        15,
        255,
    ]


def test_contrast_is_about_middle_grey():
    # 127.5 + 0.5 * (v - 127.5) = 64 + v / 2, rounded
    assert change_colours(one_pixel(100, 10, 200), contrast=0.5).ravel().tolist() == [114, 69, 164]


def test_no_saturation_leaves_luma():
    # 0.299 * 100 + 0.587 * 10 + 0.114 * 200 = 58.57
    assert change_colours(one_pixel(100, 10, 200), saturation=0.0).ravel().tolist() == [59] * 3
