"""Renders the embedded dataset, trains RGB and flow on it, and evaluates both.

python tools/train_stick_actions.py --output_dir=runs/stick_actions
"""

from absl import app, flags

from i3d_tf.system.console import one_line_errors, print_lines, quiet_tensorflow, refuse_arguments

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/stick_actions", "Output folder.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of training.", lower_bound=0)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Training steps of each network. Default: those of the recipe.", lower_bound=2
)
_PUBLISH = flags.DEFINE_string("publish", None, "Checkpoint directory to add both networks to.")


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.evaluation.text import summary
        from i3d_tf.experiments.train_stick_actions import publish, train_stick_actions
        from i3d_tf.specs.stick_actions import STICK_NETWORKS

        outcome = train_stick_actions(_OUTPUT_DIR.value, _SEED.value, _STEPS.value)
        for name, results in outcome.reports.items():
            folder = "report" if name == "test" else f"report_{name}"
            report = outcome.folder / f"{folder}_seed{_SEED.value}"
            first, *others = summary(results, report)
            print_lines(f"{name}: {first}", *others)
        if _PUBLISH.value:
            command = (
                f"python tools/train_stick_actions.py --seed={_SEED.value} --publish=checkpoints"
            )
            for stream, name in STICK_NETWORKS.items():
                workdir = outcome.folder / f"{stream}_seed{_SEED.value}"
                print_lines(publish(workdir, name, _PUBLISH.value, command))


if __name__ == "__main__":
    app.run(main)
