"""Parameters, multiply-adds and seconds a clip of the networks of the zoo.

python benchmarks/networks.py
python benchmarks/networks.py --output=networks.json --rounds=5
python benchmarks/networks.py --networks=lrcn,deep_lstm

Each network gets one clip of the size that its paper trains with, folded for inference, in float32.
Networks take turns with I3D, whose clip has 64 frames; prints the median of the ratio of their
times as a Markdown table.
"""

import statistics
import time

import numpy as np
from absl import app, flags
from record import write_record
from zoo_networks import I3D, zoo_networks

from i3d_tf.system.console import one_line_errors, quiet_tensorflow

_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the numbers.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds of measurement.", lower_bound=1)
_NETWORKS = flags.DEFINE_list(
    "networks", None, "First columns of the rows to measure. Default: all."
)


def main(argv):
    """Measures, prints the table, writes the file."""
    del argv
    with one_line_errors():
        quiet_tensorflow()
        rows = _measure()
        print("| network | clip | parameters | multiply-adds | time / I3D's |")
        print("| --- | --- | ---: | ---: | ---: |")
        for row in rows:
            clip = " x ".join(map(str, row["clip"]))
            print(
                f"| {row['name']} | {clip} | {row['parameters']:,} | "
                f"{row['multiply_adds'] / 1e9:.1f} G | {row['ratio']:.2f} |"
            )
        write_record(_OUTPUT.value, ("tensorflow", "keras"), networks=rows)


def _measure():
    from i3d_tf.models.fold_batch_norm import fuse_for_inference
    from i3d_tf.models.multiply_adds import count_multiply_adds
    from i3d_tf.zoo import build

    rows, reference = [], None
    for title, name, arguments, shape in zoo_networks():
        if _NETWORKS.value is not None and title not in (I3D, *_NETWORKS.value):
            continue
        model = build(name, input_shape=shape, **arguments)
        forward = _forward(fuse_for_inference(model), shape)
        reference = reference or forward
        ratios = []
        for _ in range(_ROUNDS.value + 1):  # the first turn is not counted
            ours, theirs = forward(), reference()
            ratios.append(ours / theirs)
        rows.append(
            {
                "name": title,
                "clip": shape[:-1],
                "parameters": sum(int(np.prod(v.shape)) for v in model.trainable_variables),
                "multiply_adds": count_multiply_adds(model),
                "ratio": statistics.median(ratios[1:]),
            }
        )
    return rows


def _forward(model, shape):
    """Returns a function that computes a clip and returns the seconds."""
    import tensorflow as tf

    clip = tf.random.uniform((1, *shape), -1, 1)
    function = tf.function(lambda inputs: model(inputs, training=False))

    def run():
        start = time.perf_counter()
        function(clip).numpy()
        return time.perf_counter() - start

    return run


if __name__ == "__main__":
    app.run(main)
