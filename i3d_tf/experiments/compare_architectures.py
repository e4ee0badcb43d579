"""The paper's five architectures side by side, trained alike on the embedded dataset."""

import dataclasses
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.evaluation.results import FILE
from i3d_tf.experiments.contenders import (
    CONTENDERS,
    FROM_IMAGES,
    IMAGES,
    INITIALIZATIONS,
    SCRATCH,
    SEEDS,
    STEPS,
    WIDTH,
    Entry,
)
from i3d_tf.experiments.render import render_stick_actions
from i3d_tf.specs.recipes import STICK_ACTIONS
from i3d_tf.system.console import quiet_tensorflow
from i3d_tf.system.files import atomic_write
from i3d_tf.training.train import TrainOptions, train

RESULTS = "results.json"
BATCH_SIZE = 8  # clips at once, at test time


@dataclass(frozen=True)
class Row:
    """What one architecture reached.

    Attributes:
        contender: Which.
        start: What its weights began as, one of `INITIALIZATIONS`.
        accuracy: Result, of "rgb", "flow" and "joint" those it has, to the top-1 accuracies in
            [0, 1], one a seed.
    """

    contender: Entry
    start: str
    accuracy: dict[str, list[float]] = field(default_factory=dict)


def compare_architectures(output_dir, seeds=SEEDS, steps=STEPS) -> list[Row]:
    """Trains and evaluates every architecture, from random weights and from those of images.

    The 2D weights are those that the Two-Stream's RGB network, which sees single frames, learned on
    the same dataset from the same seed. Stopped at any moment, the same call goes on where it was.

    Args:
        output_dir: Where everything goes: data, flow, runs, reports, and `results.json`.
        seeds: How often everything is trained: with seeds 0, 1, ...
        steps: Updates of every network, of 8 clips each.

    Returns:
        One row for each architecture and start, in the table's order.

    Raises:
        ValueError: There is nothing to do.
        OSError: The folder cannot be written.
    """
    if seeds < 1 or steps < 1:
        raise ValueError(f"`seeds` and `steps` must be at least 1; received {seeds} and {steps}.")
    job = _Job(Path(output_dir), steps)
    render_stick_actions(job.data_dir)
    rows = [Row(contender, start) for contender in CONTENDERS for start in contender.starts]
    for seed in range(seeds):
        # From scratch first: among those are the weights that the others begin with.
        for row in sorted(rows, key=lambda row: INITIALIZATIONS.index(row.start)):
            for name, accuracy in job.accuracies(row.contender, row.start, seed).items():
                row.accuracy.setdefault(name, []).append(accuracy)
    _write(job.folder / RESULTS, rows, steps)
    return rows


def comparison_folder(output_dir, steps) -> Path:
    """Where the runs and the results of one budget are; those of others are not touched."""
    return Path(output_dir) / f"steps_{steps}"


class _Job:
    """The folder of a comparison; runs of other lengths are kept apart."""

    def __init__(self, output_dir, steps):
        self.data_dir = output_dir / "data"
        self.output_dir = output_dir
        self.folder = comparison_folder(output_dir, steps)
        self.steps = steps

    def accuracies(self, contender, start, seed):
        """Result to top-1 accuracy of an architecture; what was trained already is not again."""
        report_dir = self.folder / f"{contender.name}_{start}_{seed}_report"
        if not (report_dir / FILE).is_file():
            trained = {s: self._trained(contender, s, start, seed) for s in contender.streams}
            recipe = contender.recipe(contender.streams[0])
            print(f"\n{contender.architecture.title}, {start}, seed {seed}: evaluation", flush=True)
            _apart(
                evaluate,
                EvaluateOptions(
                    dataset=STICK_ACTIONS,
                    data_dir=str(self.data_dir),
                    split=recipe.test_split,
                    report_dir=str(report_dir),
                    flow_dir=self._flow_dir(recipe),
                    batch_size=BATCH_SIZE,
                    **{f"{stream}_checkpoint": str(path) for stream, path in trained.items()},
                ),
            )
        record = json.loads((report_dir / FILE).read_text("utf-8"))
        return {name: numbers["top_1"] for name, numbers in record["results"].items()}

    def _trained(self, contender, stream, start, seed):
        """The folder of a finished training run."""
        workdir = self._workdir(contender, stream, start, seed)
        if (workdir / f"step_{self.steps:08d}.keras").is_file() and (
            workdir / "best.keras"
        ).is_file():
            return workdir
        print(f"\n{contender.architecture.title}, {stream}, {start}, seed {seed}", flush=True)
        init = None
        if start == IMAGES:
            (images,) = (c for c in CONTENDERS if c.name == FROM_IMAGES)
            init = str(self._workdir(images, "rgb", SCRATCH, seed))
        recipe = contender.recipe(stream, self.steps)
        _apart(
            train,
            recipe,
            TrainOptions(
                data_dir=str(self.data_dir),
                workdir=str(workdir),
                flow_dir=self._flow_dir(recipe),
                transfer="scratch" if init is None else "full",
                init=init,
                seed=seed,
            ),
        )
        return workdir

    def _workdir(self, contender, stream, start, seed):
        return self.folder / f"{contender.name}_{stream}_{start}_{seed}"

    def _flow_dir(self, recipe):
        """Flow depends on the frame rate."""
        return str(self.output_dir / f"flow_{recipe.frame_rate:.3g}")


def _apart(function, *arguments):
    """Calls a function in a process of its own: TensorFlow keeps the memory of every network."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(_call_quietly, function, arguments).result()


def _call_quietly(function, arguments):
    quiet_tensorflow()
    function(*arguments)


def _write(path, rows, steps):
    record = {
        "steps": steps,
        "rows": [
            {
                "architecture": row.contender.name,
                "start": row.start,
                "width_multiplier": WIDTH,
                "parameters": row.contender.parameters,
                "multiply_adds": row.contender.multiply_adds,
                "recipes": {
                    stream: dataclasses.asdict(row.contender.recipe(stream, steps))
                    for stream in row.contender.streams
                },
                "accuracy": row.accuracy,
            }
            for row in rows
        ],
    }
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
