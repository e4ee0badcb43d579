import keras
import numpy as np
import pytest

from i3d_tf.layers.padded_conv import AlignTime, CropStart, pad_time, padded_length, same_padding


@pytest.mark.parametrize(
    ("length", "extent", "stride", "expected"),
    [
        (8, 3, 1, (1, 1)),
        (8, 2, 1, (0, 1)),  # the odd one after
        (8, 7, 2, (2, 3)),
        (9, 7, 2, (3, 3)),
        (8, 1, 2, (0, 0)),
        (9, 2, 4, (0, 1)),
        (8, 2, 4, (0, 0)),  # no less than none
    ],
)
def test_same_padding_is_tensorflows(length, extent, stride, expected):
    assert same_padding(length, extent, stride) == expected
    tensor = keras.ops.convert_to_tensor(length)
    assert tuple(int(side) for side in same_padding(tensor, extent, stride)) == expected


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("zero", [0, 5, 6, 7, 0]), ("edge", [5, 5, 6, 7, 7]), ("valid", [5, 6, 7])],
)
def test_a_ramp_is_padded(padding, expected):
    ramp = np.array([[5.0, 6.0, 7.0]], "float32")[..., None]
    np.testing.assert_array_equal(np.array(pad_time(ramp, 3, 1, padding))[0, :, 0], expected)
    assert padded_length(3, 3, 1, padding) == len(expected)
    assert padded_length(None, 3, 1, padding) is None


def test_steps_in_common():
    """Of 0...5 without two at the start, and of 10...13: four steps are left of each."""
    align = AlignTime([2, 0])
    one, two = np.arange(6.0)[None, :, None], np.arange(10.0, 14.0)[None, :, None]
    first, second = (np.array(clip)[0, :, 0] for clip in align([one, two]))
    np.testing.assert_array_equal(first, [2, 3, 4, 5])
    np.testing.assert_array_equal(second, [10, 11, 12, 13])
    free = [keras.Input((None, 1)), keras.Input((4, 1), dtype="int32")]
    assert [clip.shape for clip in align(free)] == [(None, None, 1)] * 2
    assert [clip.dtype for clip in align(free)] == ["float32", "int32"]


def test_the_start_is_cropped():
    crop = CropStart(2)
    np.testing.assert_array_equal(np.array(crop(np.arange(5)[None, :, None]))[0, :, 0], [2, 3, 4])
    assert crop(keras.Input((5, 4, 4, 1), dtype="uint8")).dtype == "uint8"
    assert crop.compute_output_shape((None, None, 3)) == (None, None, 3)
