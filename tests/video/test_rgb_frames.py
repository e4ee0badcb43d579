import io
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest

from i3d_tf.video import rgb_frames
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe
from i3d_tf.video.rgb_frames import FrameBuffer, RGBConverter, has_transparency, orientation

STORED = np.array([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("a", "b", "c", "d", "shown"),
    [
        (1, 0, 0, 1, [[1, 2, 3], [4, 5, 6]]),
        (0, 1, -1, 0, [[4, 1], [5, 2], [6, 3]]),  # a quarter turn clockwise
        (-1, 0, 0, -1, [[6, 5, 4], [3, 2, 1]]),
        (0, -1, 1, 0, [[3, 6], [2, 5], [1, 4]]),  # and anticlockwise
        (-1, 0, 0, 1, [[3, 2, 1], [6, 5, 4]]),
        (1, 0, 0, -1, [[4, 5, 6], [1, 2, 3]]),
        (0, 1, 1, 0, [[1, 4], [2, 5], [3, 6]]),
        (0, -1, -1, 0, [[6, 3], [5, 2], [4, 1]]),
        (0, 0, 0, 0, [[1, 2, 3], [4, 5, 6]]),  # a matrix that shows nothing is no reason to hide it
    ],
)
@pytest.mark.parametrize("scale", [1, 65536])
def test_orientation_of_display_matrix(a, b, c, d, shown, scale):
    matrix = [scale * value for value in (a, b, 0, c, d, 0, 0, 0, 1)]
    transposed, flip = orientation(matrix)
    assert (STORED.T if transposed else STORED)[flip].tolist() == shown


def test_convert_frame_without_display_matrix():
    rgb = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    converter = RGBConverter(av.VideoFrame.from_ndarray(rgb, "rgb24"))
    assert (converter.height, converter.width) == (2, 4)
    np.testing.assert_array_equal(converter.convert(av.VideoFrame.from_ndarray(rgb, "rgb24")), rgb)


def test_transparent_pictures_are_shown_on_black():
    rgba = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 51, 128]]], np.uint8)
    frame = av.VideoFrame.from_ndarray(rgba, "rgba")
    expected = [[[200, 100, 50], [0, 0, 0], [100, 50, 26]]]
    assert RGBConverter(frame).convert(frame).tolist() == expected


def test_opaque_pictures_with_an_alpha_channel_stay():
    rgba = np.full((2, 4, 4), 255, np.uint8)
    rgba[..., :3] = np.arange(24).reshape(2, 4, 3)
    frame = av.VideoFrame.from_ndarray(rgba, "rgba")
    np.testing.assert_array_equal(RGBConverter(frame).convert(frame), rgba[..., :3])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("yuv420p", False), ("yuva420p", True), ("pal8", True), ("rgb24", False), ("ya8", True)],
)
def test_formats_that_can_be_transparent(name, expected):
    assert has_transparency(name) == expected


@pytest.mark.parametrize("matrix", [0, 1, 2, 5, 8, 10, 12, 14])
def test_colour_matrices_that_ffmpeg_lacks_are_replaced_and_named(
    numbered_frames, read_numbers, make_video, matrix
):
    file = io.BytesIO()
    with av.open(io.BytesIO(make_video(numbered_frames(5)))) as source:
        template = source.streams.video[0]
        with av.open(file, "w", "mp4") as target:
            stream = target.add_stream_from_template(template)
            options = f"h264_metadata=matrix_coefficients={matrix}"
            change = av.BitStreamFilterContext(options, template, stream)
            for packet in source.demux(template):
                for changed in change.filter(packet if packet.size else None):
                    changed.stream = stream
                    target.mux(changed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read_numbers(read_clip(file.getvalue())) == list(range(5))
    replaced = matrix in (8, 10, 12, 14)
    assert ["shown as those of ITU709" in str(warning.message) for warning in caught] == (
        [True] if replaced else []
    )


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda frame: frame),
        ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),
        ((-1, 0, 0, -1), lambda frame: np.rot90(frame, 2)),
        ((0, -1, 1, 0), lambda frame: np.rot90(frame, 1)),
        ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
        ((1, 0, 0, -1), lambda frame: frame[::-1]),
        ((0, 1, 1, 0), lambda frame: frame.swapaxes(0, 1)),
    ],
)
def test_read_clip_applies_rotation(
    numbered_frames, make_video, with_display_matrix, matrix, shown
):
    plain = make_video(numbered_frames(3))
    turned = with_display_matrix(plain, *matrix)
    expected = np.stack([shown(frame) for frame in read_clip(plain)])
    np.testing.assert_array_equal(read_clip(turned), expected)
    assert (probe(turned).height, probe(turned).width) == expected.shape[1:3]


PATCHES = {"red": (220, 30, 60), "green": (10, 200, 40), "blue": (30, 60, 230)}


def draw_patches(num_frames):
    """Three saturated squares side by side, aligned to macroblocks."""
    row = np.repeat(np.array([*PATCHES.values()], np.uint8), 16, axis=0)
    return np.ascontiguousarray(np.broadcast_to(row, (num_frames, 32, 48, 3)))


def read_patches(clip):
    """The colours at the centres of the squares in the second frame."""
    return clip[1, 16, 8::16].astype(int)


