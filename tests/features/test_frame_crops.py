import cv2
import numpy as np
import pytest

from i3d_tf.features.frame_crops import FrameCropper, pillow_resize
from i3d_tf.features.frame_options import FrameOptions, parse_frame_rate, parse_size
from i3d_tf.flow.quantize import dequantize, quantize
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.transforms import flip, resize_short_side

PROTOCOL = Protocol()
SIZE = parse_size("340x256")


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).integers(0, 256, (256, 340, 3), np.uint8)


def colors(crops):
    """The colours of the crops' corners that are corners of the frame, and the center's grey."""
    names = {(255, 0, 0): "red", (0, 255, 0): "green", (0, 0, 255): "blue", (255, 255, 0): "yellow"}
    found = []
    for crop in crops:
        corners = [tuple(crop[y, x].tolist()) for y in (0, -1) for x in (0, -1)]
        inside = [names[color] for color in corners if color in names]
        found.append(inside[0] if inside else "none")
    return found


@pytest.fixture(scope="module")
def corners():
    """A frame with a red, a green, a blue and a yellow corner of one pixel."""
    frame = np.full((256, 340, 3), 99, np.uint8)
    frame[0, 0], frame[0, -1] = (255, 0, 0), (0, 255, 0)
    frame[-1, 0], frame[-1, -1] = (0, 0, 255), (255, 255, 0)
    return frame


def cropper(**options):
    return FrameCropper(FrameOptions(**{"size": SIZE, **options}), PROTOCOL)


def test_crops_of_ten_are_corners_and_center_then_those_of_the_mirrored_frame(corners):
    found = colors(cropper(crops=10).crops(corners, "rgb"))
    assert found[:5] == ["red", "green", "none", "blue", "yellow"]
    assert found[5:] == ["green", "red", "none", "yellow", "blue"]
    center_first = colors(cropper(crops=5, crop_order="center_first").crops(corners, "rgb"))
    assert center_first == ["none", "red", "green", "blue", "yellow"]


def test_center_crop_is_rows_16_to_240_and_columns_58_to_282(noise):
    for crops, index in ((1, 0), (5, 2), (10, 2)):
        found = cropper(crops=crops).crops(noise, "rgb")
        assert found.shape == (crops, 224, 224, 3)
        np.testing.assert_array_equal(found[index], noise[16:240, 58:282])


def test_mirrored_crops_are_the_crops_of_the_mirrored_frame(noise):
    crops = cropper(crops=10).crops(noise, "rgb")
    of_mirror = cropper(crops=5).crops(np.ascontiguousarray(noise[:, ::-1]), "rgb")
    np.testing.assert_array_equal(crops[5:], of_mirror)


def test_mirrored_flow_changes_its_sign_or_keeps_it():
    flow = np.random.default_rng(1).normal(size=(256, 340, 2)).astype(np.float32)
    negated = cropper(crops=10).crops(flow, "flow")
    of_mirror = cropper(crops=5).crops(flip(flow[np.newaxis], "flow")[0], "flow")
    np.testing.assert_array_equal(negated[5:], of_mirror)
    kept = cropper(crops=10, mirror_flow="keep").crops(flow, "flow")
    np.testing.assert_array_equal(kept[5:, ..., 0], -negated[5:, ..., 0])
    np.testing.assert_array_equal(kept[5:, ..., 1], negated[5:, ..., 1])


def test_sizes_are_short_side_or_width_and_height():
    frame = np.zeros((240, 320, 3), np.uint8)
    shapes = {
        "256": (256, 341),
        "340x256": (256, 340),
        "256x256": (256, 256),
        "226+": (240, 320),
        "250+": (250, 333),
    }
    for text, shape in shapes.items():
        assert cropper(size=parse_size(text)).resize(frame).shape[:2] == shape
    # Pillow's users cut what is left of a pixel, where OpenCV's round: 256 * 352 / 240 = 375.47.
    frame = np.zeros((240, 352, 3), np.uint8)
    assert cropper(size=parse_size("256")).resize(frame).shape[:2] == (256, 375)
    frame = np.zeros((240, 350, 3), np.uint8)  # 373.33
    pillow = cropper(size=parse_size("256"), interpolation="pillow_bilinear")
    assert pillow.resize(np.zeros((360, 478, 3), np.uint8)).shape[:2] == (256, 339)  # 339.91
    assert cropper(size=None).resize(frame).shape[:2] == (256, 373)


