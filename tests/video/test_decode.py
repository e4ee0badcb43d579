import io
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from i3d_tf.video import decode
from i3d_tf.video import rgb_frames as picture
from i3d_tf.video.container import Demuxer
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import VideoInfo, probe

# Container, codec, options: with and without B-frames, indices and honest key frames.
FORMATS = [
    ("mp4", "libx264", {"g": "10"}),
    ("matroska", "libx264", {"g": "10"}),
    ("mpegts", "libx264", {"g": "10"}),
    ("avi", "mpeg4", {"g": "10"}),
    ("avi", "libx264", {"g": "10"}),
    ("mp4", "libx264", {"g": "10", "x264-params": "open-gop=1"}),
]
REAL_CLIPS = [
    "kinetics_arm_wrestling.mp4",
    "v_GGSY1Qvo990.mp4",
    "part.avi",
    "v_CricketShot_g04_c01_rgb.gif",
]


@pytest.fixture(scope="module")
def ten_seconds(numbered_frames, make_video):
    """250 numbered frames at 25 per second, a key frame every 10."""
    return make_video(numbered_frames(250), options={"g": "10"})


@pytest.mark.parametrize(("container", "codec", "options"), FORMATS)
def test_frames_come_in_order(numbered_frames, read_numbers, make_video, container, codec, options):
    video = make_video(numbered_frames(40), container, codec, options=options)
    clip = read_clip(video)
    assert clip.dtype == np.uint8
    assert clip.shape == (40, 48, 144, 3)
    assert read_numbers(clip) == list(range(40))
    assert read_numbers(read_clip(video, frame_rate=None)) == list(range(40))


def test_28_frames_per_second_become_25(numbered_frames, read_numbers, make_video):
    numbers = read_numbers(read_clip(make_video(numbered_frames(280), frame_rate=28)))
    assert len(numbers) == 250
    # Output k, at k / 25 s, is nearest to source frame 28 k / 25; no k gives a tie.
    assert numbers == [round(28 * k / 25) for k in range(250)]


@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_uneven_frames_are_chosen_by_time(numbered_frames, read_numbers, make_video, container):
    times = [Fraction(t, 1000) for t in (0, 40, 300, 320, 1000)]
    video = make_video(numbered_frames(5), container, times=times)
    # At 10 per second: 0, .1, ... The midpoints lie at .02, .17, .31 and .66 s.
    expected = [0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4]
    assert read_numbers(read_clip(video, frame_rate=10, end=1.01)) == expected


def test_time_counts_from_the_first_frame(numbered_frames, read_numbers, make_video):
    times = [Fraction(5) + Fraction(k, 25) for k in range(25)]
    video = make_video(numbered_frames(25), "matroska", times=times)
    assert read_numbers(read_clip(video)) == list(range(25))
    assert read_numbers(read_clip(video, start=0.4, end=0.8)) == list(range(10, 20))


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "flv"])
def test_slow_frames_last_as_long_as_they_should(
    numbered_frames, read_numbers, make_video, container
):
    video = make_video(numbered_frames(3), container, frame_rate=Fraction(1, 2))
    # At 1 per second: 0, 1 (a tie), 2, 3 (a tie), 4, 5; the last frame is shown until 6 s.
    assert read_numbers(read_clip(video, frame_rate=1)) == [0, 0, 1, 1, 2, 2]


def test_frames_without_time_stamps_follow_each_other(numbered_frames, read_numbers, make_video):
    video = make_video(numbered_frames(20), "h264")
    assert read_numbers(read_clip(video)) == list(range(20))


@pytest.mark.parametrize(("container", "codec", "options"), FORMATS)
@pytest.mark.parametrize(
    ("first", "last"), [(0, 3), (1, 2), (10, 30), (37, 44), (39, 40), (59, 60)]
)
def test_a_part_equals_the_same_part_of_the_whole(
    numbered_frames, read_numbers, make_video, container, codec, options, first, last
):
    video = make_video(numbered_frames(60), container, codec, options=options)
    part = read_clip(video, start=first / 25, end=last / 25)
    assert read_numbers(part) == list(range(first, last))
    np.testing.assert_array_equal(part, read_clip(video)[first:last])


@pytest.mark.parametrize("name", REAL_CLIPS)
@pytest.mark.parametrize("start", [0.04, 1, 2.52, 3.08])
def test_a_part_of_a_real_clip_equals_the_same_part_of_the_whole(shared_dir, name, start):
    path = shared_dir / "videos" / name
    first = round(start * 25)
    whole = read_clip(path, end=3.16)
    np.testing.assert_array_equal(read_clip(path, start=start, end=3.16), whole[first:])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("kinetics_arm_wrestling.mp4", (250, 256, 340, 3)),
        ("v_GGSY1Qvo990.mp4", (250, 240, 320, 3)),
        ("part.avi", (164, 240, 320, 3)),
        ("v_CricketShot_g04_c01_rgb.gif", (79, 224, 224, 3)),
    ],
)
def test_real_clips_have_their_length(shared_dir, name, shape):
    assert read_clip(shared_dir / "videos" / name, end=10).shape == shape


