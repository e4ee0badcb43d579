"""Damaged videos: a reader refuses them, or gives the frames that were encoded.

Every frame carries its own number in a row of black and white squares, over noise that moves, so
that a file has some hundred kilobytes and damage meets frames. Where a file is accepted, the
numbers tell whether a frame is missing, frozen, out of order or not to be recognized. That all
pixels are right no reader can promise: most codecs have no checksums.
"""

import itertools
import struct
from pathlib import Path

import numpy as np
from hunt.case import KNOWN, WRONG, Case, Kind
from hunt.mutate import METHODS, WORDS, damage

FRAMES = 150  # at RATE per second
RATE = 25
BITS = 9
SQUARE = 16  # pixels
STRIP = 32  # height of the row of squares
HEIGHT, WIDTH = 128, BITS * SQUARE
KEY_FRAMES = 25  # frames from one to the next

# Ending: container, codec, pixel format, options.
FORMATS = {
    "mp4": ("mp4", "libx264", "yuv420p", {}),
    "mov": ("mov", "libx264", "yuv420p", {}),
    "mkv": ("matroska", "libx264", "yuv420p", {}),
    "flv": ("flv", "libx264", "yuv420p", {"bf": "0"}),
    "3gp": ("3gp", "mpeg4", "yuv420p", {}),
    "avi": ("avi", "mpeg4", "yuv420p", {}),
    "ts": ("mpegts", "mpeg2video", "yuv420p", {}),
    "vp8.webm": ("webm", "libvpx", "yuv420p", {}),
    "vp9.webm": ("webm", "libvpx-vp9", "yuv420p", {}),
    "ogv": ("ogg", "libvpx", "yuv420p", {}),
    "gif": ("gif", "gif", "rgb8", {}),
    "apng": ("apng", "apng", "gray", {"pred": "up"}),
}
CODEC_OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "23", "bf": "2", "threads": "1"},
    "libvpx": {"deadline": "good", "cpu-used": "5", "b": "1M", "lag-in-frames": "0"},
    "libvpx-vp9": {"deadline": "good", "cpu-used": "5", "b": "1M", "lag-in-frames": "0"},
    "mpeg4": {"qscale": "5", "flags": "qscale", "global_quality": "590"},
    "mpeg2video": {"flags": "qscale", "global_quality": "590"},
    "gif": {},
    "apng": {},
}
# By ending, the damage that is not always seen, since nothing tells of it: a few other bytes within
# a frame (of GIF, also more or fewer), which most codecs take for a picture, and blocks of 256
# bytes of VP8, VP9 or GIF data in other places. See docs/reliability.md.
FEW_BYTES = ("flip", "flips", "byte", "random")
UNSURE = {
    **dict.fromkeys(("mp4", "mov", "flv"), FEW_BYTES),
    **dict.fromkeys(("vp8.webm", "vp9.webm"), (*FEW_BYTES, "forged", "swap")),
    "gif": (*FEW_BYTES, "forged", "double", "swap", "insert", "delete"),
}

PLACES = ("header", "index", "middle", "end")
BOXES = (b"mvhd", b"tkhd", b"mdhd", b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"stss")
# Where sizes and times are in other formats: what stands before them.
MARKS = {
    "avi": (b"avih", b"strh", b"idx1", b"LIST"),
    "flv": (b"duration", b"framerate", b"filesize", b"FLV"),
    "gif": (b"\x21\xf9\x04", b"\x2c", b"GIF89a"),
    "apng": (b"IHDR", b"acTL", b"fcTL", b"fdAT"),
    "ogv": (b"OggS",),
    "ts": (b"\x47\x41\x00", b"\x00\x00\x01\xe0", b"\x00\x00\x01\xb3"),
    "mkv": (b"\x44\x89", b"\x2a\xd7\xb1", b"\x23\xe3\x83", b"\x1f\x43\xb6\x75", b"\xe7", b"\xa3"),
}
MAX_TAIL = RATE // 2 + 1  # frames at the end that may be missing: see END_TOLERANCE
MAX_REPEATS = 100 * RATE  # of one frame, where times are forged
MIN_SHOWN = FRAMES // 10


