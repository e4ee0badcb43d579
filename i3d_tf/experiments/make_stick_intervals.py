"""The embedded actions in time as files: long videos, and when each action happens in them.

```
<data_dir>/stick_intervals.json    seed and size of the videos
<data_dir>/videos/train_0000.mp4   25 frames/s, H.264
<data_dir>/intervals.csv           id,start,end,class,duration,split
```
"""

from functools import partial
from pathlib import Path

from i3d_tf.experiments.rendered_folder import (
    RenderReport,
    prepare_folder,
    render_missing,
    render_recipe,
    video_keys,
    write_text,
)
from i3d_tf.specs.stick_actions import (
    CLIP_SIZE,
    INTERVALS,
    KINDS,
    SPLITS,
)
from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.synthetic.long_video import draw_long_video, long_schedule
from i3d_tf.system.worker_pool import check_processes

RECIPE_FILE = "stick_intervals.json"
INTERVALS_FILE = "intervals.csv"
STREAM = 100  # of the random numbers: clips have 0..5


def make_stick_intervals(
    data_dir: Path | str,
    train_videos: int = KINDS[INTERVALS][0],
    test_videos: int = KINDS[INTERVALS][1],
    size: int = CLIP_SIZE,
    seed: int = 0,
    processes: int | None = None,
) -> RenderReport:
    """Renders the missing long videos, and writes when each action happens.

    A video depends only on the seed, the size, its split and its number, see
    `make_stick_actions`.

    Args:
        data_dir: Folder for the dataset; it is made where it does not exist.
        train_videos: Training videos, 0..9999.
        test_videos: Test videos, 0..9999.
        size: Pixels, the side of a frame, within CLIP_SIZES.
        seed: Integer >= 0.
        processes: Number of processes; None for one per processor.

    Raises:
        ValueError: An argument is out of range, or the folder holds other videos.
        OSError: The folder cannot be written, or a process was killed.
        VideoError: A video cannot be written.
    """
    videos = video_keys(train_videos, test_videos)
    recipe = render_recipe(seed, size)
    processes = check_processes(processes)
    data_dir = Path(data_dir)
    prepare_folder(data_dir, RECIPE_FILE, recipe, ("videos",))
    draw = partial(_draw, recipe["seed"], recipe["size"])
    report = render_missing(data_dir, list(videos.items()), draw, processes, "rendering videos")
    rows = ["id,start,end,class,duration,split"]
    for path, key in videos.items():
        rows += _rows(path.stem, key[0], long_schedule(_seed(recipe["seed"], key)))
    write_text(data_dir / INTERVALS_FILE, "\n".join(rows) + "\n")
    return report


def _seed(seed, key):
    split, index = key
    return (seed, SPLITS.index(split), STREAM, index)


def _draw(seed, size, key):
    return draw_long_video(_seed(seed, key), size)


def _rows(name, split, schedule):
    """Returns the rows of a video: from the time of an action's first frame to that of its last."""
    for span in schedule.spans:
        start, end, duration = (
            f"{frame / FRAME_RATE:.2f}" for frame in (span.start, span.end - 1, schedule.num_frames)
        )
        yield f"{name},{start},{end},{span.action},{duration},{split}"
