import cv2
import numpy as np
import pytest

from i3d_tf.specs.streams import FLOW_BOUND
from i3d_tf.video.transforms import (
    centre_crop,
    centre_offsets,
    crop,
    flip,
    preprocess_input,
    resize_short_side,
    resized_shape,
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
def test_the_short_side_becomes_256(height, width, expected):
    assert resized_shape(height, width) == expected


def test_resizing_is_opencv_bilinear_frame_by_frame():
    frames = np.random.default_rng(0).integers(0, 256, (3, 24, 32, 3), np.uint8)
    resized = resize_short_side(frames, 48)
    assert resized.shape == (3, 48, 64, 3)
    for frame, out in zip(frames, resized, strict=True):
        np.testing.assert_array_equal(out, cv2.resize(frame, (64, 48)))


def test_a_ramp_stays_a_ramp():
    ramp = np.arange(0, 160, 10, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    column = resize_short_side(np.broadcast_to(ramp, (1, 16, 16, 3)), 32)[0, :, 0, 0]
    # At half-pixel centres, row y of the doubled ramp shows row (y + 0.5) / 2 - 0.5.
    expected = np.clip((np.arange(32) + 0.5) / 2 - 0.5, 0, 15) * 10
    assert np.abs(column - expected).max() <= 0.5  # rounding to whole levels


def test_frames_of_the_right_size_pass_unchanged():
    frames = np.zeros((2, 8, 12, 3), np.uint8)
    assert resize_short_side(frames, 8) is frames


def test_resizing_takes_views():
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), np.uint8)
    mirrored = frames[:, :, ::-1]
    np.testing.assert_array_equal(
        resize_short_side(mirrored, 16), resize_short_side(mirrored.copy(), 16)
    )


def test_a_resize_that_would_not_fit_in_memory_is_refused():
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
def test_resizing_takes_uint8_rgb_only(frames):
    with pytest.raises(ValueError, match=r"`frames` must be .*\(T, H, W, 3\).*; received"):
        resize_short_side(frames)


@pytest.mark.parametrize("short_side", [0, -1, 2.5, "256", None, True])
def test_the_short_side_is_a_positive_integer(short_side):
    with pytest.raises(ValueError, match="`short_side` must be an integer >= 1; received"):
        resize_short_side(np.zeros((1, 8, 8, 3), np.uint8), short_side)


def test_a_crop_starts_where_it_is_told():
    cut = crop(positions(2, 10, 12), 3, 5, 4)
    assert cut.shape == (2, 4, 4, 3)
    assert cut[1, 0, 0].tolist() == [1, 3, 5]
    assert cut[1, -1, -1].tolist() == [1, 6, 8]


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [(256, 340, 224, (16, 58)), (256, 341, 224, (16, 58)), (5, 4, 4, (0, 0)), (6, 7, 4, (1, 1))],
)
def test_centre_offsets(height, width, size, expected):
    assert centre_offsets(height, width, size) == expected


def test_the_centre_crop_is_the_centre():
    cut = centre_crop(positions(1, 6, 8), 4)
    assert cut[0, 0, 0].tolist() == [0, 1, 2]
    assert cut[0, -1, -1].tolist() == [0, 4, 5]
    assert centre_crop(np.zeros((1, 256, 340, 3))).shape == (1, 224, 224, 3)


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
def test_a_crop_that_leaves_the_frame_is_refused(top, left, message):
    with pytest.raises(ValueError, match=message):
        crop(np.zeros((1, 10, 12, 3)), top, left, 4)


def test_a_crop_larger_than_the_frame_is_refused():
    with pytest.raises(ValueError, match=r"`size` must be at most .* 10 x 12; received 11"):
        centre_crop(np.zeros((1, 10, 12, 3)), 11)
    with pytest.raises(ValueError, match="`size` must be an integer >= 1; received 0"):
        centre_crop(np.zeros((1, 10, 12, 3)), 0)
    with pytest.raises(
        ValueError, match=r"`frames` must be \(T, H, W, C\); received shape \(10, 12\)"
    ):
        centre_crop(np.zeros((10, 12)), 4)


def test_flipping_rgb_reverses_columns():
    frames = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    assert flip(frames).tolist() == [[[[3, 4, 5], [0, 1, 2]]]]


def test_flipping_flow_reverses_columns_and_negates_x_only():
    flow = np.array([[[[1, 2], [3, 4]]]], np.float32)
    flipped = flip(flow, "flow")
    assert flipped.tolist() == [[[[-3, 4], [-1, 2]]]]
    assert flipped.dtype == np.float32


@pytest.mark.parametrize(("stream", "channels"), [("rgb", 3), ("flow", 2)])
def test_flipping_twice_changes_nothing(stream, channels):
    frames = np.random.default_rng(0).random((2, 3, 4, channels), np.float32)
    np.testing.assert_array_equal(flip(flip(frames, stream), stream), frames)


def test_flipping_8_bit_flow_is_refused():
    with pytest.raises(ValueError, match=r"must be float.*`dequantize`.*received dtype uint8"):
        flip(np.zeros((1, 2, 2, 2), np.uint8), "flow")


def test_rgb_is_mapped_to_minus_one_to_one():
    values = np.arange(256, dtype=np.uint8)
    frames = np.broadcast_to(values[:, np.newaxis], (1, 2, 256, 3))
    scaled = preprocess_input(frames)
    assert scaled.dtype == np.float32
    assert (scaled.min(), scaled.max()) == (-1, 1)
    # One float32 rounding of a value up to 2 and one of the difference.
    np.testing.assert_allclose(scaled[0, 0, :, 0], values / 127.5 - 1, rtol=0, atol=2**-23)


def test_flow_is_truncated_and_mapped_to_minus_one_to_one():
    flow = np.array([-100, -20, -5, 0, 10, 20, 20.5, np.inf], np.float32).reshape(1, 2, 2, 2)
    scaled = preprocess_input(flow, "flow")
    assert scaled.dtype == np.float32
    assert scaled.ravel().tolist() == [-1, -1, -0.25, 0, 0.5, 1, 1, 1]
    assert FLOW_BOUND == 20


def test_preprocessing_leaves_its_input_alone_and_takes_batches():
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
    ],
)
def test_wrong_input_is_named(frames, stream, message):
    with pytest.raises(ValueError, match=message):
        preprocess_input(frames, stream)