class Videos(Kind):
    """Mutated files of every container, by place and method."""

    name = "videos"
    limit = 60.0

    def prepare(self, folder: Path):
        """Encodes one video for each format, and its numbers as they are read undamaged."""
        for ending, arguments in FORMATS.items():
            (folder / f"whole.{ending}").write_bytes(encode(numbered_frames(), *arguments))

    def warm_up(self, material: Path):
        """Reads every video once; its numbers are what damaged ones are compared with."""
        from i3d_tf.video.decode import read_clip

        self.expected = {}
        for ending in FORMATS:
            path = material / f"whole.{ending}"
            numbers = read_numbers(read_clip(path))
            if numbers != list(range(FRAMES)):
                raise RuntimeError(f"{path}: undamaged, it shows {numbers}")
            self.expected[ending] = numbers

    def run(self, case: Case):
        """Damages a video and reads it in several ways."""
        ending = list(FORMATS)[case.number % len(FORMATS)]
        content = (case.material / f"whole.{ending}").read_bytes()
        content, forged = self._mutate(case, ending, content)
        path = case.folder / f"damaged.{ending}"
        path.write_bytes(content)
        self._read(case, ending, path, forged)

    def _mutate(self, case, ending, content):
        """Returns the damaged file, and whether sizes and times in it may be others."""
        place = case.pick(PLACES)
        regions = find_regions(ending, content)
        if case.chance(0.2):
            content, what = forge(case, ending, content)
            self._unsure = "forged" in UNSURE.get(ending, ())
            case.title = f"{ending}, {what}"
            return content, True
        start, stop = regions[place]
        content, what, touched = damage(content, case, start, stop, METHODS)
        self._unsure = what.split()[0] in UNSURE.get(ending, ())
        case.title = f"{ending}, {place}: {what}"
        metadata = [regions["header"], regions["index"]]
        return content, any(
            first < end and last > begin for begin, end in metadata for first, last in touched
        )

    def _is_large(self, info):
        """Returns whether a clip would take more memory than a case may, as a buffer grows."""
        frames = max(FRAMES, (info.duration or 0) * RATE)
        return 2 * frames * 3 * info.height * info.width > self.memory

    def _read(self, case, ending, path, forged):
        from i3d_tf.video.decode import count_frames, read_clip, verify_video
        from i3d_tf.video.errors import VideoError
        from i3d_tf.video.probe import probe

        info, _ = case.call(lambda: probe(path), "probe", path)
        if info is not None and self._is_large(info):
            case.found(KNOWN, f"as large or long as its header says: {info}")
            return
        clip, error = case.call(lambda: read_clip(path), "read_clip", path)
        if error is not None and not isinstance(error, VideoError | MemoryError):
            case.found(WRONG, f"read_clip: {type(error).__name__}, not VideoError")
        numbers = None if clip is None else read_numbers(clip)
        fault = None
        if numbers is not None:
            fault = fault_of_times(numbers) if forged else fault_of(numbers)
            if fault:
                column = KNOWN if self._unsure else WRONG
                case.found(column, f"accepted, and {fault}: {shorten(numbers)}")
        del clip
        count, count_error = case.call(lambda: count_frames(path), "count_frames", path)
        if (numbers is None) != (count is None) or (count is not None and count != len(numbers)):
            case.found(WRONG, f"count_frames: {count or count_error}, read_clip: {error}")
        case.call(lambda: verify_video(path), "verify_video", path)
        start = int(case.rng.integers(0, FRAMES - 30))
        window, _ = case.call(
            lambda: read_clip(path, start=start / RATE, end=(start + 25) / RATE), "window", path
        )
        if window is not None and not forged and fault is None:
            fault = fault_of(read_numbers(window), start, start + 25)
            if fault:
                column = KNOWN if self._unsure else WRONG
                case.found(column, f"frames {start} to {start + 25}: {fault}")


def fault_of(numbers, start=0, stop=FRAMES):
    """Returns what is wrong with the numbers of a video whose times are as they were, or None."""
    wrong = [(at, n) for at, n in enumerate(numbers, start) if n != at]
    missing = min(stop, FRAMES) - start - len(numbers)
    if wrong:
        return f"{len(wrong)} wrong frames, the first is {wrong[0][1]} at {wrong[0][0]}"
    if not -1 <= missing <= MAX_TAIL:
        return f"{missing} frames are missing"
    return None


def fault_of_times(numbers):
    """Returns what is wrong with the numbers of a video that may last longer or shorter, or None.

    The times of a file may mean anything, but no picture is shown for ever, and no frames are lost
    that all have a time of their own.
    """
    known = [number for number in numbers if number is not None]
    runs = [len(list(run)) for _, run in itertools.groupby(known)]
    if max(runs, default=0) > MAX_REPEATS:
        return f"one frame is shown {max(runs)} times"
    if len(set(known)) < MIN_SHOWN:
        return f"only {len(set(known))} of {FRAMES} frames are shown"
    return None


def shorten(numbers):
    """Returns numbers as runs, such as 0-41 41*20 62-149."""
    parts, start = [], 0
    while start < len(numbers) and len(parts) < 8:
        stop = start + 1
        step = None
        while stop < len(numbers) and None not in (numbers[stop], numbers[stop - 1]):
            found = numbers[stop] - numbers[stop - 1]
            if found not in (0, 1) or step not in (None, found):
                break
            step, stop = found, stop + 1
        first, last = numbers[start], numbers[stop - 1]
        parts.append(f"{first}*{stop - start}" if first == last else f"{first}-{last}")
        start = stop
    return f"{' '.join(parts)} ({len(numbers)})"


