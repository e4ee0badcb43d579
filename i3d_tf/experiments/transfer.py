"""Transfer of a released network to the embedded dataset, as in table 4 of arXiv:1705.07750.

"Original" trains a network of random weights on the dataset, "Fixed" only the last layer on top of
a network that was trained on Kinetics, and "Full-FT" all of it.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from i3d_tf.experiments.make_stick_actions import make_stick_actions
from i3d_tf.specs.recipe import FIXED, FULL, SCRATCH, Recipe
from i3d_tf.specs.recipes import RECIPES, STICK_ACTIONS
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.console import print_lines, quiet_tensorflow
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.system.worker_pool import run_in_process
from i3d_tf.training.train import TrainOptions, train
from i3d_tf.viz.curves import HEIGHT, WIDTH, curves_svg
from i3d_tf.viz.svg import captioned_svg
from i3d_tf.zoo.run_record import read_history

SEEDS, STEPS = 3, 240
EVALUATIONS = 6
RELEASE = "rgb_scratch"  # trained on Kinetics-400 alone
TITLES = {SCRATCH: "Original", FIXED: "Fixed", FULL: "Full-FT"}
LEARNING_RATES = {SCRATCH: 2e-3, FIXED: 2e-3, FULL: 2e-4}
# Top-1 of the Two-Stream I3D, trained on Kinetics without ImageNet: table 4, split 1 of both sets.
PUBLISHED = {
    "UCF-101": {SCRATCH: 88.8, FIXED: 97.4, FULL: 97.6},
    "HMDB-51": {SCRATCH: 62.2, FIXED: 78.6, FULL: 81.3},
}
TABLE, PLOT, RESULTS = "table.md", "transfer.svg", "results.json"
PLOT_TITLE = "Mean test accuracy"
GRACE = 60.0  # seconds that a training has to save its state when it is stopped

Curve = list[tuple[int, float]]  # (step, test accuracy)


def transfer_recipe(transfer: str, steps: int = STEPS) -> Recipe:
    """Returns the recipe of one setting: the whole network, on clips of 16 frames of 80 x 80.

    Args:
        transfer: "scratch", "fixed" or "full".
        steps: Updates.
    """
    return dataclasses.replace(
        RECIPES[STICK_ACTIONS],
        width_multiplier=1.0,
        steps=steps,
        evaluate_every=max(1, steps // EVALUATIONS),
        learning_rates=(LEARNING_RATES[transfer],),
        transfer=transfer,
        init=None if transfer == SCRATCH else RELEASE,
        freeze_batch_norm=transfer != SCRATCH,
    )


def compare_transfer(
    output_dir: Path | str,
    seeds: int = SEEDS,
    steps: int = STEPS,
    checkpoint_dir: Path | str | None = None,
) -> dict[str, list[Curve]]:
    """Trains every setting with every seed, and writes table, plot and results.

    A stopped job goes on when it is run again.

    Args:
        output_dir: Folder for data, runs, `table.md`, `transfer.svg` and `results.json`.
        seeds: Number of trainings of each setting: with seeds 0, 1, ...
        steps: Updates of each.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Returns:
        Setting to the accuracies on the test clips, for each seed.

    Raises:
        ValueError: `seeds` or `steps` is not positive.
        OSError: The folder cannot be written.
    """
    check_integer("seeds", seeds, 1)
    check_integer("steps", steps, 1)
    folder = Path(output_dir) / f"steps_{steps}"
    data_dir = Path(output_dir) / "data"
    make_stick_actions(data_dir)
    curves: dict[str, list[Curve]] = {transfer: [] for transfer in TITLES}
    seconds = {}
    for seed in range(seeds):
        for transfer, title in TITLES.items():
            workdir = folder / f"{transfer}_{seed}"
            recipe = transfer_recipe(transfer, steps)
            if not (workdir / f"step_{steps:08d}.keras").is_file():
                print_lines("", f"{title}, seed {seed}")
                start = time.monotonic()
                options = TrainOptions(
                    data_dir=str(data_dir),
                    workdir=str(workdir),
                    transfer=transfer,
                    init=recipe.init,
                    freeze_batch_norm=recipe.freeze_batch_norm,
                    checkpoint_dir=checkpoint_dir,
                    seed=seed,
                )
                # In a process of its own, because TensorFlow keeps the memory of every network.
                run_in_process(_train_quietly, recipe, options, grace=GRACE)
                seconds[workdir.name] = round(time.monotonic() - start)
            curves[transfer].append(_read_curve(workdir / "history.jsonl"))
    _write(folder, curves, seconds, steps)
    return curves


def transfer_table(curves: Mapping[str, list[Curve]], steps: int = STEPS) -> list[str]:
    """Returns a table in Markdown: accuracies after the last step, and the paper's.

    Args:
        curves: Setting to the accuracies for each seed.
        steps: Updates, for the line above it.
    """
    seeds = len(next(iter(curves.values())))
    of_seeds = f"mean of {seeds} seeds (minimum to maximum)" if seeds > 1 else "one seed"
    datasets = " | ".join(f"{name}, paper" for name in PUBLISHED)
    lines = [
        f"Top-1 after {steps} updates, percent; embedded dataset: RGB, {of_seeds}; paper: RGB and "
        "flow, Kinetics without ImageNet:",
        "",
        f"| Setting | Embedded dataset | {datasets} |",
        "| --- | ---: |" + " ---: |" * len(PUBLISHED),
    ]
    for transfer, of_setting in curves.items():
        last = [100 * curve[-1][1] for curve in of_setting]
        mean = f"{sum(last) / len(last):.1f}"
        spread = f" ({min(last):.1f} to {max(last):.1f})" if len(last) > 1 else ""
        published = " | ".join(f"{values[transfer]:.1f}" for values in PUBLISHED.values())
        lines.append(f"| {TITLES[transfer]} | {mean}{spread} | {published} |")
    return lines


def transfer_plot(curves: Mapping[str, list[Curve]]) -> str:
    """Plots the mean accuracy of each setting over the steps, as SVG."""
    means: dict[str, list[tuple[int, float | None]]] = {}
    for transfer, of_setting in curves.items():
        points = zip(*of_setting, strict=True)
        means[TITLES[transfer]] = [
            (point[0][0], sum(accuracy for _, accuracy in point) / len(point)) for point in points
        ]
    ends = [f"{name} {points[-1][1]:.1%}" for name, points in means.items()]
    finding = f"After {max(p[-1][0] for p in means.values())} updates: {', '.join(ends)}."
    return str(captioned_svg(curves_svg(means, PLOT_TITLE, share=True), WIDTH, HEIGHT, finding))


def _train_quietly(recipe: Recipe, options: TrainOptions):
    quiet_tensorflow()
    train(recipe, options)


def _read_curve(path) -> Curve:
    return [(row["step"], row["test_accuracy"]) for row in read_history(path)]


def _write(folder, curves, seconds, steps):
    table = transfer_table(curves, steps)
    results: dict[str, Any] = {
        "steps": steps,
        "test_accuracy": {TITLES[transfer]: lists for transfer, lists in curves.items()},
        "seconds": seconds,  # of the runs that were trained now
        "recipes": {
            TITLES[transfer]: dataclasses.asdict(transfer_recipe(transfer, steps))
            for transfer in curves
        },
    }
    for name, text, mark in (
        (TABLE, "\n".join(table), "| Setting | Embedded dataset |"),
        (PLOT, transfer_plot(curves), PLOT_TITLE),
        (RESULTS, json.dumps(results, indent=1), '"test_accuracy"'),
    ):
        target = folder / name
        check_target(target, partial(_contains, mark))
        with atomic_write(target) as temporary:
            temporary.write_text(text + "\n", "utf-8")


def _contains(mark, path):
    return mark in path.read_text("utf-8")