def test_frames_are_resized_as_opencv_or_pillow_do(noise):
    expected = cv2.resize(noise, (300, 256), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(cropper(size=parse_size("300x256")).resize(noise), expected)
    own = cropper(size=None).resize(noise[:, :300])
    np.testing.assert_array_equal(own, resize_short_side(noise[np.newaxis, :, :300])[0])
    # Antialiasing: the mean of blocks of 4 is near what a triangle of that width gives.
    ramp = np.broadcast_to(
        np.arange(0, 256, dtype=np.uint8)[:, np.newaxis, np.newaxis], (256, 8, 3)
    )
    small = pillow_resize(ramp, 64, 8, "pillow_bilinear")
    np.testing.assert_array_equal(small[2:-2, 0, 0], np.arange(64)[2:-2] * 4 + 2)


def test_geometry_resize_squeezes_the_whole_frame(noise):
    squeezed = cropper(geometry="resize").crops(noise, "rgb")
    np.testing.assert_array_equal(squeezed[0], pillow_resize(noise, 224, 224, "pillow_lanczos"))
    flow = dequantize(quantize(np.random.default_rng(2).uniform(-9, 9, (256, 340, 2))))
    options = FrameOptions(size=SIZE, geometry="resize")
    coded = FrameCropper(options, PROTOCOL, "nearest").crops(flow, "flow")[0]
    plain = FrameCropper(options, PROTOCOL).crops(flow, "flow")[0]
    codes = (coded + 20) * 255 / 40
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)  # of 8 bits
    assert 0 < np.abs(coded - plain).max() < 0.2  # a code is 0.157 pixels; rounded once a pass
    constant = FrameCropper(options, PROTOCOL, "nearest").crops(np.full_like(flow, 20), "flow")
    np.testing.assert_allclose(constant, 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("340*256", "`size` must be such as 340x256"),
        ("8", r"`size` must be an integer within 16\.\.4096; received 8"),
        ("340x9999", r"`size` must be an integer within 16\.\.4096; received 9999"),
    ],
)
def test_parse_size_names_bad_values(text, message):
    with pytest.raises(ValueError, match=message):
        parse_size(text)


def test_parse_frame_rate():
    assert (parse_frame_rate("native"), parse_frame_rate("29.97"), parse_frame_rate(None)) == (
        "native",
        29.97,
        None,
    )
    with pytest.raises(ValueError, match="must be 'native' or frames per second; received 'fast'"):
        parse_frame_rate("fast")
    with pytest.raises(ValueError, match="`frame_rate` must be a number > 0"):
        parse_frame_rate("0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crops": 3}, r"`crops` must be one of \(1, 5, 10\); received 3"),
        ({"value_range": 2.0}, r"`value_range` must be one of \(1.0, 0.5\); received 2.0"),
        ({"geometry": "resize", "crops": 5}, "`crops` must be 1 where `geometry` is 'resize'"),
        ({"geometry": "stretch"}, r"`geometry` must be one of .*; received 'stretch'"),
    ],
)
def test_frame_options_name_bad_values(options, message):
    with pytest.raises(ValueError, match=message):
        FrameOptions(**options)


def test_frames_must_not_be_smaller_than_crops():
    with pytest.raises(ValueError, match="`size` must be at least the network's 224 on both sides"):
        cropper(size=parse_size("340x200"))
    assert cropper(size=parse_size("340x200"), geometry="resize")
