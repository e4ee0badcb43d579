"""Speed of features of overlapping windows of a long video, against the network alone.

python benchmarks/windows.py
python benchmarks/windows.py --minutes=10 --windows=32/8 --output=windows.json

An mp4 is decoded once, and its windows go through the RGB network in batches. The first windows,
some batches of them, take turns with batches of the same network that are in memory already, and
with a large matrix product: "of the batch" is the speed of the whole by that of the network alone,
"of the product" the network's operations per second over the product's; medians over the rounds.
Then all of the video is computed once, for frames per second and memory. The network has the
released shape and random weights: time does not depend on their values.
"""

import resource
import statistics
import sys
import tempfile
import time
from itertools import chain, cycle, islice
from pathlib import Path

import numpy as np
from absl import app, flags
from product import network_operations, product_function, product_operations
from record import write_record

from i3d_tf.specs.streams import CHANNELS, CROP_SIZE, FRAME_RATE, SHORT_SIDE
from i3d_tf.system.console import one_line_errors, quiet_tensorflow, refuse_arguments

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_MINUTES = flags.DEFINE_float("minutes", 0.5, "Length of the video, at 25 frames per second.")
_WINDOWS = flags.DEFINE_list("windows", ["16/4", "32/8"], "Frames of a window / of a stride.")
_CLOCK = flags.DEFINE_enum(
    "clock", "wall", ("wall", "cpu"), "cpu: the processor time of this process, on a busy machine."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Windows at once.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of measurement.", lower_bound=1)
_WIDTH = flags.DEFINE_float("width_multiplier", 1.0, "Scales the network's filters.")
_MATRIX = flags.DEFINE_integer("matrix", 4096, "Rows and columns of the product.", lower_bound=1)

CLASSES = 400
BATCHES = 3  # of windows, in each round
RENDERED = ("sit_down", "climb_up", "open_door", "stand_up", "put_on_hat", "take_off_hat")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
LIBRARIES = ("numpy", "tensorflow", "keras", "av")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        with tempfile.TemporaryDirectory() as folder:
            video = _rendered(Path(folder))
            results = []
            for text in _WINDOWS.value:
                window, stride = map(int, text.split("/"))
                results.append(_result(folder, video, window, stride))
                _print_table(results)
        write_record(
            _OUTPUT.value,
            LIBRARIES,
            minutes=_MINUTES.value,
            rounds=_ROUNDS.value,
            clock=_CLOCK.value,
            batch_size=_BATCH_SIZE.value,
            width_multiplier=_WIDTH.value,
            matrix=_MATRIX.value,
            results=results,
        )


def _rendered(folder):
    """Renders several actions, one after another, again and again."""
    from i3d_tf.synthetic.clip import render_clip
    from i3d_tf.video.encode import write_video

    frames = list(chain.from_iterable(render_clip(action, 0, SHORT_SIDE) for action in RENDERED))
    count = round(60 * _MINUTES.value * FRAME_RATE)
    write_video(folder / "rendered.mp4", islice(cycle(frames), count))
    return folder / "rendered.mp4"


def _extractor(folder, window, stride):
    from i3d_tf.features.extractor import FeatureExtractor
    from i3d_tf.features.options import FeatureOptions, feature_config
    from i3d_tf.models.inception import inception_i3d
    from i3d_tf.weights.store import save_weights

    shape = (None, None, None, CHANNELS["rgb"])
    model = inception_i3d(
        input_shape=shape, classes=CLASSES, width_multiplier=_WIDTH.value, name="random"
    )
    row = {"stream": "rgb", "classes": CLASSES, "labels": [str(k) for k in range(CLASSES)]}
    row["width_multiplier"] = _WIDTH.value
    save_weights(model, "random", folder, row)
    config = feature_config(window=window, stride=stride)
    options = FeatureOptions(
        config,
        "rgb",
        rgb_checkpoint="random",
        checkpoint_dir=folder,
        batch_size=_BATCH_SIZE.value,
    )
    return FeatureExtractor(options), model


def _result(folder, video, window, stride):
    extractor, model = _extractor(folder, window, stride)
    batch, product = _batch_function(model, window), product_function(_MATRIX.value, "float32")
    first, rows = video.with_name("first.mp4"), BATCHES * _BATCH_SIZE.value
    _write_first(video, first, window + stride * (rows - 1))
    rows = len(extractor.extract(first).features)
    operations = network_operations(window, CROP_SIZE, CLASSES, _WIDTH.value)
    product_rows = product_operations(_MATRIX.value) / operations  # that cost as much
    of_batch, of_product, batch_of_product = [], [], []
    for round_number in range(_ROUNDS.value + 1):
        products = [_seconds(product)]
        batches = [_seconds(batch)]
        whole = _seconds(lambda: extractor.extract(first)) / rows
        batches.append(_seconds(batch))
        products.append(_seconds(product))
        if round_number:  # the first one traces
            alone = statistics.mean(batches) / _BATCH_SIZE.value
            work = statistics.mean(products) / product_rows
            of_batch.append(alone / whole)
            of_product.append(work / whole)
            batch_of_product.append(work / alone)
    start = time.perf_counter()
    found = extractor.extract(video)
    seconds = time.perf_counter() - start
    return {
        "window": window,
        "stride": stride,
        "frames": found.metadata["frames"],
        "rows": len(found.features),
        "seconds": seconds,
        "frames_per_second": found.metadata["frames"] / seconds,
        "of_batch": statistics.median(of_batch),
        "of_product": statistics.median(of_product),
        "batch_of_product": statistics.median(batch_of_product),
        "rounds": [of_batch, of_product, batch_of_product],
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _seconds(function):
    clock = CLOCKS[_CLOCK.value]
    start = clock()
    function()
    return clock() - start


def _write_first(video, path, count):
    from i3d_tf.video.decode import read_frames
    from i3d_tf.video.encode import write_video

    write_video(path, islice(read_frames(video), count))


def _batch_function(model, window):
    """Returns a function that computes one batch of windows that are in memory."""
    import tensorflow as tf

    from i3d_tf.models.fold_batch_norm import fuse_for_inference

    network = fuse_for_inference(model)
    shape = (_BATCH_SIZE.value, window, CROP_SIZE, CROP_SIZE, CHANNELS["rgb"])
    clips = tf.constant(np.zeros(shape, np.float32))
    predict = tf.function(lambda: network(clips, training=False))
    return lambda: predict().numpy()


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    table = Table("windows", title="Features of overlapping windows")
    for heading in ("rows", "frames/s", "of the batch", "of the product", "batch", "peak MiB"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            f"{result['window']} every {result['stride']}, {result['frames']:,} frames",
            f"{result['rows']:,}",
            f"{result['frames_per_second']:.1f}",
            f"{result['of_batch']:.0%}",
            f"{result['of_product']:.0%}",
            f"{result['batch_of_product']:.0%}",
            f"{result['peak_memory_mib']:.0f}",
        )
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    app.run(main)
