"""The embedded dataset as files: videos, class by class, and the lists of its splits.

```
<data_dir>/stick_actions.json                        seed and size of the clips
<data_dir>/videos/sit_down/sit_down_train_0000.mp4   25 frames/s, H.264
<data_dir>/splits/train.csv                          path (below data_dir), label
<data_dir>/splits/test.csv
```
"""

import csv
import io
import json
import os
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from i3d_tf.specs.stick_actions import (
    CLIP_SIZE,
    CLIP_SIZES,
    REVISION,
    STICK_LABELS,
    TEST_CLIPS,
    TRAIN_CLIPS,
)
from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.files import atomic_write
from i3d_tf.system.jobs import Task, run_job
from i3d_tf.system.records import read_json_object
from i3d_tf.system.worker_pool import check_processes, map_unordered
from i3d_tf.video.errors import VideoError

RECIPE_FILE = "stick_actions.json"
MAX_CLIPS = 9999  # per action and split: the file names have four digits
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class RenderReport:
    """Result of a rendering job.

    Attributes:
        data_dir: The dataset's folder.
        rendered: Number of clips that were rendered.
        kept: Number of clips that were there already.
    """

    data_dir: Path
    rendered: int
    kept: int


def make_stick_actions(
    data_dir: Path | str,
    train_clips: int = TRAIN_CLIPS,
    test_clips: int = TEST_CLIPS,
    size: int = CLIP_SIZE,
    seed: int = 0,
    processes: int | None = None,
) -> RenderReport:
    """Renders the missing clips of the embedded dataset.

    A clip depends only on the seed, the size, its split, action and index. So a stopped
    job goes on when it is run again, and one with larger numbers of clips adds the missing ones.

    Args:
        data_dir: Folder for the dataset; it is made where it does not exist.
        train_clips: Training clips per action, 0..9999.
        test_clips: Test clips per action, 0..9999.
        size: Pixels, the side of a frame, within CLIP_SIZES.
        seed: Integer >= 0.
        processes: Number of processes; None for one per processor.

    Raises:
        ValueError: An argument is out of range, or the folder holds other videos.
        OSError: The folder cannot be written, or a process was killed.
        VideoError: A video cannot be written.
    """
    counts = {
        "train": check_integer("train_clips", train_clips, 0, MAX_CLIPS),
        "test": check_integer("test_clips", test_clips, 0, MAX_CLIPS),
    }
    recipe = {
        "revision": REVISION,
        "seed": int(check_integer("seed", seed, 0, MAX_SEED)),
        "size": int(check_integer("size", size, *CLIP_SIZES)),
    }
    processes = check_processes(processes)
    data_dir = Path(data_dir)
    _prepare_folder(data_dir, recipe)
    clips = {
        split: [(split, action, i) for action in STICK_LABELS for i in range(count)]
        for split, count in counts.items()
    }
    tasks = [
        Task(str(path), data_dir / path, clip)
        for split in clips
        for clip in clips[split]
        for path in [_clip_path(*clip)]
    ]
    missing = [task for task in tasks if not Path(task.target).exists()]
    render = partial(_render_all, recipe["seed"], recipe["size"], processes)
    run_job(missing, render, data_dir, "rendering clips")
    for split, rows in clips.items():
        _write_split(data_dir / "splits" / f"{split}.csv", rows)
    return RenderReport(data_dir, len(missing), len(tasks) - len(missing))


def _clip_path(split, action, index):
    return Path("videos", action, f"{action}_{split}_{index:04d}.mp4")


def _prepare_folder(data_dir, recipe):
    """Makes the folders, unless they hold clips of another recipe, and writes the recipe."""
    recipe_path = data_dir / RECIPE_FILE
    videos, splits = data_dir / "videos", data_dir / "splits"
    try:
        if recipe_path.exists():
            _check_recipe(recipe_path, recipe)
        elif any(folder.exists() and any(folder.iterdir()) for folder in (videos, splits)):
            raise ValueError(
                f"{data_dir}: the folder has videos or splits but no {RECIPE_FILE}, so they are "
                "not this dataset's. Give another folder."
            )
        data_dir.mkdir(parents=True, exist_ok=True)
        # First: folders without it are refused, also if it is this job that is stopped and resumed.
        _write_text(recipe_path, json.dumps(recipe, indent=1) + "\n")
        for action in STICK_LABELS:
            (videos / action).mkdir(parents=True, exist_ok=True)
        splits.mkdir(exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{data_dir}: the folder cannot be written: {error.strerror} ({error.filename}). "
            "Give another folder."
        ) from error


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


def _render_all(seed, size, processes, tasks, staging):
    """Yields (task, None) for each clip; the first one that cannot be rendered ends the job."""
    render = partial(_render, seed, size, staging)
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


def _render(seed, size, staging, task):
    from i3d_tf.synthetic.clip import clip_seed, render_clip
    from i3d_tf.video.encode import write_video

    split, action, index = task.details
    staged = staging / task.target.name
    clip = render_clip(action, clip_seed(seed, split, action, index), size)
    try:
        write_video(staged, clip, FRAME_RATE)
    except VideoError as error:
        raise VideoError(str(task.target), error.reason) from error
    os.replace(staged, task.target)


def _write_split(path, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label"))
    writer.writerows((_clip_path(*row).as_posix(), row[1]) for row in rows)
    _write_text(path, text.getvalue())


def _write_text(path, text):
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
