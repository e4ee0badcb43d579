"""Optical flow on a GPU, and how many clips the processors make for it: two parts of `gpu.py`."""

import importlib
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np

from i3d_tf.flow.compute import to_grey
from i3d_tf.flow.tvl1 import DEFAULT
from i3d_tf.flow.tvl1_graph import SCHEDULES
from i3d_tf.specs.protocol import Protocol
from i3d_tf.specs.streams import FLOW_BOUND, SHORT_SIDE

FLOW_MODULES = {"jax": "i3d_tf.flow.tvl1_jax", "tensorflow": "i3d_tf.flow.tvl1_tensorflow"}
RENDERED = ("sit_down", "climb_up", "open_door")  # actions of the embedded dataset


def rendered_videos(folder: Path) -> list[str]:
    """Renders videos of the embedded dataset, with short side 256; returns their paths."""
    from i3d_tf.synthetic.clip import render_clip
    from i3d_tf.video.encode import write_video

    for action in RENDERED:
        write_video(folder / f"{action}.mp4", render_clip(action, 0, SHORT_SIDE))
    return sorted(map(str, folder.iterdir()))


def measure_flow(
    videos: Sequence[str], pairs: int, batches: Sequence[int], rounds: int
) -> list[dict[str, Any]]:
    """Measures TV-L1 of the graph by turns with the numba engine on all processors.

    A turn takes frames from the processor's memory and brings the flow back there.

    Args:
        videos: The videos.
        pairs: Pairs of neighboring frames of each, the first ones; a short one has fewer.
        batches: Pairs that the GPU computes at once.
        rounds: Turns.

    Returns:
        A row for each video and way to compute.

    Raises:
        ValueError: Keras's backend has no graph of TV-L1.
    """
    backend = keras.backend.backend()
    if backend not in FLOW_MODULES:
        raise ValueError(
            f"`parts` must be without flow on {backend}; TV-L1 runs on {tuple(FLOW_MODULES)}. Set "
            "KERAS_BACKEND."
        )
    module = importlib.import_module(FLOW_MODULES[backend])
    return [
        row for video in videos for row in _measure_video(module, video, pairs, batches, rounds)
    ]


def _measure_video(module, video, pairs, batches, rounds):
    from i3d_tf.flow.tvl1_numba import flow_between
    from i3d_tf.video.decode import read_frames

    grey = to_grey(np.stack(list(islice(read_frames(video), pairs + 1)))).astype(np.float32)
    previous, following = grey[:-1], grey[1:]
    functions: dict[tuple, Callable] = {("numba", "early_stop", 0): flow_between}
    for schedule in SCHEDULES:
        for batch in batches:
            name = keras.backend.backend(), schedule, batch
            functions[name] = module.flow_function(*grey.shape[1:], DEFAULT, schedule, batch)
    flows = {name: np.asarray(find(previous, following)) for name, find in functions.items()}
    seconds: dict[tuple, list] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, find in functions.items():
            start = time.perf_counter()
            np.asarray(find(previous, following))
            seconds[name].append(time.perf_counter() - start)
    (reference, *_), clipped = functions, {n: np.clip(f, *_bounds()) for n, f in flows.items()}
    for name in functions:
        theirs = zip(seconds[reference], seconds[name], strict=True)
        yield {
            "clip": Path(video).name,
            "size": list(grey.shape[1:]),
            **dict(zip(("engine", "schedule", "batch"), name, strict=True)),
            "pairs_per_second": len(previous) / statistics.median(seconds[name]),
            "ratio": statistics.median(numba / ours for numba, ours in theirs),
            "mean_error": float(
                np.linalg.norm(clipped[name] - clipped[reference], axis=-1).mean(dtype=np.float64)
            ),
            "seconds": seconds[name],
        }


def _bounds():
    return -FLOW_BOUND, FLOW_BOUND


def measure_input(
    videos: Sequence[str], frames: int, threads: Sequence[int], clips: int, rounds: int
) -> list[dict[str, Any]]:
    """Measures how many training clips threads decode, resize and crop.

    Args:
        videos: The videos.
        frames: Frames of a clip, of 224 x 224.
        threads: Numbers of threads.
        clips: Clips of a turn for each thread.
        rounds: Turns.

    Returns:
        A row for each number of threads.
    """
    from i3d_tf.data.clips import count_frames, load_rgb
    from i3d_tf.data.example import VideoExample
    from i3d_tf.data.views import random_view

    protocol = Protocol(frames=frames)
    examples = [VideoExample(video, 0, "any") for video in videos]

    def make(position):
        example = examples[position % len(examples)]
        available = count_frames(example, protocol.frame_rate)
        view = random_view(available, frames, np.random.default_rng(position))
        return load_rgb(example, view, protocol).nbytes

    seconds: dict[int, list] = {number: [] for number in threads}
    processor: dict[int, list] = {number: [] for number in threads}
    for turn in range(rounds + 1):
        for number in threads:
            start, start_cpu = time.perf_counter(), _processor_seconds()
            with ThreadPoolExecutor(number) as pool:
                list(pool.map(make, range(number * clips)))
            if turn:  # the first one is not counted
                seconds[number].append(time.perf_counter() - start)
                processor[number].append(_processor_seconds() - start_cpu)
    return [
        {
            "threads": number,
            "clips_per_second": number * clips / statistics.median(seconds[number]),
            "processor_ms": 1e3 * statistics.median(processor[number]) / (number * clips),
            "seconds": seconds[number],
        }
        for number in threads
    ]


def _processor_seconds():
    times = os.times()
    return times.user + times.system
