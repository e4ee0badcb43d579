import io

import av
import numpy as np
import pytest
from fixtures.videos import cropped_matroska, cropped_mp4

from i3d_tf.video.cropping import NO_MARGINS, Margins, read_margins
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe


def quadrants(num_frames=3):
    """uint8 (T, 48, 144, 3): levels of grey 0, 80 above 160, 240."""
    frame = np.zeros((48, 144, 3), np.uint8)
    frame[:24, 72:], frame[24:, :72], frame[24:, 72:] = 80, 160, 240
    return np.stack([frame] * num_frames)


def test_pixels_that_a_matroska_leaves_out(make_video):
    video = make_video(quadrants(), "matroska")
    whole = read_clip(video, None)
    cropped = cropped_matroska(video, left=72, top=8, right=2, bottom=20)
    np.testing.assert_array_equal(read_clip(cropped, None), whole[:, 8:28, 72:142])
    assert (probe(cropped).height, probe(cropped).width) == (20, 70)
    np.testing.assert_array_equal(read_clip(cropped, None, 0.04), whole[1:, 8:28, 72:142])


def test_clean_aperture_of_an_mp4(make_video):
    video = make_video(quadrants())
    whole = read_clip(video, None)
    # In the middle; and up against the right and the lower side, half of what is left away.
    middle = cropped_mp4(video, 100, 40)
    np.testing.assert_array_equal(read_clip(middle, None), whole[:, 4:44, 22:122])
    corner = cropped_mp4(video, 100, 40, 44, 8)
    np.testing.assert_array_equal(read_clip(corner, None), whole[:, 8:, 44:])


def test_cropping_comes_before_rotation(make_video, with_display_matrix):
    video = with_display_matrix(make_video(quadrants()), 0, 1, -1, 0)
    whole = read_clip(video, None)
    corner = cropped_mp4(video, 100, 40, 44, 8)  # loses what is left and above before turning
    shown = read_clip(corner, None)
    assert shown.shape == (3, 100, 40, 3)
    np.testing.assert_array_equal(shown, whole[:, 44:, :40])


@pytest.mark.parametrize("sides", [(144, 0, 0, 0), (70, 0, 74, 0), (0, 30, 0, 30)])
def test_cropping_that_leaves_nothing_is_refused(make_video, sides):
    video = make_video(quadrants(), "matroska")
    with pytest.raises(VideoError, match="not a video that FFmpeg can read"):
        read_clip(cropped_matroska(video, *sides))


@pytest.mark.parametrize("width", [0, -10, 145, 2**31 - 1])
def test_clean_aperture_that_makes_no_sense_is_passed_over(make_video, width):
    assert read_clip(cropped_mp4(make_video(quadrants()), width, 40)).shape == (3, 48, 144, 3)


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "mpegts"])
def test_most_files_leave_nothing_out(make_video, container):
    video = io.BytesIO(make_video(quadrants(), container))
    with av.open(io.BytesIO(video.getvalue())) as opened:
        name, stream = opened.format.name, opened.streams.video[0]
        video.seek(5)
        assert read_margins(video, name, stream, 0) == NO_MARGINS
    assert video.tell() == 5


def test_margins_leave_some():
    assert Margins(1, 2, 3, 4).leave_some_of(5, 7)
    assert not Margins(1, 2, 3, 4).leave_some_of(4, 7)
    assert not Margins(1, 2, 3, 4).leave_some_of(5, 6)
    assert not Margins(-1, 0, 0, 0).leave_some_of(5, 6)


def test_written_videos_have_no_margins(tmp_path):
    write_video(tmp_path / "a.mp4", quadrants())
    assert read_clip(tmp_path / "a.mp4").shape == (3, 48, 144, 3)