# 8 bits of luma and chroma place a colour within about 2 levels, and FFmpeg's fast conversions lose
# about 2 more on the way there and back.
COLOUR_TOLERANCE = 5


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format", "tolerance"),
    [
        ("mp4", "libx264", "yuv420p", COLOUR_TOLERANCE),
        ("mp4", "libx264", "yuv420p10le", COLOUR_TOLERANCE),
        ("matroska", "ffv1", "yuv420p", COLOUR_TOLERANCE),
        ("matroska", "ffv1", "yuva420p", COLOUR_TOLERANCE),
        ("matroska", "ffv1", "yuv444p16le", COLOUR_TOLERANCE),
        ("matroska", "ffv1", "bgr0", 0),
        ("mov", "png", "rgb24", 0),
        ("mov", "png", "rgba", 0),
        ("avi", "rawvideo", "bgr24", 0),
        ("gif", "gif", "rgb8", 45),  # 2 bits of blue: steps of 85
    ],
)
def test_read_clip_converts_every_pixel_format(
    make_video, container, codec, pixel_format, tolerance
):
    video = make_video(draw_patches(3), container, codec, pixel_format)
    colours = read_patches(read_clip(video, frame_rate=None))
    assert np.abs(colours - [*PATCHES.values()]).max() <= tolerance


@pytest.mark.parametrize(("container", "codec"), [("matroska", "ffv1"), ("mov", "png")])
def test_read_clip_converts_grey_video_to_grey_rgb(make_video, container, codec):
    colours = read_patches(read_clip(make_video(draw_patches(3), container, codec, "gray")))
    luma = np.array([*PATCHES.values()]) @ [0.299, 0.587, 0.114]
    assert np.abs(colours - luma[:, np.newaxis]).max() <= COLOUR_TOLERANCE


@pytest.mark.parametrize("matrix", [1, 5, 9])  # BT.709, BT.601, BT.2020
@pytest.mark.parametrize("value_range", [1, 2])  # 16 to 235, 0 to 255
def test_read_clip_follows_colour_matrix_and_range_of_file(make_video, matrix, value_range):
    if matrix == 9 and int(av.__version__.partition(".")[0]) < 18:
        pytest.skip(f"PyAV {av.__version__} reads BT.2020, and does not convert to it")
    video = make_video(draw_patches(3), colour=(matrix, value_range))
    colours = read_patches(read_clip(video))
    assert np.abs(colours - [*PATCHES.values()]).max() <= COLOUR_TOLERANCE


def test_read_clip_with_wrong_colour_matrix_is_far_off(make_video):
    """Guards the test above: read with the wrong matrix, these colours are off by far more."""
    tagged = read_patches(read_clip(make_video(draw_patches(3), "h264", colour=(1, 1))))
    untagged = make_video(
        draw_patches(3), "h264", colour=(1, 1), options={"x264-params": "colormatrix=undef"}
    )
    assert np.abs(read_patches(read_clip(untagged)) - tagged).max() > 2 * COLOUR_TOLERANCE


@pytest.mark.parametrize(("height", "width"), [(33, 47), (1, 1), (17, 256)])
def test_read_clip_keeps_odd_sizes(make_video, height, width):
    frames = np.full((3, height, width, 3), (200, 100, 50), np.uint8)
    clip = read_clip(make_video(frames, "matroska", "ffv1", "bgr0"))
    np.testing.assert_array_equal(clip, frames)


def test_read_clip_scales_frames_to_size_of_first(numbered_frames, read_numbers, make_video):
    frames = numbered_frames(8)
    double = frames.repeat(2, axis=1).repeat(2, axis=2)
    video = make_video(frames[:4], "h264") + make_video(double[4:], "h264")
    assert read_numbers(read_clip(video)) == list(range(8))


def test_frame_buffer_grows_and_repeats_frames(monkeypatch):
    monkeypatch.setattr(rgb_frames, "INITIAL_BYTES", 2 * 4 * 3)  # room for one frame
    buffer = FrameBuffer("a.mp4")
    for level, count in ((1, 1), (2, 3), (3, 1)):
        buffer.append(np.full((2, 4, 3), level, np.uint8), count)
    assert buffer.num_frames == 5
    frames = buffer.frames()
    assert (frames.shape, frames.dtype) == ((5, 2, 4, 3), np.uint8)
    assert frames[:, 0, 0, 0].tolist() == [1, 2, 2, 2, 3]


def test_frame_buffer_grows_beyond_the_frames_that_are_expected():
    buffer = FrameBuffer("a.mp4", num_expected=2)
    for level in range(5):
        buffer.append(np.full((2, 4, 3), level, np.uint8))
    assert buffer.frames()[:, 0, 0, 0].tolist() == list(range(5))


def test_read_clip_refuses_clip_larger_than_memory(ten_seconds, monkeypatch):
    monkeypatch.setattr(rgb_frames, "INITIAL_BYTES", 48 * 144 * 3 * 10)
    monkeypatch.setattr(rgb_frames, "MAX_BYTES", 48 * 144 * 3 * 100)
    assert len(read_clip(ten_seconds, end=4)) == 100
    with pytest.raises(VideoError, match=r"101 .* 48 x 144 .* shorten it with `start` and `end`"):
        read_clip(ten_seconds, end=4.04)


def test_read_clip_refuses_distant_time_stamp_before_taking_memory(numbered_frames, make_video):
    times = [Fraction(0), Fraction(1, 25), Fraction(590)]  # 17 GiB until half of that time
    with pytest.raises(VideoError, match="exceeds 16 GiB"):
        read_clip(make_video(numbered_frames(3), "matroska", times=times), frame_rate=3000)
