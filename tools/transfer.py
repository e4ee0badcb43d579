"""Fine-tunes a released network on the embedded dataset, as in table 4 of arXiv:1705.07750.

python tools/transfer.py --output_dir=runs/transfer
python tools/transfer.py --output_dir=runs/transfer --seeds=1 --steps=60

A stopped comparison goes on when the same command is given again.
"""

from absl import app, flags

from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
)

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/transfer", "Output folder.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds, one run of each setting for each.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 240, "Updates of each run.", lower_bound=1)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.experiments.transfer import compare_transfer, transfer_table

        curves = compare_transfer(
            _OUTPUT_DIR.value, _SEEDS.value, _STEPS.value, _CHECKPOINT_DIR.value
        )
        print_lines("", *transfer_table(curves, _STEPS.value))


if __name__ == "__main__":
    app.run(main)
