import pytest

from i3d_tf.video.container import Demuxer, open_container


def read_all(video):
    """Demuxer of a video, and whether it ended early."""
    with open_container(video) as media:
        packets = Demuxer(media)
        return list(packets), packets.ended_early()


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "flv", "mpegts", "h264"])
def test_a_whole_video_gives_every_packet_and_a_last_none(numbered_frames, make_video, container):
    packets, ended_early = read_all(make_video(numbered_frames(60), container))
    assert len(packets) == 61
    assert packets[-1] is None
    assert not ended_early


@pytest.mark.parametrize("container", ["matroska", "avi", "flv"])
@pytest.mark.parametrize("kept", [0.5, 0.7])
def test_a_cut_video_ended_early(numbered_frames, make_video, container, kept):
    video = make_video(numbered_frames(250), container)
    packets, ended_early = read_all(video[: int(len(video) * kept)])
    assert len(packets) < 230
    assert ended_early


def test_a_cut_mp4_ended_early_however_little_is_missing(numbered_frames, make_video, index_first):
    video = index_first(make_video(numbered_frames(60)))
    assert read_all(video)[1] is False
    assert read_all(video[:-1])[1] is True


def test_a_stream_that_appears_on_the_way_is_no_obstacle(numbered_frames, make_video):
    video = bytearray(make_video(numbered_frames(250), "flv"))
    # FLV: a header of 9 bytes, then 4 bytes and a tag of type 9 (video) or 8 (sound), repeated.
    at = 9
    for _ in range(200):
        size = int.from_bytes(video[at + 5 : at + 8], "big")
        at += 4 + 11 + size
    video[at + 4] = 8
    packets, _ = read_all(bytes(video))
    assert len(packets) == 250  # one became sound; then None


def test_sound_is_read_but_not_given(numbered_frames, make_video):
    packets, ended_early = read_all(make_video(numbered_frames(10), sound_seconds=3))
    assert len(packets) == 11
    assert not ended_early
