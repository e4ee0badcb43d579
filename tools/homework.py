"""Does a course's homework on the embedded dataset: single frames, an LSTM on features, both.

python tools/homework.py
python tools/homework.py --network=stick_actions_rgb

Writes homework.md, the reports of A, B and A+B, the gain of each class and confusion matrices; see
docs/homework.md. A stopped job goes on when it is run again.
"""

from absl import app, flags

from i3d_tf.system.console import (
    CHECKPOINT_DIR_HELP,
    one_line_errors,
    print_lines,
    quiet_tensorflow,
    refuse_arguments,
)

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "homework", "Folder of all output.")
_NETWORK = flags.DEFINE_string(
    "network",
    None,
    "Name of the I3D whose features the LSTM reads. Default: the network on single frames.",
)
_FRAME_STEPS = flags.DEFINE_integer("frame_steps", None, "Updates of the network on frames.")
_SEQUENCE_STEPS = flags.DEFINE_integer("sequence_steps", None, "Updates of the LSTM.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of both trainings.", lower_bound=0)
_CHECKPOINT_DIR = flags.DEFINE_string("checkpoint_dir", None, CHECKPOINT_DIR_HELP)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.experiments.homework import HomeworkOptions, do_homework

        steps = {
            flag.name: flag.value
            for flag in (_FRAME_STEPS, _SEQUENCE_STEPS)
            if flag.value is not None
        }
        options = HomeworkOptions(
            _OUTPUT_DIR.value,
            network=_NETWORK.value,
            seed=_SEED.value,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            **steps,
        )
        homework = do_homework(options)
        print_lines("", *homework.fusion.lines(), "", f"written: {homework.path}")


if __name__ == "__main__":
    app.run(main)
