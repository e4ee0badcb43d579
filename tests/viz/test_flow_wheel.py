import numpy as np
import pytest

from i3d_tf.viz.flow_wheel import TOO_LONG, WHEEL, colour_flow, flow_scale, wheel_legend

RED, YELLOW, WHITE = (255, 0, 0), (255, 255, 0), (255, 255, 255)


def paint(x, y, scale=1.0):
    """The colour of one vector, as a tuple."""
    return tuple(colour_flow(np.array([[[x, y]]], np.float32), scale)[0, 0].tolist())


def test_rest_is_white():
    assert paint(0, 0) == WHITE


def test_to_the_right_is_red():
    assert paint(1, 0) == RED


@pytest.mark.parametrize(("place", "colour"), WHEEL)
def test_each_place_of_the_wheel_has_its_colour(place, colour):
    angle = 2 * np.pi * place / 55
    # Slightly inside the scale, so that rounding makes no vector too long; one level for rounding.
    found = paint(0.9999 * np.cos(angle), 0.9999 * np.sin(angle))
    assert np.abs(np.subtract(found, colour)).max() <= 1


def test_the_four_directions_look_as_everyone_expects():
    down, left, up = paint(0, 1), paint(-1, 0), paint(0, -1)
    assert down[0] > 230  # nearly yellow: y points down
    assert down[1] > 230
    assert down[2] == 0
    assert left[0] == 0  # between cyan and blue
    assert left[2] == 255
    assert up[0] > 50  # violet
    assert up[1] == 0
    assert up[2] == 255


def test_half_the_length_is_half_way_to_white():
    assert paint(1, 0, scale=2.0) == (255, 128, 128)  # 127.5, to the even neighbour


def test_longer_flow_than_the_scale_is_darker():
    dark = round(255 * TOO_LONG)
    assert paint(1.01, 0) == (dark, 0, 0)
    assert paint(1000, 0) == (dark, 0, 0)


def test_the_scale_is_in_pixels():
    flow = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(colour_flow(flow, 2.0), colour_flow(10 * flow, 20.0))


def test_a_clip_is_painted_frame_by_frame():
    flow = np.random.default_rng(0).normal(size=(3, 4, 5, 2))
    clip = colour_flow(flow, 2.0)
    assert (clip.shape, clip.dtype) == ((3, 4, 5, 3), np.uint8)
    np.testing.assert_array_equal(clip[1], colour_flow(flow[1], 2.0))


def test_the_scale_covers_most_of_a_clip_and_leaves_outliers_out():
    flow = np.zeros((1, 10, 10, 2), np.float32)
    flow[..., 0] = 4.0
    flow[0, 0, :2, 0] = 1000.0
    assert flow_scale(flow) == 4.0


def test_noise_does_not_look_like_motion():
    assert flow_scale(np.full((1, 4, 4, 2), 0.01, np.float32)) == 1.0


def test_the_legend_is_the_wheel_on_black():
    legend = wheel_legend(100, 7.0, "TV-L1")
    assert (legend.shape, legend.dtype) == ((100, 100, 3), np.uint8)
    # A disc of 80 pixels, 10 from the left and from the right.
    assert (legend[0, 0] == 0).all()
    assert legend[39, 50].min() > 240  # rest
    assert legend[39, 87].tolist() == pytest.approx([255, 20, 10], abs=25)  # right
    assert legend[77, 50].tolist() == pytest.approx([255, 240, 10], abs=25)  # down
    assert (legend[82:] > 200).any()  # the words


def test_long_words_stay_within_the_legend():
    legend = wheel_legend(40, 7.0, "a very long name indeed")
    assert (legend[32:] > 60).any()
    assert legend[32:, [0, -1]].max() < 100  # nothing is cut off at the edges


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: colour_flow(np.zeros((2, 2, 3)), 1.0), r"`flow` must be .* float64 \(2, 2, 3\)"),
        (lambda: colour_flow(np.zeros((2, 2)), 1.0), r"`flow` must be float \(H, W, 2\)"),
        (lambda: colour_flow(np.zeros((2, 2, 2), np.uint8), 1.0), "`flow` must be float .* uint8"),
        (lambda: colour_flow(np.zeros((2, 2, 2)), 0.0), r"`scale` must be > 0 .* received 0.0"),
        (lambda: colour_flow(np.zeros((2, 2, 2)), float("nan")), "`scale` must be > 0"),
        (lambda: wheel_legend(15, 1.0), "`size` must be at least 16 pixels; received 15"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
