import io
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from i3d_tf.video import container as module
from i3d_tf.video.container import Demuxer, open_container
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe


@pytest.fixture(scope="module")
def video(numbered_frames, make_video):
    """Five numbered frames."""
    return make_video(numbered_frames(5))


def refused(source):
    """The reason for which `read_clip` refuses a source; the error must name the source."""
    with pytest.raises(VideoError) as caught:
        read_clip(source)
    assert caught.value.path == ("<bytes>" if isinstance(source, bytes) else os.fspath(source))
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_missing_file_is_refused(tmp_path):
    assert refused(tmp_path / "none.mp4") == "no such file or directory"


def test_missing_remote_file_is_refused():
    assert refused("ram://none.mp4") == "there is no such file"


def test_unknown_protocol_is_refused():
    assert refused("nonesuch://host/a.mp4").startswith("nonesuch:// ")


def test_remote_file_larger_than_memory_is_refused(video, monkeypatch):
    import tensorflow as tf

    with tf.io.gfile.GFile("ram://large.mp4", "wb") as file:
        file.write(video)
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    assert f"it has {len(video)} bytes" in refused("ram://large.mp4")


def test_folder_is_refused(tmp_path):
    assert refused(tmp_path) == "it is a folder without pictures"


def test_file_without_permission_is_refused(tmp_path, video, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(video)

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(path))

    # Not by file mode, which does not stop the superuser that containers run tests as.
    monkeypatch.setattr("os.open", refuse)
    assert refused(path) == "permission denied"


def test_pipe_is_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    assert refused(path) == "it is not a regular file"


def test_impossible_name_is_refused():
    assert refused("a\0b.mp4") == "no file can have this name"


@pytest.mark.parametrize("as_file", [True, False])
def test_empty_file_is_refused(tmp_path, as_file):
    path = tmp_path / "empty.mp4"
    path.write_bytes(b"")
    assert refused(path if as_file else b"") == "it is empty (0 bytes)"


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes.srt", "notes.nfo"])
def test_text_file_of_any_name_is_refused(tmp_path, name):
    # FFmpeg by itself draws a .txt or .nfo file letter by letter, as video.
    path = tmp_path / name
    path.write_text("nothing to see here\n" * 100)
    assert refused(path).startswith("it is not a video that FFmpeg can read")


def test_random_bytes_are_refused():
    noise = np.random.default_rng(0).bytes(10_000)
    assert refused(noise).startswith("it is not a video")


def test_audio_without_video_is_refused(make_sound):
    assert refused(make_sound(1)) == "it has no video stream (audio only)"


def test_cover_picture_is_not_a_video():
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as output:
        sound = output.add_stream("mp3", rate=16000)
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        output.mux(cover.encode(picture))
        output.mux(cover.encode(None))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), "s16p", "mono")
        samples.sample_rate = 16000
        output.mux(sound.encode(samples))
        output.mux(sound.encode(None))
    assert refused(file.getvalue()) == "it has no video stream (audio only)"


def test_header_without_frames_is_refused():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        output.start_encoding()
    assert refused(file.getvalue()) == "it ends before its first frame"


def test_video_of_damaged_frames_is_refused(video, index_first):
    video = index_first(video)
    data = video.index(b"mdat") + 4
    blank = video[:data] + bytes(len(video) - data)
    assert refused(blank) == "it is damaged or cut short at its start"


def test_single_frame_is_a_video(numbered_frames, make_video):
    assert read_clip(make_video(numbered_frames(1))).shape == (1, 48, 144, 3)


@pytest.mark.parametrize(("width", "height"), [(65535, 65535), (2**30, 2**30), (20_000, 8192)])
@pytest.mark.parametrize(("codec", "pixel_format"), [("ffv1", "bgr0"), ("rawvideo", "bgr24")])
def test_absurd_size_is_refused(numbered_frames, make_video, codec, pixel_format, width, height):
    video = bytearray(make_video(numbered_frames(1), "avi", codec, pixel_format))
    at = video.index(b"strf") + 12  # after name, length and the header's own size
    video[at : at + 8] = struct.pack("<2i", width, height)
    assert refused(bytes(video)) == (
        "no frame of it can be decoded: its frame size is unknown or above 134217728 pixels"
    )


def test_size_that_becomes_absurd_is_refused(numbered_frames, make_video, monkeypatch):
    frames = numbered_frames(4)
    double = frames.repeat(2, axis=1).repeat(2, axis=2)
    video = make_video(frames, "h264") + make_video(double, "h264")
    assert len(read_clip(video)) == 8
    monkeypatch.setattr(module, "MAX_PIXELS", 48 * 144 * 2)
    assert "damaged" in refused(video)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile clip.mp4\n",
        "ffconcat version 1.0\nfile '{path}'\n",
    ],
)
@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.ffconcat"])
def test_playlist_opens_no_other_file(tmp_path, monkeypatch, video, playlist, name):
    (tmp_path / "clip.mp4").write_bytes(video)
    (tmp_path / name).write_text(playlist.format(path=tmp_path / "clip.mp4"))
    monkeypatch.chdir(tmp_path)
    assert refused(name).startswith("it is not a video that FFmpeg can read")


@pytest.mark.parametrize(
    "name",
    ["concat:a|b.mp4", "file:a.mp4", "frame%03d.mp4", "http:a.mp4", "-i", "каток 🎿.mp4", "*.mp4"],
)
def test_odd_names_are_opened_as_files(tmp_path, monkeypatch, video, name):
    (tmp_path / name).write_bytes(video)
    monkeypatch.chdir(tmp_path)
    assert len(read_clip(name)) == 5
    assert len(read_clip(Path(name))) == 5


