"""A tool as a program of its own, which can be stopped: child.py MARKER CHANGES TOOL FLAGS.

The file MARKER appears when the tool's main starts. CHANGES are names with commas between: "small"
trains a network of one convolution without graphs; the others are the ends of `hunt.ends`.
"""

import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[0] = str(TESTS)
sys.path.insert(0, str(TESTS.parent))

from absl import app  # noqa: E402
from fixtures.tools import loaded_tool  # noqa: E402


def make_training_small():
    """Makes recipes of I3D train a small network, eagerly."""
    from fixtures.jobs import build_small_network

    from i3d_tf.training import model as training_model

    compile_model = training_model.compile_model

    def compiled(model, *arguments):
        compile_model(model, *arguments)
        model.run_eagerly = True

    training_model.compile_model = compiled
    training_model.NETWORKS["inception_i3d"] = build_small_network


def fail_in_callback(step, error):
    """Makes a callback of Keras raise an error at a step."""
    from i3d_tf.training.callbacks import Scalars

    on_train_batch_end = Scalars.on_train_batch_end

    def fail(self, batch, logs=None):
        on_train_batch_end(self, batch, logs)
        if self.first_step + batch + 1 == step:
            note("ending")
            raise error

    Scalars.on_train_batch_end = fail


def fail_in_pipeline(clip, error):
    """Makes the making of clips raise an error, as a user's own code may."""
    from i3d_tf.data.pipeline import PipelineConfig

    decode, made = PipelineConfig.decode, []

    def fail(self, example, view):
        made.append(None)
        if len(made) == clip:
            note("ending")
            raise error
        return decode(self, example, view)

    PipelineConfig.decode = fail


def note_step(step):
    """Makes a file appear at the end of a step."""
    from i3d_tf.training.callbacks import Scalars

    on_train_batch_end = Scalars.on_train_batch_end

    def noting(self, batch, logs=None):
        on_train_batch_end(self, batch, logs)
        if self.first_step + batch + 1 == step:
            note("step")

    Scalars.on_train_batch_end = noting


def note(name):
    """Makes a file appear, whose name ends so."""
    Path(f"{sys.argv[1]}.{name}").touch()


ERRORS = {
    "value": ValueError("made to fail"),
    "os": OSError("made to fail"),
    "zero": ZeroDivisionError("made to fail"),
    "memory": MemoryError("made to fail"),
}
CHANGES = {
    "callback": lambda step, error: fail_in_callback(int(step), ERRORS[error]),
    "pipeline": lambda clip, error: fail_in_pipeline(int(clip), ERRORS[error]),
    "step": lambda step: note_step(int(step)),
    "small": make_training_small,
}


def main():
    """Changes what is asked for, and runs the tool."""
    _, marker, changes, tool, *arguments = sys.argv
    if changes:
        from i3d_tf.system.console import quiet_tensorflow

        quiet_tensorflow()
    for change in filter(None, changes.split(",")):
        name, *values = change.split(":")
        CHANGES[name](*values)
    with loaded_tool(tool, *arguments) as (module, argv):

        def start(_):
            Path(marker).touch()
            module.main(argv)

        app.run(start, argv=argv[:1], flags_parser=lambda _: argv[:1])


if __name__ == "__main__":
    os.environ.setdefault("I3D_TF_OFFLINE", "1")
    main()
