"""Videos of many codecs, containers, rates and clocks, against the times that were written.

The oracle knows the time of every written frame, not the decoder: output k is the frame nearest to
start + k / rate, the earlier of two. Each frame carries its number.
"""

import io
import random
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import pytest
from fixtures.videos import cropped_matroska, cropped_mp4

from i3d_tf.video.decode import count_frames, read_clip
from i3d_tf.video.probe import probe

NUM_CASES = 320
BITS = 9
RATES = [
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(12),
    Fraction(8),
    Fraction(1),
]
BROADCAST_RATES = RATES[:7]
LOSSY = {"b": "4000000"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:crf=1"}


@dataclass(frozen=True)
class Codec:
    """An encoder, what it is given, and the containers that it is tried in."""

    name: str
    pixel_format: str
    containers: tuple[str, ...]
    options: dict[str, str]
    has_b_frames: bool = False
    has_gops: bool = True


CODECS = [
    Codec(
        "libx264",
        "yuv420p",
        ("mp4", "mov", "matroska", "mpegts", "avi", "flv", "asf", "nut", "h264", "ismv"),
        {"preset": "ultrafast", "crf": "1"},
        has_b_frames=True,
    ),
    Codec("libx265", "yuv420p", ("mp4", "mov", "matroska", "mpegts", "nut", "hevc"), X265, True),
    Codec(
        "libvpx", "yuv420p", ("webm", "matroska", "ivf", "nut", "ogg"), {"cpu-used": "8", **LOSSY}
    ),
    Codec(
        "libvpx-vp9",
        "yuv420p",
        ("webm", "mp4", "ivf", "nut"),
        {"cpu-used": "8", "deadline": "realtime", **LOSSY},
    ),
    Codec(
        "libsvtav1",
        "yuv420p",
        ("mp4", "webm", "ivf", "matroska", "obu"),
        {"preset": "8", "crf": "5", "svtav1-params": "lp=1"},
    ),
    Codec(
        "mpeg4",
        "yuv420p",
        ("mp4", "mov", "avi", "matroska", "mpegts", "nut", "asf", "m4v"),
        LOSSY,
        True,
    ),
    Codec(
        "mpeg2video",
        "yuv420p",
        ("mpegts", "mpeg", "vob", "mxf", "mov", "matroska", "avi", "nut", "mpeg2video", "wtv"),
        LOSSY,
        True,
    ),
    Codec("mpeg1video", "yuv420p", ("mpeg", "mpegts", "mpeg1video"), LOSSY, True),
    Codec("wmv1", "yuv420p", ("asf", "avi"), LOSSY),
    Codec("wmv2", "yuv420p", ("asf", "avi"), LOSSY),
    Codec("msmpeg4v2", "yuv420p", ("avi", "asf"), LOSSY),
    Codec("msmpeg4", "yuv420p", ("avi", "asf"), LOSSY),
    Codec("flv", "yuv420p", ("flv", "avi"), LOSSY),
    Codec("h263p", "yuv420p", ("avi",), LOSSY),
    Codec("rv10", "yuv420p", ("rm",), LOSSY),
    Codec("rv20", "yuv420p", ("rm",), LOSSY),
    Codec("snow", "yuv420p", ("avi", "nut"), LOSSY),
    Codec("cinepak", "rgb24", ("avi", "mov"), {}),
    Codec("svq1", "yuv410p", ("mov",), LOSSY),
    Codec(
        "mjpeg",
        "yuvj420p",
        ("mov", "avi", "matroska", "nut", "mjpeg", "asf", "mp4"),
        LOSSY,
        has_gops=False,
    ),
    Codec("ffv1", "yuv420p", ("matroska", "avi", "nut"), {}),
    Codec("prores_ks", "yuv422p10le", ("mov", "matroska", "mxf"), {}, has_gops=False),
    Codec("huffyuv", "rgb24", ("avi", "nut"), {}, has_gops=False),
    Codec("utvideo", "yuv420p", ("avi", "nut"), {}, has_gops=False),
    Codec("magicyuv", "yuv420p", ("avi", "nut"), {}, has_gops=False),
    Codec("qtrle", "rgb24", ("mov",), {}),
    Codec("png", "rgb24", ("mov", "avi"), {}, has_gops=False),
    Codec("rawvideo", "yuv420p", ("avi", "nut", "yuv4mpegpipe"), {}, has_gops=False),
    Codec("jpeg2000", "yuv420p", ("mov", "mxf"), {}, has_gops=False),
    Codec("gif", "rgb8", ("gif",), {}),
    Codec("apng", "rgb24", ("apng",), {}),
]

# Seconds between two ticks of a container's clock; where there is none, times are those of the
# encoder, exactly.
TICKS = {
    "matroska": Fraction(1, 1000),
    "webm": Fraction(1, 1000),
    "flv": Fraction(1, 1000),
    "asf": Fraction(1, 1000),
    "rm": Fraction(1, 1000),
    "mpegts": Fraction(1, 90000),
    "mpeg": Fraction(1, 90000),
    "vob": Fraction(1, 90000),
    "gif": Fraction(1, 100),
    "wtv": Fraction(1, 10**7),
}
# Containers without a clock: frame k belongs to k / rate.
COUNTED = (
    "avi",
    "mxf",
    "h264",
    "hevc",
    "m4v",
    "mpeg2video",
    "mpeg1video",
    "mjpeg",
    "yuv4mpegpipe",
    "obu",
)
# Raw streams whose rate is not stored: FFmpeg takes them for 25 frames per second.
RATELESS = ("mjpeg", "obu")
SOUND = {
    "matroska": "mp2",
    "mpegts": "mp2",
    "avi": "mp2",
    "mpeg": "mp2",
    "vob": "mp2",
    "nut": "mp2",
    "asf": "mp2",
    "mp4": "aac",
    "mov": "aac",
    "flv": "aac",
    "webm": "libopus",
}
# They stamp one frame for each 2 KB. Where the header of a frame lies in two packets, FFmpeg gives
# it the stamp of the next frame, and so it is one frame off until the next stamp, or two.
PROGRAM_STREAMS = ("mpeg", "vob")
KEEP_PAUSES = ("mp4", "mov", "matroska", "webm", "nut", "flv", "asf", "mpegts", "apng", "gif")
MP4 = ("mp4", "mov")
SHIFTED = ("mp4", "mov", "matroska", "webm", "nut", "mpegts", "flv", "asf")


@dataclass(frozen=True)
class Case:
    """One video and the part of it that is read."""

    codec: Codec
    container: str
    rate: Fraction
    num_frames: int
    gop: int
    b_frames: int
    is_open: bool
    is_uneven: bool
    sound: Fraction  # seconds, 0 for none
    shift: Fraction  # seconds at which the first frame is written
    turns: int  # quarter turns, stored
    part: tuple[float, float]
    hidden: int = 0  # first frames that an edit list leaves out
    is_cropped: bool = False

    def __str__(self):
        details = f"{float(self.rate):.3f}-n{self.num_frames}-g{self.gop}-b{self.b_frames}"
        flags = ("open" if self.is_open else "") + ("uneven" if self.is_uneven else "")
        return (
            f"{self.codec.name}-{self.container}-{details}-{flags}-s{float(self.sound):g}"
            f"-t{float(self.shift):g}-r{self.turns}-h{self.hidden}{'-cropped' * self.is_cropped}"
        )


def make_cases(seed=0):
    chance = random.Random(seed)
    pairs = [(codec, container) for codec in CODECS for container in codec.containers]
    weighted = [pair for pair in pairs for _ in range(4 if pair[0].has_b_frames else 1)]
    chosen = pairs + [chance.choice(weighted) for _ in range(NUM_CASES - len(pairs))]
    return [make_case(chance, *pair) for pair in chosen]


def make_case(chance, codec, container):
    rates = (
        BROADCAST_RATES
        if codec.name.startswith(("mpeg1", "mpeg2")) or container == "mxf"
        else RATES
    )
    rate = chance.choice(rates)
    is_uneven = container in KEEP_PAUSES and chance.random() < 0.25
    is_uneven = is_uneven and not codec.name.startswith(("mpeg1", "mpeg2", "rv", "libsvt"))
    num_frames = chance.randint(20, 60) if rate > 10 else chance.randint(5, 20)
    seconds = num_frames / rate
    sound = Fraction(0)
    if container in SOUND and chance.random() < 0.4 and seconds < 8:
        sound = seconds * chance.choice([Fraction(1, 2), Fraction(2), Fraction(1)])
    b_frames = chance.randint(0, 4) if codec.has_b_frames else 0
    if codec.name.startswith("mpeg"):
        b_frames = min(b_frames, 2)
    shift = Fraction(0)
    if container in SHIFTED and chance.random() < 0.3:
        shift = int(chance.choice([1, 2.4, 7]) * rate) / rate
    if container == "asf" and is_uneven:  # it has times of decoding only
        b_frames = 0
    first = chance.uniform(0, float(seconds) * 0.8)
    turns = chance.randint(1, 3) if container in MP4 and chance.random() < 0.3 else 0
    gop = chance.choice([1, 5, 12, 250]) if codec.has_gops else 1
    is_plain = not (turns or sound or is_uneven)
    hidden = 0
    if (
        container in MP4
        and codec.has_gops
        and codec.name != "libsvtav1"
        and is_plain
        and chance.random() < 0.5
    ):
        hidden = chance.randint(1, num_frames // 2)
    is_cropped = (
        codec.name == "libx264"
        and container in ("mp4", "matroska")
        and is_plain
        and not hidden
        and chance.random() < 0.7
    )
    return Case(
        codec,
        container,
        rate,
        num_frames,
        gop=gop,
        b_frames=b_frames,
        is_open=chance.random() < 0.5,
        is_uneven=is_uneven,
        sound=sound,
        shift=shift,
        turns=turns,
        part=(round(first, 2), round(first + chance.uniform(0.05, float(seconds)), 2)),
        hidden=hidden,
        is_cropped=is_cropped,
    )


def written_times(case):
    """Seconds at which the frames are given to the encoder."""
    if not case.is_uneven:
        return [case.shift + k / case.rate for k in range(case.num_frames)]
    chance = random.Random(str(case))
    least = 20  # ms; hundredths, for GIF
    steps = [10 * chance.randint(least // 10, 12) for _ in range(case.num_frames)]
    return [round(case.shift) + Fraction(sum(steps[:k]), 1000) for k in range(case.num_frames)]


def write(case, frames):
    """Returns the bytes of a file."""
    file = io.BytesIO()
    codec = case.codec
    options = dict(codec.options)
    if codec.has_gops:
        options["g"] = str(case.gop)
    if codec.has_b_frames:
        options["bf"] = str(case.b_frames)
        if codec.name == "libx264":
            options["x264-params"] = f"open-gop={int(case.is_open)}"
        elif codec.name == "libx265":
            options["x265-params"] += (
                f":bframes={case.b_frames}:open-gop={int(case.is_open)}:keyint={case.gop}"
            )
        elif not case.is_open:
            options |= {"flags": "+cgop", "sc_threshold": "1000000000"}
    muxer = {"loop": "0"} if case.container == "gif" else {}
    with av.open(file, "w", format=case.container, options=muxer) as output:
        stream = output.add_stream(codec.name, rate=case.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 144, 48, codec.pixel_format
        time_base = Fraction(1, 1000) if case.is_uneven else 1 / case.rate
        stream.codec_context.time_base = time_base
        sound = output.add_stream(SOUND[case.container], rate=48000) if case.sound else None
        for time, picture in zip(written_times(case), frames, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if codec.pixel_format == "rgb8":
                frame = frame.reformat(format="rgb8")
            ticks = time / time_base
            assert ticks.denominator == 1, (time, time_base)
            frame.pts, frame.time_base = int(ticks), time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound:
            write_silence(output, sound, case.sound)
    video = file.getvalue()
    if case.hidden:
        video = cut(video, case)
    if case.is_cropped and case.container == "mp4":
        video = cropped_mp4(video, 144, 32)
    elif case.is_cropped:
        video = cropped_matroska(video, top=8, bottom=8)
    return turned(video, case.turns) if case.turns else video


def cut(video, case):
    """Returns an mp4 or mov without its first frames; those that others need are there, hidden."""
    file = io.BytesIO()
    with av.open(io.BytesIO(video)) as source, av.open(file, "w", case.container) as target:
        template = source.streams.video[0]
        stream = target.add_stream_from_template(template)
        packets = [packet for packet in source.demux(template) if packet.size]
        first = min(packet.pts for packet in packets)
        begin = round((case.hidden / case.rate) / template.time_base)
        keys = [packet.pts for packet in packets if packet.is_keyframe]
        key = max(pts for pts in keys if pts - first <= begin)
        order = next(number for number, packet in enumerate(packets) if packet.pts == key)
        for packet in packets[order:]:
            if packet.pts >= key:
                packet.pts -= first + begin
                packet.dts -= first + begin
                packet.stream = stream
                target.mux(packet)
    return file.getvalue()


def write_silence(output, stream, seconds):
    context = stream.codec_context
    if not context.is_open:
        context.open()
    size = context.frame_size or 960
    for index in range(int(seconds * 48000 / size)):
        frame = av.AudioFrame(format=context.format.name, layout=context.layout.name, samples=size)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts, frame.time_base = 48000, index * size, Fraction(1, 48000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def turned(video, turns):
    """Returns an mp4 or mov that asks to be shown after quarter turns, counter-clockwise."""
    a, b, c, d = {1: (0, -1, 1, 0), 2: (-1, 0, 0, -1), 3: (0, 1, -1, 0)}[turns]
    # ISO/IEC 14496-12, tkhd version 0: name, version and flags, times, track, duration, reserved.
    at = video.index(b"tkhd") + 44
    one = 1 << 16
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    return video[:at] + matrix + video[at + 36 :]


def kept_times(case):
    """Seconds from the first frame, as the container can keep them."""
    times = written_times(case)[case.hidden :]
    if case.container in COUNTED:
        rate = 25 if case.container in RATELESS else case.rate
        return [k / Fraction(rate) for k in range(len(times))]
    tick = TICKS.get(case.container)
    if tick:
        half = 0 if case.container == "rm" else Fraction(1, 2)
        times = [tick * int(time / tick + half) for time in times]
    return [time - times[0] for time in times]


def nearest(times, end, rate, start=0, stop=None):
    """The oracle: the place of the frame of each output, by exact fractions."""
    outputs, k = [], 0
    while (now := start + k / Fraction(rate)) < end and (stop is None or now < stop):
        outputs.append(min(range(len(times)), key=lambda i: (abs(times[i] - now), i)))
        k += 1
    return outputs


def numbers_of(clip, case):
    """Returns the numbers that frames show, the way round in which they were drawn."""
    clip = np.rot90(clip, -case.turns, axes=(1, 2))
    assert clip.shape[1:] == (32 if case.is_cropped else 48, 144, 3)
    centres = clip[:, clip.shape[1] // 2, 8::16].mean(-1)
    numbers = (centres > 127) @ (1 << np.arange(BITS))
    return (numbers - case.hidden).tolist()


def check(case, frames):
    """Compares all that is read of a video with what was written."""
    video = write(case, frames[: case.num_frames])
    times = kept_times(case)
    assert numbers_of(read_clip(video, None), case) == list(range(len(times)))

    # How long the last frame is shown, the container rounds; where frames come unevenly, few say.
    rounding = max(Fraction(1, 500), TICKS.get(case.container, Fraction(0)))
    end = times[-1] + 1 / Fraction(25 if case.container in RATELESS else case.rate)
    earliest, latest = end - rounding, end + rounding
    if case.is_uneven:
        earliest, latest = times[-1], times[-1] + 1
    parts = [(0, None)]
    if case.part[0] < times[-1]:
        parts.append(case.part)
    for start, stop in parts:
        exact = [None if value is None else Fraction(str(value)) for value in (start, stop)]
        shown = numbers_of(read_clip(video, 25, start, stop), case)
        expected = nearest(times, latest, 25, *exact)
        least = len(nearest(times, earliest, 25, *exact))
        if case.container in PROGRAM_STREAMS:
            assert least - 2 <= len(shown) <= len(expected) + 2
            off = [a - b for a, b in zip(shown, expected, strict=False)]
            assert set(off) <= {-2, -1, 0, 1, 2}
        else:
            assert least <= len(shown) <= len(expected)
            assert shown == expected[: len(shown)]
        assert count_frames(video, 25, start, stop) == len(shown)

    duration = probe(video).duration
    if duration is not None and not case.is_uneven:
        assert abs(duration - end) < (0.1 if case.container in PROGRAM_STREAMS else 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("case", make_cases(), ids=str)
def test_read_clip_shows_what_was_written(numbered_frames, monkeypatch, case):
    monkeypatch.setenv("SVT_LOG", "1")  # errors only
    check(case, numbered_frames(60))
