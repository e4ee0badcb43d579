"""Renders the embedded dataset: twelve actions of stick figures that differ only in motion.

python tools/make_stick_actions.py --data_dir=stick_actions
python tools/make_stick_actions.py --data_dir=stick_actions --train_clips=100 --test_clips=30
python tools/make_stick_actions.py --kind=intervals --data_dir=stick_intervals
python tools/make_stick_actions.py --kind=scenes --data_dir=stick_scenes
"""

from absl import app, flags

from i3d_tf.specs.stick_actions import (
    CLIP_SIZE,
    CLIP_SIZES,
    CLIPS,
    INTERVALS,
    KINDS,
    SCENE_SIZE,
    SCENES,
)
from i3d_tf.system.console import one_line_errors, print_lines, refuse_arguments

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the dataset.", required=True)
_KIND = flags.DEFINE_enum(
    "kind",
    CLIPS,
    tuple(KINDS),
    "clips: one action each; intervals: long videos of several, and when each happens; scenes: two "
    "or three people, and in AVA's form who does what where.",
)
_DEFAULTS = "; ".join(f"{kind} {train}, {test}" for kind, (train, test) in KINDS.items())
_TRAIN_CLIPS = flags.DEFINE_integer(
    "train_clips",
    None,
    "Training clips per action; of the other kinds, training videos in all. Defaults, for training "
    f"and for testing: {_DEFAULTS}.",
)
_TEST_CLIPS = flags.DEFINE_integer("test_clips", None, "Test clips or videos, likewise.")
_SIZE = flags.DEFINE_integer(
    "size",
    None,
    f"Side of a frame in pixels, {CLIP_SIZES[0]} to {CLIP_SIZES[1]}. Default: {CLIP_SIZE}, of "
    f"scenes {SCENE_SIZE}.",
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
        from i3d_tf.experiments.make_stick_scenes import make_stick_scenes

        kind = _KIND.value
        make, size = {
            CLIPS: (make_stick_actions, CLIP_SIZE),
            INTERVALS: (make_stick_intervals, CLIP_SIZE),
            SCENES: (make_stick_scenes, SCENE_SIZE),
        }[kind]
        train, test = KINDS[kind]
        report = make(
            _DATA_DIR.value,
            train if _TRAIN_CLIPS.value is None else _TRAIN_CLIPS.value,
            test if _TEST_CLIPS.value is None else _TEST_CLIPS.value,
            size=size if _SIZE.value is None else _SIZE.value,
            seed=_SEED.value,
            processes=_PROCESSES.value,
        )
        noun = "clips" if kind == CLIPS else "videos"
        print_lines(
            f"{report.data_dir}: {report.rendered} {noun} rendered, {report.kept} already there"
        )


if __name__ == "__main__":
    app.run(main)
