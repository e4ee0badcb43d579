"""The whole chain on the embedded dataset: rendering, training, evaluation, publishing."""

import dataclasses
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.evaluation.results import Results
from i3d_tf.experiments.make_stick_actions import make_stick_actions
from i3d_tf.specs.recipes import RECIPES
from i3d_tf.specs.streams import STREAMS
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.weights.assign import assign_weights, read_weights
from i3d_tf.weights.store import save_weights
from i3d_tf.zoo import build, open_checkpoint

RECIPE = "stick_actions"


@dataclass(frozen=True)
class Outcome:
    """Result of the chain.

    Attributes:
        reports: "test" and "frozen" to the results of the evaluations; in the second the RGB
            network sees one frame of every clip, repeated.
        folder: Folder of all output.
    """

    reports: dict[str, Results]
    folder: Path


def train_stick_actions(output_dir: Path | str, seed: int = 0, steps: int | None = None) -> Outcome:
    """Renders the dataset, trains RGB and flow, and evaluates them alone and together.

    A stopped job goes on when it is run again.

    Args:
        output_dir: Folder for all output.
        seed: Seed of training; the dataset is the same for every seed.
        steps: Number of steps instead of the recipe's, for trying things out.
    """
    folder = Path(output_dir)
    data_dir = folder / "data"
    make_stick_actions(data_dir)
    runs = {stream: folder / f"{stream}_seed{seed}" for stream in STREAMS}
    for stream, workdir in runs.items():
        recipe = dataclasses.replace(RECIPES[RECIPE], stream=stream)
        if steps is not None:
            recipe = dataclasses.replace(recipe, steps=steps, evaluate_every=max(1, steps // 2))
        options = TrainOptions(
            data_dir=str(data_dir), workdir=str(workdir), flow_dir=str(folder / "flow"), seed=seed
        )
        train(recipe, options)
    test_options = partial(
        EvaluateOptions, dataset=RECIPE, data_dir=str(data_dir), split="test", batch_size=8
    )
    rgb, flow = str(runs["rgb"]), str(runs["flow"])
    reports = {
        "test": evaluate(
            test_options(
                rgb_checkpoint=rgb,
                flow_checkpoint=flow,
                flow_dir=str(folder / "flow"),
                report_dir=str(folder / f"report_seed{seed}"),
            )
        ),
        "frozen": evaluate(
            test_options(
                rgb_checkpoint=rgb,
                freeze_time=True,
                report_dir=str(folder / f"report_frozen_seed{seed}"),
            )
        ),
    }
    return Outcome(reports, folder)


def publish(workdir: Path | str, name: str, checkpoint_dir: Path | str, command: str) -> Path:
    """Saves the best state of a training run in a checkpoint directory, without its optimizer.

    Args:
        workdir: The run's folder.
        name: Name of the weights there.
        checkpoint_dir: The directory.
        command: Command that made them, for the manifest.

    Returns:
        The path of the weights.
    """
    checkpoint = open_checkpoint(os.fspath(workdir))
    trained = checkpoint.model
    model = build(
        "inception_i3d",
        input_shape=(None, None, None, trained.input_shape[-1]),
        classes=len(checkpoint.class_names),
        width_multiplier=checkpoint.width_multiplier,
        name=name,
    )
    count = assign_weights(model, read_weights(trained))
    row = {
        "architecture": "inception_i3d",
        "stream": checkpoint.stream,
        "classes": len(checkpoint.class_names),
        "labels": list(checkpoint.class_names),
        "variables": count,
        "width_multiplier": checkpoint.width_multiplier,
        "protocol": checkpoint.protocol.as_json(),
        "source": {"command": command, "test_accuracy": _best(checkpoint.history)},
    }
    return save_weights(model, name, checkpoint_dir, row)


def _best(history):
    return max((row["test_accuracy"] for row in history), default=None)
