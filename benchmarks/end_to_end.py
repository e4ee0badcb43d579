"""From an mp4 to the five best classes of both streams: where the time goes, and what length costs.

python benchmarks/end_to_end.py
python benchmarks/end_to_end.py --output=end_to_end.json clip.mp4

The networks have the released shape and random weights: time does not depend on their values.
Medians over the rounds are shown; the first answer, which traces the graphs, is not counted.
"""

import resource
import statistics
import sys
import tempfile
import time
from itertools import chain, islice
from pathlib import Path

import numpy as np
from absl import app, flags
from record import write_record

from i3d_tf.runs.console import one_line_errors, quiet_tensorflow
from i3d_tf.specs.streams import CHANNELS, CROP_SIZE, SHORT_SIDE, TEST_FRAMES

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each is measured.", lower_bound=1)
_LENGTHS = flags.DEFINE_list("lengths", ["16", "64", "250", "1000"], "Frames, in one stream.")
_BATCHES = flags.DEFINE_list("batches", ["1", "2", "4"], "Clips of 16 frames at once.")

RENDERED = ("sit_down", "climb_up", "open_door", "stand_up", "put_on_hat", "take_off_hat")
BATCH_FRAMES = 16
LIBRARIES = ("numpy", "numba", "tensorflow", "keras", "av")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        quiet_tensorflow()
        with tempfile.TemporaryDirectory() as folder:
            video = argv[1] if len(argv) > 1 else _rendered(Path(folder))
            predictor = _predictor(Path(folder))
            results = {
                "video": Path(video).name,
                "stages": _stages(predictor, video),
                "lengths": _lengths(predictor, list(map(int, _LENGTHS.value))),
                "batches": _batches(predictor, list(map(int, _BATCHES.value))),
                "peak_memory_mib": _peak_memory(),
            }
        _print_table(results)
        write_record(_OUTPUT.value, LIBRARIES, **results)


def _rendered(folder):
    """Ten seconds of several actions, one after another."""
    from i3d_tf.synthetic.clip import render_clip
    from i3d_tf.video.encode import write_video

    clips = chain.from_iterable(render_clip(action, 0, SHORT_SIDE) for action in RENDERED)
    write_video(folder / "rendered.mp4", islice(clips, TEST_FRAMES + 1))
    return folder / "rendered.mp4"


def _predictor(folder):
    from i3d_tf.runs.predict import Predictor
    from i3d_tf.specs.labels import read_labels
    from i3d_tf.weights.store import save_weights
    from i3d_tf.zoo import build

    names = read_labels("kinetics400")
    for stream, channels in CHANNELS.items():
        model = build("inception_i3d", input_shape=(None, None, None, channels))
        row = {"stream": stream, "classes": len(names), "labels": list(names)}
        save_weights(model, stream, folder / "weights", row)
    weights = {stream: stream for stream in CHANNELS}
    return Predictor("joint", weights, folder / "weights")


def _stages(predictor, video):
    """Stage to seconds, "all" among them."""
    rows = []
    for number in range(_ROUNDS.value + 1):
        begin = time.perf_counter()
        answer = predictor.answer(video)
        if answer.error is not None:
            raise ValueError(f"{video}: {answer.error}; name another.")
        if number:
            rows.append({**answer.timing, "all": time.perf_counter() - begin})
    return {stage: statistics.median(row[stage] for row in rows) for stage in rows[0]}


def _lengths(predictor, lengths):
    """Frames of a clip to seconds a frame of the RGB network, chunk by chunk."""
    from i3d_tf.runs.streaming import Streamer

    streamer = Streamer(predictor.models["rgb"])
    frame = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)

    def turn(frames):
        begin = time.perf_counter()
        for _ in streamer.run((frame for _ in range(frames)), frames):
            pass
        return (time.perf_counter() - begin) / frames

    return {frames: _median_of(lambda frames=frames: turn(frames)) for frames in lengths}


def _batches(predictor, sizes):
    """Clips at once to seconds a clip."""
    network = predictor.networks["rgb"]

    def turn(clips):
        begin = time.perf_counter()
        network(clips).numpy()
        return (time.perf_counter() - begin) / len(clips)

    found = {}
    for size in sizes:
        clips = np.zeros((size, BATCH_FRAMES, CROP_SIZE, CROP_SIZE, 3), np.float32)
        found[size] = _median_of(lambda clips=clips: turn(clips))
    return found


def _median_of(turn):
    turn()
    return statistics.median(turn() for _ in range(_ROUNDS.value))


def _peak_memory():
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 100)
    stages = dict(results["stages"])
    whole = stages.pop("all")
    table = Table("stage", title=f"{results['video']} to the best classes of both streams")
    table.add_column("seconds", justify="right")
    table.add_column("share", justify="right")
    for stage, seconds in {**stages, "all": whole}.items():
        table.add_row(stage, f"{seconds:.2f}", f"{seconds / whole:.0%}")
    console.print(table)
    table = Table("RGB network", title=f"Peak memory: {results['peak_memory_mib']:.0f} MiB")
    table.add_column("milliseconds", justify="right")
    for frames, seconds in results["lengths"].items():
        table.add_row(f"a frame of {frames}", f"{1000 * seconds:.1f}")
    for size, seconds in results["batches"].items():
        table.add_row(f"a clip of {BATCH_FRAMES} frames, {size} at once", f"{1000 * seconds:.0f}")
    console.print(table)


if __name__ == "__main__":
    app.run(main)
