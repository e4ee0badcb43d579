import cv2
import numpy as np
import pytest
import tensorflow as tf

from i3d_tf.specs.streams import FLOW_BOUND
from i3d_tf.video.transforms import (
    CropPlace,
    ScaledCropPlace,
    center_crop,
    center_offsets,
    change_colours,
    crop,
    crop_at,
    crop_places,
    flip,
    preprocess_input,
    resize_bilinear,
    resize_short_side,
    resized_shape,
    stretch,
)


def positions(num_frames, height, width):
    """int64 (T, H, W, 3): every pixel holds its own frame, row and column."""
    grid = np.meshgrid(range(num_frames), range(height), range(width), indexing="ij")
    return np.stack(grid, axis=-1)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (240, 320, (256, 341)),  # 341.33
        (320, 240, (341, 256)),
        (256, 340, (256, 340)),
        (480, 854, (256, 455)),  # 455.47
        (512, 1025, (256, 513)),  # 512.5: halves up
        (1080, 1920, (256, 455)),  # 455.11
        (100, 100, (256, 256)),
    ],
)
def test_resized_shape_makes_short_side_256(height, width, expected):
    assert resized_shape(height, width) == expected


def test_resize_short_side_is_opencv_bilinear():
    frames = np.random.default_rng(0).integers(0, 256, (3, 24, 32, 3), np.uint8)
    resized = resize_short_side(frames, 48)
    assert resized.shape == (3, 48, 64, 3)
    for frame, out in zip(frames, resized, strict=True):
        np.testing.assert_array_equal(out, cv2.resize(frame, (64, 48)))


def test_resize_short_side_keeps_ramp():
    ramp = np.arange(0, 160, 10, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    column = resize_short_side(np.broadcast_to(ramp, (1, 16, 16, 3)), 32)[0, :, 0, 0]
    # At half-pixel centers, row y of the doubled ramp shows row (y + 0.5) / 2 - 0.5.
    expected = np.clip((np.arange(32) + 0.5) / 2 - 0.5, 0, 15) * 10
    assert np.abs(column - expected).max() <= 0.5  # rounding to whole levels


def test_resize_short_side_returns_frames_of_that_size():
    frames = np.zeros((2, 8, 12, 3), np.uint8)
    assert resize_short_side(frames, 8) is frames


def test_resize_short_side_takes_views():
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), np.uint8)
    mirrored = frames[:, :, ::-1]
    np.testing.assert_array_equal(
        resize_short_side(mirrored, 16), resize_short_side(mirrored.copy(), 16)
    )


def test_resize_short_side_refuses_result_larger_than_memory():
    line = np.zeros((100, 1, 60_000, 3), np.uint8)
    with pytest.raises(ValueError, match=r"resized to \(100, 256, 15360000, 3\) would exceed"):
        resize_short_side(line)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 8, 8, 1), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((2, 0, 8, 3), np.uint8),
        [[1]],
    ],
)
def test_resize_short_side_refuses_other_arrays(frames):
    with pytest.raises(ValueError, match=r"`frames` must be .*\(T, H, W, 3\).*; received"):
        resize_short_side(frames)


def test_resize_short_side_refuses_sizes_below_one():
    with pytest.raises(ValueError, match="`short_side` must be an integer >= 1; received 0"):
        resize_short_side(np.zeros((1, 8, 8, 3), np.uint8), 0)


def test_crop_starts_at_top_left():
    cut = crop(positions(2, 10, 12), 3, 5, 4)
    assert cut.shape == (2, 4, 4, 3)
    assert cut[1, 0, 0].tolist() == [1, 3, 5]
    assert cut[1, -1, -1].tolist() == [1, 6, 8]


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [(256, 340, 224, (16, 58)), (256, 341, 224, (16, 58)), (5, 4, 4, (0, 0)), (6, 7, 4, (1, 1))],
)
def test_center_offsets_round_down(height, width, size, expected):
    assert center_offsets(height, width, size) == expected


def test_center_crop_is_the_center():
    cut = center_crop(positions(1, 6, 8), 4)
    assert cut[0, 0, 0].tolist() == [0, 1, 2]
    assert cut[0, -1, -1].tolist() == [0, 4, 5]
    assert center_crop(np.zeros((1, 256, 340, 3))).shape == (1, 224, 224, 3)


@pytest.mark.parametrize(
    ("top", "left", "message"),
    [
        (-1, 0, "`top` must be an integer within 0..6; received -1"),
        (7, 0, "`top` must be"),
        (1.5, 0, "`top` must be"),
        (0, -1, "`left` must be an integer within 0..8; received -1"),
        (0, 9, "`left` must be"),
    ],
)
def test_crop_outside_frame_is_refused(top, left, message):
    with pytest.raises(ValueError, match=message):
        crop(np.zeros((1, 10, 12, 3)), top, left, 4)


