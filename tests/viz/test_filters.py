import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from i3d_tf.viz.filters import (
    BETWEEN_FILTERS,
    BETWEEN_STEPS,
    CAPTION,
    MARGIN,
    encode_animation,
    filter_frames,
    filter_sheet,
    paint_filters,
)

GREY, WHITE = 128, 255


def one_tap(*values):
    """The kernel of one filter of 1x1 with these weights per channel, at each of the time steps."""
    return np.array(values, "float32").reshape(len(values), 1, 1, -1, 1)


def test_paint_filters_zero_is_grey_and_strongest_tap_has_full_colour():
    mosaics = paint_filters(one_tap([0, 0, 0], [2, 0, -2], [1, 0, -1]), scale=1)
    assert mosaics.shape == (3, 1, 1, 3)
    # 127.5 + 127.5 * half, rounded to the even neighbor where it is in the middle
    assert mosaics[:, 0, 0].tolist() == [[GREY] * 3, [255, GREY, 0], [191, GREY, 64]]


def test_paint_filters_scales_each_filter_by_itself():
    kernel = np.array([1.0, 1000.0], "float32").reshape(1, 1, 1, 2)
    mosaic = paint_filters(kernel, scale=1)[0]
    assert mosaic[0, [0, -1]].tolist() == [[255] * 3] * 2


@pytest.mark.parametrize(
    ("vector", "colour"), [((1, 0), [255, 0, 0]), ((0, 0), [255, 255, 255]), ((-3, 0), None)]
)
def test_paint_filters_paints_flow_taps_as_directions(vector, colour):
    painted = paint_filters(one_tap(vector), scale=1)[0, 0, 0].tolist()
    if colour is None:  # to the left: between cyan and blue
        assert painted[0] == 0
        assert min(painted[1:]) > 100
    else:
        assert painted == colour


def test_paint_filters_lays_filters_out_in_rows():
    kernel = np.zeros((2, 3, 2, 1, 5), "float32")
    kernel[0, 2, 1, 0, 4] = 1  # in the lower right corner of the last filter
    mosaics = paint_filters(kernel, scale=4)
    height, width = 3 * 4, 2 * 4
    shape = (2, 2 * height + BETWEEN_FILTERS, 3 * width + 2 * BETWEEN_FILTERS, 3)
    assert mosaics.shape == shape
    corner = mosaics[0, height + BETWEEN_FILTERS :, width + BETWEEN_FILTERS :][:, :width]
    assert (corner[-4:, -4:] == 255).all()
    assert (corner[:-4] == GREY).all()
    # There is no sixth filter, and nothing between the first two.
    assert (mosaics[:, -height:, -width:] == WHITE).all()
    assert (mosaics[:, :, width : width + BETWEEN_FILTERS] == WHITE).all()


def test_paint_filters_paints_2d_kernel_as_one_time_step():
    kernel = np.random.default_rng(0).normal(size=(7, 7, 3, 64)).astype("float32")
    mosaics = paint_filters(kernel)
    side = 8 * (7 * 4 + BETWEEN_FILTERS) - BETWEEN_FILTERS
    assert mosaics.shape == (1, side, side, 3)
    repeated = paint_filters(np.repeat(kernel[np.newaxis] / 7, 7, axis=0))
    # A seventh of every tap has the same share of the strongest, save for float32's rounding.
    assert np.abs(repeated.astype(int) - mosaics).max() <= 1


@pytest.fixture
def rows():
    """A network of three time steps, each darker than the one before, and a 2D one, white."""
    deep = np.stack([np.full((50, 60, 3), level, np.uint8) for level in (90, 60, 30)])
    return [("a", deep), ("b", np.full((1, 20, 30, 3), 200, np.uint8))]


def test_filter_sheet_has_time_from_left_to_right_and_networks_below_each_other(rows):
    sheet = filter_sheet(rows)
    wide = 3 * 60 + 2 * BETWEEN_STEPS
    high = 2 * CAPTION + BETWEEN_STEPS + 50 + 20
    assert sheet.shape == (high + 2 * MARGIN, wide + 2 * MARGIN, 3)
    middle = MARGIN + CAPTION + 25
    places = [MARGIN + 30 + k * (60 + BETWEEN_STEPS) for k in range(3)]
    assert sheet[middle, places, 0].tolist() == [90, 60, 30]
    assert (sheet[-MARGIN - 20 : -MARGIN, MARGIN : MARGIN + 30] == 200).all()
    assert (sheet[-MARGIN - 20 : -MARGIN, MARGIN + 30 :] == WHITE).all()
    assert sheet[MARGIN : MARGIN + CAPTION].min() < 128  # something is written


def test_filter_frames_repeat_the_last_step_of_short_networks(rows):
    frames = filter_frames(rows)
    assert [frame[MARGIN + CAPTION + 25, MARGIN + 30, 0] for frame in frames] == [90, 60, 30]
    assert len({frame.shape for frame in frames}) == 1
    for frame in frames:
        assert (frame[MARGIN + CAPTION :][:20, -MARGIN - 30 - 10 : -MARGIN] == 200).any()


def test_encode_animation_is_lossless(rows):
    frames = filter_frames(rows)
    animation = Image.open(io.BytesIO(encode_animation(frames, milliseconds=100)))
    assert (animation.format, animation.n_frames, animation.info["loop"]) == ("PNG", 3, 0)
    for found, expected in zip(ImageSequence.Iterator(animation), frames, strict=True):
        assert found.info["duration"] == 100
        np.testing.assert_array_equal(np.asarray(found.convert("RGB")), expected)


@pytest.mark.parametrize(
    "shape", [(7, 7, 3), (7, 7, 20, 64), (7, 7, 7, 4, 8), (1, 7, 7, 7, 3, 8), (7, 7, 3, 0)]
)
def test_paint_filters_refuses_kernels_of_other_shapes(shape):
    with pytest.raises(ValueError, match=r"`kernel` must be \(t, h, w, channels, filters\) or"):
        paint_filters(np.zeros(shape))


def test_paint_filters_refuses_a_scale_below_one_pixel():
    with pytest.raises(ValueError, match="`scale` must be an integer >= 1; received 0"):
        paint_filters(np.zeros((7, 7, 3, 4)), scale=0)
