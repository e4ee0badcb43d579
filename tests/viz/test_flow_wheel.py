import numpy as np
import pytest

from i3d_tf.viz.flow_wheel import LONG_FLOW_BRIGHTNESS, WHEEL, colour_flow, flow_scale, wheel_legend

RED, WHITE = (255, 0, 0), (255, 255, 255)


def paint(x, y, scale=1.0):
    """The colour of one vector, as a tuple."""
    return tuple(colour_flow(np.array([[[x, y]]], np.float32), scale)[0, 0].tolist())


def test_colour_flow_zero_is_white_and_right_is_red():
    assert paint(0, 0) == WHITE
    assert paint(1, 0) == RED


@pytest.mark.parametrize(("place", "colour"), WHEEL)
def test_colour_flow_has_the_colours_of_the_wheel(place, colour):
    angle = 2 * np.pi * place / 55
    # Slightly inside the scale, so that rounding makes no vector too long; one level for rounding.
    found = paint(0.9999 * np.cos(angle), 0.9999 * np.sin(angle))
    assert np.abs(np.subtract(found, colour)).max() <= 1


def test_colour_flow_of_down_left_and_up():
    down, left, up = paint(0, 1), paint(-1, 0), paint(0, -1)
    assert down[0] > 230  # nearly yellow: y points down
    assert down[1] > 230
    assert down[2] == 0
    assert left[0] == 0  # between cyan and blue
    assert left[2] == 255
    assert up[0] > 50  # violet
    assert up[1] == 0
    assert up[2] == 255


def test_colour_flow_fades_to_white_with_length():
    assert paint(1, 0, scale=2.0) == (255, 128, 128)  # 127.5, to the even neighbor


def test_colour_flow_longer_than_the_scale_is_darker():
    dark = round(255 * LONG_FLOW_BRIGHTNESS)
    assert paint(1.01, 0) == (dark, 0, 0)
    assert paint(1000, 0) == (dark, 0, 0)


def test_colour_flow_scale_is_in_pixels():
    flow = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(colour_flow(flow, 2.0), colour_flow(10 * flow, 20.0))


def test_colour_flow_paints_clips_frame_by_frame():
    flow = np.random.default_rng(0).normal(size=(3, 4, 5, 2))
    clip = colour_flow(flow, 2.0)
    assert (clip.shape, clip.dtype) == ((3, 4, 5, 3), np.uint8)
    np.testing.assert_array_equal(clip[1], colour_flow(flow[1], 2.0))


def test_flow_scale_leaves_outliers_out():
    flow = np.zeros((1, 10, 10, 2), np.float32)
    flow[..., 0] = 4.0
    flow[0, 0, :2, 0] = 1000.0
    assert flow_scale(flow) == 4.0


def test_flow_scale_of_noise_is_the_minimum():
    assert flow_scale(np.full((1, 4, 4, 2), 0.01, np.float32)) == 1.0


def test_wheel_legend_is_the_wheel_on_black():
    legend = wheel_legend(100, 7.0, "TV-L1")
    assert (legend.shape, legend.dtype) == ((100, 100, 3), np.uint8)
    # A disc of 80 pixels, 10 from the left and from the right.
    assert (legend[0, 0] == 0).all()
    assert legend[39, 50].min() > 240  # no motion
    assert legend[39, 87].tolist() == pytest.approx([255, 20, 10], abs=25)  # right
    assert legend[77, 50].tolist() == pytest.approx([255, 240, 10], abs=25)  # down
    assert (legend[82:] > 200).any()  # the words


def test_wheel_legend_shrinks_long_text():
    legend = wheel_legend(40, 7.0, "a very long name indeed")
    assert (legend[32:] > 60).any()
    assert legend[32:, [0, -1]].max() < 100  # nothing is cut off at the edges


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: colour_flow(np.zeros((2, 2, 3)), 1.0), r"`flow` must be .* float64 \(2, 2, 3\)"),
        (lambda: colour_flow(np.zeros((2, 2)), 1.0), r"`flow` must be float \(H, W, 2\)"),
        (lambda: colour_flow(np.zeros((2, 2, 2), np.uint8), 1.0), "`flow` must be float .* uint8"),
        (
            lambda: colour_flow(np.zeros((2, 2, 2)), 0.0),
            "`scale` must be a number > 0",
        ),
        (
            lambda: colour_flow(np.zeros((2, 2, 2)), float("nan")),
            "must be a number > 0; received nan",
        ),
        (lambda: wheel_legend(15, 1.0), "`size` must be an integer >= 16; received 15"),
    ],
)
def test_flow_wheel_refuses_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
