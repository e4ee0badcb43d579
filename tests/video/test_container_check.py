import io

import av
import numpy as np
import pytest

from i3d_tf.video import container_check
from i3d_tf.video.container_check import start_check
from i3d_tf.video.decode import count_frames, read_clip
from i3d_tf.video.errors import VideoError

NUM_FRAMES = 60
FORMATS = {
    "matroska": ("matroska", "libx264"),
    "webm_vp8": ("webm", "libvpx"),
    "webm_vp9": ("webm", "libvpx-vp9"),
    "ogg": ("ogg", "libvpx"),
    "gif": ("gif", "gif"),
    "flv": ("flv", "libx264"),
    "avi": ("avi", "mpeg4"),
    "mpegts": ("mpegts", "libx264"),
    "mp4": ("mp4", "libx264"),
}
FFMPEG_NAMES = {"matroska": "matroska,webm", "webm_vp8": "matroska,webm", "webm_vp9": "matroska"}
STREAM_IDS = {"mpegts": 256}


@pytest.fixture(scope="module")
def videos(make_video):
    """A video of each format, with a key frame every 20; each frame is a few hundred bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (NUM_FRAMES, 4, 6, 3), np.uint8)
    frames = noise.repeat(12, axis=1).repeat(12, axis=2)
    found = {}
    for name, (container, codec) in FORMATS.items():
        options = {"g": "20", "cpu-used": "8", "deadline": "realtime"} if "vpx" in codec else {}
        options = {"g": "20", "bf": "0", "crf": "20"} if codec == "libx264" else options
        pixel_format = "rgb8" if codec == "gif" else "yuv420p"
        found[name] = make_video(frames, container, codec, pixel_format, options=options)
    return found


def is_whole(video, name):
    """Whether the walk through a file finds nothing, whatever the pace."""
    steps = (1, 1000, len(video))
    found = set()
    for step in steps:
        format_name = FFMPEG_NAMES.get(name, name)
        check = start_check(io.BytesIO(video), format_name, STREAM_IDS.get(name, 0))
        damaged = [check.is_damaged(at, at + step) for at in range(0, len(video), step)]
        found.add(not any(damaged) and not check.is_damaged_to_end())
    assert len(found) == 1, "it depends on the pace"
    return found.pop()


CHECKED = [name for name in FORMATS if name != "mp4"]


@pytest.mark.parametrize("name", CHECKED)
def test_check_of_sound_file(videos, name):
    assert is_whole(videos[name], name)


def test_check_is_none_for_other_formats(videos):
    assert start_check(io.BytesIO(videos["mp4"]), "mov,mp4,m4a,3gp,3g2,mj2", 1) is None


@pytest.mark.parametrize("name", CHECKED)
def test_check_leaves_the_position_of_the_file(videos, name):
    file = io.BytesIO(videos[name])
    file.seek(7)
    check = start_check(file, FFMPEG_NAMES.get(name, name), STREAM_IDS.get(name, 0))
    assert not check.is_damaged_to_end()
    assert file.tell() == 7


@pytest.mark.parametrize("name", FORMATS)
def test_block_of_zeros_gives_no_other_frames(videos, name):
    video = videos[name]
    sound = read_clip(video)
    accepted = 0
    for number in range(1, 16):
        at = (len(video) - 1024) * number // 16
        try:
            clip = read_clip(video[:at] + bytes(1024) + video[at + 1024 :])
        except VideoError:
            continue
        accepted += 1  # zeros in a header that nobody needs
        np.testing.assert_array_equal(clip, sound)
    assert accepted < 4


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.3, 0.55, 0.8, 0.97])
def test_cut_video_is_refused(videos, name, kept):
    video = videos[name]
    if name == "avi":
        video = video[: video.index(b"idx1")]  # which is not needed
    with pytest.raises(VideoError, match=r"damaged|cut short"):
        read_clip(video[: int(len(video) * kept)])


@pytest.mark.parametrize("name", ["matroska", "webm_vp8", "ogg", "gif"])
def test_check_finds_a_cut_at_every_byte(videos, name):
    video = videos[name]
    format_name = FFMPEG_NAMES.get(name, name)
    missed = []
    for end in range(len(video) // 2, len(video) // 2 + 1500):
        check = start_check(io.BytesIO(video[:end]), format_name, 0)
        if not check.is_damaged_to_end():
            missed.append(end)
    assert not missed


@pytest.mark.parametrize("name", FORMATS)
def test_damage_after_the_part_does_not_matter(videos, name):
    video = videos[name]
    at = len(video) * 2 // 3
    damaged = video[:at] + bytes(1024) + video[at + 1024 :]
    whole = read_clip(video)
    np.testing.assert_array_equal(read_clip(damaged, end=0.6), whole[:15])
    with pytest.raises(VideoError, match="damaged"):
        read_clip(damaged)


@pytest.mark.parametrize("name", ["webm_vp8", "webm_vp9", "mp4", "mpegts"])
def test_damage_before_the_part_does_not_matter(videos, name):
    video = videos[name]
    at = len(video) // 5
    damaged = video[:at] + bytes(1024) + video[at + 1024 :]
    whole = read_clip(video)
    np.testing.assert_array_equal(read_clip(damaged, start=2), whole[50:])


@pytest.mark.parametrize("name", ["ogg", "gif"])
def test_damage_before_the_part_matters_where_frames_are_counted(videos, name):
    video = videos[name]
    at = len(video) // 5
    with pytest.raises(VideoError, match="damaged"):
        read_clip(video[:at] + bytes(1024) + video[at + 1024 :], start=2)


@pytest.mark.parametrize("name", FORMATS)
def test_mutated_video_is_read_or_refused(videos, mutations, name):
    counts = []
    for damaged in mutations(videos[name], 25, 0):
        try:
            counts.append(count_frames(damaged))
        except VideoError:
            counts.append(None)
    assert None in counts


def remux(video, container, options, sound_seconds):
    """Returns the same frames in another file."""
    output = io.BytesIO()
    with (
        av.open(io.BytesIO(video)) as source,
        av.open(output, "w", format=container, options=options) as copy,
    ):
        stream = copy.add_stream_from_template(source.streams.video[0])
        sound = copy.add_stream("libopus", rate=48000) if sound_seconds else None
        if sound:
            for index in range(int(sound_seconds * 50)):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), "s16", "stereo")
                frame.sample_rate, frame.pts = 48000, index * 960
                copy.mux(sound.encode(frame))
            copy.mux(sound.encode(None))
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return output.getvalue()


@pytest.mark.parametrize(
    ("name", "container", "options"),
    [
        ("matroska", "matroska", {"live": "1"}),  # sizes and duration that are not known
        ("webm_vp9", "webm", {"live": "1"}),
        ("matroska", "matroska", {"cluster_time_limit": "200"}),
        ("matroska", "matroska", {"write_crc32": "0"}),
        ("mpegts", "mpegts", {"mpegts_m2ts_mode": "1"}),
        ("mpegts", "mpegts", {"muxrate": "2000000"}),
        ("flv", "flv", {"flvflags": "no_duration_filesize"}),
        ("ogg", "ogg", {"page_duration": "20000"}),
    ],
)
@pytest.mark.parametrize("sound_seconds", [0, 4])
def test_other_layouts_are_read(videos, name, container, options, sound_seconds):
    if container == "flv":
        sound_seconds = 0  # FLV holds no Opus
    video = remux(videos[name], container, options, sound_seconds)
    np.testing.assert_array_equal(read_clip(video), read_clip(videos[name]))


@pytest.mark.parametrize("name", ["matroska", "mpegts", "gif", "ogg"])
def test_joined_files_are_no_damage(videos, name):
    assert is_whole(videos[name] * 2, name)


def test_transport_stream_that_starts_within_a_packet_is_read(videos):
    assert count_frames(videos["mpegts"][1000:]) < NUM_FRAMES
    assert is_whole(videos["mpegts"][1000:], "mpegts")


@pytest.mark.parametrize("extra", [b"\0", bytes(5000), b"hello"])
@pytest.mark.parametrize("name", ["gif", "ogg"])
def test_bytes_after_the_end_are_no_damage(videos, name, extra):
    assert is_whole(videos[name] + extra, name)


def test_gif_with_comment_and_padding_is_no_damage(videos):
    comment = b"\x21\xfe\x05hello\x00"
    assert is_whole(videos["gif"][:-1] + comment + b"\0" + b"\x3b", "gif")


def test_gif_without_its_last_byte_is_cut(videos):
    with pytest.raises(VideoError, match=r"cut short after 2\.36 s"):
        read_clip(videos["gif"][:-1])


def test_checksum_finds_one_changed_bit(videos):
    for name in ("matroska", "ogg"):
        video = bytearray(videos[name])
        video[len(video) * 3 // 4] ^= 1
        assert not is_whole(bytes(video), name)


def test_missing_packets_of_transport_stream_are_damage(videos):
    video = videos["mpegts"]
    packets = [video[at : at + 188] for at in range(0, len(video), 188)]
    # One that neither starts a picture nor is followed by one that does, of the video.
    inner = [(p[1] & 0x5F) << 8 | p[2] == 256 for p in packets]
    index = next(k for k in range(20, len(packets)) if inner[k] and inner[k + 1])
    assert not is_whole(b"".join(packets[:index] + packets[index + 1 :]), "mpegts")
    marked = packets[index][:1] + bytes([packets[index][1] | 0x80]) + packets[index][2:]
    assert not is_whole(b"".join([*packets[:index], marked, *packets[index + 1 :]]), "mpegts")


def test_small_window_gives_the_same(videos, monkeypatch):
    monkeypatch.setattr(container_check, "WINDOW", 2048)
    for name in CHECKED:
        assert is_whole(videos[name], name)
        end = videos[name].find(b"idx1") if name == "avi" else len(videos[name])
        assert not is_whole(videos[name][: end - 100], name)


def test_avi_without_its_index_is_whole(videos):
    avi = videos["avi"]
    without = avi[: avi.index(b"idx1")]
    assert is_whole(without, "avi")
    np.testing.assert_array_equal(read_clip(without), read_clip(avi))


def test_lost_bytes_of_an_avi_shift_no_frames(videos):
    avi, at = videos["avi"], len(videos["avi"]) // 4
    with pytest.raises(VideoError, match="damaged"):
        read_clip(avi[:at] + avi[at + 50 :], start=1.2, end=2)


def test_damage_holds_until_the_packet_behind_it(videos):
    # Packets of one page have its position: the first of them may reach beyond it by its size.
    video = videos["ogg"]
    page = video.index(b"OggS", len(video) // 2)
    damaged = bytearray(video)
    damaged[page + 100] ^= 1
    end = video.find(b"OggS", page + 1)
    check = start_check(io.BytesIO(bytes(damaged)), "ogg", 0)
    assert not check.is_damaged(0, page)
    assert check.is_damaged(0, page + 10)
    assert check.is_damaged(page - 1, page + 20)
    assert not check.is_damaged(end, end + 10)
