"""Learns when actions happen in long videos, and what each person of a scene does.

python tools/tasks.py --output_dir=runs/tasks

Both on rendered videos, with a quarter of the width. A stopped job goes on when the same command is
given again.
"""

from absl import app, flags

from i3d_tf.system.console import one_line_errors, print_lines, quiet_tensorflow, refuse_arguments

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/tasks", "Output folder.")
_INTERVAL_STEPS = flags.DEFINE_integer(
    "interval_steps", 600, "Updates of the network for long videos.", lower_bound=1
)
_SCENE_STEPS = flags.DEFINE_integer(
    "scene_steps", 300, "Updates of the network for scenes.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the trainings.", lower_bound=0)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.experiments.tasks import study_tasks, tasks_table

        found = study_tasks(
            _OUTPUT_DIR.value, _INTERVAL_STEPS.value, _SCENE_STEPS.value, _SEED.value
        )
        print_lines("", *tasks_table(found))


if __name__ == "__main__":
    app.run(main)