@pytest.mark.parametrize("name", REAL_CLIPS[:3])
def test_real_clips_equal_another_decoder(shared_dir, name):
    path = shared_dir / "videos" / name
    clip = read_clip(path, frame_rate=None, end=2)
    capture = cv2.VideoCapture(str(path))
    for frame in clip:
        _, other = capture.read()
        # The same H.264 and MPEG-4 bits must decode alike; the conversion to RGB may round
        # otherwise.
        difference = np.abs(frame.astype(int) - cv2.cvtColor(other, cv2.COLOR_BGR2RGB))
        assert difference.max() <= 3
    capture.release()


def test_the_b_frames_of_a_real_avi_are_in_order(shared_dir):
    clip = read_clip(shared_dir / "videos" / "part.avi").astype(np.int16)
    step = np.abs(np.diff(clip, axis=0)).mean()
    swapped = np.concatenate([clip[:2], clip[3:4], clip[2:3], clip[4:]])
    assert step < np.abs(np.diff(swapped, axis=0)).mean()


def test_an_end_beyond_the_video_returns_what_there_is(ten_seconds, read_numbers):
    assert read_numbers(read_clip(ten_seconds, start=9.8, end=1000)) == list(range(245, 250))


@pytest.mark.parametrize("start", [10, 10.5, 1e6])
def test_a_start_after_the_video_is_an_error(ten_seconds, start):
    with pytest.raises(VideoError, match=r"<bytes>: it has no frame from .* s on"):
        read_clip(ten_seconds, start=start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": -1}, "`start` must be a number >= 0; received -1"),
        ({"start": float("nan")}, "`start` must be"),
        ({"end": float("inf")}, "`end` must be"),
        ({"start": 2, "end": 2}, "`end` must be greater than `start`, 2; received 2"),
        ({"end": 0}, "`end` must be greater than `start`, 0; received 0"),
        ({"frame_rate": 0}, "`frame_rate` must be a number > 0; received 0"),
        ({"frame_rate": "25"}, "`frame_rate` must be"),
        ({"source": 3}, "`source` must be a path .* received int"),
        ({"source": None}, "`source` must be a path"),
    ],
)
def test_wrong_arguments_are_named(ten_seconds, arguments, message):
    with pytest.raises(ValueError, match=message):
        read_clip(**{"source": ten_seconds, **arguments})


def test_only_what_is_returned_is_decoded_and_converted(ten_seconds, monkeypatch):
    demuxed, converted = [], []
    all_packets, convert = Demuxer.__iter__, picture.RGBConverter.convert

    def counting_packets(self):
        for packet in all_packets(self):
            demuxed.append(packet)
            yield packet

    def counting_convert(self, frame):
        converted.append(frame)
        return convert(self, frame)

    monkeypatch.setattr(Demuxer, "__iter__", counting_packets)
    monkeypatch.setattr(picture.RGBConverter, "convert", counting_convert)
    read_clip(ten_seconds, start=8.5, end=8.7)
    assert len(converted) == 5
    # The first frame, a key frame at most 10 frames back, 5 frames, and what B-frames and the
    # decoder's threads hold back at both places: far from the 250 there are.
    assert len(demuxed) < 80
    converted.clear()
    read_clip(ten_seconds, frame_rate=5, end=1)
    assert len(converted) == 5


def test_a_seek_that_lands_too_late_is_not_believed(ten_seconds, read_numbers, monkeypatch):
    # A margin of -2 seconds seeks to a key frame after `start`.
    monkeypatch.setattr(decode, "SEEK_MARGINS", (-2, -1))
    assert read_numbers(read_clip(ten_seconds, start=5, end=5.2)) == list(range(125, 130))


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
def test_rotation_is_applied(numbered_frames, make_video, with_display_matrix, matrix, shown):
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
def test_every_pixel_format_becomes_rgb(make_video, container, codec, pixel_format, tolerance):
    video = make_video(draw_patches(3), container, codec, pixel_format)
    colours = read_patches(read_clip(video, frame_rate=None))
    assert np.abs(colours - [*PATCHES.values()]).max() <= tolerance


@pytest.mark.parametrize(("container", "codec"), [("matroska", "ffv1"), ("mov", "png")])
def test_grey_video_becomes_grey_rgb(make_video, container, codec):
    colours = read_patches(read_clip(make_video(draw_patches(3), container, codec, "gray")))
    luma = np.array([*PATCHES.values()]) @ [0.299, 0.587, 0.114]
    assert np.abs(colours - luma[:, np.newaxis]).max() <= COLOUR_TOLERANCE