# What the frames start with, or stand behind, and which of them.
DATA_MARKS = {
    "mp4": (b"mdat", 1),
    "mov": (b"mdat", 1),
    "3gp": (b"mdat", 1),
    "mkv": (b"\x1f\x43\xb6\x75", 1),
    "vp8.webm": (b"\x1f\x43\xb6\x75", 1),
    "vp9.webm": (b"\x1f\x43\xb6\x75", 1),
    "avi": (b"movi", 1),
    "flv": (b"\x09\x00", 1),
    "ogv": (b"OggS", 3),
    "gif": (b"\x21\xf9\x04", 1),
    "apng": (b"fcTL", 1),
    "ts": (b"\x00\x00\x01\xe0", 1),
}
INDEX_MARKS = {
    **dict.fromkeys(("mp4", "mov", "3gp"), b"moov"),
    **dict.fromkeys(("mkv", "vp8.webm", "vp9.webm"), b"\x1c\x53\xbb\x6b"),
    "avi": b"idx1",
}


def find_regions(ending, content):
    """Returns first and last byte of each of `PLACES`; the index is the header where none is."""
    size = len(content)
    mark, count = DATA_MARKS[ending]
    at = 0
    for _ in range(count):
        at = content.index(mark, at) + len(mark)
    header = (0, at)
    index = header
    if ending in INDEX_MARKS:
        index = (content.rindex(INDEX_MARKS[ending]), size)
    return {
        "header": header,
        "index": index,
        "middle": (size // 5, 4 * size // 5),
        "end": (9 * size // 10, size),
    }


def forge(case, ending, content):
    """Writes an extreme number over a size or a time."""
    changed = bytearray(content)
    marks = BOXES if ending in ("mp4", "mov", "3gp") else MARKS.get(ending, MARKS["mkv"])
    mark = case.pick(marks)
    at = -1
    for _ in range(int(case.rng.integers(1, 6))):  # one of the first places
        found = content.find(mark, at + 1)
        if found < 0:
            break
        at = found
    at = max(at, 0)
    at += len(mark) + int(case.rng.integers(0, 24))
    size = case.pick([1, 2, 4, 4, 4, 8])
    order = case.pick("<>")
    word = case.pick(WORDS)
    packed = struct.pack(f"{order}Q", word)
    packed = packed[:size] if order == "<" else packed[-size:]
    changed[at : at + size] = packed
    return bytes(changed), f"forged {word:#x} of {size} bytes behind {mark!r} at {at}"


def numbered_frames():
    """Yields the frames, uint8 (HEIGHT, WIDTH, 3): a number in squares, over moving noise."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, 2 * WIDTH), np.uint8)
    for number in range(FRAMES):
        bits = (number >> np.arange(BITS)) & 1
        frame = np.empty((HEIGHT, WIDTH), np.uint8)
        frame[:STRIP] = np.repeat(bits * 255, SQUARE)
        frame[STRIP:] = np.roll(noise, 7 * number, axis=0)[STRIP:, number % 64 :][:, :WIDTH] // 2
        yield np.ascontiguousarray(np.broadcast_to(frame[..., None], (HEIGHT, WIDTH, 3)))


def read_numbers(clip):
    """Returns the number that each frame carries; None where its squares are not to be read."""
    squares = clip[:, STRIP // 2 - 4 : STRIP // 2 + 4]
    if clip.shape[1:3] != (HEIGHT, WIDTH):
        return [None] * len(clip)
    squares = squares.reshape(len(clip), 8, BITS, SQUARE, 3)[:, :, :, 6:10, 1]
    levels = squares.astype(np.float32).mean(axis=(1, 3))  # (T, BITS)
    clear = ((levels < 70) | (levels > 185)).all(axis=1)
    numbers = (levels > 127) @ (1 << np.arange(BITS))
    return [int(n) if ok else None for n, ok in zip(numbers, clear, strict=True)]


def encode(frames, container, codec, pixel_format, options):
    """Returns the bytes of a video, the same at every call."""
    import io
    from fractions import Fraction

    import av

    file = io.BytesIO()
    settings = {"g": str(KEY_FRAMES), "threads": "1", **CODEC_OPTIONS[codec], **options}
    with av.open(file, "w", format=container, container_options={"fflags": "+bitexact"}) as output:
        stream = output.add_stream(codec, rate=RATE, options=settings)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pixel_format
        stream.codec_context.flags |= 0x00800000  # bit-exact
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, "rgb24")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return file.getvalue()
