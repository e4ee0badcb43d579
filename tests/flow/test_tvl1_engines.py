"""What must hold for TV-L1 flow whichever engine computes it."""

import av
import cv2
import numpy as np
import pytest

from i3d_tf.flow.engines import load_engine
from i3d_tf.flow.tvl1 import DEFAULT, TVL1Parameters

HEIGHT, WIDTH = 64, 80
INTERIOR = np.s_[12:-12, 12:-12]  # what moves in over the border has no counterpart


# On two levels, for which the graph is compiled sooner.
TWO_LEVELS = TVL1Parameters(scales=2)


@pytest.fixture(scope="module", params=["numba", "graph"])
def flow_between(request):
    engine = load_engine(request.param)
    return lambda previous, following, parameters=TWO_LEVELS: engine(
        previous, following, parameters
    )


@pytest.fixture(scope="module")
def reference(exact_remap):
    return load_engine("opencv")


def texture(shift_x=0.0, shift_y=0.0):
    """Waves of several directions and lengths, moved right and down: float32 within [0, 255]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    x, y = x - shift_x, y - shift_y
    waves = np.sin(0.5 * x + 0.2 * y) + np.sin(0.15 * x - 0.4 * y) + np.sin(0.25 * x + 0.3 * y + 1)
    return (127 + 42 * waves).astype(np.float32)[np.newaxis]


def end_point_error(flow, expected):
    """Distances in pixels, both flows cut to +-20 as for the network."""
    return np.linalg.norm(np.clip(flow, -20, 20) - np.clip(expected, -20, 20), axis=-1)


def rendered_clip(num_frames):
    """A noisy background and a textured square that moves by (2.5, -1.5): uint8 (T, H, W)."""
    generator = np.random.default_rng(0)
    background = cv2.GaussianBlur(generator.uniform(0, 255, (96, 128)), (0, 0), 3)
    square = cv2.GaussianBlur(generator.uniform(0, 255, (40, 40)), (0, 0), 2) + 20
    frames = []
    for index in range(num_frames):
        matrix = np.float64([[1, 0, 30 + 2.5 * index], [0, 1, 40 - 1.5 * index]])
        moved = cv2.warpAffine(square, matrix, (128, 96))
        inside = cv2.warpAffine(np.ones_like(square), matrix, (128, 96))
        frame = inside * moved + (1 - inside) * background + generator.normal(0, 2, (96, 128))
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    return np.stack(frames)


@pytest.mark.parametrize("shift", [(1, 0), (0, 1), (-2, 1), (0.5, -0.25), (2.5, 1.5)])
def test_flow_of_shifted_texture_is_the_shift(flow_between, shift):
    flow = flow_between(texture(), texture(*shift))[0][INTERIOR]
    # Smoothness pulls flow towards its surroundings, by less than a tenth of a pixel here.
    np.testing.assert_allclose(flow, np.broadcast_to(np.float32(shift), flow.shape), atol=0.1)


def test_flow_of_frozen_clip_is_zero(flow_between):
    frames = np.repeat(texture(), 2, axis=0)
    np.testing.assert_array_equal(flow_between(frames, frames), np.zeros((2, HEIGHT, WIDTH, 2)))


def test_flow_of_brightening_plain_frame_is_zero(flow_between):
    dark, bright = (
        np.full((1, HEIGHT, WIDTH), 10, np.uint8),
        np.full((1, HEIGHT, WIDTH), 200, np.uint8),
    )
    assert not flow_between(dark, bright)[INTERIOR].any()


def test_flow_of_mirrored_clip_is_mirrored(flow_between):
    previous, following = texture(), texture(2, 1)
    flow = flow_between(previous, following)[0]
    mirrored = flow_between(previous[:, :, ::-1], following[:, :, ::-1])[0]
    difference = flow - mirrored[:, ::-1] * np.float32([-1, 1])
    # Not exactly: the gradients of the flow look to the right and down, and not to the left, and
    # both stop a few epsilon of 0.01 short of the same flow. OpenCV's own differ by 0.05 pixels.
    assert np.abs(difference[INTERIOR]).max() < 0.06


def test_flow_of_float_and_uint8_is_the_same(flow_between):
    previous, following = texture().astype(np.uint8), texture(2, 1).astype(np.uint8)
    expected = flow_between(previous, following)
    for dtype in (np.float16, np.float32, np.float64):
        flow = flow_between(previous.astype(dtype), following.astype(dtype))
        np.testing.assert_array_equal(flow, expected)


def test_flow_does_not_depend_on_strides(flow_between):
    previous, following = texture(), texture(2, 1)
    strided = np.asfortranarray(np.repeat(previous, 2, axis=2))[:, :, ::2]
    expected = flow_between(previous, following)
    np.testing.assert_array_equal(flow_between(strided, following), expected)


def test_flow_of_read_only_frames(flow_between):
    frames = texture()
    frames.flags.writeable = False
    assert flow_between(frames, frames).shape == (1, HEIGHT, WIDTH, 2)


def test_flow_of_no_pairs_is_empty(flow_between):
    none = np.zeros((0, HEIGHT, WIDTH), np.uint8)
    flow = flow_between(none, none)
    assert flow.shape == (0, HEIGHT, WIDTH, 2)
    assert flow.dtype == np.float32


@pytest.mark.parametrize("size", [(17, 31), (97, 18)])
def test_flow_of_odd_and_narrow_frames_is_near_opencv_s(flow_between, reference, size):
    frames = cv2.resize(rendered_clip(2).transpose(1, 2, 0), size[::-1]).transpose(2, 0, 1)
    flow = flow_between(frames[:1], frames[1:])
    expected = reference(frames[:1], frames[1:], TWO_LEVELS)
    assert end_point_error(flow, expected).mean() < 0.02


def test_frames_below_16_pixels_are_refused(flow_between):
    small = np.zeros((1, 15, 40), np.uint8)
    with pytest.raises(ValueError, match="H and W at least 16 pixels; received shape"):
        flow_between(small, small)


def test_nan_is_refused(flow_between):
    frames = texture()
    frames[0, 3, 3] = np.nan
    with pytest.raises(ValueError, match=r"within \[0, 255\]"):
        flow_between(texture(), frames)


# So few steps that rounding errors have no time to grow.
SHORT = {"epsilon": 0.0, "outer_iterations": 2, "inner_iterations": 5, "warps": 2, "scales": 2}
CHANGES = {
    "tau": 0.1,
    "lambda_": 0.05,
    "theta": 0.2,
    "scales": 3,
    "scale_step": 0.5,
    "warps": 3,
    "inner_iterations": 7,
    "outer_iterations": 3,
    "median": 1,
}


def check_against_opencv(flow_between, reference, parameters):
    frames = rendered_clip(2)
    flow = flow_between(frames[:1], frames[1:], TVL1Parameters(**parameters))
    expected = reference(frames[:1], frames[1:], TVL1Parameters(**parameters))
    assert end_point_error(flow, expected).mean() < 1e-4
    return flow


@pytest.mark.parametrize("change", [{}, {**CHANGES, "epsilon": 0.05}], ids=["none", "all"])
def test_flow_after_few_steps_is_near_opencv_s(flow_between, reference, change):
    check_against_opencv(flow_between, reference, {**SHORT, **change})


@pytest.mark.parametrize("name", [*CHANGES, "epsilon"])
def test_every_parameter_acts_as_in_opencv(reference, name):
    from i3d_tf.flow.tvl1_numba import flow_between

    change = {name: {**CHANGES, "epsilon": 0.5}[name]}
    flow = check_against_opencv(flow_between, reference, {**SHORT, **change})
    unchanged = check_against_opencv(flow_between, reference, SHORT)
    assert end_point_error(flow, unchanged).mean() > 0.01


@pytest.fixture(scope="module")
def real_pair(shared_dir):
    """Function: file name -> a pair of grey frames at short side 256."""

    def read(name):
        with av.open(str(shared_dir / "videos" / name)) as video:
            frames = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
        middle = len(frames) // 2
        scale = 256 / min(frames[0].shape)
        size = tuple(round(side * scale) for side in frames[0].shape[::-1])
        return [cv2.resize(frames[index], size)[np.newaxis] for index in (middle, middle + 1)]

    return read


@pytest.mark.parametrize("name", ["kinetics_arm_wrestling.mp4", "v_GGSY1Qvo990.mp4", "part.avi"])
def test_flow_of_real_clip_is_near_opencv_s(real_pair, reference, name):
    """Within bounds three times as wide as OpenCV's own.

    On frames changed by one part in a million OpenCV's flow differs from itself by 0.005 to 0.008
    pixels in the mean, and by more than 0.5 pixels at 0.04 to 0.07 % of the pixels.
    """
    from i3d_tf.flow.tvl1_numba import flow_between

    pair = real_pair(name)
    error = end_point_error(flow_between(*pair), reference(*pair, DEFAULT))
    assert error.mean() <= 0.02
    assert np.percentile(error, 95) <= 0.05
    assert (error > 0.5).mean() <= 0.001


def test_flow_reproduces_released_flow(shared_dir):
    from i3d_tf.flow.tvl1_numba import flow_between

    def read(name):
        with av.open(str(shared_dir / "videos" / name)) as video:
            frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        return np.stack(frames[20:51])

    rgb = read("v_CricketShot_g04_c01_rgb.gif")
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in rgb])
    flow = flow_between(grey[:-1], grey[1:])
    # A pixel is 255 * (flow in pixels / 20 + 0.5); palette and compression leave it not quite that.
    released = read("v_CricketShot_g04_c01_flow.gif")[:-1, ..., :2] / 255 - 0.5
    for axis in range(2):
        moves = np.abs(20 * released[..., axis]) > 1
        ours, theirs = np.clip(flow[..., axis], -20, 20)[moves], released[..., axis][moves]
        assert np.corrcoef(ours, theirs)[0, 1] >= 0.94
        assert 0.044 <= np.polyfit(ours, theirs, 1)[0] <= 0.052
