"""Paints the first layer's filters over time, as a picture and as an animation.

python tools/show_filters.py --output_dir=pictures stick_actions_rgb stick_actions_flow
python tools/show_filters.py --output_dir=pictures slim_inception_v1 rgb_imagenet runs/mine

Networks are known names, .weights.h5 or .keras files, or folders of training runs.
"""

from absl import app, flags

from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
)

_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the pictures.", required=True)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)
_SCALE = flags.DEFINE_integer("scale", 4, "Pixels per tap of a filter.", lower_bound=1)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        if len(argv) < 2:
            raise ValueError("no network is named. Name at least one.")
        quiet_tensorflow()
        from i3d_tf.experiments.show_filters import write_filter_pictures

        paths = write_filter_pictures(
            argv[1:], _OUTPUT_DIR.value, _CHECKPOINT_DIR.value, _SCALE.value
        )
        print_lines(*paths)


if __name__ == "__main__":
    app.run(main)
