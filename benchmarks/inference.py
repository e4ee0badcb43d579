"""Operations per second of I3D's forward pass over those of a large matrix product.

python benchmarks/inference.py
python benchmarks/inference.py --precisions=bfloat16 --rounds=9 --output=inference.json

The network as trained, the same with batch norm folded in, and a matrix product of the same
precision take turns, so that other load on the machine affects all alike. Prints medians over the
rounds; a share is the median of the rounds' shares. The share of processor time, summed over
threads, holds also where other programs use the processors; on a GPU it means nothing. Operations
are the multiply-adds of the network as trained, two each, for every variant. In bfloat16 the
network as trained has float32 weights, as in mixed precision. The distance is that of the logits
from the network's as trained in float32, of their norm; the weights are random and all the same.
"""

import statistics
import sys
import time

import numpy as np
from absl import app, flags
from product import network_operations, product_function, product_operations
from record import write_record

from i3d_tf.system.console import one_line_errors, quiet_tensorflow, refuse_arguments

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of measurement.", lower_bound=1)
_PRECISIONS = flags.DEFINE_list("precisions", ["float32", "bfloat16"], "Precisions to measure.")
_FRAMES = flags.DEFINE_integer("frames", 64, "Frames of a clip.", lower_bound=9)
_SIZE = flags.DEFINE_integer("size", 224, "Height and width of a clip.", lower_bound=32)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1, "Clips of a batch.", lower_bound=1)
_WIDTH = flags.DEFINE_float("width_multiplier", 1.0, "Scales the number of filters everywhere.")
_MATRIX = flags.DEFINE_integer("matrix", 4096, "Rows and columns of the product.", lower_bound=1)

CLASSES = 400
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
VARIANTS = ("original", "fused")
PRODUCT = "product"
LIBRARIES = ("numpy", "tensorflow", "keras")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        refuse_arguments(argv)
        if unknown := set(_PRECISIONS.value) - set(POLICIES):
            raise ValueError(
                f"`precisions` must be some of {tuple(POLICIES)}; received {sorted(unknown)}."
            )
        quiet_tensorflow()
        results = _measure(_PRECISIONS.value)
        _print_table(results)
        write_record(
            _OUTPUT.value,
            LIBRARIES,
            frames=_FRAMES.value,
            size=_SIZE.value,
            batch_size=_BATCH_SIZE.value,
            width_multiplier=_WIDTH.value,
            matrix=_MATRIX.value,
            rounds=_ROUNDS.value,
            results=results,
        )


def _measure(precisions):
    """Measures all in turns; the first turns, which compile, are not counted."""
    reference = _predict_function(_model("float32"))()
    turns = {}
    for precision in precisions:
        model = _model(precision)
        turns[precision, "original"] = _predict_function(model)
        turns[precision, "fused"] = _predict_function(_fused(model, precision))
        turns[precision, PRODUCT] = product_function(_MATRIX.value, precision)
    seconds = {name: [] for name in turns}
    distances = {}
    for round_number in range(_ROUNDS.value + 1):
        for name, turn in turns.items():
            start = time.perf_counter(), time.process_time()
            output = turn()
            end = time.perf_counter(), time.process_time()
            if round_number:
                seconds[name].append(tuple(np.subtract(end, start).tolist()))
            elif name[1] != PRODUCT:
                difference = np.linalg.norm(output.astype(np.float32) - reference)
                distances[name] = float(difference / np.linalg.norm(reference))
    return [
        {
            **_result(precision, variant, seconds[precision, variant], seconds[precision, PRODUCT]),
            "distance": distances[precision, variant],
        }
        for precision in precisions
        for variant in VARIANTS
    ]


def _result(precision, variant, turns, product_turns):
    """Returns a row; turns are (seconds, processor seconds)."""
    seconds, processor_seconds = zip(*turns, strict=True)
    product_seconds, product_processor_seconds = zip(*product_turns, strict=True)
    return {
        "precision": precision,
        "variant": variant,
        "clip_seconds": statistics.median(seconds) / _BATCH_SIZE.value,
        "gflops": _operations() / statistics.median(seconds) / 1e9,
        "product_gflops": product_operations(_MATRIX.value)
        / statistics.median(product_seconds)
        / 1e9,
        "share": _share(seconds, product_seconds),
        "processor_share": _share(processor_seconds, product_processor_seconds),
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "product_seconds": product_seconds,
        "product_processor_seconds": product_processor_seconds,
    }


def _share(ours, products):
    """Returns the network's operations per second over the product's."""
    ratios = [theirs / mine for mine, theirs in zip(ours, products, strict=True)]
    return _operations() / product_operations(_MATRIX.value) * statistics.median(ratios)


def _operations():
    """Returns the operations of one forward pass of a batch."""
    of_a_clip = network_operations(_FRAMES.value, _SIZE.value, CLASSES, _WIDTH.value)
    return _BATCH_SIZE.value * of_a_clip


def _model(precision):
    import keras

    from i3d_tf.zoo import build

    keras.config.set_dtype_policy(POLICIES[precision])
    keras.utils.set_random_seed(0)
    return build(
        "inception_i3d",
        input_shape=(_FRAMES.value, _SIZE.value, _SIZE.value, 3),
        classes=CLASSES,
        width_multiplier=_WIDTH.value,
    )


def _fused(model, precision):
    from i3d_tf.models.fold_batch_norm import fuse_for_inference

    return fuse_for_inference(model, precision)


def _predict_function(model):
    """Returns a function that runs the network on a batch of noise."""
    import tensorflow as tf

    shape = (_BATCH_SIZE.value, _FRAMES.value, _SIZE.value, _SIZE.value, 3)
    generator = np.random.default_rng(0)
    clips = tf.constant(generator.uniform(-1, 1, shape).astype(np.float32))
    predict = tf.function(lambda: model(clips, training=False))
    return lambda: predict().numpy()


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    shape = f"{_FRAMES.value} frames of {_SIZE.value} x {_SIZE.value}"
    title = f"Forward pass of RGB I3D, {_BATCH_SIZE.value} clips of {shape}"
    table = Table("precision", "network", title=title)
    for heading in ("s/clip", "GFLOP/s", "product", "share", "of processor time", "distance"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            result["precision"],
            result["variant"],
            f"{result['clip_seconds']:.3f}",
            f"{result['gflops']:.1f}",
            f"{result['product_gflops']:.1f}",
            f"{result['share']:.0%}",
            f"{result['processor_share']:.1%}",
            f"{result['distance']:.1e}",
            end_section=result["variant"] == VARIANTS[-1],
        )
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
