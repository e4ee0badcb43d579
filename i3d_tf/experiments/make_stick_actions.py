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
from functools import partial
from pathlib import Path

from i3d_tf.experiments.rendered_folder import (
    MAX_VIDEOS,
    RenderReport,
    prepare_folder,
    render_missing,
    render_recipe,
    write_text,
)
from i3d_tf.specs.stick_actions import (
    CLIP_SIZE,
    STICK_LABELS,
    TEST_CLIPS,
    TRAIN_CLIPS,
)
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.worker_pool import check_processes

RECIPE_FILE = "stick_actions.json"


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
        "train": check_integer("train_clips", train_clips, 0, MAX_VIDEOS),
        "test": check_integer("test_clips", test_clips, 0, MAX_VIDEOS),
    }
    recipe = render_recipe(seed, size)
    processes = check_processes(processes)
    data_dir = Path(data_dir)
    folders = [*(f"videos/{action}" for action in STICK_LABELS), "splits"]
    prepare_folder(data_dir, RECIPE_FILE, recipe, folders)
    clips = {
        split: [(split, action, i) for action in STICK_LABELS for i in range(count)]
        for split, count in counts.items()
    }
    videos = [(_clip_path(*clip), clip) for rows in clips.values() for clip in rows]
    draw = partial(_draw, recipe["seed"], recipe["size"])
    report = render_missing(data_dir, videos, draw, processes, "rendering clips")
    for split, rows in clips.items():
        _write_split(data_dir / "splits" / f"{split}.csv", rows)
    return report


def _clip_path(split, action, index):
    return Path("videos", action, f"{action}_{split}_{index:04d}.mp4")


def _draw(seed, size, clip):
    from i3d_tf.synthetic.clip import clip_seed, render_clip

    split, action, index = clip
    return render_clip(action, clip_seed(seed, split, action, index), size)


def _write_split(path, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label"))
    writer.writerows((_clip_path(*row).as_posix(), row[1]) for row in rows)
    write_text(path, text.getvalue())
