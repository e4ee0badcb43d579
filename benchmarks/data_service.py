"""Clips per second from records: by one process, and by workers of tf.data service.

python benchmarks/data_service.py
python benchmarks/data_service.py --workers=1,2,4 --output=service.json 'records/train-*'

Every worker, and the one process, has one processor, so that decoding is what limits; as many are
needed as the largest number of workers. All take turns, so that other load on the machine affects
all alike. Dispatchers and receiver share the processors. Prints medians over the rounds. Without a
pattern, the records are of rendered videos.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import app, flags
from record import write_record

from i3d_tf.specs.streams import CROP_SIZE, SHORT_SIDE
from i3d_tf.system.console import one_line_errors, quiet_tensorflow

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_WORKERS = flags.DEFINE_list("workers", ["1", "2"], "Numbers of workers to measure.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of measurement.", lower_bound=1)
_FRAMES = flags.DEFINE_integer("frames", 32, "Frames of a clip.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Clips of a batch.", lower_bound=1)
_BATCHES = flags.DEFINE_integer("batches", 24, "Batches of a turn.", lower_bound=1)
_SHORT_SIDE = flags.DEFINE_integer("short_side", SHORT_SIDE, "Pixels, after resizing.")
_CROP_SIZE = flags.DEFINE_integer("crop_size", CROP_SIZE, "Pixels, the square that is kept.")

ROOT = Path(__file__).resolve().parent.parent
RENDERED = ("sit_down", "climb_up", "open_door")  # actions of the embedded dataset
WARM_UP = 4  # batches of a turn that are not counted: the start of the processes' threads
LIBRARIES = ("numpy", "tensorflow")
LOCAL = "one process"


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        quiet_tensorflow()
        numbers = sorted(set(map(int, _WORKERS.value)))
        processors = sorted(os.sched_getaffinity(0))
        if not 0 < numbers[0] <= numbers[-1] <= len(processors):
            raise ValueError(
                f"`workers` must be from 1 to {len(processors)}, the processors; received "
                f"{numbers}."
            )
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            pattern = argv[1] if len(argv) > 1 else _rendered(Path(folder))
            services: dict[str, str | None] = {LOCAL: None}
            for number in numbers:
                name = f"{number} worker{'s' if number > 1 else ''}"
                services[name] = _start(stack, Path(folder), processors[:number])
            seconds = _measure(_config(pattern), services, processors)
        clips = _BATCHES.value * _BATCH_SIZE.value
        results = {
            name: {
                "clips_per_second": clips / statistics.median(times),
                "ratio": statistics.median(map(_over, seconds[LOCAL], times)),
                "seconds": times,
            }
            for name, times in seconds.items()
        }
        _print_table(results)
        write_record(_OUTPUT.value, LIBRARIES, frames=_FRAMES.value, results=results)


def _over(theirs, ours):
    return theirs / ours


def _rendered(folder):
    """Makes records of rendered videos; returns their pattern."""
    from i3d_tf.synthetic.clip import render_clip
    from i3d_tf.video.encode import write_video

    for action in RENDERED:
        video = folder / "videos" / action / "clip.mp4"
        video.parent.mkdir(parents=True)
        write_video(video, render_clip(action, 0, _SHORT_SIDE.value))
    command = [sys.executable, ROOT / "tools/make_records.py", "--shards=1", "--name=clips"]
    command += [f"--data_dir={folder / 'videos'}", f"--output_dir={folder / 'records'}"]
    subprocess.run([*command, f"--short_side={_SHORT_SIDE.value}"], check=True, env=_environment())
    return str(folder / "records/clips-*")


def _environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _config(pattern):
    from i3d_tf.records.pipeline import RecordConfig
    from i3d_tf.records.record_set import read_records
    from i3d_tf.specs.protocol import Protocol

    records = read_records(pattern)
    return RecordConfig(
        examples=records.dataset.examples,
        streams=("rgb",),
        protocol=Protocol(
            frames=_FRAMES.value, short_side=_SHORT_SIDE.value, crop_size=_CROP_SIZE.value
        ),
        batch_size=_BATCH_SIZE.value,
        seed=0,
        places=records.places,
    )


def _start(stack, folder, processors):
    """Starts a dispatcher, and a worker on each processor; returns its address."""

    def start(tool, *arguments):
        name = f"{tool}-{len(processors)}-{len(list(folder.glob('*.log')))}.log"
        log = stack.enter_context((folder / name).open("w"))
        command = [sys.executable, ROOT / f"tools/data_{tool}.py", *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment())
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process, folder / name

    def first_line(process, log):
        while not (text := log.read_text()):
            if process.poll() is not None:
                raise ValueError(f"{log.stem} ended before it began.")
            time.sleep(0.1)
        return text

    line = first_line(*start("dispatcher", "--port=0"))
    service = f"grpc://127.0.0.1:{line.partition(', ')[0].rpartition(':')[2]}"
    workers = [start("worker", f"--dispatcher={service}") for _ in processors]
    for processor, (process, _) in zip(processors, workers, strict=True):
        os.sched_setaffinity(process.pid, {processor})  # its threads start later
    for worker in workers:
        first_line(*worker)
    return service


def _measure(config, services, processors):
    """Takes turns; returns the seconds of each, by name."""
    seconds = {name: [] for name in services}
    for turn in range(_ROUNDS.value):
        for name, service in services.items():
            _keep_to(processors[:1] if service is None else processors)
            seconds[name].append(_seconds(config, turn, service))
    return seconds


def _keep_to(processors):
    """Keeps all threads of this process to some processors."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), processors)


def _seconds(config, turn, service):
    """Returns the seconds for the batches of a turn, after the first ones."""
    from i3d_tf.data.pipeline import Failures
    from i3d_tf.records.pipeline import FailedRecords, record_batches
    from i3d_tf.records.service import distribute_to

    count = WARM_UP + _BATCHES.value
    distribute = None if service is None else distribute_to(service)
    steps = turn * count, (turn + 1) * count
    failed, failures = FailedRecords(config), Failures()
    batches = iter(record_batches(config, *steps, failures, failed, None, distribute))
    for _ in range(WARM_UP):
        next(batches)
    start = time.perf_counter()
    for _ in range(_BATCHES.value):
        next(batches)
    return time.perf_counter() - start


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    table = Table("", title=f"Clips of {_FRAMES.value} frames from records")
    for heading in ("clips/s", f"x {LOCAL}"):
        table.add_column(heading, justify="right")
    for name, result in results.items():
        table.add_row(name, f"{result['clips_per_second']:.1f}", f"{result['ratio']:.2f}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
