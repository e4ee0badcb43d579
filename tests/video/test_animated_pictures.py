"""GIF, APNG and animated WebP as videos."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from i3d_tf.video import animated_webp
from i3d_tf.video.decode import concealed_frames, count_frames, read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.options import other_options
from i3d_tf.video.probe import describe_video, probe

SIDE = 16  # pixels of GIF and APNG


def make_gif(delays, loops=0):
    """Returns a GIF whose frames are black and white in turn, shown for hundredths of a second."""
    head = b"GIF89a" + struct.pack("<2H", SIDE, SIDE) + b"\x80\0\0" + bytes(3) + b"\xff" * 3
    out = head + b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loops) + b"\0"
    for number, delay in enumerate(delays):
        # Codes of 3 bits: a 4 starts the table anew, so that it never grows; a 5 ends.
        codes = [code for _ in range(SIDE * SIDE // 2) for code in (4, *[number % 2] * 2)] + [5]
        bits = "".join(f"{code:03b}"[::-1] for code in codes)
        data = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
        blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
        out += b"\x21\xf9\x04\0" + struct.pack("<H", delay) + b"\0\0"
        out += b"\x2c" + struct.pack("<4H", 0, 0, SIDE, SIDE) + b"\0\x02"
        out += b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    return out + b";"


def make_apng(delays, loops=0, is_first_hidden=False):
    """Returns an APNG whose frame k has the level 20 k, shown for a fraction of a second."""

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    def grey(level):
        return zlib.compress((b"\0" + bytes([level] * 3 * SIDE)) * SIDE)

    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", SIDE, SIDE, 8, 2, 0, 0, 0))
    out += chunk(b"acTL", struct.pack(">2I", len(delays), loops))
    out += chunk(b"IDAT", grey(255)) if is_first_hidden else b""
    numbers = iter(range(2 * len(delays)))
    for place, delay in enumerate(delays):
        control = struct.pack(">5I2H2B", next(numbers), SIDE, SIDE, 0, 0, *delay, 0, 0)
        out += chunk(b"fcTL", control)
        if place or is_first_hidden:
            out += chunk(b"fdAT", struct.pack(">I", next(numbers)) + grey(20 * place))
        else:
            out += chunk(b"IDAT", grey(0))
    return out + chunk(b"IEND", b"")


def make_webp(pictures, delays, places=None, flags=None, canvas=(60, 40)):
    """Returns an animated WebP.

    pictures: uint8 (H, W, 4), RGB and opacity.
    delays: milliseconds.
    places: (left, top) of each, even numbers.
    flags: 1 to clear a picture's place afterwards, 2 to replace what is there.
    canvas: width and height.
    """

    def number(value):
        return int(value).to_bytes(3, "little")

    def chunk(name, data):
        return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    body = chunk(b"VP8X", b"\x12\0\0\0" + number(canvas[0] - 1) + number(canvas[1] - 1))
    body += chunk(b"ANIM", bytes(6))
    for index, picture in enumerate(pictures):
        bgra = np.ascontiguousarray(picture[..., [2, 1, 0, 3]])
        still = cv2.imencode(".webp", bgra, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
        start = 12 if still[12:16] != b"VP8X" else 30
        left, top = places[index] if places else (0, 0)
        header = number(left // 2) + number(top // 2)
        header += number(picture.shape[1] - 1) + number(picture.shape[0] - 1)
        header += number(delays[index]) + bytes([flags[index] if flags else 2])
        body += chunk(b"ANMF", header + still[start:])
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def grey_pictures(count, width=60, height=40):
    pictures = np.full((count, height, width, 4), 255, np.uint8)
    pictures[..., :3] = 20 * np.arange(count)[:, np.newaxis, np.newaxis, np.newaxis]
    return pictures


def nearest(delays, rate):
    """Returns the place of the frame nearest in time to each output, by delays in milliseconds."""
    times = [sum(delays[:place]) for place in range(len(delays))]
    outputs = range(0, sum(delays), 1000 // rate)
    return [min(range(len(times)), key=lambda i: (abs(times[i] - time), i)) for time in outputs]


def levels_of(clip):
    return clip[:, 0, 0, 0].tolist()


def test_gif_is_shown_as_browsers_do():
    # 0 and 1 hundredths are shown for 10.
    video = make_gif([0, 1, 2, 3, 100, 7])
    shown = [255 * (place % 2) for place in nearest([100, 100, 20, 30, 1000, 70], 100)]
    assert levels_of(read_clip(video, 100)) == shown
    assert count_frames(video, 100) == len(shown) == 132
    assert levels_of(read_clip(video, None)) == [0, 255] * 3
    assert levels_of(read_clip(video, 100, 0.15, 0.3)) == shown[15:30]
    info = probe(video)
    assert (info.duration, info.num_frames) == (1.32, 6)
    assert info.frame_rate == pytest.approx(6 / 1.32)


def test_apng_is_shown_as_browsers_do():
    # A denominator of 0 means 100; 10 ms and less are shown for 100 ms.
    video = make_apng([(0, 0), (1, 0), (1, 100), (5, 0), (20, 1000), (7, 10)])
    shown = [20 * place for place in nearest([100, 100, 100, 50, 20, 700], 100)]
    assert levels_of(read_clip(video, 100)) == shown
    assert levels_of(read_clip(video, None)) == [0, 20, 40, 60, 80, 100]
    assert probe(video).duration == pytest.approx(1.07)


def test_webp_is_shown_as_browsers_do():
    video = make_webp(grey_pictures(5), [0, 10, 11, 40, 700])
    assert describe_video(video)["streams"][0]["size"] == [60, 40]
    assert levels_of(read_clip(video, None)) == [0, 20, 40, 60, 80]
    info = probe(video)
    assert (info.duration, info.num_frames, info.height, info.width) == (0.951, 5, 40, 60)
    clip = read_clip(video, 100)
    shown = [20 * place for place in nearest([100, 100, 11, 40, 700], 100)]
    assert levels_of(clip) == shown
    assert count_frames(video, 100) == len(shown) == 96
    np.testing.assert_array_equal(read_clip(video, 100, 0.15, 0.3), clip[15:30])


@pytest.mark.parametrize("loops", [0, 3])
def test_loops_are_not_repeated(loops):
    assert len(read_clip(make_gif([10, 10], loops), None)) == 2
    assert len(read_clip(make_apng([(1, 10), (1, 5)], loops), 10)) == 3


def test_picture_that_is_no_part_of_an_apng_is_not_shown():
    assert levels_of(read_clip(make_apng([(1, 10), (1, 5)], is_first_hidden=True), None)) == [0, 20]


@pytest.mark.skipif(not hasattr(cv2, "imdecodeanimation"), reason="the reference is OpenCV 4.12's")
def test_webp_lays_frames_over_each_other():
    random = np.random.default_rng(0)
    pictures, places, flags = [], [], []
    for number in range(24):
        width, height = random.integers(1, 31, 2) if number else (60, 40)
        pictures.append(random.integers(0, 256, (height, width, 4), dtype=np.uint8))
        pictures[-1][..., 3][random.random((height, width)) < 0.5] = random.choice([0, 255])
        left, top = (60 - width) // 2 * 2, (40 - height) // 2 * 2
        places.append((2 * random.integers(left // 2 + 1), 2 * random.integers(top // 2 + 1)))
        flags.append(int(random.integers(4)))
    video = make_webp(pictures, [40] * 24, places, flags)
    clip = read_clip(video, None)
    assert clip.shape == (24, 40, 60, 3)
    _, animation = cv2.imdecodeanimation(np.frombuffer(video, np.uint8))
    for frame, reference in zip(clip, animation.frames, strict=True):
        on_black = reference[..., 2::-1] * (reference[..., 3:] / 255)
        # The reference rounds colours and opacity each time; several layers add up.
        np.testing.assert_allclose(frame, on_black, atol=4)


@pytest.mark.parametrize("ending", [".png", ".webp", ".gif", ".apng"])
def test_still_picture_is_a_video_of_one_frame(tmp_path, ending):
    grey = np.full((SIDE, SIDE, 3), 80, np.uint8)
    if ending == ".gif":
        content = make_gif([0])
    elif ending == ".apng":
        content = cv2.imencode(".png", grey)[1].tobytes()
    else:
        content = cv2.imencode(ending, grey)[1].tobytes()
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    clip = read_clip(path, None)
    assert levels_of(clip) == ([0] if ending == ".gif" else [80])


@pytest.mark.parametrize("make", [make_gif, make_apng, make_webp])
def test_cut_animation_is_refused(make):
    arguments = {
        make_gif: [[4] * 10],
        make_apng: [[(1, 25)] * 10],
        make_webp: [grey_pictures(10), [40] * 10],
    }[make]
    video = make(*arguments)
    for kept in range(60, len(video), max(1, len(video) // 40)):
        with pytest.raises(VideoError) as error:
            read_clip(video[:kept])
        assert "\n" not in str(error.value)
    assert len(read_clip(video)) == 10
    assert len(read_clip(video[:-4], end=0.2)) == 5


def test_every_changed_byte_of_an_apng_is_noticed():
    video = make_apng([(1, 25)] * 4)
    for at in range(8, len(video)):
        changed = bytearray(video)
        changed[at] ^= 0x10
        with pytest.raises(VideoError):
            read_clip(bytes(changed), None)


def test_damaged_frame_of_a_webp(tmp_path):
    video = make_webp(grey_pictures(5), [40] * 5)
    at = [place for place in range(len(video)) if video.startswith(b"VP8L", place)][2]
    damaged = tmp_path / "a.webp"
    damaged.write_bytes(video[: at + 8] + b"\xff" * 5 + video[at + 13 :])
    with pytest.raises(VideoError, match=r"a\.webp: it is damaged at 0\.08 s"):
        read_clip(damaged, None)
    assert levels_of(read_clip(damaged, end=0.08)) == [0, 20]
    with other_options(damaged="conceal"):
        with pytest.warns(UserWarning, match="1 frames"):
            clip = read_clip(damaged, None)
        assert concealed_frames(damaged) == 1
    assert levels_of(clip) == [0, 20, 20, 60, 80]


def test_webp_is_measured_before_it_is_decoded(monkeypatch):
    forged = make_webp(grey_pictures(1), [40], canvas=(2**14, 2**14))
    with pytest.raises(VideoError, match="its frames have 16384 x 16384 pixels"):
        read_clip(forged)
    monkeypatch.setattr(animated_webp, "MAX_DECODED_PIXELS", 60 * 40 * 4)
    monkeypatch.setattr(animated_webp, "MAX_DECODED_PIXELS_PER_BYTE", 1)
    assert len(read_clip(make_webp(grey_pictures(4), [40] * 4), None)) == 4
    with pytest.raises(VideoError, match="so few bytes decode to more than 9600 pixels"):
        read_clip(make_webp(grey_pictures(5), [40] * 5))


@pytest.mark.parametrize(("left", "width"), [(32, 30), (0, 62)])
def test_webp_frame_outside_its_canvas_is_damage(left, width):
    video = make_webp(grey_pictures(1, width), [40], [(left, 0)])
    with pytest.raises(VideoError, match=r"it is damaged at 0\.00 s"):
        read_clip(video)


def test_webp_without_frames_is_refused():
    with pytest.raises(VideoError, match="no frame of it can be decoded"):
        read_clip(make_webp([], []))
