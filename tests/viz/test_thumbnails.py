import base64

import cv2
import numpy as np
import pytest

from i3d_tf.viz.thumbnails import GAP, data_uri, film_strip, jpeg


def ramp(num_frames, height=20, width=20):
    """Frame t is of the value 10 t."""
    values = 10 * np.arange(num_frames, dtype=np.uint8)
    return np.broadcast_to(values[:, None, None, None], (num_frames, height, width, 3))


def test_film_strip_shows_first_last_and_frames_between():
    strip = film_strip(ramp(10), count=4, height=10)
    assert strip.shape == (10, 4 * 10 + 3 * GAP, 3)
    middles = [5 + k * (10 + GAP) for k in range(4)]
    np.testing.assert_array_equal(strip[5, middles, 0], [0, 30, 60, 90])
    np.testing.assert_array_equal(strip[5, 10 : 10 + GAP], 0)


def test_film_strip_of_short_clip_shows_all_frames():
    assert film_strip(ramp(1), count=4, height=10).shape == (10, 10, 3)
    assert film_strip(ramp(3), count=4, height=10).shape == (10, 3 * 10 + 2 * GAP, 3)


def test_film_strip_cuts_wide_frames_to_their_middle():
    frames = np.zeros((1, 10, 90, 3), np.uint8)
    frames[:, :, 30:60] = 200
    strip = film_strip(frames, count=1, height=10)
    assert strip.shape == (10, 30, 3)
    np.testing.assert_array_equal(strip, 200)


def test_film_strip_keeps_shape_of_narrow_frames():
    assert film_strip(ramp(1, height=40, width=10), height=20).shape == (20, 5, 3)
    assert film_strip(ramp(1, height=400, width=1), height=20).shape == (20, 1, 3)


def test_jpeg_keeps_the_order_of_channels():
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[..., 0] = 250  # red
    decoded = cv2.imdecode(np.frombuffer(jpeg(picture), np.uint8), cv2.IMREAD_COLOR)
    # A flat picture comes back to within the rounding of the colour conversion and quantization.
    np.testing.assert_allclose(decoded[8, 8, ::-1], [250, 0, 0], atol=4)


def test_data_uri_holds_the_bytes():
    uri = data_uri(b"\xff\xd8 picture")
    kind, _, content = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    assert base64.b64decode(content) == b"\xff\xd8 picture"


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 4, 4, 3)),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 2), np.uint8),
        np.zeros((0, 4, 4, 3), np.uint8),
    ],
)
def test_film_strip_refuses_other_frames(frames):
    with pytest.raises(ValueError, match=r"`frames` must be uint8 \(T, H, W, 3\)"):
        film_strip(frames)


@pytest.mark.parametrize("arguments", [{"count": 0}, {"height": 0}])
def test_film_strip_refuses_numbers_below_one(arguments):
    with pytest.raises(ValueError, match="must be an integer >= 1"):
        film_strip(ramp(2), **arguments)
