"""Time of each stage from an mp4 to the top five classes of both streams.

python benchmarks/end_to_end.py
python benchmarks/end_to_end.py --output=end_to_end.json clip.mp4

The networks have the released shape and random weights: time does not depend on their values.
Prints medians over the rounds; the first prediction, which traces the graphs, is not counted.
"""

import resource
import statistics
import sys
import tempfile
import time
from itertools import chain, islice
from pathlib import Path

from absl import app, flags
from record import write_record

from i3d_tf.specs.streams import CHANNELS, FRAME_RATE, SHORT_SIDE, TEST_FRAMES
from i3d_tf.system.console import one_line_errors, quiet_tensorflow

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds of measurement.", lower_bound=1)

RENDERED = ("sit_down", "climb_up", "open_door", "stand_up", "put_on_hat", "take_off_hat")
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
                "shown_seconds": TEST_FRAMES / FRAME_RATE,
                "peak_memory_mib": _peak_memory(),
            }
        _print_table(results)
        write_record(_OUTPUT.value, LIBRARIES, **results)


def _rendered(folder):
    """Renders ten seconds of several actions, one after another."""
    from i3d_tf.synthetic.clip import render_clip
    from i3d_tf.video.encode import write_video

    clips = chain.from_iterable(render_clip(action, 0, SHORT_SIDE) for action in RENDERED)
    write_video(folder / "rendered.mp4", islice(clips, TEST_FRAMES + 1))
    return folder / "rendered.mp4"


def _predictor(folder):
    from i3d_tf.inference.predictor import Predictor
    from i3d_tf.specs.labels import read_labels
    from i3d_tf.weights.store import save_weights
    from i3d_tf.zoo import build

    names = read_labels("kinetics400")
    for stream, channels in CHANNELS.items():
        model = build("inception_i3d", input_shape=(None, None, None, channels))
        row = {"stream": stream, "classes": len(names), "labels": list(names)}
        save_weights(model, stream, folder / "weights", row)
    checkpoints = {stream: stream for stream in CHANNELS}
    return Predictor("joint", checkpoints, folder / "weights")


def _stages(predictor, video):
    """Returns the seconds of each stage, and of "all"."""
    rows = []
    for number in range(_ROUNDS.value + 1):
        start = time.perf_counter()
        prediction = predictor.predict(video)
        if prediction.error is not None:
            raise ValueError(f"{video}: {prediction.error}. Name another video.")
        if number:
            rows.append({**prediction.timing, "all": time.perf_counter() - start})
    return {stage: statistics.median(row[stage] for row in rows) for stage in rows[0]}


def _peak_memory():
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maximum / (2**20 if sys.platform == "darwin" else 2**10)


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    stages = dict(results["stages"])
    whole = stages.pop("all")
    table = Table("stage", title=f"{results['video']} to the top classes of both streams")
    table.add_column("seconds", justify="right")
    table.add_column("share", justify="right")
    for stage, seconds in {**stages, "all": whole}.items():
        table.add_row(stage, f"{seconds:.2f}", f"{seconds / whole:.0%}")
    table.add_row("peak memory", f"{results['peak_memory_mib']:.0f} MiB", end_section=True)
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
