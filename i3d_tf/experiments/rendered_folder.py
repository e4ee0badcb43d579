"""A folder of rendered videos: each depends on a recipe and its own name alone.

So a job that was stopped goes on, and one with larger numbers adds the missing videos. The recipe
is a file of the folder, and a folder of another recipe is left alone.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.specs.stick_actions import CLIP_SIZES, REVISION
from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.files import atomic_write
from i3d_tf.system.jobs import Task, run_job
from i3d_tf.system.records import read_json_object
from i3d_tf.system.worker_pool import map_unordered
from i3d_tf.video.errors import VideoError

MAX_VIDEOS = 9999  # of a split: the file names have four digits
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class RenderReport:
    """Result of a rendering job.

    Attributes:
        data_dir: The dataset's folder.
        rendered: Number of videos that were rendered.
        kept: Number of videos that were there already.
    """

    data_dir: Path
    rendered: int
    kept: int


def video_keys(train_videos: int, test_videos: int) -> dict[Path, tuple[str, int]]:
    """Returns the paths of videos below the dataset's folder, and split and number of each.

    Args:
        train_videos: Training videos, 0..9999.
        test_videos: Test videos, 0..9999.

    Raises:
        ValueError: A number is out of range.
    """
    counts = {
        "train": check_integer("train_videos", train_videos, 0, MAX_VIDEOS),
        "test": check_integer("test_videos", test_videos, 0, MAX_VIDEOS),
    }
    return {
        Path("videos", f"{split}_{index:04d}.mp4"): (split, index)
        for split, count in counts.items()
        for index in range(count)
    }


def render_recipe(seed: int, size: int) -> dict[str, int]:
    """Returns what rendered videos depend on, beside their names.

    Args:
        seed: Integer >= 0.
        size: Pixels, the side of a frame, within CLIP_SIZES.

    Raises:
        ValueError: An argument is out of range.
    """
    return {
        "revision": REVISION,
        "seed": int(check_integer("seed", seed, 0, MAX_SEED)),
        "size": int(check_integer("size", size, *CLIP_SIZES)),
    }


def prepare_folder(
    data_dir: Path, recipe_file: str, recipe: Mapping[str, int], folders: Sequence[str]
):
    """Makes a dataset's folders, unless they hold videos of another recipe; writes the recipe.

    Args:
        data_dir: The dataset's folder.
        recipe_file: Name of the file of the recipe.
        recipe: What the videos depend on, beside their names.
        folders: Folders below the dataset's own, of the videos and of the lists.

    Raises:
        ValueError: The folder holds other videos, or its recipe is damaged.
        OSError: The folder cannot be written.
    """
    recipe_path = data_dir / recipe_file
    names = dict.fromkeys(Path(folder).parts[0] for folder in folders)
    try:
        if recipe_path.exists():
            _check_recipe(recipe_path, recipe)
        elif any((data_dir / name).exists() and any((data_dir / name).iterdir()) for name in names):
            raise ValueError(
                f"{data_dir}: the folder has {' or '.join(names)} but no {recipe_file}, so they "
                "are not this dataset's. Give another folder."
            )
        data_dir.mkdir(parents=True, exist_ok=True)
        # First: folders without it are refused, also if it is this job that is stopped and resumed.
        write_text(recipe_path, json.dumps(recipe, indent=1) + "\n")
        for folder in folders:
            (data_dir / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{data_dir}: the folder cannot be written: {error.strerror} ({error.filename}). "
            "Give another folder."
        ) from error


def render_missing(
    data_dir: Path,
    videos: Sequence[tuple[Path, Any]],
    draw: Callable[[Any], Iterable[np.ndarray]],
    processes: int,
    title: str,
) -> RenderReport:
    """Renders the videos that are not there.

    Args:
        data_dir: The dataset's folder.
        videos: Path below it, and what else the work needs to know, of each.
        draw: Function of these details to the video's frames, uint8 (H, W, 3), RGB, 25 a second.
            It can be pickled.
        processes: Number of processes.
        title: Text of the progress bar.

    Raises:
        OSError: The folder cannot be written, or a process was killed.
        VideoError: A video cannot be written.
    """
    tasks = [Task(str(path), data_dir / path, details) for path, details in videos]
    missing = [task for task in tasks if not Path(task.target).exists()]
    run_job(missing, partial(_render_all, draw, processes), data_dir, title)
    return RenderReport(data_dir, len(missing), len(tasks) - len(missing))


def write_text(path: Path, text: str):
    """Writes a text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _check_recipe(recipe_path, recipe):
    try:
        found = read_json_object(recipe_path)
        found = {name: found[name] for name in recipe}
    except (ValueError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{recipe_path}: the file is damaged. Delete its folder, or give another one."
        ) from error
    if found != recipe:
        raise ValueError(
            f"{recipe_path.parent}: the folder holds clips made with {_format(found)}, not with "
            f"{_format(recipe)}. Give another folder, or delete this one."
        )


def _format(recipe):
    return ", ".join(f"{name} {value}" for name, value in recipe.items())


def _render(draw, staging, task):
    from i3d_tf.video.encode import write_video

    staged = staging / task.target.name
    try:
        write_video(staged, draw(task.details), FRAME_RATE)
    except VideoError as error:
        raise VideoError(str(task.target), error.reason) from error
    os.replace(staged, task.target)


def _render_all(draw, processes, tasks, staging):
    """Yields (task, None) for each video; the first that cannot be rendered ends the job."""
    render = partial(_render, draw, staging)
    processes = min(processes, len(tasks))
    if processes <= 1:
        yield from ((task, render(task)) for task in tasks)
        return
    with closing(map_unordered(render, tasks, processes, died=True)) as outcomes:
        for task, killed in outcomes:
            if killed:
                raise OSError(
                    f"{task.target}: the process that rendered it was killed, perhaps for want of "
                    "memory. Run the same command again to go on, or with fewer processes."
                )
            yield task, None