def test_center_crop_larger_than_frame_is_refused():
    with pytest.raises(ValueError, match=r"`size` must be at most .* 10 x 12; received 11"):
        center_crop(np.zeros((1, 10, 12, 3)), 11)
    with pytest.raises(ValueError, match="`size` must be an integer >= 1; received 0"):
        center_crop(np.zeros((1, 10, 12, 3)), 0)
    with pytest.raises(
        ValueError, match=r"`frames` must be \(T, H, W, C\); received shape \(10, 12\)"
    ):
        center_crop(np.zeros((10, 12)), 4)


def test_flip_reverses_columns():
    frames = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    assert flip(frames).tolist() == [[[[3, 4, 5], [0, 1, 2]]]]


def test_flip_of_flow_negates_x_only():
    flow = np.array([[[[1, 2], [3, 4]]]], np.float32)
    flipped = flip(flow, "flow")
    assert flipped.tolist() == [[[[-3, 4], [-1, 2]]]]
    assert flipped.dtype == np.float32


@pytest.mark.parametrize(("stream", "channels"), [("rgb", 3), ("flow", 2)])
def test_flip_twice_changes_nothing(stream, channels):
    frames = np.random.default_rng(0).random((2, 3, 4, channels), np.float32)
    np.testing.assert_array_equal(flip(flip(frames, stream), stream), frames)


def test_flip_of_8_bit_flow_is_refused():
    with pytest.raises(ValueError, match=r"must be float.*`dequantize`.*received dtype uint8"):
        flip(np.zeros((1, 2, 2, 2), np.uint8), "flow")


def test_preprocess_input_maps_rgb_to_minus_one_to_one():
    values = np.arange(256, dtype=np.uint8)
    frames = np.broadcast_to(values[:, np.newaxis], (1, 2, 256, 3))
    scaled = preprocess_input(frames)
    assert scaled.dtype == np.float32
    assert (scaled.min(), scaled.max()) == (-1, 1)
    # One float32 rounding of a value up to 2 and one of the difference.
    np.testing.assert_allclose(scaled[0, 0, :, 0], values / 127.5 - 1, rtol=0, atol=2**-23)


def test_preprocess_input_truncates_flow():
    flow = np.array([-100, -20, -5, 0, 10, 20, 20.5, 1e9], np.float32).reshape(1, 2, 2, 2)
    scaled = preprocess_input(flow, "flow")
    assert scaled.dtype == np.float32
    assert scaled.ravel().tolist() == [-1, -1, -0.25, 0, 0.5, 1, 1, 1]
    assert FLOW_BOUND == 20


def test_preprocess_input_takes_batches_and_leaves_input_alone():
    frames = np.full((2, 1, 2, 2, 3), 255, np.uint8)
    assert preprocess_input(frames).shape == frames.shape
    flow = np.full((2, 1, 2, 2, 2), 40, np.float64)
    assert preprocess_input(flow, "flow").dtype == np.float32
    assert (frames == 255).all()
    assert (flow == 40).all()


@pytest.mark.parametrize(
    ("frames", "stream", "message"),
    [
        (np.zeros((1, 2, 2, 3), np.uint8), "optical", r"`stream` must be one of \('rgb', 'flow'\)"),
        (np.zeros((1, 2, 2, 3), np.float32), "rgb", "must be uint8 .* received dtype float32"),
        (np.zeros((1, 2, 2, 2), np.uint8), "rgb", r"must be \(T, H, W, 3\) for stream 'rgb'"),
        (np.zeros((1, 2, 2, 3), np.float32), "flow", r"must be \(T, H, W, 2\) for stream 'flow'"),
        (np.zeros((1, 2, 2, 2), np.uint8), "flow", "must be float.* received dtype uint8"),
        (np.zeros((2, 2, 3), np.uint8), "rgb", r"received shape \(2, 2, 3\)"),
        (np.full((1, 2, 2, 2), np.nan), "flow", "must be finite"),
        (np.full((1, 2, 2, 2), -np.inf), "flow", "must be finite"),
        ([[[[0, 0, 0]]]], "rgb", "must be uint8 .* received dtype int64"),
    ],
)
def test_preprocess_input_names_wrong_input(frames, stream, message):
    with pytest.raises(ValueError, match=message):
        preprocess_input(frames, stream)


def test_stretch_does_not_keep_aspect():
    frame = np.zeros((40, 80, 3), np.uint8)
    frame[:, 40:] = 255
    square = stretch(frame, 40)
    assert square.shape == (40, 40, 3)
    # Half as wide: no column is mixed from both sides of the edge.
    assert (square[:, :20] == 0).all()
    assert (square[:, 20:] == 255).all()
    np.testing.assert_array_equal(stretch(frame[:, ::-1], 40), square[:, ::-1])


def test_stretch_is_bilinear_at_half_pixel_centres():
    # Centres 0.5 and 1.5 become 0.5 .. 3.5 halves: 0.25, 0.75, 1.25, 1.75, the outer ones beyond.
    frame = np.tile(np.array([[0], [100]], np.uint8)[..., None], (1, 2, 3))
    assert stretch(frame, 4)[:, 0, 0].tolist() == [0, 25, 75, 100]


