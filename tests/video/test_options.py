import io
from fractions import Fraction

import av
import numpy as np
import pytest

from i3d_tf.video.decode import concealed_frames, count_frames, read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.frame_folder import video_metadata
from i3d_tf.video.options import VARIABLE, VideoOptions, set_video_options, video_options
from i3d_tf.video.probe import probe


@pytest.fixture(autouse=True)
def usual_options(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")


def test_options_are_kept_for_processes_to_come():
    assert video_options() == VideoOptions("refuse", False, False)
    set_video_options(deinterlace=True)
    set_video_options(damaged="conceal")
    assert video_options() == VideoOptions("conceal", True, False)
    set_video_options(deinterlace=False)
    assert video_options().unusual() == {"damaged": "conceal"}


@pytest.mark.parametrize(
    "value", ["x", "[]", '{"damaged": "hide"}', '{"deinterlace": 1}', '{"rate": 3}', "null"]
)
def test_options_that_nobody_wrote_are_refused(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ValueError, match=f"{VARIABLE} must be JSON such as"):
        video_options()


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="`damaged` must be one of"):
        set_video_options(damaged="yes")
    with pytest.raises(ValueError, match="`pixel_aspect` must be true or false; received 2"):
        set_video_options(pixel_aspect=2)
    assert video_options() == VideoOptions()


def test_unusual_options_tell_videos_apart(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"abc")
    usual = video_metadata(tmp_path / "a.mp4")
    set_video_options(damaged="conceal")
    assert video_metadata(tmp_path / "a.mp4") == {**usual, "damaged": "conceal"}


@pytest.fixture(scope="module")
def damaged(numbered_frames, make_video, with_damaged_packet):
    """Sixty frames, a key frame every 20, whose frame 30 is damaged: 30 to 39 are made from it."""
    video = make_video(numbered_frames(60), options={"g": "20", "bf": "0"})
    return with_damaged_packet(video, 30)


def test_damage_is_concealed_and_counted(damaged, read_numbers):
    set_video_options(damaged="conceal")
    with pytest.warns(UserWarning, match="it is damaged"):
        read_clip(damaged)
    set_video_options(damaged="refuse")
    with pytest.raises(VideoError, match=r"damaged or cut short after 1\.16 s"):
        read_clip(damaged)
    assert concealed_frames("<bytes>") == 0, "what was read last was refused"
    set_video_options(damaged="conceal")
    with pytest.warns(UserWarning, match="it is damaged; 10 frames are concealed or lost"):
        clip = read_clip(damaged)
    assert len(clip) == 60
    assert read_numbers(clip[:30]) == list(range(30))
    assert read_numbers(clip[40:]) == list(range(40, 60))
    assert concealed_frames("<bytes>") == 10
    assert count_frames(damaged) == 60
    assert read_numbers(read_clip(damaged, end=1)) == list(range(25))
    assert concealed_frames("<bytes>") == 0


@pytest.mark.filterwarnings("ignore:.*it is damaged")
def test_video_that_is_cut_short_is_shown_to_its_end(numbered_frames, read_numbers, make_video):
    video = make_video(numbered_frames(100), "matroska", options={"bf": "0"})
    cut = video[: len(video) // 2]
    with pytest.raises(VideoError):
        read_clip(cut)
    set_video_options(damaged="conceal")
    clip = read_clip(cut)
    assert 30 < len(clip) < 70
    assert read_numbers(clip[:-1]) == list(range(len(clip) - 1))
    assert concealed_frames("<bytes>") >= 1


@pytest.mark.filterwarnings("ignore:.*it is damaged")
def test_lost_frames_are_replaced_by_the_nearest(numbered_frames, read_numbers, make_video):
    options = {"g": "1", "bf": "0"}
    video = make_video(numbered_frames(20), "matroska", options=options)
    with av.open(io.BytesIO(video)) as container:
        packets = [bytes(packet) for packet in container.demux() if packet.size]
    for packet in packets[10:12]:
        at = video.index(packet)
        video = (
            video[:at]
            + bytes([0, 0, 0, 0]) * (len(packet) // 4)
            + video[at + len(packet) // 4 * 4 :]
        )
    set_video_options(damaged="conceal")
    assert read_numbers(read_clip(video)) == [*range(10), 9, 12, *range(12, 20)]
    assert concealed_frames("<bytes>") == 2


def test_whole_videos_are_the_same_whatever_the_option(ten_seconds):
    expected = read_clip(ten_seconds, end=2)
    set_video_options(damaged="conceal", deinterlace=True, pixel_aspect=True)
    np.testing.assert_array_equal(read_clip(ten_seconds, end=2), expected)
    assert count_frames(ten_seconds) == 250


def moving_bar(interlaced):
    """Twenty frames of a bar that moves 8 pixels from one field to the next."""
    file = io.BytesIO()
    with av.open(file, "w", "mp4") as output:
        options = {"crf": "1", "preset": "ultrafast"}
        if interlaced:
            options["x264-params"] = "tff=1"
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, 256, "yuv420p"
        for number in range(12):
            frame = np.zeros((64, 256, 3), np.uint8)
            for field in (0, 1):
                left = 16 * number + 8 * field * interlaced
                frame[field::2, left : left + 32] = 255
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return file.getvalue()


def combing(clip):
    """Mean difference from one row to the next, of levels."""
    return float(np.abs(np.diff(clip[2:-2, 8:-8].astype(int), axis=1)).mean())


def test_interlaced_frames_are_deinterlaced():
    video = moving_bar(interlaced=True)
    combed = read_clip(video)
    set_video_options(deinterlace=True)
    clean = read_clip(video)
    assert clean.shape == combed.shape == (12, 64, 256, 3)
    assert combing(combed) > 10
    assert combing(clean) < 1
    np.testing.assert_array_equal(read_clip(video, start=0.2)[1:-1], clean[6:-1])


def test_progressive_frames_stay():
    video = moving_bar(interlaced=False)
    expected = read_clip(video)
    set_video_options(deinterlace=True)
    np.testing.assert_array_equal(read_clip(video), expected)


def test_damage_behind_interlaced_frames_is_seen(damaged):
    set_video_options(deinterlace=True)
    with pytest.raises(VideoError, match="damaged"):
        read_clip(damaged)
    assert len(read_clip(damaged, end=1)) == 25


@pytest.mark.parametrize(
    ("aspect", "width"), [("1", 128), ("16/11", 186), ("1/2", 64), (None, 128)]
)
def test_pixel_aspect(aspect, width):
    file = io.BytesIO()
    with av.open(file, "w", "mp4") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = 64, 128, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        frame = np.zeros((64, 128, 3), np.uint8)
        frame[:, 64:] = 255
        output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        output.mux(stream.encode(None))
    video = file.getvalue()
    assert read_clip(video).shape == (1, 64, 128, 3)
    set_video_options(pixel_aspect=True)
    clip = read_clip(video)
    assert clip.shape == (1, 64, width, 3)
    assert (probe(video).height, probe(video).width) == (64, width)
    assert clip[0, 32, width // 2 - 4, 0] < 30
    assert clip[0, 32, width // 2 + 4, 0] > 225
