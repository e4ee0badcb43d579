"""Renders the embedded dataset: twelve actions of stick figures that differ only in motion.

python tools/make_stick_actions.py --data_dir=stick_actions
python tools/make_stick_actions.py --data_dir=stick_actions --train_clips=100 --test_clips=30
"""

from absl import app, flags

from i3d_tf.specs.stick_actions import CLIP_SIZE, CLIP_SIZES, TEST_CLIPS, TRAIN_CLIPS
from i3d_tf.system.console import one_line_errors, print_lines, refuse_arguments

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.", required=True)
_TRAIN_CLIPS = flags.DEFINE_integer("train_clips", TRAIN_CLIPS, "Training clips per action.")
_TEST_CLIPS = flags.DEFINE_integer("test_clips", TEST_CLIPS, "Test clips per action.")
_SIZE = flags.DEFINE_integer(
    "size", CLIP_SIZE, f"Side of a frame in pixels, {CLIP_SIZES[0]} to {CLIP_SIZES[1]}."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the dataset.")
_PROCESSES = flags.DEFINE_integer(
    "processes", None, "Worker processes. Default: one per processor."
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        from i3d_tf.experiments.make_stick_actions import make_stick_actions

        report = make_stick_actions(
            _DATA_DIR.value,
            train_clips=_TRAIN_CLIPS.value,
            test_clips=_TEST_CLIPS.value,
            size=_SIZE.value,
            seed=_SEED.value,
            processes=_PROCESSES.value,
        )
        print_lines(
            f"{report.data_dir}: {report.rendered} clips rendered, {report.kept} already there"
        )


if __name__ == "__main__":
    app.run(main)