def test_files_are_closed_after_reading(tmp_path, video):
    path = tmp_path / "clip.mp4"
    path.write_bytes(video)
    descriptors = len(os.listdir("/dev/fd"))
    read_clip(path)
    probe(path)
    path.write_bytes(video[:100])
    refused(path)
    assert len(os.listdir("/dev/fd")) == descriptors


def test_metadata_that_is_not_unicode_is_replaced(numbered_frames, make_video):
    video = make_video(numbered_frames(5), "matroska")
    assert b"Lavf" in video  # the name of the program that wrote the file
    assert len(read_clip(video.replace(b"Lavf", b"\xff\xfe\xff\xfe"))) == 5


def test_rewind_starts_again(video):
    with open_container(video) as opened:
        first = next(opened.av_container.decode(opened.stream))
        opened.rewind()
        again = next(opened.av_container.decode(opened.stream))
    assert first.pts == again.pts


def test_damage_is_tolerated_without_threads(video):
    # With a thread for each slice, FFmpeg does not tell of what is missing in H.264.
    with open_container(video) as opened:
        assert opened.stream.thread_type.name == "AUTO"
        opened.tolerate_damage()
        assert opened.stream.thread_type.name == "NONE"


def read_all(video):
    """Demuxer of a video, and whether it ended early."""
    with open_container(video) as container:
        packets = Demuxer(container)
        return list(packets), packets.ended_early()


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "flv", "mpegts", "h264"])
def test_demuxer_gives_every_packet_then_none(numbered_frames, make_video, container):
    packets, ended_early = read_all(make_video(numbered_frames(60), container))
    assert len(packets) == 61
    assert packets[-1] is None
    assert not ended_early


@pytest.mark.parametrize("container", ["matroska", "avi", "flv"])
@pytest.mark.parametrize("kept", [0.5, 0.7])
def test_demuxer_ended_early_in_cut_video(numbered_frames, make_video, container, kept):
    video = make_video(numbered_frames(250), container)
    packets, ended_early = read_all(video[: int(len(video) * kept)])
    assert len(packets) < 230
    assert ended_early


def test_demuxer_ended_early_in_mp4_without_last_byte(numbered_frames, make_video, index_first):
    video = index_first(make_video(numbered_frames(60)))
    assert read_all(video)[1] is False
    assert read_all(video[:-1])[1] is True


def test_demuxer_passes_over_stream_that_appears_later(numbered_frames, make_video):
    video = bytearray(make_video(numbered_frames(250), "flv"))
    # FLV: a header of 9 bytes, then 4 bytes and a tag of type 9 (video) or 8 (sound), repeated.
    at = 9
    for _ in range(200):
        size = int.from_bytes(video[at + 5 : at + 8], "big")
        at += 4 + 11 + size
    video[at + 4] = 8
    packets, _ = read_all(bytes(video))
    assert len(packets) == 250  # one became sound; then None


def test_demuxer_reads_sound_without_giving_it(numbered_frames, make_video):
    packets, ended_early = read_all(make_video(numbered_frames(10), sound_seconds=3))
    assert len(packets) == 11
    assert not ended_early


def test_folder_that_cannot_be_read_says_why(tmp_path, close_folder):
    with pytest.raises(VideoError, match="it is a folder, not a file"), open_container(tmp_path):
        pass
    close_folder(tmp_path)
    with pytest.raises(VideoError, match=": permission denied"), open_container(tmp_path):
        pass


def two_streams(parts):
    """Returns a Matroska of several video streams: (frames, codec, is default) of each."""
    file = io.BytesIO()
    with av.open(file, "w", "matroska") as output:
        streams = []
        for frames, codec, is_default in parts:
            stream = output.add_stream(codec, rate=25)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = Disposition.default if is_default else Disposition(0)
            streams.append(stream)
        for number in range(max(len(frames) for frames, *_ in parts)):
            for stream, (frames, *_) in zip(streams, parts, strict=True):
                if number < len(frames):
                    picture = av.VideoFrame.from_ndarray(frames[number], "rgb24")
                    picture.pts, picture.time_base = number, Fraction(1, 25)
                    output.mux(stream.encode(picture))
        for stream in streams:
            output.mux(stream.encode(None))
    return file.getvalue()


def blank(num_frames, height, width):
    return np.zeros((num_frames, height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # A cover that is not flagged as one; one that is flagged as default; a preview.
        ([(blank(1, 96, 96), "mjpeg", False), (blank(60, 48, 64), "mpeg4", True)], (60, 48, 64)),
        ([(blank(1, 96, 96), "mjpeg", True), (blank(60, 48, 64), "mpeg4", False)], (60, 48, 64)),
        ([(blank(5, 96, 96), "mpeg4", False), (blank(60, 48, 64), "mpeg4", False)], (60, 48, 64)),
        # The default one before a longer one, and of two like ones the larger, then the first.
        ([(blank(60, 96, 96), "mpeg4", False), (blank(20, 48, 64), "mpeg4", True)], (20, 48, 64)),
        ([(blank(60, 48, 64), "mpeg4", True), (blank(60, 96, 96), "mpeg4", True)], (60, 96, 96)),
        ([(blank(60, 48, 64), "mpeg4", False), (blank(60, 64, 48), "mpeg4", False)], (60, 48, 64)),
    ],
)
def test_best_stream_is_read(parts, expected):
    video = two_streams(parts)
    assert read_clip(video).shape == (*expected, 3)
    info = probe(video)
    assert (info.height, info.width) == expected[1:]
    assert read_clip(video, start=0.4).shape == (expected[0] - 10, *expected[1:], 3)
