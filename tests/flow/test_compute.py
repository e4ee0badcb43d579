import cv2
import numpy as np
import pytest

from i3d_tf.flow.compute import bidirectional_flow, compute_fields, compute_flow, to_grey
from i3d_tf.flow.engines import ENGINES
from i3d_tf.flow.tvl1 import MIN_SIDE, TVL1Parameters
from i3d_tf.specs.protocol import FlowField
from i3d_tf.video.transforms import flip

# Few iterations: these tests are about what goes in and out, not about how exact the engine is.
QUICK = TVL1Parameters(scales=2, warps=1, outer_iterations=1, inner_iterations=5)
INTERIOR = slice(8, -8)  # TV-L1 is not exact where content enters or leaves


@pytest.fixture(scope="module")
def texture():
    """uint8 (96, 128): smooth noise from black to white."""
    noise = np.random.default_rng(0).random((96, 128)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def window(texture, right=0, down=0):
    """A 64 x 64 view of the texture, whose content has moved right and down by so many pixels."""
    return texture[16 - down : 80 - down, 32 - right : 96 - right]


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, 1), (-1, 0), (2, -1), (3, 2)])
def test_compute_flow_of_shifted_texture_is_the_shift(texture, right, down):
    frames = np.stack([window(texture), window(texture, right, down)])
    flow = compute_flow(frames, engine="opencv")
    assert flow.shape == (2, 64, 64, 2)
    assert flow.dtype == np.float32
    # TV-L1's smoothness costs a few hundredths of a pixel.
    error = flow[0, INTERIOR, INTERIOR] - (right, down)
    assert np.abs(error.mean((0, 1))).max() < 0.02
    assert np.abs(error).mean() < 0.05


def test_compute_flow_of_frozen_clip_is_zero(texture):
    frames = np.stack([window(texture)] * 3)
    assert (compute_flow(frames, "opencv", QUICK) == 0).all()


def test_compute_flow_goes_to_next_frame_and_repeats_the_last(texture):
    # Right by 1, then down by 1, then nothing.
    frames = np.stack(
        [window(texture), window(texture, 1), window(texture, 1, 1), window(texture, 1, 1)]
    )
    flow = compute_flow(frames[:3], engine="opencv")
    means = flow[:, INTERIOR, INTERIOR].mean((1, 2))
    assert np.abs(means - [[1, 0], [0, 1], [0, 1]]).max() < 0.05
    np.testing.assert_array_equal(flow[2], flow[1])
    continued = compute_flow(frames[:3], engine="opencv", next_frame=frames[3])
    np.testing.assert_array_equal(continued[:2], flow[:2])
    assert (continued[2] == 0).all()


def test_compute_flow_of_single_frame_is_zero(texture):
    flow = compute_flow(window(texture)[np.newaxis])
    assert flow.shape == (1, 64, 64, 2)
    assert flow.dtype == np.float32
    assert (flow == 0).all()


def test_compute_flow_of_single_frame_with_next_frame(texture):
    flow = compute_flow(window(texture)[np.newaxis], engine="opencv", next_frame=window(texture, 1))
    assert flow.shape == (1, 64, 64, 2)
    assert np.abs(flow[0, INTERIOR, INTERIOR].mean((0, 1)) - (1, 0)).max() < 0.02


def test_compute_flow_of_mirrored_clip_is_mirrored(texture):
    frames = np.stack([window(texture), window(texture, 2, 1)])
    mirrored = compute_flow(frames[:, :, ::-1], engine="opencv")
    flow = compute_flow(frames, engine="opencv")
    # OpenCV's solver is not symmetric to the last digit: it uses forward differences.
    difference = (mirrored - flip(flow, "flow"))[:, INTERIOR, INTERIOR]
    assert np.abs(difference).mean() < 0.02


def test_compute_flow_converts_rgb_to_grey(texture):
    grey = np.stack([window(texture), window(texture, 1)])
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    np.testing.assert_array_equal(
        compute_flow(rgb, "opencv", QUICK), compute_flow(grey, "opencv", QUICK)
    )
    with_next = compute_flow(rgb[:1], "opencv", QUICK, next_frame=rgb[1])
    np.testing.assert_array_equal(with_next, compute_flow(grey, "opencv", QUICK)[:1])


def test_to_grey_weighs_colours():
    colours = np.zeros((3, 16, 16, 3), np.uint8)
    for index in range(3):
        colours[index, ..., index] = 255
    assert to_grey(colours)[:, 0, 0].tolist() == [76, 150, 29]  # 255 * (.299, .587, .114)


def test_compute_flow_of_float_frames_equals_uint8(texture):
    frames = np.stack([window(texture), window(texture, 1)])
    expected = compute_flow(frames, "opencv", QUICK)
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(compute_flow(frames.astype(dtype), "opencv", QUICK), expected)


