"""Small videos whose every frame carries its own number."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

BITS = 9
BLOCK = 16  # pixels; as large as a macroblock, so that no codec blurs one bit into another


@pytest.fixture(scope="session")
def numbered_frames():
    """Function: num_frames -> uint8 (T, 48, 144, 3), frame k showing k in binary, white for 1."""

    def draw(num_frames):
        numbers = np.arange(num_frames)
        bits = (numbers[:, np.newaxis] >> np.arange(BITS)) & 1
        row = np.repeat(bits * 255, BLOCK, axis=1).astype(np.uint8)
        return np.ascontiguousarray(
            np.broadcast_to(row[:, None, :, None], (num_frames, 48, 144, 3))
        )

    return draw


@pytest.fixture(scope="session")
def read_numbers():
    """Function: frames as drawn by `numbered_frames`, decoded -> the list of their numbers."""

    def read(frames):
        centres = frames[:, 24, BLOCK // 2 :: BLOCK, 1]
        assert ((centres < 60) | (centres > 195)).all(), "a bit is neither black nor white"
        return ((centres > 127) @ (1 << np.arange(BITS))).tolist()

    return read


@pytest.fixture(scope="session")
def make_video():
    """Function: frames -> the bytes of a video file."""
    return encode


def encode(
    frames,
    container="mp4",
    codec="libx264",
    pixel_format="yuv420p",
    frame_rate=25,
    times=None,
    options=None,
    colour=None,
    sound_seconds=0,
):
    """Encodes uint8 RGB frames.

    times: seconds (Fraction) of each frame; by default k / frame_rate.
    colour: (matrix, range) as FFmpeg's numbers, applied and written into the file.
    sound_seconds: length of a silent sound track; 0 for none.
    """
    file = io.BytesIO()
    if codec == "libx264":
        options = {"preset": "ultrafast", "crf": "1", "bf": "2", **(options or {})}
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=Fraction(frame_rate), options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if colour:
            stream.codec_context.colorspace, stream.codec_context.color_range = colour
        sound = output.add_stream("mp2", rate=16000) if sound_seconds else None
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            if colour:
                matrix, value_range = colour
                picture = picture.reformat(
                    format=pixel_format, dst_colorspace=matrix, dst_color_range=value_range
                )
            if times is None:
                picture.pts, picture.time_base = index, 1 / Fraction(frame_rate)
            else:
                picture.pts, picture.time_base = int(times[index] * 1000), Fraction(1, 1000)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
        if sound:
            for packet in silence(sound, sound_seconds):
                output.mux(packet)
    return file.getvalue()


def silence(stream, seconds):
    """Yields the packets of a silent sound track."""
    num_samples = 1152
    for index in range(int(seconds * 16000 / num_samples)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, num_samples), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 16000, index * num_samples
        yield from stream.encode(frame)
    yield from stream.encode(None)


@pytest.fixture(scope="session")
def make_sound():
    """Function: seconds -> the bytes of a file with a sound track and no video."""

    def make(seconds):
        file = io.BytesIO()
        with av.open(file, "w", format="matroska") as output:
            stream = output.add_stream("mp2", rate=16000)
            for packet in silence(stream, seconds):
                output.mux(packet)
        return file.getvalue()

    return make


@pytest.fixture(scope="session")
def with_display_matrix():
    """Function: (mp4 bytes, a, b, c, d) -> the same mp4 with another display matrix."""

    def patch(video, a, b, c, d):
        # ISO/IEC 14496-12, tkhd version 0: 4 bytes of name, 4 of version and flags, 20 of times,
        # track and duration, 16 of reserved, layer, group and volume, then the matrix.
        at = video.index(b"tkhd") + 4 + 4 + 20 + 16
        one = 1 << 16
        matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
        return video[:at] + matrix + video[at + 36 :]

    return patch


@pytest.fixture(scope="session")
def index_first():
    """Function: mp4 bytes -> the same mp4 with its index (moov) before its data, as on the web."""

    def move(video):
        boxes = dict(read_boxes(video))
        head, index, data = boxes[b"ftyp"], boxes[b"moov"], boxes[b"mdat"]
        moved = shift_chunk_offsets(index, len(head) + len(index) - video.index(data))
        return head + moved + data

    return move


def read_boxes(video):
    """Yields (name, whole box) of the top-level boxes of an mp4."""
    at = 0
    while at < len(video):
        size, name = struct.unpack_from(">I4s", video, at)
        yield name, video[at : at + size]
        at += size


def shift_chunk_offsets(index, shift):
    """Adds `shift` to every file offset (stco) of a moov box."""
    index = bytearray(index)
    at = index.find(b"stco")
    while at >= 0:
        (count,) = struct.unpack_from(">I", index, at + 8)
        offsets = struct.unpack_from(f">{count}I", index, at + 12)
        struct.pack_into(f">{count}I", index, at + 12, *(offset + shift for offset in offsets))
        at = index.find(b"stco", at + 12 + 4 * count)
    return bytes(index)
