"""How long Kinetics takes: a small model of time, whose inputs are measured on this machine.

python benchmarks/capacity.py --check                                  # is the model right?
python benchmarks/capacity.py --output=capacity.json a.mp4 b.mp4       # its inputs, and the table
python benchmarks/capacity.py --numbers=capacity.json                  # the table again

    time = start + clips x (decode + compute + write) / (processes x machines)

Each term is measured alone, in processes like those of the job: reading the frames of a clip, the
network or TV-L1 on frames in memory, and writing its file. The first clip, for which graphs are
traced and functions compiled, is not counted there; the start is what a job of a few clips takes
beyond its terms. The network has the released shape and random weights: time does not depend on
their values.

--check predicts two jobs on rendered clips from other clips that are measured before and after
each, runs them as commands, and ends with status 1 where a prediction is off by more than a
quarter. Without it, the inputs are of Kinetics' length and size: 250 frames with a short side of
256, of the videos that are named, or of rendered ones; training is by steps of
benchmarks/train_step.py, from records by benchmarks/data_service.py.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from absl import app, flags
from capacity_model import DAY, MACHINES, Job, mean_job
from record import write_record

from i3d_tf.specs.recipes import RECIPES
from i3d_tf.specs.streams import FRAME_RATE, SHORT_SIDE, TEST_FRAMES, TRAIN_FRAMES
from i3d_tf.system.console import one_line_errors, quiet_tensorflow
from i3d_tf.system.worker_pool import processor_count, run_in_process, share_processors

_CHECK = flags.DEFINE_bool("check", False, "Compare the predicted time of two jobs with theirs.")
_CLIPS = flags.DEFINE_integer("clips", 200, "Clips of these jobs.", lower_bound=1)
_FRAMES = flags.DEFINE_integer("frames", 24, "Frames of each of them.", lower_bound=16)
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side", 128, "Pixels of their frames and flow.", lower_bound=64
)
_SAMPLE = flags.DEFINE_integer("sample", 32, "Clips that inputs are measured on.", lower_bound=1)
_PROCESSES = flags.DEFINE_integer("processes", 1, "Of features and of flow.", lower_bound=1)
_WIDTH = flags.DEFINE_float(
    "width_multiplier", 1.0, "Scales the network's filters.", lower_bound=0.01
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the inputs.")
_NUMBERS = flags.DEFINE_string("numbers", None, "Such a file; then nothing is measured.")

ROOT = Path(__file__).resolve().parent.parent
ACTIONS = ("sit_down", "climb_up", "open_door", "stand_up", "put_on_hat", "take_off_hat")
LIBRARIES = ("numpy", "numba", "tensorflow", "keras", "av")
TOLERANCE = 0.25
# Dataset: clips of all splits, of the training split (arXiv:1705.06950, 1705.07750; 1907.06987).
DATASETS = {"Kinetics-400": (306_000, 240_000), "Kinetics-700": (650_000, 545_000)}
TRAINED_CLIPS = RECIPES["kinetics_rgb"].steps * 64 * 6  # the paper's: 64 replicas of 6 clips
TRAINING = "RGB training"
DISK_BYTES = 2**28


class Kind(NamedTuple):
    """A job that is both predicted and run.

    Attributes:
        tool: Name of its tool.
        arguments: Those of the command besides the processes and the videos; {} is an output name.
        terms: Function (videos, folder for its files) -> seconds and bytes of each video, as
            (decode, compute, write, bytes written); a module's function or a partial of one.
    """

    tool: str
    arguments: tuple[str, ...]
    terms: Callable


def main(argv):
    """Measures or reads the inputs, and prints a table."""
    with one_line_errors():
        quiet_tensorflow()
        if _NUMBERS.value is not None:
            found = json.loads(Path(_NUMBERS.value).read_text("utf-8"))
            jobs = {name: Job(**job) for name, job in found["jobs"].items()}
            _show(jobs, found["disk_bytes_per_second"], found["processors"])
            return
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if _CHECK.value:
                sys.exit(0 if _check(folder) else 1)
            jobs, disk = _kinetics_jobs(folder, list(map(Path, argv[1:])))
        _show(jobs, disk, processor_count())
        rows = {name: job._asdict() for name, job in jobs.items()}
        write_record(_OUTPUT.value, LIBRARIES, jobs=rows, disk_bytes_per_second=disk)


def _check(folder):
    """Runs both jobs; returns whether all predictions are within a quarter."""
    size = _SHORT_SIDE.value
    videos = _render(folder / "videos", _CLIPS.value + _SAMPLE.value, _FRAMES.value, size)
    videos, sample = videos[: _CLIPS.value], videos[_CLIPS.value :]
    rows, jobs, is_good = [], {}, True
    for name, kind in _kinds(folder, size).items():
        _run(kind, sample[:1], "warm")  # compiled functions go to a cache once
        before = _inputs(kind, sample, folder, "before")
        measured = _run(kind, videos, "all")
        after = _inputs(kind, sample, folder, "after")
        jobs |= {f"{name}, before": before, f"{name}, after": after}
        predicted = mean_job([before, after]).seconds(len(videos))
        ratio = round(predicted / measured, 2)
        is_good &= abs(ratio - 1) <= TOLERANCE
        rows.append((name, f"{predicted:.1f}", f"{measured:.1f}", f"{ratio:.2f}"))
    _print_inputs(jobs)
    title = f"{_CLIPS.value} clips of {_FRAMES.value} frames, {size} x {size}"
    _print_table(title, ("job", "predicted, s", "measured, s", "ratio"), rows)
    return is_good


def _kinds(folder, short_side):
    """Returns the jobs by name; writes the network of one of them."""
    from i3d_tf.weights.store import save_weights
    from i3d_tf.zoo import build

    classes = 9
    model = build(
        "inception_i3d",
        input_shape=(None, None, None, 3),
        width_multiplier=_WIDTH.value,
        classes=classes,
    )
    labels = [f"class {number}" for number in range(classes)]
    row = {"stream": "rgb", "classes": classes, "labels": labels}
    row["width_multiplier"] = _WIDTH.value
    weights = folder / "weights"
    save_weights(model, "network", weights, row)
    network = ("--rgb_checkpoint=network", f"--checkpoint_dir={weights}")
    flow = ("--flow_engine=numba", f"--short_side={short_side}")
    return {
        "features": Kind(
            "extract_features",
            (*network, f"--output_dir={folder}/features-{{}}"),
            partial(_feature_terms, weights),
        ),
        "flow": Kind(
            "compute_flow",
            (*flow, f"--flow_dir={folder}/flow-{{}}"),
            partial(_flow_terms, short_side),
        ),
    }


def _render(folder, number, frames, size):
    """Renders videos of several actions, one after another."""
    from i3d_tf.synthetic.clip import render_clip
    from i3d_tf.video.encode import write_video

    folder.mkdir()
    for index in range(number):
        actions = (ACTIONS[(index + later) % len(ACTIONS)] for later in range(len(ACTIONS)))
        clips = chain.from_iterable(render_clip(action, index, size) for action in actions)
        write_video(folder / f"{index:04}.mp4", islice(clips, frames))
    return sorted(folder.iterdir())


def _inputs(kind, videos, folder, name):
    """Measures the inputs of a job, each term in as many processes at once as the job has."""
    processes = min(_PROCESSES.value, len(videos))
    threads = max(1, processor_count() // processes)
    measure = partial(run_in_process, _measure_terms, kind.terms, videos, folder, threads)
    with ThreadPoolExecutor(processes) as pool:
        rows = list(chain.from_iterable(pool.map(lambda _: measure(), range(processes))))
    decode, compute, write, size = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    read = sum(video.stat().st_size for video in videos) / len(videos)
    job = Job(0.0, decode, compute, write, processes, read, size)
    start = max(0.0, _run(kind, videos, name) - job.seconds(len(videos)))
    return job._replace(start=start)


def _measure_terms(terms, videos, folder, threads):
    """Returns the terms of each video, in one of the processes; the first one is not counted."""
    if threads < processor_count():
        from i3d_tf.flow.stream import use_one_opencv_thread

        share_processors(threads)
        use_one_opencv_thread()
    quiet_tensorflow()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return list(terms([videos[0], *videos], Path(place)))[1:]


def _feature_terms(weights, videos, folder):
    from i3d_tf.data.feature_file import write_features
    from i3d_tf.features.extractor import FeatureExtractor
    from i3d_tf.features.options import FeatureOptions, feature_config
    from i3d_tf.inference.video_source import VideoSource

    options = FeatureOptions(feature_config(), "rgb", "network", checkpoint_dir=weights)
    extractor = FeatureExtractor(options)
    features = extractor.extract(videos[0])

    def read(video):
        source = VideoSource(video, extractor.protocol)
        return source.num_frames, list(source.frames("rgb"))  # frames are counted first

    for number, video in enumerate(videos):
        decode, (length, frames) = _timed(read, video)
        network = extractor.streams["rgb"]
        compute, _ = _timed(lambda: list(network.rows_of_video(frames, length)))  # noqa: B023
        path = folder / f"{number}.npy"
        write, _ = _timed(write_features, path, features)
        size = sum(file.stat().st_size for file in folder.glob(f"{number}.npy*"))
        yield decode, compute, write, size


def _flow_terms(short_side, videos, folder):
    from i3d_tf.flow.flow_file import write_flow_file
    from i3d_tf.flow.metadata import flow_metadata
    from i3d_tf.flow.stream import flow_frames
    from i3d_tf.video.decode import iter_watched, read_frames

    def read(video):
        return list(iter_watched(video, read_frames(video, FRAME_RATE, short_side)))

    for number, video in enumerate(videos):
        decode, frames = _timed(read, video)
        compute, flow = _timed(lambda: list(flow_frames(frames, "numba")))  # noqa: B023
        metadata = flow_metadata(video, "numba", None, FRAME_RATE, short_side)
        path = folder / f"{number}.flow.zip"
        write, _ = _timed(write_flow_file, path, flow, metadata)
        yield decode, compute, write, path.stat().st_size


def _timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def _run(kind, videos, name):
    """Returns the seconds of a job as a command."""
    arguments = [argument.format(name) for argument in kind.arguments]
    arguments += [f"--processes={_PROCESSES.value}", *map(str, videos)]
    start = time.perf_counter()
    _command(f"tools/{kind.tool}.py", *arguments)
    return time.perf_counter() - start


def _command(script, *arguments):
    """Runs a program of the project in a process of its own."""
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"{script} ended with status {done.returncode}: {done.stderr[-500:]}")


def _kinetics_jobs(folder, videos):
    """Returns the jobs with the inputs for Kinetics' clips, and the disk's bytes per second."""
    short = _render(folder / "short", _SAMPLE.value, _FRAMES.value, SHORT_SIDE)
    videos = videos or _render(folder / "videos", 2, TEST_FRAMES, SHORT_SIDE)
    missing = [str(video) for video in videos if not video.is_file()]
    if missing:
        raise ValueError(f"{missing[0]}: there is no such file. Name videos.")
    scale = TEST_FRAMES / (_count_frames(videos) / len(videos))
    jobs = {}
    for name, kind in _kinds(folder, SHORT_SIDE).items():
        _run(kind, short[:1], "warm")
        start = _inputs(kind, short, folder, "short").start
        found = _inputs(kind, videos, folder, "videos")
        means = [value * scale for value in (found.decode, found.compute, found.write)]
        sizes = [found.bytes_read * scale, found.bytes_written * scale]
        jobs[name] = Job(start, *means, found.processes, *sizes)
    jobs[TRAINING] = _training_job(folder, videos)
    return jobs, _disk_rate(folder)


def _count_frames(videos):
    from i3d_tf.video.decode import count_frames

    return sum(count_frames(video, FRAME_RATE) for video in videos)


def _training_job(folder, videos):
    """Returns the inputs of training on JPEG records, of which a clip takes a whole one."""
    step, records, service = (folder / name for name in ("step.json", "records", "service.json"))
    batch_size = 2
    _command(
        "benchmarks/train_step.py",
        "--precisions=float32",
        "--rounds=1",
        f"--frames={TRAIN_FRAMES}",
        f"--batch_size={batch_size}",
        f"--width_multiplier={_WIDTH.value}",
        f"--output={step}",
    )
    classes = folder / "classes" / "any"
    classes.mkdir(parents=True)
    for number, video in enumerate(videos):
        (classes / f"{number}{video.suffix}").symlink_to(video.resolve())
    _command(
        "tools/make_records.py",
        f"--data_dir={classes.parent}",
        f"--output_dir={records}",
        "--shards=1",
        "--name=clips",
    )
    shard = records / "clips-00000-of-00001"
    _command(
        "benchmarks/data_service.py",
        "--workers=1",
        "--rounds=3",
        "--batches=16",
        f"--frames={TRAIN_FRAMES}",
        f"--output={service}",
        str(shard),
    )
    (result,) = json.loads(step.read_text("utf-8"))["results"]
    rate = json.loads(service.read_text("utf-8"))["results"]["one process"]["clips_per_second"]
    record = shard.stat().st_size * TEST_FRAMES / _count_frames(videos)
    return Job(
        start=0.0,
        decode=1 / (rate * processor_count()),
        compute=result["step_seconds"] / batch_size,
        write=0.0,
        bytes_read=record,
    )


def _disk_rate(folder):
    """Returns the bytes per second of writing a file to the disk."""
    content = os.urandom(DISK_BYTES)

    def write():
        with (folder / "disk").open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    return DISK_BYTES / _timed(write)[0]


def _show(jobs, disk, processors):
    """Prints the inputs and the table of days."""
    _print_inputs(jobs)
    print(f"\nThe disk writes {_short(disk / 1e6)} MB/s.")
    rows = []
    for dataset, (every, train) in DATASETS.items():
        for name, job in jobs.items():
            clips = every
            if name == TRAINING:  # as many passes as the paper made over Kinetics-400
                clips = TRAINED_CLIPS * train // DATASETS["Kinetics-400"][1]
            days = (_short(job.seconds(clips, machines) / DAY) for machines in MACHINES)
            term, share = job.limit()
            stored = train * job.bytes_read if name == TRAINING else clips * job.bytes_written
            amounts = (_short(stored / 1e9), _short(job.storage_rate(MACHINES[-1]) / 1e6))
            rows.append((dataset, name, f"{clips:,}", *days, f"{term} ({share:.0%})", *amounts))
    days = [f"days, {n}" for n in MACHINES]
    headings = ("dataset", "job", "clips", *days, "limited by", "GB", f"MB/s, {MACHINES[-1]}")
    _print_table(f"Days on 1, 16, 128 machines of {processors} processors", headings, rows)


def _print_inputs(jobs):
    rows = []
    for name, job in jobs.items():
        seconds = (f"{value:.3g}" for value in (job.start, job.decode, job.compute, job.write))
        sizes = (f"{value / 1e6:.3g}" for value in (job.bytes_read, job.bytes_written))
        rows.append((name, *seconds, job.processes, *sizes))
    terms = ("start, s", "decode, s", "compute, s", "write, s")
    _print_table("Inputs, of a clip", ("job", *terms, "processes", "MB read", "MB written"), rows)


def _short(value):
    """Returns a number of two digits that count."""
    return f"{float(f'{value:.2g}'):,.12g}"


def _print_table(title, headings, rows):
    """Prints a table as docs/capacity.md has it."""
    print(f"\n{title}\n")
    for row in (headings, ["---", *["---:"] * (len(headings) - 1)], *rows):
        print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    app.run(main)
