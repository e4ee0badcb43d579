"""Clips per second of the training pipeline over those of the bare decoder, and its memory.

python benchmarks/pipeline.py
python benchmarks/pipeline.py --frames=64 --output=pipeline.json clip.mp4 another.avi

Both read the same windows of the same videos with the same number of threads, and take turns, so
that other load on the machine affects both alike. A turn includes the start of the pipeline, and is
so long that the start matters little, as in training. The decoder returns whole frames; the
pipeline resizes, crops, mirrors and batches them, as float32 in [-1, 1]. Prints medians over the
rounds.
"""

import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from absl import app, flags
from record import write_record

from i3d_tf.specs.streams import CROP_SIZE, FRAME_RATE, SHORT_SIDE
from i3d_tf.system.console import one_line_errors, quiet_tensorflow
from i3d_tf.system.worker_pool import processor_count

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of measurement.", lower_bound=1)
_FRAMES = flags.DEFINE_integer("frames", 32, "Frames of a clip.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Clips of a batch.", lower_bound=1)
_BATCHES = flags.DEFINE_integer("batches", 96, "Batches of a turn.", lower_bound=1)
_SHORT_SIDE = flags.DEFINE_integer("short_side", SHORT_SIDE, "Pixels, after resizing.")
_CROP_SIZE = flags.DEFINE_integer("crop_size", CROP_SIZE, "Pixels, the square that is kept.")
_JITTER = flags.DEFINE_float("jitter", 0.0, "Strength of random color changes.")
_WORKERS = flags.DEFINE_integer("workers", None, "Threads. Default: one per processor.")
_MEMORY_CLIPS = flags.DEFINE_integer(
    "memory_clips", 1000, "Clips over which memory is measured; 0: none."
)

RENDERED = ("sit_down", "climb_up", "open_door")  # actions of the embedded dataset
WATCHED = (0.1, 0.5, 1.0)  # shares of the clips after which memory is measured
LIBRARIES = ("numpy", "tensorflow", "av", "opencv-contrib-python-headless")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        quiet_tensorflow()
        with tempfile.TemporaryDirectory() as folder:
            config = _config(argv[1:] or _rendered(Path(folder)))
            workers = _WORKERS.value or processor_count()
            results = _measure(config, workers)
            results["memory"] = _watch_memory(config, workers, _MEMORY_CLIPS.value)
        _print_table(results)
        write_record(_OUTPUT.value, LIBRARIES, **results)


def _rendered(folder):
    """Renders videos of the embedded dataset's actions."""
    from i3d_tf.synthetic.clip import render_clip
    from i3d_tf.video.encode import write_video

    for action in RENDERED:
        write_video(folder / f"{action}.mp4", render_clip(action, 0, SHORT_SIDE))
    return sorted(map(str, folder.iterdir()))


def _config(paths):
    from i3d_tf.data.example import VideoExample
    from i3d_tf.data.pipeline import PipelineConfig
    from i3d_tf.specs.protocol import Protocol

    return PipelineConfig(
        examples=tuple(VideoExample(path, 0, "any") for path in paths),
        streams=("rgb",),
        protocol=Protocol(
            frames=_FRAMES.value, short_side=_SHORT_SIDE.value, crop_size=_CROP_SIZE.value
        ),
        batch_size=_BATCH_SIZE.value,
        seed=0,
        jitter=_JITTER.value,
    )


def _decode(config, first, last, workers):
    """Reads the windows of some clips with the decoder alone."""
    from i3d_tf.video.decode import read_clip

    def read(position):
        example = config.read(position)
        indices = config.sample(position, example).indices
        start, end = int(indices.min()), int(indices.max()) + 1
        read_clip(example.path, FRAME_RATE, start / FRAME_RATE, end / FRAME_RATE)

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(read, range(first, last)):
            pass


def _batches(config, first, last, workers):
    """Yields the same clips as batches."""
    from i3d_tf.data.pipeline import Failures, train_batches

    failures = Failures()
    size = config.batch_size
    yield from train_batches(config, first // size, last // size, failures, workers)
    if failures.reasons:
        path, reason = next(iter(failures.reasons.items()))
        raise ValueError(f"{path}: {reason}. Name other videos.")


def _measure(config, workers):
    """Measures both in turns; the first ones are not counted."""
    clips = _BATCHES.value * config.batch_size
    seconds = {"decoder": [], "pipeline": []}
    for turn in range(_ROUNDS.value + 1):
        first, last = turn * clips, (turn + 1) * clips
        start = time.perf_counter()
        _decode(config, first, last, workers)
        middle = time.perf_counter()
        for _ in _batches(config, first, last, workers):
            pass
        end = time.perf_counter()
        if turn:
            seconds["decoder"].append(middle - start)
            seconds["pipeline"].append(end - middle)
    ratios = [d / p for d, p in zip(seconds["decoder"], seconds["pipeline"], strict=True)]
    speeds = {name: clips / statistics.median(each) for name, each in seconds.items()}
    return {
        "videos": len(config.examples),
        "frames": config.protocol.frames,
        "threads": workers,
        "clips_per_second": speeds,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def _watch_memory(config, workers, clips):
    """Returns the resident memory in MiB, by the number of clips made so far."""
    size = config.batch_size
    marks = {max(1, round(share * clips / size)) for share in WATCHED} if clips else ()
    last = max(marks, default=0) * size
    return {
        (number + 1) * size: _resident()
        for number, _ in enumerate(_batches(config, 0, last, workers))
        if number + 1 in marks
    }


def _resident():
    if os.path.exists("/proc/self/statm"):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    import resource  # elsewhere only the maximum is known, in KiB or bytes

    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maximum / (2**20 if sys.platform == "darwin" else 2**10)


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    title = f"{results['videos']} videos, {results['frames']} frames, {results['threads']} threads"
    table = Table("", "clips/s", title=title)
    for name, speed in results["clips_per_second"].items():
        table.add_row(name, f"{speed:.2f}")
    ratios = sorted(results["ratios"])
    table.add_row("ratio", f"{results['ratio']:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    for clips, memory in results["memory"].items():
        table.add_row(f"memory after {clips} clips", f"{memory:.0f} MiB")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
