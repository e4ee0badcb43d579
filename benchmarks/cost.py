"""Cost of a frame in the RGB network, by the length of the clip and by the size of the batch.

python benchmarks/cost.py
python benchmarks/cost.py --lengths=16,250 --batches=1 --output=cost.json

A single clip goes through the network in chunks, as long videos do; batches have clips of 16
frames. Each measurement is between two of a large matrix product, and the share is the network's
operations per second over the product's. It tells what a frame costs, not how busy the processor
is: operations are counted as for the whole clip at once, padding included. Of clips of 16 frames a
tenth of them are on padding, which is skipped. In chunks, large kernels of three steps do with two
thirds of them, by Winograd's F(2, 3), and blocks compute two steps of about 34 twice. Prints
medians over the rounds; the first round, which traces, is not counted.
"""

import statistics
import sys
import time
from itertools import repeat

import numpy as np
from absl import app, flags
from product import network_operations, product_function, product_operations
from record import write_record

from i3d_tf.specs.streams import CHANNELS, CROP_SIZE
from i3d_tf.system.console import one_line_errors, quiet_tensorflow, refuse_arguments

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds of measurement.", lower_bound=1)
_LENGTHS = flags.DEFINE_list("lengths", [16, 32, 64, 128, 250, 500, 1000], "Frames of a clip.")
_BATCHES = flags.DEFINE_list("batches", [1, 2, 4, 8], "Clips of 16 frames at once.")
_WIDTH = flags.DEFINE_float("width_multiplier", 1.0, "Scales the network's filters.")
_MATRIX = flags.DEFINE_integer("matrix", 4096, "Rows and columns of the product.", lower_bound=1)

BATCH_FRAMES = 16
CLASSES = 400
LIBRARIES = ("numpy", "tensorflow", "keras")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        results = _measure(list(map(int, _LENGTHS.value)), list(map(int, _BATCHES.value)))
        _print_table(results)
        write_record(
            _OUTPUT.value,
            LIBRARIES,
            rounds=_ROUNDS.value,
            matrix=_MATRIX.value,
            width_multiplier=_WIDTH.value,
            results=results,
        )


def _measure(lengths, batches):
    """Returns a row for each length and each batch."""
    from i3d_tf.inference.streaming import Streamer
    from i3d_tf.models.fold_batch_norm import fuse_for_inference
    from i3d_tf.zoo import build

    shape = (None, CROP_SIZE, CROP_SIZE, CHANNELS["rgb"])
    model = fuse_for_inference(
        build(
            "inception_i3d",
            input_shape=shape,
            classes=CLASSES,
            width_multiplier=_WIDTH.value,
        )
    )
    product = product_function(_MATRIX.value, "float32")
    streamer = Streamer(model)
    turns = [(frames, None, _length_function(streamer, frames)) for frames in lengths]
    turns += [(BATCH_FRAMES, size, _batch_function(model, size)) for size in batches]
    return [_result(frames, clips, turn, product) for frames, clips, turn in turns]


def _length_function(streamer, frames):
    frame = np.zeros((CROP_SIZE, CROP_SIZE, CHANNELS["rgb"]), np.uint8)

    def turn():
        for _ in streamer.run(repeat(frame, frames), frames):
            pass

    return turn


def _batch_function(model, size):
    import tensorflow as tf

    clips = tf.zeros((size, BATCH_FRAMES, CROP_SIZE, CROP_SIZE, CHANNELS["rgb"]))
    predict = tf.function(lambda: model(clips, training=False))
    return lambda: predict().numpy()


def _result(frames, clips, turn, product):
    seconds, shares = [], []
    number = frames * (clips or 1)
    operations = network_operations(frames, CROP_SIZE, CLASSES, _WIDTH.value)
    work = (clips or 1) * operations / product_operations(_MATRIX.value)  # in products
    for round_number in range(_ROUNDS.value + 1):
        before, taken, after = (_seconds(function) for function in (product, turn, product))
        if round_number:
            seconds.append(taken / number)
            shares.append(work * (before + after) / 2 / taken)
    return {
        "frames": frames,
        "clips": clips,  # None: one clip, in chunks
        "frame_seconds": statistics.median(seconds),
        "share": statistics.median(shares),
        "seconds": seconds,
    }


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def row_name(result: dict) -> str:
    """Returns the label of a row in the table and in the picture."""
    if result["clips"] is None:
        return f"{result['frames']:,} frames"
    return f"{result['frames']} frames, {result['clips']} at once"


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    table = Table("RGB network", title="Cost of a frame")
    for heading in ("ms/frame", "of the product"):
        table.add_column(heading, justify="right")
    for result in results:
        milliseconds = f"{1000 * result['frame_seconds']:.2f}"
        table.add_row(row_name(result), milliseconds, f"{result['share']:.0%}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
