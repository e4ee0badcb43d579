"""Clips per second of the training pipeline over those of the bare decoder, and its memory.

python benchmarks/pipeline.py
python benchmarks/pipeline.py --frames=64 --output=pipeline.json clip.mp4 another.avi
python benchmarks/pipeline.py --records=jpeg clip.mp4
python benchmarks/pipeline.py --processes=2 clip.mp4

Both read the same windows of the same videos with the same number of threads, and take turns, so
that other load on the machine affects both alike. A turn includes the start of the pipeline, and is
so long that the start matters little, as in training. The decoder returns whole frames; the
pipeline resizes, crops, mirrors and batches them, as float32 in [-1, 1]. With --records the
pipeline from records of the videos takes turns with both, and the sizes of the files are shown;
with --processes the pipeline whose clips are decoded by processes, and its ratio to the threads of
one process, with the time for which the main process was busy with a clip of each.
Prints medians over the rounds.
"""

import dataclasses
import os
import statistics
import sys
import tempfile
import time
from collections import deque
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

_RECORDS = flags.DEFINE_enum(
    "records", None, ("jpeg", "png"), "Also from records of the videos, of this format."
)
_PROCESSES = flags.DEFINE_integer(
    "processes", None, "Also with as many processes that decode the clips.", lower_bound=1
)

RENDERED = ("sit_down", "climb_up", "open_door")  # actions of the embedded dataset
WATCHED = (0.1, 0.5, 1.0)  # shares of the clips after which memory is measured
LIBRARIES = ("numpy", "tensorflow", "av", "opencv-contrib-python-headless")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        quiet_tensorflow()
        from i3d_tf.data.clips import clip_processes

        with tempfile.TemporaryDirectory() as folder:
            config = _config(argv[1:] or _rendered(Path(folder)))
            workers = _WORKERS.value or processor_count()
            records = None
            if _RECORDS.value is not None:
                records = _of_records(config, Path(folder) / "records")
            with clip_processes(_PROCESSES.value) as processes:
                by_processes = None
                if processes is not None:
                    by_processes = dataclasses.replace(config, clip_processes=processes)
                results = _measure(config, records, workers, by_processes)
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


def _of_records(config, folder):
    """Writes records of the videos, and returns the settings of their pipeline."""
    from i3d_tf.data.example import DataReport, VideoDataset
    from i3d_tf.records.make_records import make_records
    from i3d_tf.records.pipeline import RecordConfig
    from i3d_tf.records.record_format import RecordFormat
    from i3d_tf.records.record_set import read_records

    count = len(config.examples)
    report = DataReport("any", None, "", rows=count, found=count, classes=1)
    dataset = VideoDataset(config.examples, ("any",), report)
    form = RecordFormat(_RECORDS.value, short_side=_SHORT_SIDE.value)
    make_records(dataset, folder, "any", 1, form, processes=1)
    records = read_records(str(folder))
    fields = {each.name: getattr(config, each.name) for each in dataclasses.fields(config)}
    return RecordConfig(**fields | {"examples": records.dataset.examples}, places=records.places)


def _record_batches(config, first, last, workers):
    """Yields the same clips as batches, from records."""
    from i3d_tf.data.pipeline import Failures
    from i3d_tf.records.pipeline import FailedRecords, record_batches

    size, failed = config.batch_size, FailedRecords(config)
    steps = first // size, last // size
    yield from record_batches(config, *steps, Failures(), failed, workers)
    for path, reason in failed.reasons().items():
        raise ValueError(f"{path}: {reason}.")


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


def _measure(config, records, workers, by_processes):
    """Measures all in turns; the first ones are not counted."""
    clips = _BATCHES.value * config.batch_size
    make = {
        "decoder": lambda first, last: _decode(config, first, last, workers),
        "pipeline": lambda first, last: deque(_batches(config, first, last, workers), 0),
    }
    if records is not None:
        make["records"] = lambda first, last: deque(
            _record_batches(records, first, last, workers), 0
        )
    if by_processes is not None:
        make["processes"] = lambda first, last: deque(_batches(by_processes, first, last, None), 0)
    seconds, busy = ({name: [] for name in make} for _ in range(2))
    for turn in range(_ROUNDS.value + 1):
        first, last = turn * clips, (turn + 1) * clips
        for name, run in make.items():
            start, start_busy = time.perf_counter(), time.process_time()
            run(first, last)
            if turn:
                seconds[name].append(time.perf_counter() - start)
                busy[name].append(time.process_time() - start_busy)
    ratios = [d / p for d, p in zip(seconds["decoder"], seconds["pipeline"], strict=True)]
    speeds = {name: clips / statistics.median(each) for name, each in seconds.items()}
    results = {
        "videos": len(config.examples),
        "frames": config.protocol.frames,
        "threads": workers,
        "clips_per_second": speeds,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }
    if by_processes is not None:
        pairs = zip(seconds["pipeline"], seconds["processes"], strict=True)
        results["processes"] = _PROCESSES.value
        results["processes_ratio"] = statistics.median(p / q for p, q in pairs)
        results["busy_ms"] = {
            name: 1e3 * statistics.median(busy[name]) / clips for name in ("pipeline", "processes")
        }
    if records is not None:
        results["bytes"] = {
            "videos": sum(os.path.getsize(example.path) for example in config.examples),
            "records": sum(place.record.length for place in records.places.values()),
        }
    return results


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
    if "processes_ratio" in results:
        ratio = f"{results['processes_ratio']:.2f}"
        table.add_row(f"{results['processes']} processes, to threads", ratio)
    for name, milliseconds in results.get("busy_ms", {}).items():
        table.add_row(f"main process, {name}", f"{milliseconds:.1f} ms a clip")
    for name, size in results.get("bytes", {}).items():
        table.add_row(f"{name}, in all", f"{size / 1e6:.1f} MB")
    for clips, memory in results["memory"].items():
        table.add_row(f"memory after {clips} clips", f"{memory:.0f} MiB")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
