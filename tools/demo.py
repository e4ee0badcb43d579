"""Renders clips and classifies them with both streams.

python tools/demo.py --output_dir=demo
"""

import sys

from absl import app, flags

from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    one_line_errors,
    quiet_tensorflow,
    refuse_arguments,
)

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "demo", "Folder of the clips.")
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.experiments.demo import demo

        sys.exit(1 if demo(_OUTPUT_DIR.value, _CHECKPOINT_DIR.value) else 0)


if __name__ == "__main__":
    app.run(main)
