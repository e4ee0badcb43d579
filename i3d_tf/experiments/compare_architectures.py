"""Networks trained with one schedule on the embedded dataset: the paper's five, or all."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.evaluation.results import FILE
from i3d_tf.experiments.comparison_entries import (
    FROM_2D_WEIGHTS,
    INITIALIZATIONS,
    PAPER,
    SCRATCH,
    SEEDS,
    SOURCE_OF_2D_WEIGHTS,
    STEPS,
    WIDTH,
    ComparisonRow,
    select_entries,
)
from i3d_tf.experiments.make_stick_actions import make_stick_actions
from i3d_tf.specs.recipes import STICK_ACTIONS
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.console import quiet_tensorflow
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.system.records import get_value, read_json_object, record_errors
from i3d_tf.system.worker_pool import run_in_process
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.zoo.resolve import BEST_FILE

RESULTS = "results"  # name of the file, without its ending
BATCH_SIZE = 8  # clips at once, at test time
GRACE = 60.0  # seconds that a training has to save its state when it is stopped


def compare_architectures(
    output_dir: Path | str, seeds: int = SEEDS, steps: int = STEPS, networks: str = PAPER
) -> list[ComparisonRow]:
    """Trains and evaluates networks, the paper's from random weights and from 2D weights.

    The 2D weights are those that the Two-Stream's RGB network, which sees single frames, learned on
    the same dataset with the same seed. A stopped job goes on when it is run again.

    Args:
        output_dir: Folder for data, flow, runs, reports and the results.
        seeds: Number of trainings of each network: with seeds 0, 1, ...
        steps: Updates of every network, of 8 clips each.
        networks: See `select_entries`.

    Returns:
        One row for each architecture and initialization, in the table's order.

    Raises:
        ValueError: `seeds` or `steps` is not positive, or a network is unknown.
        OSError: The folder cannot be written.
    """
    check_integer("seeds", seeds, 1)
    check_integer("steps", steps, 1)
    entries = select_entries(networks)
    job = _Job(Path(output_dir), steps)
    results = job.folder / file_name(RESULTS, networks, ".json")
    check_target(results, lambda path: '"multiply_adds"' in path.read_text("utf-8"))
    make_stick_actions(job.data_dir)
    rows = [
        ComparisonRow(entry, initialization)
        for entry in entries
        for initialization in entry.initializations
    ]
    for seed in range(seeds):
        # From scratch first: one of these networks has the weights that the others start with.
        for row in sorted(rows, key=lambda row: INITIALIZATIONS.index(row.initialization)):
            for name, accuracy in job.accuracies(row.entry, row.initialization, seed).items():
                row.accuracy.setdefault(name, []).append(accuracy)
    _write_results(results, rows, steps)
    return rows


def comparison_folder(output_dir: Path | str, steps: int) -> Path:
    """Returns the folder of the runs and results of one number of steps."""
    return Path(output_dir) / f"steps_{steps}"


def file_name(name: str, networks: str, ending: str) -> str:
    """Returns the name of a file of a comparison; that of the paper's networks is plain."""
    part = "" if networks == PAPER else f"_{networks.replace(',', '_')[:100]}"
    return f"{name}{part}{ending}"


class _Job:
    """The runs of a comparison; finished ones are not repeated."""

    def __init__(self, output_dir, steps):
        self.data_dir = output_dir / "data"
        self.output_dir = output_dir
        self.folder = comparison_folder(output_dir, steps)
        self.steps = steps

    def accuracies(self, entry, initialization, seed):
        """Returns the top-1 accuracy of each result, evaluating it where there is no report."""
        report_dir = self.folder / f"{entry.name}_{initialization}_{seed}_report"
        if not (report_dir / FILE).is_file():
            trained = {s: self._trained(entry, s, initialization, seed) for s in entry.streams}
            recipe = entry.recipe(entry.streams[0])
            _print_title(entry.architecture.title, initialization, f"seed {seed}: evaluation")
            _call(
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
        with record_errors(report_dir / FILE, "a report", f"Delete {report_dir}."):
            results = get_value(read_json_object(report_dir / FILE), "results", dict)
            return {name: get_value(results[name], "top_1", (int, float)) for name in results}

    def _trained(self, entry, stream, initialization, seed):
        """Returns the folder of a finished training, training where there is none."""
        workdir = self._workdir(entry.name, stream, initialization, seed)
        last, best = workdir / f"step_{self.steps:08d}.keras", workdir / BEST_FILE
        if last.is_file() and best.is_file():
            return workdir
        _print_title(entry.architecture.title, stream, initialization, f"seed {seed}")
        init = None
        if initialization == FROM_2D_WEIGHTS:
            init = str(self._workdir(SOURCE_OF_2D_WEIGHTS, "rgb", SCRATCH, seed))
        recipe = entry.recipe(stream, self.steps)
        _call(
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

    def _workdir(self, name, stream, initialization, seed):
        return self.folder / f"{name}_{stream}_{initialization}_{seed}"

    def _flow_dir(self, recipe):
        # Flow depends on the frame rate.
        return str(self.output_dir / f"flow_{recipe.frame_rate:.3g}")


def _print_title(*parts):
    print(f"\n{', '.join(parts)}", flush=True)


def _call(function: Callable, *arguments: Any):
    # In a process of its own, because TensorFlow keeps the memory of every network.
    run_in_process(_call_quietly, function, arguments, grace=GRACE)


def _call_quietly(function, arguments):
    quiet_tensorflow()
    function(*arguments)


def _write_results(path, rows, steps):
    results = {
        "steps": steps,
        "rows": [
            {
                "architecture": row.entry.name,
                "start": row.initialization,
                "width_multiplier": WIDTH,
                "parameters": row.entry.parameters,
                "multiply_adds": row.entry.multiply_adds,
                "recipes": {
                    stream: dataclasses.asdict(row.entry.recipe(stream, steps))
                    for stream in row.entry.streams
                },
                "accuracy": row.accuracy,
            }
            for row in rows
        ],
    }
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
