"""Actions in time and people in boxes on the embedded dataset, from rendering to the reports."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from i3d_tf.experiments import interval_study, scene_study
from i3d_tf.experiments.interval_study import Row, study_intervals
from i3d_tf.experiments.scene_study import study_scenes
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.console import print_lines
from i3d_tf.system.files import atomic_write, check_target

TITLES = {
    "intervals": ("Long videos: when does each action happen?", "mAP over all frames"),
    "scenes": ("Scenes: what does each person do?", "Frame mAP"),
}
TABLE, RESULTS = "table.md", "results.json"


def study_tasks(
    output_dir: Path | str,
    interval_steps: int = interval_study.STEPS,
    scene_steps: int = scene_study.STEPS,
    seed: int = 0,
) -> dict[str, list[Row]]:
    """Studies both tasks, and writes a table and the results.

    A stopped job goes on when it is run again.

    Args:
        output_dir: Folder for all output.
        interval_steps: Updates of the network for long videos.
        scene_steps: Updates of the network for scenes.
        seed: Of the trainings.

    Returns:
        "intervals" and "scenes" to their mean average precisions.

    Raises:
        ValueError: A number is out of range.
        OSError: The folder cannot be written.
    """
    check_integer("interval_steps", interval_steps, 1)
    check_integer("scene_steps", scene_steps, 1)
    check_integer("seed", seed, 0)
    folder = Path(output_dir)
    studies = {
        "intervals": partial(study_intervals, steps=interval_steps),
        "scenes": partial(study_scenes, steps=scene_steps),
    }
    found, seconds = {}, {}
    for name, study in studies.items():
        print_lines("", TITLES[name][0])
        start = time.monotonic()
        found[name] = study(folder / name, seed=seed)
        seconds[name] = round(time.monotonic() - start)
    record = {
        "steps": {"intervals": interval_steps, "scenes": scene_steps},
        "seed": seed,
        "mAP": {name: dict(rows) for name, rows in found.items()},
        "seconds": seconds,  # of this call; what was there was not made again
    }
    _write(folder / TABLE, "\n".join(tasks_table(found)), TITLES["scenes"][0])
    _write(folder / RESULTS, json.dumps(record, indent=1), '"mAP"')
    return found


def tasks_table(found: Mapping[str, Sequence[Row]]) -> list[str]:
    """Returns a table in Markdown for each task.

    Args:
        found: Task to its rows, see `study_tasks`.
    """
    lines = []
    for name, rows in found.items():
        title, measure = TITLES[name]
        lines += ["", title, "", f"| Predictions | {measure} |", "| --- | ---: |"]
        lines += [f"| {words} | {value:.3f} |" for words, value in rows]
    return lines[1:]


def _write(path, text, mark):
    check_target(path, lambda target: mark in target.read_text("utf-8"))
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", "utf-8")