def test_stretch_returns_square_of_that_size():
    frame = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(stretch(frame, 32), frame)


def one_pixel(*values):
    return np.array(values, np.uint8).reshape(1, 1, 1, 3)


def test_change_colours_with_factors_of_one_returns_frames():
    frames = one_pixel(1, 2, 3)
    assert change_colours(frames) is frames


def test_change_colours_scales_and_truncates_brightness():
    assert change_colours(one_pixel(100, 10, 200), brightness=1.5).ravel().tolist() == [
        150,
        15,
        255,
    ]


def test_change_colours_scales_contrast_about_middle_grey():
    # 127.5 + 0.5 * (v - 127.5) = 64 + v / 2, rounded
    assert change_colours(one_pixel(100, 10, 200), contrast=0.5).ravel().tolist() == [114, 69, 164]


def test_change_colours_without_saturation_leaves_luma():
    # 0.299 * 100 + 0.587 * 10 + 0.114 * 200 = 58.57
    assert change_colours(one_pixel(100, 10, 200), saturation=0.0).ravel().tolist() == [59] * 3


@pytest.mark.parametrize("half_pixel", [False, True])
@pytest.mark.parametrize("size", [(7, 30), (25, 5), (40, 13), (13, 40), (13, 13)])
def test_resize_bilinear_equals_tensorflow(half_pixel, size):
    frame = np.random.default_rng(0).integers(0, 256, (13, 13, 3), np.uint8)
    expected = tf.raw_ops.ResizeBilinear(
        images=frame[None], size=size, align_corners=False, half_pixel_centers=half_pixel
    )
    resized = resize_bilinear(frame, *size, half_pixel)
    # Compilers may fuse a product and a sum: the last digit of 255 in float32.
    np.testing.assert_allclose(resized, expected[0], rtol=0, atol=4e-5)


def test_crop_places_of_corners_are_four_corners_and_the_center_then_their_mirrors():
    places = crop_places(10, "corners")
    assert [place[:2] for place in places[:5]] == [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)]
    assert [place[:2] for place in places[5:]] == [place[:2] for place in places[:5]]
    assert [place.mirrored for place in places] == [False] * 5 + [True] * 5
    assert crop_places(5, "corners") == places[:5]


def test_spread_crop_places_go_along_both_sides():
    assert crop_places() == ((0.5, 0.5, False),)
    assert [place[:2] for place in crop_places(3)] == [(0, 0), (0.5, 0.5), (1, 1)]


@pytest.mark.parametrize(("height", "width"), [(7, 9), (8, 8), (5, 11)])
def test_crop_at_the_center_is_the_center_crop(height, width):
    frames = np.arange(height * width).reshape(1, height, width, 1)
    np.testing.assert_array_equal(crop_at(frames, CropPlace(), 4), center_crop(frames, 4))


def test_crop_at_cuts_and_then_mirrors():
    frames = np.arange(1, 13, dtype=np.float32).reshape(1, 3, 4, 1) * [1, 1]
    corner = crop_at(frames, CropPlace(1.0, 1.0), 2, "flow")
    assert corner[0, ..., 0].tolist() == [[7, 8], [11, 12]]
    mirrored = crop_at(frames, CropPlace(1.0, 1.0, mirrored=True), 2, "flow")
    assert mirrored[0, ..., 0].tolist() == [[-8, -7], [-12, -11]]
    assert mirrored[0, ..., 1].tolist() == [[8, 7], [12, 11]]


def test_scaled_crop_is_resized_to_the_square():
    ramp = np.arange(24, dtype=np.float32)
    frames = np.zeros((1, 16, 24, 2), np.float32)
    frames[..., 0], frames[..., 1] = ramp, ramp[:16, None]
    # 16 x 8 pixels, of the last columns: columns are doubled, rows stay.
    part = crop_at(frames, ScaledCropPlace(0.0, 1.0, False, 1.0, 0.5), 16, "flow")
    assert part.shape == (1, 16, 16, 2)
    columns = np.clip(16 + (np.arange(16) + 0.5) / 2 - 0.5, 16, 23)
    np.testing.assert_allclose(part[0, 3, :, 0], columns, atol=1e-5)
    np.testing.assert_allclose(part[0, :, 5, 1], np.arange(16), atol=1e-5)
    mirrored = crop_at(frames, ScaledCropPlace(0.0, 1.0, True, 1.0, 0.5), 16, "flow")
    np.testing.assert_allclose(mirrored[0, 3, :, 0], -columns[::-1], atol=1e-5)
    # 14 of 16 rows are so nearly 16 that nothing is resized.
    np.testing.assert_array_equal(
        crop_at(frames, ScaledCropPlace(0.0, 0.5, False, 0.9, 0.9), 16, "flow"),
        frames[:, :, 4:20],
    )
