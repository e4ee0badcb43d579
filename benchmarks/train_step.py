"""Operations per second of a training step over a large matrix product's, and Keras's overhead.

python benchmarks/train_step.py
python benchmarks/train_step.py --precisions=float32 --rounds=5 --output=train_step.json

The same step is run by `fit`, as in training, and by a bare `tf.function` with the same network,
loss and optimizer. Both and the product take turns, so that other load on the machine affects all
alike. Prints medians over the rounds; the start and end of `fit` are not counted. A step counts as
three times the multiply-adds of its forward pass: forward, gradient of the inputs, and gradient of
the kernels. A multiply-add is two operations. The distance is that of the kernels' gradients from
float32's, of their norm, for the same weights and clips, with batch norm and dropout as at test
time: batch norm over a few clips of noise would multiply any rounding. Max pooling does so, too,
where rounding makes another pixel the largest: weights that are rounded once move the gradients as
far as computing in bfloat16.
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
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds of measurement.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 1, "Training steps of a turn.", lower_bound=1)
_PRECISIONS = flags.DEFINE_list(
    "precisions", ["float32", "mixed_bfloat16"], "Precisions to measure."
)
_FRAMES = flags.DEFINE_integer("frames", 16, "Frames of a clip.", lower_bound=9)
_SIZE = flags.DEFINE_integer("size", 224, "Height and width of a clip.", lower_bound=32)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 2, "Clips of a step.", lower_bound=1)
_WIDTH = flags.DEFINE_float("width_multiplier", 1.0, "Scales the number of filters everywhere.")
_MATRIX = flags.DEFINE_integer("matrix", 4096, "Rows and columns of the product.", lower_bound=1)

CLASSES = 400
DTYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
LIBRARIES = ("numpy", "tensorflow", "keras")


def main(argv):
    """Measures, prints the table, writes the file."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        reference = _gradients("float32")
        results = [
            {**_measure(precision), "distance": _distance(_gradients(precision), reference)}
            for precision in _PRECISIONS.value
        ]
        _print_table(results)
        write_record(
            _OUTPUT.value,
            LIBRARIES,
            frames=_FRAMES.value,
            size=_SIZE.value,
            batch_size=_BATCH_SIZE.value,
            width_multiplier=_WIDTH.value,
            steps=_STEPS.value,
            results=results,
        )


def _measure(precision):
    """Measures all in turns in one precision; the first turns, which compile, are not counted."""
    from i3d_tf.training.model import set_precision

    set_precision(precision)
    turns = {
        "fit": _fit_function(_model()),
        "bare": _bare_function(_model()),
        "product": _timed_product(DTYPES[precision]),
    }
    seconds = {name: [] for name in turns}
    for round_number in range(_ROUNDS.value + 1):
        for name, turn in turns.items():
            taken = turn()
            if round_number:
                seconds[name].append(taken)
    step = {name: statistics.median(seconds[name]) / _STEPS.value for name in ("fit", "bare")}
    ratios = [fit / bare for fit, bare in zip(seconds["fit"], seconds["bare"], strict=True)]
    product_rate = product_operations(_MATRIX.value) / statistics.median(seconds["product"]) / 1e9
    return {
        "precision": precision,
        "step_seconds": step["fit"],
        "bare_step_seconds": step["bare"],
        "overhead": statistics.median(ratios) - 1,
        "gflops": _step_operations() / step["fit"] / 1e9,
        "product_gflops": product_rate,
        "seconds": seconds,
    }


def _step_operations():
    of_a_clip = network_operations(_FRAMES.value, _SIZE.value, CLASSES, _WIDTH.value)
    return 3 * _BATCH_SIZE.value * of_a_clip


def _gradients(precision):
    """Returns the gradients of all kernels for one batch, with the network as at test time."""
    import tensorflow as tf

    from i3d_tf.training.model import set_precision

    set_precision(precision)
    model = _model()
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
    clips, labels = map(tf.constant, _batch())

    @tf.function(jit_compile=model.jit_compile)
    def gradients():
        with tf.GradientTape() as tape:
            loss = model.loss(labels, model(clips, training=False))
        return tape.gradient(loss, [kernel.value for kernel in kernels])

    return [np.asarray(gradient, np.float32) for gradient in gradients()]


def _distance(found, expected):
    """Returns the norm of the difference of all gradients over their norm."""
    squares = sum(float(np.sum((a - b) ** 2)) for a, b in zip(found, expected, strict=True))
    return (squares / sum(float(np.sum(b**2)) for b in expected)) ** 0.5


def _model():
    from dataclasses import replace

    import keras

    from i3d_tf.specs.recipes import RECIPES
    from i3d_tf.training.model import build_model, compile_model

    recipe = replace(
        RECIPES["kinetics_rgb"],
        crop_size=_SIZE.value,
        short_side=max(256, _SIZE.value),
        width_multiplier=_WIDTH.value,
    )
    keras.utils.set_random_seed(0)
    model = build_model(recipe, CLASSES)
    compile_model(model, recipe)
    return model


def _batch():
    """Returns (clips, labels) of noise."""
    generator = np.random.default_rng(0)
    shape = (_BATCH_SIZE.value, _FRAMES.value, _SIZE.value, _SIZE.value, 3)
    clips = generator.uniform(-1, 1, shape).astype(np.float32)
    return clips, generator.integers(CLASSES, size=_BATCH_SIZE.value).astype(np.int32)


def _fit_function(model):
    import keras
    import tensorflow as tf

    data = tf.data.Dataset.from_tensors(_batch()).repeat()
    starts = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: starts.append(time.perf_counter())
    )

    def turn():
        starts.clear()
        steps = _STEPS.value + 1  # from the start of the first to that of the last
        model.fit(data, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[watch])
        return starts[-1] - starts[0]

    return turn


def _bare_function(model):
    """Returns a function that runs the same step without Keras's training loop and metrics."""
    import tensorflow as tf

    clips, labels = map(tf.constant, _batch())

    @tf.function(jit_compile=model.jit_compile)
    def step():
        with tf.GradientTape() as tape:
            loss = model.loss(labels, model(clips, training=True))
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [v.value for v in model.trainable_variables])
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss

    def turn():
        start = time.perf_counter()
        for _ in range(_STEPS.value):
            step().numpy()
        return time.perf_counter() - start

    return turn


def _timed_product(dtype):
    product = product_function(_MATRIX.value, dtype)

    def turn():
        start = time.perf_counter()
        product()
        return time.perf_counter() - start

    return turn


def _print_table(results):
    from rich.console import Console
    from rich.table import Table

    shape = f"{_FRAMES.value} frames of {_SIZE.value} x {_SIZE.value}"
    table = Table("precision", title=f"Training step, {_BATCH_SIZE.value} clips of {shape}")
    for heading in ("s/step", "GFLOP/s", "product", "share", "over bare step", "distance"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            result["precision"],
            f"{result['step_seconds']:.3f}",
            f"{result['gflops']:.1f}",
            f"{result['product_gflops']:.1f}",
            f"{result['gflops'] / result['product_gflops']:.0%}",
            f"{result['overhead']:+.1%}",
            f"{result['distance']:.1e}",
        )
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    app.run(main)