@pytest.mark.parametrize("matrix", [1, 5, 9])  # BT.709, BT.601, BT.2020
@pytest.mark.parametrize("value_range", [1, 2])  # 16 to 235, 0 to 255
def test_colour_follows_the_matrix_and_range_in_the_file(make_video, matrix, value_range):
    video = make_video(draw_patches(3), colour=(matrix, value_range))
    colours = read_patches(read_clip(video))
    assert np.abs(colours - [*PATCHES.values()]).max() <= COLOUR_TOLERANCE


def test_the_matrix_matters(make_video):
    """Guards the test above: read with the wrong matrix, these colours are off by far more."""
    tagged = read_patches(read_clip(make_video(draw_patches(3), "h264", colour=(1, 1))))
    untagged = make_video(
        draw_patches(3), "h264", colour=(1, 1), options={"x264-params": "colormatrix=undef"}
    )
    assert np.abs(read_patches(read_clip(untagged)) - tagged).max() > 2 * COLOUR_TOLERANCE


@pytest.mark.parametrize(("height", "width"), [(33, 47), (1, 1), (17, 256)])
def test_odd_sizes(make_video, height, width):
    frames = np.full((3, height, width, 3), (200, 100, 50), np.uint8)
    clip = read_clip(make_video(frames, "matroska", "ffv1", "bgr0"))
    np.testing.assert_array_equal(clip, frames)


def test_a_change_of_size_is_scaled_to_the_first(numbered_frames, read_numbers, make_video):
    frames = numbered_frames(8)
    double = frames.repeat(2, axis=1).repeat(2, axis=2)
    video = make_video(frames[:4], "h264") + make_video(double[4:], "h264")
    assert read_numbers(read_clip(video)) == list(range(8))


def test_a_clip_that_would_not_fit_in_memory_is_refused(ten_seconds, monkeypatch):
    monkeypatch.setattr(picture, "INITIAL_BYTES", 48 * 144 * 3 * 10)
    monkeypatch.setattr(picture, "MAX_BYTES", 48 * 144 * 3 * 100)
    assert len(read_clip(ten_seconds, end=4)) == 100
    with pytest.raises(VideoError, match=r"101 .* 48 x 144 .* shorten it with `start` and `end`"):
        read_clip(ten_seconds, end=4.04)


def test_a_time_stamp_far_away_is_refused_before_memory_is_taken(numbered_frames, make_video):
    times = [Fraction(0), Fraction(1, 25), Fraction(2_000_000)]  # 23 days, 50 million frames
    with pytest.raises(VideoError, match="exceeds 16 GiB"):
        read_clip(make_video(numbered_frames(3), "matroska", times=times))


def test_an_index_at_the_front_changes_nothing(ten_seconds, index_first):
    np.testing.assert_array_equal(read_clip(index_first(ten_seconds)), read_clip(ten_seconds))