def test_compute_flow_passes_parameters_on(texture):
    frames = np.stack([window(texture), window(texture, 3)])
    quick = compute_flow(frames, "opencv", QUICK)
    assert not np.array_equal(quick, compute_flow(frames, "opencv"))
    np.testing.assert_array_equal(
        compute_flow(frames, "opencv"), compute_flow(frames, "opencv", TVL1Parameters())
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_compute_flow_by_every_engine_finds_shift(texture, engine):
    frames = np.stack([window(texture), window(texture, 1)])
    # On one level, for which the graph is compiled sooner.
    flow = compute_flow(frames, engine, None if engine == "dis" else TVL1Parameters(scales=1))
    assert (flow.shape, flow.dtype) == ((2, 64, 64, 2), np.float32)
    # DIS, the coarsest of the engines, is within a tenth of a pixel here.
    assert np.abs(flow[0, INTERIOR, INTERIOR].mean((0, 1)) - (1, 0)).max() < 0.1


def test_compute_flow_of_smallest_frames(texture):
    side = MIN_SIDE
    frames = np.stack([window(texture)[:side, :side], window(texture, 1)[:side, :side]])
    flow = compute_flow(frames, "opencv")
    assert np.abs(flow[0].mean((0, 1)) - (1, 0)).max() < 0.15  # border included


GOOD = np.zeros((2, 16, 16), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"engine": "farneback"},
            r"`engine` must be one of \('auto', .*'opencv'.*\); received 'far",
        ),
        ({"engine": None}, "`engine` must be one of"),
        ({"frames": np.zeros((2, 15, 16), np.uint8)}, r"at least 16 x 16.* shape \(2, 15, 16\)"),
        ({"frames": np.zeros((2, 16, 15, 3), np.uint8)}, "at least 16 x 16"),
        ({"frames": np.zeros((0, 16, 16), np.uint8)}, "one or more"),
        ({"frames": np.zeros((2, 16, 16, 3), np.float32)}, r"must be uint8 RGB .* float32"),
        ({"frames": np.zeros((2, 16, 16, 2), np.uint8)}, "must be uint8 RGB"),
        ({"frames": np.zeros((2, 16, 16), np.int32)}, r"received int32 \(2, 16, 16\)"),
        ({"frames": np.zeros((16, 16), np.uint8)}, r"received uint8 \(16, 16\)"),
        ({"frames": np.full((2, 16, 16), 256.0)}, r"within \[0, 255\].*from 256 to 256"),
        ({"frames": np.full((2, 16, 16), -0.5)}, r"within \[0, 255\]"),
        ({"frames": np.full((2, 16, 16), np.nan)}, r"within \[0, 255\]"),
        ({"frames": np.full((2, 16, 16), 0.5)}, r"received values within \[0, 0.5\]. Multiply"),
        (
            {"next_frame": np.zeros((16, 17), np.uint8)},
            r"`next_frame` .* received uint8 \(16, 17\)",
        ),
        ({"next_frame": np.zeros((16, 16), np.float32)}, "`next_frame` .* received float32"),
        ({"next_frame": np.zeros((16, 16, 3), np.uint8)}, "`next_frame` must be like one of"),
    ],
)
def test_compute_flow_names_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        compute_flow(**{"frames": GOOD, **arguments})


def test_compute_flow_of_black_float_frames_is_zero():
    black = np.zeros((2, 16, 16), np.float32)
    assert not compute_flow(black, next_frame=black[0] + np.float32(0.5)).any()


def test_bidirectional_flow_goes_both_ways_from_one_frame(texture):
    # Right by 1 from each frame to the next; the last two steps are down by 1.
    frames = [window(texture, right) for right in range(4)]
    frames = np.stack([*frames, window(texture, 3, 1), window(texture, 3, 2)])
    flow = bidirectional_flow(frames, 3, 4, engine="opencv")
    means = flow[:, INTERIOR, INTERIOR].mean((1, 2))
    assert np.abs(means - [[0, 1], [0, 1], [-1, 0], [-1, 0]]).max() < 0.05
    backward = compute_flow(frames[::-1], engine="opencv")[2:4]
    np.testing.assert_array_equal(flow[2:], backward)


def test_compute_fields_at_the_ends_of_a_clip(texture):
    frames = np.stack([window(texture, right) for right in (0, 1, 3)])
    forward, backward = compute_flow(frames, "dis"), compute_flow(frames[::-1], "dis")[::-1]
    fields = [FlowField(2, False), FlowField(0, True), FlowField(0, False), FlowField(2, True)]
    found = compute_fields(frames, fields, "dis")
    np.testing.assert_array_equal(found, [forward[1], backward[1], forward[0], backward[2]])
    alone = compute_fields(frames, fields[:1], "dis")  # nothing follows: as the frame before it
    np.testing.assert_array_equal(alone, forward[1:2])
    followed = compute_fields(frames[:2], [FlowField(1, False)], "dis", None, frames[2])
    np.testing.assert_array_equal(followed, forward[1:2])


@pytest.mark.parametrize(
    ("index", "fields", "message"),
    [
        (1, 4, r"`index` must be an integer within 2\.\.3; received 1"),
        (4, 4, r"`index` must be an integer within 2\.\.3; received 4"),
        (2, 3, "`fields` must be even; received 3"),
    ],
)
def test_bidirectional_flow_needs_frames_on_both_sides(index, fields, message, texture):
    with pytest.raises(ValueError, match=message):
        bidirectional_flow(np.stack([window(texture)] * 6), index, fields)
