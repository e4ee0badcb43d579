"""Renders the embedded dataset: twelve actions of stick figures that differ only in motion.

python tools/make_stick_actions.py --data_dir=stick_actions
python tools/make_stick_actions.py --data_dir=stick_actions --train_clips=100 --test_clips=30
python tools/make_stick_actions.py --kind=intervals --data_dir=stick_intervals
"""

from absl import app, flags

from i3d_tf.specs.stick_actions import CLIP_SIZE, CLIP_SIZES, CLIPS, INTERVALS, KINDS
from i3d_tf.system.console import one_line_errors, print_lines, refuse_arguments

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.", required=True)
_KIND = flags.DEFINE_enum(
    "kind",
    CLIPS,
    tuple(KINDS),
    "clips: one action each; intervals: long videos of several, and when each happens.",
)
_TRAIN_CLIPS = flags.DEFINE_integer(
    "train_clips",
    None,
    f"Training clips: {CLIPS} per action, default {KINDS[CLIPS][0]}; long "
    f"videos in all, default {KINDS[INTERVALS][0]}.",
)
_TEST_CLIPS = flags.DEFINE_integer(
    "test_clips", None, f"Test clips, likewise; default {KINDS[CLIPS][1]}, {KINDS[INTERVALS][1]}."
)
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
        from i3d_tf.experiments.make_stick_intervals import make_stick_intervals

        kind = _KIND.value
        make = {CLIPS: make_stick_actions, INTERVALS: make_stick_intervals}[kind]
        train, test = KINDS[kind]
        report = make(
            _DATA_DIR.value,
            train if _TRAIN_CLIPS.value is None else _TRAIN_CLIPS.value,
            test if _TEST_CLIPS.value is None else _TEST_CLIPS.value,
            size=_SIZE.value,
            seed=_SEED.value,
            processes=_PROCESSES.value,
        )
        noun = "clips" if kind == CLIPS else "videos"
        print_lines(
            f"{report.data_dir}: {report.rendered} {noun} rendered, {report.kept} already there"
        )


if __name__ == "__main__":
    app.run(main)