def test_an_mp4_without_its_index_says_so(ten_seconds):
    with pytest.raises(
        VideoError, match="cut short or damaged: an mp4 file without a readable index"
    ):
        read_clip(ten_seconds[: len(ten_seconds) // 2])


def cut_in_half(video):
    return video[: len(video) // 2]


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "flv"])
@pytest.mark.parametrize("sound_seconds", [0, 10])
def test_a_video_cut_short_is_an_error_only_where_it_is_missing(
    numbered_frames, read_numbers, make_video, index_first, container, sound_seconds
):
    if container == "flv" and sound_seconds:
        sound_seconds = 0  # FLV holds no MPEG layer 2 sound
    video = make_video(
        numbered_frames(250), container, options={"g": "10"}, sound_seconds=sound_seconds
    )
    video = index_first(video) if container == "mp4" else video
    # With sound, the video's packets are written first; a third is surely within them.
    cut = video[: len(video) // 3] if sound_seconds else cut_in_half(video)
    with pytest.raises(VideoError, match=r"<bytes>: it.* damaged"):
        read_clip(cut)
    assert read_numbers(read_clip(cut, start=1, end=1.2)) == list(range(25, 30))


def test_a_sound_track_longer_than_the_video_is_no_cut(numbered_frames, read_numbers, make_video):
    for container in ("mp4", "matroska", "avi"):
        video = make_video(numbered_frames(10), container, sound_seconds=5)
        assert read_numbers(read_clip(video)) == list(range(10))


def test_damage_is_an_error_only_where_it_is(ten_seconds, read_numbers):
    start, end = ten_seconds.index(b"mdat"), ten_seconds.index(b"moov")
    damaged = bytearray(ten_seconds)
    middle = (start + end) // 2
    for at in range(middle, middle + 2000, 5):
        damaged[at] ^= 0xFF
    damaged = bytes(damaged)
    with pytest.raises(VideoError, match="damaged"):
        read_clip(damaged)
    assert read_numbers(read_clip(damaged, end=2)) == list(range(50))
    assert read_numbers(read_clip(damaged, start=9)) == list(range(225, 250))


def test_what_is_made_from_a_damaged_frame_is_damaged(
    numbered_frames, read_numbers, make_video, monkeypatch
):
    video = make_video(numbered_frames(60), options={"g": "40", "bf": "0"})
    with av.open(io.BytesIO(video)) as container:
        packet = [packet for packet in container.demux() if packet.size][20]
        middle = packet.pos + packet.size // 2
    damaged = video[:middle] + bytes(8) + video[middle + 8 :]
    with pytest.raises(VideoError, match=r"<bytes>: it is damaged at 0\.80 s"):
        read_clip(damaged)
    with pytest.raises(VideoError, match=r"<bytes>: it is damaged at 1\.20 s"):
        read_clip(damaged, start=1.2)
    assert read_numbers(read_clip(damaged, end=0.8)) == list(range(20))
    assert read_numbers(read_clip(damaged, start=1.6)) == list(range(40, 60))
    monkeypatch.setattr(decode, "SEEKABLE_FORMATS", ())
    assert read_numbers(read_clip(damaged, start=1.6)) == list(range(40, 60))


def test_damage_before_the_start_is_passed_over(numbered_frames, read_numbers, make_video):
    # Of a format that is decoded from its start: the damage is met on the way.
    video = make_video(numbered_frames(60), "mpegts", options={"g": "20"})
    with av.open(io.BytesIO(video)) as container:
        positions = [packet.pos for packet in container.demux() if packet.size]
    lost = video[: positions[5]] + video[positions[8] :]
    assert read_numbers(read_clip(lost, start=1.6)) == list(range(40, 60))


def test_an_unreadable_packet_before_the_start_is_passed_over(
    numbered_frames, read_numbers, make_video
):
    video = make_video(numbered_frames(60), "flv", options={"g": "20", "bf": "0"})
    with av.open(io.BytesIO(video)) as container:
        packet = [packet for packet in container.demux() if packet.size][5]
    at = video.index(bytes(packet))
    blank = video[:at] + bytes(packet.size) + video[at + packet.size :]
    assert read_numbers(read_clip(blank, start=1.6)) == list(range(40, 60))
    assert read_numbers(read_clip(blank, end=0.2)) == list(range(5))
    for start in (None, 0.4):
        with pytest.raises(VideoError, match="damaged"):
            read_clip(blank, start=start)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_false_key_frames_are_not_believed(numbered_frames, make_video, codec):
    video = make_video(numbered_frames(60), codec=codec, options={"g": "50"})
    # Without its list of key frames, an mp4 says that every frame is one.
    claims_all = video.replace(b"stss", b"free")
    assert claims_all != video
    np.testing.assert_array_equal(read_clip(claims_all, start=1.2), read_clip(video)[30:])


def test_nothing_is_printed(ten_seconds, capfd):
    for video in (b"not a video at all", cut_in_half(ten_seconds), ten_seconds):
        try:
            read_clip(video, end=1)
        except VideoError:
            continue
    assert capfd.readouterr() == ("", "")


def test_bytes_path_and_remote_name_give_the_same(ten_seconds, tmp_path):
    import tensorflow as tf

    path = tmp_path / "clip.mp4"
    path.write_bytes(ten_seconds)
    with tf.io.gfile.GFile("ram://clip.mp4", "wb") as file:
        file.write(ten_seconds)
    expected = read_clip(ten_seconds, end=1)
    for source in (path, str(path), "ram://clip.mp4"):
        np.testing.assert_array_equal(read_clip(source, end=1), expected)


def test_probe_reads_the_header(ten_seconds):
    expected = VideoInfo(duration=10.0, frame_rate=25.0, num_frames=250, height=48, width=144)
    assert probe(ten_seconds) == expected


def test_probe_of_a_stream_without_a_header(numbered_frames, make_video):
    info = probe(make_video(numbered_frames(3), "h264"))
    assert (info.duration, info.num_frames, info.height, info.width) == (None, None, 48, 144)


def test_probe_agrees_with_the_frames_of_a_real_clip(shared_dir):
    info = probe(Path(shared_dir) / "videos" / "v_GGSY1Qvo990.mp4")
    assert (info.num_frames, info.height, info.width) == (355, 240, 320)
    assert info.frame_rate == pytest.approx(19.62)
    assert info.duration == pytest.approx(18.04, abs=0.01)
