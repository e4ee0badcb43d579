"""Clips of videos whose every frame carries its own number."""

import itertools

import numpy as np
import pytest

from i3d_tf.inference.test_clip import read_start, read_test_clips
from i3d_tf.specs.protocol import Protocol
from i3d_tf.video.errors import VideoError

SIZE = {"short_side": 48, "crop_size": 32}  # the videos' own size


@pytest.fixture(scope="module")
def numbered_video(numbered_frames, make_video, tmp_path_factory):
    """Function: number of frames -> path of a video of them."""
    folder = tmp_path_factory.mktemp("numbered")

    def write(num_frames):
        path = folder / f"{num_frames}.mp4"
        if not path.exists():
            path.write_bytes(make_video(numbered_frames(num_frames)))
        return path

    return write


@pytest.fixture
def windows_of(read_numbers):
    """Function: TestClips -> (numbers of the frames, number of the next one) of each window."""

    def numbers(clips):
        return [
            (
                read_numbers(window.frames),
                None if window.next_frame is None else read_numbers(window.next_frame[None])[0],
            )
            for window in itertools.chain(*clips.clips())
        ]

    return numbers


@pytest.mark.parametrize(
    ("num_frames", "window", "next_frame"),
    [(30, range(12), 12), (13, range(12), 12), (12, range(12), None), (9, range(9), None)],
)
def test_read_test_clips_of_one_window_are_the_first_frames(
    numbered_video, windows_of, num_frames, window, next_frame
):
    clips = read_test_clips(numbered_video(num_frames), Protocol(frames=12, **SIZE))
    assert windows_of(clips) == [(list(window), next_frame)]
    assert clips.num_frames == len(window)


@pytest.mark.parametrize(("end", "next_frame"), [(1.0, 22), (22 / 25, None), (None, 22)])
def test_read_test_clips_of_a_cut_are_its_first_frames(numbered_video, windows_of, end, next_frame):
    clips = read_test_clips(numbered_video(30), Protocol(frames=12, **SIZE), start=0.4, end=end)
    assert windows_of(clips) == [(list(range(10, 22)), next_frame)]


@pytest.mark.parametrize(
    ("num_frames", "frames", "windows", "num_used"),
    [
        (45, 16, [(range(16), 16), (range(14, 30), 30), (range(29, 45), None)], 45),
        (100, 10, [(range(10), 10), (range(90, 100), None)], 20),
        (12, 16, [(range(12), None)] * 2, 12),
    ],
)
def test_read_test_clips_of_several_windows_are_spread_evenly(
    numbered_video, windows_of, num_frames, frames, windows, num_used
):
    protocol = Protocol(frames=frames, windows=len(windows), **SIZE)
    clips = read_test_clips(numbered_video(num_frames), protocol)
    assert windows_of(clips) == [(list(numbers), following) for numbers, following in windows]
    assert clips.num_frames == num_used
    following = {number for _, number in windows if number is not None}
    used = set().union(*(numbers for numbers, _ in windows)) | following
    assert len(clips.frames) == len(used)  # no others are in memory


@pytest.mark.parametrize(
    ("num_frames", "frames", "snippets"),
    [
        (29, 5, [(range(4, 9), 9), (range(12, 17), 17), (range(20, 25), 25)]),
        (10, 6, [(range(6), 6), (range(2, 8), 8), (range(4, 10), None)]),
        (9, 12, [(range(9), None)] * 3),
    ],
)
def test_read_test_clips_of_segments_are_one_clip_of_snippets(
    numbered_video, windows_of, num_frames, frames, snippets
):
    protocol = Protocol(frames=frames, segments=3, **SIZE)
    clips = read_test_clips(numbered_video(num_frames), protocol)
    assert clips.num_clips == 1
    assert windows_of(clips) == [(list(numbers), following) for numbers, following in snippets]
    assert clips.num_frames == len({number for numbers, _ in snippets for number in numbers})


def test_read_test_clips_are_at_the_frame_rate_and_size_of_the_protocol(numbered_video):
    protocol = Protocol(frames=9, frame_rate=12.5, short_side=96, crop_size=80)
    clips = read_test_clips(numbered_video(30), protocol)
    assert clips.frames.shape == (10, 96, 288, 3)
    for windows in (1, 2):  # by the same way, whatever their number
        protocol = Protocol(9, 12.5, 96, 80, windows=windows)
        first = next(read_test_clips(numbered_video(30), protocol).clips())[0]
        np.testing.assert_array_equal(first.frames, clips.frames[:9])


def test_read_start_reads_as_many_frames_as_there_are(numbered_video, read_numbers):
    for max_frames in (20, 30, 31):
        frames = read_start(numbered_video(30), Protocol(**SIZE), max_frames)
        assert read_numbers(frames) == list(range(min(max_frames, 30)))


@pytest.mark.parametrize("windows", [1, 2])
def test_read_test_clips_refuses_bad_videos(write_bad_videos, tmp_path, windows):
    protocol = Protocol(frames=10, windows=windows, **SIZE)
    for name, reason in write_bad_videos(tmp_path).items():
        with pytest.raises(VideoError) as raised:
            read_test_clips(tmp_path / name, protocol)
        assert raised.value.reason.startswith(reason), name
    for path, reason in (
        (tmp_path / "missing.mp4", "no such file or directory"),
        (tmp_path, "it is a folder without pictures"),
    ):
        with pytest.raises(VideoError, match=reason):
            read_test_clips(path, protocol)


def test_read_test_clips_needs_nine_frames(write_grey_video, tmp_path):
    path = write_grey_video(tmp_path / "eight.mp4", [50] * 8)
    with pytest.raises(VideoError, match="it has 8 frames at 25 per second; at least 9 are needed"):
        read_test_clips(path, Protocol())


@pytest.mark.parametrize("windows", [1, 2])
def test_read_test_clips_refuses_frames_that_would_be_huge_when_resized(
    write_grey_video, tmp_path, windows
):
    path = write_grey_video(tmp_path / "strip.mp4", [50] * 9, size=(16, 258))
    reason = "its frames of 258 x 16 pixels are too narrow: one side is more than 16 times the"
    with pytest.raises(VideoError, match=reason):
        read_test_clips(path, Protocol(windows=windows))
