import struct

import pytest

from i3d_tf.video.decode import read_clip, verify_video
from i3d_tf.video.errors import VideoError

NUM_FRAMES = 50


@pytest.fixture(scope="module")
def whole(make_video, numbered_frames):
    return make_video(numbered_frames(NUM_FRAMES), options={"g": "10"})


def verdict(function, *arguments):
    """How many frames there are, or what is wrong."""
    try:
        found = function(*arguments)
    except (VideoError, ValueError) as error:
        return str(error)
    return found if isinstance(found, int) else len(found)


def damaged(video, seed):
    """The video with one byte of its pictures changed."""
    start = video.index(b"mdat") + 4
    (size,) = struct.unpack(">I", video[start - 8 : start - 4])
    at = start + seed * 7919 % (size - 8)
    return video[:at] + bytes([video[at] ^ 0xFF]) + video[at + 1 :]


def test_a_good_video_and_its_cuts_count_their_frames(whole):
    assert verify_video(whole) == NUM_FRAMES
    assert verify_video(whole, 0.4) == 40
    assert verify_video(whole, 0.4, 1.2) == 20
    assert verify_video(whole, end=100) == NUM_FRAMES


@pytest.mark.parametrize("cut", [(None, None), (0.4, 1.2), (5, None), (0, 0), (-1, None)])
def test_it_says_what_reading_says(whole, cut):
    for video in (whole, whole[:-500], whole[:100], b"", b"text"):
        assert verdict(verify_video, video, *cut) == verdict(read_clip, video, None, *cut)


def test_it_sees_the_damage_that_reading_sees(whole):
    verdicts = [verdict(verify_video, damaged(whole, seed)) for seed in range(40)]
    assert verdicts == [verdict(read_clip, damaged(whole, seed), None) for seed in range(40)]
    assert any(isinstance(each, str) for each in verdicts), "no byte mattered"
