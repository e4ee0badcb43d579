import numpy as np
import pytest

from i3d_tf.flow.tvl1 import DEFAULT, FAST, TVL1Parameters, check_pairs, pyramid_sizes


def test_default_parameters_are_opencv_s():
    assert TVL1Parameters(0.25, 0.15, 0.3, 5, 0.8, 5, 0.01, 30, 10, 5) == DEFAULT
    assert FAST.warps < DEFAULT.warps


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tau", 0.3),
        ("tau", 0),
        ("lambda_", 0),
        ("theta", -1),
        ("scale_step", 1),
        ("scale_step", 0),
        ("epsilon", -0.01),
        ("epsilon", float("nan")),
        ("median", 3),
        ("scales", 0),
        ("warps", 2.5),
        ("inner_iterations", 0),
        ("outer_iterations", "10"),
    ],
)
def test_wrong_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .*; received"):
        TVL1Parameters(**{name: value})


def test_pyramid_sizes_of_short_side_256():
    sizes = pyramid_sizes(256, 340, DEFAULT)
    assert sizes == [(256, 340), (205, 272), (164, 218), (131, 174), (105, 139)]


def test_pyramid_sizes_end_at_16_pixels():
    assert pyramid_sizes(20, 400, DEFAULT) == [(20, 400), (16, 320)]
    assert pyramid_sizes(16, 16, DEFAULT) == [(16, 16)]
    assert pyramid_sizes(64, 64, TVL1Parameters(scales=2)) == [(64, 64), (51, 51)]


def frames(shape=(2, 16, 20), dtype=np.uint8, value=0):
    return np.full(shape, value, dtype)


@pytest.mark.parametrize(
    ("previous", "following", "message"),
    [
        (frames(), frames((3, 16, 20)), "must be alike; received uint8 .2, 16, 20. and uint8 .3"),
        (frames(), frames(dtype=np.float32), "must be alike; received uint8 .* and float32"),
        (frames((16, 20)), frames((16, 20)), r"must be grey \(N, H, W\)"),
        (frames((2, 15, 20)), frames((2, 15, 20)), r"at least 16 pixels; received shape \(2, 15"),
        (frames((2, 16, 3)), frames((2, 16, 3)), "at least 16 pixels"),
        (frames(dtype=np.int16), frames(dtype=np.int16), "must be uint8 or float; received int16"),
        (frames(dtype=float), frames(dtype=float, value=256), r"`following` .* within \[0, 255\]"),
        (frames(dtype=float, value=-1), frames(dtype=float), r"`previous` .* within \[0, 255\]"),
        (frames(dtype=float, value=np.nan), frames(dtype=float), "`previous` .* received values"),
        (frames(dtype=float), frames(dtype=float, value=np.inf), "`following` .* received values"),
    ],
)
def test_check_pairs_names_wrong_frames(previous, following, message):
    with pytest.raises(ValueError, match=message):
        check_pairs(previous, following)


def test_check_pairs_accepts_no_pairs():
    check_pairs(frames((0, 16, 16)), frames((0, 16, 16)))
    check_pairs(frames((0, 16, 16), np.float32), frames((0, 16, 16), np.float32))
