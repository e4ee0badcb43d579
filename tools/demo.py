"""Shows the main job: small networks on rendered clips, or a released one on your own videos.

python tools/demo.py --output_dir=demo
python tools/demo.py --release --output_dir=demo-release clip.mp4
"""

import sys

from absl import app, flags

from i3d_tf.specs.releases import PACKAGED_RELEASES
from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    check_file_names,
    one_line_errors,
    quiet_tensorflow,
    refuse_arguments,
)

RELEASE = next(iter(PACKAGED_RELEASES))  # the one that most machines can reach

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "demo", "Folder of the clips and pictures.")
_RELEASE = flags.DEFINE_bool(
    "release",
    False,
    f"Classify the videos in the arguments with {RELEASE}, which is downloaded once.",
)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        if not _RELEASE.value:
            refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.experiments.demo import demo, demo_release

        if _RELEASE.value:
            failed = demo_release(argv[1:], _OUTPUT_DIR.value, RELEASE, _CHECKPOINT_DIR.value)
        else:
            failed = demo(_OUTPUT_DIR.value, _CHECKPOINT_DIR.value)
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: app.parse_flags_with_usage(check_file_names(argv)))
