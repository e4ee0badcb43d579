"""Thousands of videos read from many threads: hangs, wrong frames, and memory that grows.

python benchmarks/stress.py
python benchmarks/stress.py --calls=300 --notensorflow

Small videos of six codecs are read as a whole, in parts and from the middle, and some are given up
half-way. Every call is compared with what one thread read. A call that takes longer than --patience
hangs: the stacks of all threads go to stderr, and the program ends with status 1.
"""

import faulthandler
import io
import itertools
import os
import random
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
from absl import app, flags
from record import write_record

from i3d_tf.system.console import one_line_errors, quiet_tensorflow, refuse_arguments

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_CALLS = flags.DEFINE_integer("calls", 20_000, "Calls, all threads together.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", 16, "Threads.", lower_bound=1)
_EVERY = flags.DEFINE_integer("every", 2000, "Calls between lines of output.", lower_bound=1)
_PATIENCE = flags.DEFINE_float("patience", 120, "Seconds after which a call hangs.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the order of calls.")
_TENSORFLOW = flags.DEFINE_boolean("tensorflow", True, "Whether TensorFlow is loaded.")

LIBRARIES = ("numpy", "av")
# Codec, container, pixel format, options.
CODECS = (
    ("libx264", "mp4", "yuv420p", {"preset": "ultrafast", "bf": "2"}),
    ("libx265", "matroska", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ("libvpx-vp9", "webm", "yuv420p", {"cpu-used": "8", "deadline": "realtime"}),
    ("libsvtav1", "mp4", "yuv420p", {"preset": "10", "svtav1-params": "lp=1"}),
    ("mpeg4", "avi", "yuv420p", {"bf": "2"}),
    ("mpeg2video", "mpegts", "yuv420p", {"bf": "2"}),
)
NUM_FRAMES, HEIGHT, WIDTH, GROUP, FRAME_RATE = 40, 96, 128, 10, 25
MAX_GROWTH = 50  # MiB, after the first lines of output


def main(argv):
    """Reads, prints the lines, writes the file; the exit status is 1 where something is wrong."""
    with one_line_errors():
        refuse_arguments(argv)
        if _TENSORFLOW.value:
            quiet_tensorflow()
        os.environ.setdefault("SVT_LOG", "1")  # errors only
        results = _measure([_make_video(*codec) for codec in CODECS])
        write_record(_OUTPUT.value, LIBRARIES, **results)
        growth = results["growth_mib"]
        print(
            f"{results['calls']} calls, {results['calls_per_second']:.0f} per second, "
            f"{results['hangs']} hangs, {results['wrong']} wrong"
            + ("" if growth is None else f", memory grew by {growth:.0f} MiB")
        )
        grew = growth is not None and growth > MAX_GROWTH
        return int(bool(results["hangs"] or results["wrong"] or grew))


def _make_video(codec, container, pixel_format, options):
    """Returns the bytes of a moving pattern."""
    import av

    file = io.BytesIO()
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    with av.open(file, "w", container) as output:
        options = {"g": str(GROUP), **options}
        stream = output.add_stream(codec, rate=FRAME_RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for number in range(NUM_FRAMES):
            levels = (rows * 2 + columns + 5 * number) % 256
            picture = np.stack([levels, levels[::-1], 255 - levels], axis=-1).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        output.mux(stream.encode(None))
    return file.getvalue()


def _measure(videos):
    from i3d_tf.video.decode import read_clip

    whole = [read_clip(video) for video in videos]
    chance = random.Random(_SEED.value)
    jobs = [(chance.randrange(len(videos)), chance.choice(KINDS)) for _ in range(_CALLS.value)]
    running, memory, wrong, done = {}, [], 0, 0

    def call(number):
        video, kind = jobs[number]
        running[threading.get_ident()] = number, time.monotonic()
        try:
            return _is_correct(kind, videos[video], whole[video], random.Random(number))
        finally:
            del running[threading.get_ident()]

    started = time.monotonic()
    numbers = iter(range(len(jobs)))
    with ThreadPoolExecutor(_THREADS.value) as pool:
        pending = {pool.submit(call, n) for n in itertools.islice(numbers, 2 * _THREADS.value)}
        while pending:
            faulthandler.dump_traceback_later(_PATIENCE.value, exit=False)
            finished, pending = wait(pending, _PATIENCE.value, FIRST_COMPLETED)
            _end_if_hung(running, jobs, done)
            for future in finished:
                wrong += not future.result()
                done += 1
                if done % _EVERY.value == 0:
                    memory.append(_resident_mib())
                    _print_line(done, started, wrong, memory[-1])
            pending |= {pool.submit(call, n) for n in itertools.islice(numbers, len(finished))}
        faulthandler.cancel_dump_traceback_later()
    known = [value for value in memory if value is not None]
    return {
        "calls": done,
        "threads": _THREADS.value,
        "calls_per_second": done / (time.monotonic() - started),
        "hangs": 0,
        "wrong": wrong,
        "resident_mib": memory,
        "growth_mib": max(known) - known[0] if known else None,
    }


def _end_if_hung(running, jobs, done):
    """Ends the program where a call hangs: threads cannot be stopped."""
    now = time.monotonic()
    hung = [number for number, since in list(running.values()) if now - since > _PATIENCE.value]
    if hung:
        faulthandler.dump_traceback(all_threads=True)
        for number in hung:
            video, kind = jobs[number]
            print(f"call {number} hangs: {kind} of {CODECS[video][0]}", file=sys.stderr)
        print(f"{done} calls, {len(hung)} hangs", flush=True)
        os._exit(1)


def _is_correct(kind, video, whole, chance):
    """Reads a video in one way; returns whether its frames are those of the whole."""
    from i3d_tf.video.decode import iter_frames, read_clip, read_first_frames

    first = chance.randrange(NUM_FRAMES - 1)
    last = chance.randrange(first + 1, NUM_FRAMES + 1)
    start, end = first / FRAME_RATE, last / FRAME_RATE
    if kind == "whole":
        return np.array_equal(read_clip(video), whole)
    if kind == "part":
        return np.array_equal(read_clip(video, start=start, end=end), whole[first:last])
    if kind == "beginning":
        return np.array_equal(read_clip(video, end=end), whole[:last])
    if kind == "first frames":
        return np.array_equal(read_first_frames(video, last), whole[:last])
    frames = iter_frames(video, FRAME_RATE, start)  # given up half-way
    given = [frame for frame, _ in itertools.islice(frames, last - first)]
    if chance.random() < 0.5:
        frames.close()  # else it is dropped
    return np.array_equal(given, whole[first:last])


KINDS = ("whole", "part", "beginning", "first frames", "given up")


def _resident_mib():
    """Returns the resident memory, or None where the system does not say."""
    file = Path("/proc/self/statm")
    if not file.exists():
        return None
    return int(file.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _print_line(done, started, wrong, memory):
    rate = done / (time.monotonic() - started)
    resident = "" if memory is None else f", {memory:.0f} MiB resident"
    print(f"{done} calls, {rate:.0f} per second, 0 hangs, {wrong} wrong{resident}", flush=True)


if __name__ == "__main__":
    app.run(main)
