"""Trains networks with one schedule on the embedded dataset: the paper's five, or all.

python tools/compare_architectures.py --output_dir=runs/comparison
python tools/compare_architectures.py --networks=all --seeds=1 --steps=240
python tools/compare_architectures.py --output_dir=runs/comparison --seeds=1 --steps=120

A stopped comparison goes on when the same command is given again.
"""

from absl import app, flags

from i3d_tf.experiments.comparison_entries import PAPER, SEEDS, STEPS
from i3d_tf.system.console import (
    FORMER_FLAGS,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
)

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/comparison", "Output folder.")
_SEEDS = flags.DEFINE_integer(
    "seeds", SEEDS, "Seeds, one run of every network for each.", lower_bound=1
)
_STEPS = flags.DEFINE_integer("steps", STEPS, "Updates of every network.", lower_bound=1)
_NETWORKS = flags.DEFINE_string(
    "networks", PAPER, "paper: its five; all: these and all others; or names with commas between."
)
flags.DEFINE_alias("budget", "steps", module_name=FORMER_FLAGS)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.experiments.compare_architectures import (
            compare_architectures,
            comparison_folder,
        )
        from i3d_tf.experiments.comparison_table import write_comparison

        rows = compare_architectures(_OUTPUT_DIR.value, _SEEDS.value, _STEPS.value, _NETWORKS.value)
        folder = comparison_folder(_OUTPUT_DIR.value, _STEPS.value)
        print_lines(*write_comparison(rows, folder, _NETWORKS.value), "", folder)


if __name__ == "__main__":
    app.run(main)
