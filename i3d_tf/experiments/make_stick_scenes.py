"""The embedded scenes as files: videos of several people, and in AVA's form who does what.

```
<data_dir>/stick_scenes.json       seed and size of the videos
<data_dir>/videos/train_0000.mp4   25 frames/s, H.264
<data_dir>/train.csv, test.csv     video_id,timestamp,x1,y1,x2,y2,action_id,person_id; no heading
<data_dir>/actions.pbtxt           names of the actions 1 to 12
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
    KINDS,
    SCENE_SIZE,
    SCENES,
    SPLITS,
    STICK_LABELS,
)
from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.synthetic.crowd import build_crowd, key_frames
from i3d_tf.system.worker_pool import check_processes

RECIPE_FILE = "stick_scenes.json"
LABEL_MAP = "actions.pbtxt"
STREAM = 200  # of the random numbers: clips have 0..5, long videos 100


def make_stick_scenes(
    data_dir: Path | str,
    train_videos: int = KINDS[SCENES][0],
    test_videos: int = KINDS[SCENES][1],
    size: int = SCENE_SIZE,
    seed: int = 0,
    processes: int | None = None,
) -> RenderReport:
    """Renders the missing videos, and writes who does what where.

    See `i3d_tf.experiments.make_stick_intervals.make_stick_intervals`.

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
    build = partial(_build, recipe["seed"], recipe["size"])
    draw = partial(_draw, recipe["seed"], recipe["size"])
    report = render_missing(data_dir, list(videos.items()), draw, processes, "rendering scenes")
    rows: dict[str, list[str]] = {"train": [], "test": []}
    for path, key in videos.items():
        rows[key[0]] += _rows(path.stem, build(key))
    for split, lines in rows.items():
        write_text(data_dir / f"{split}.csv", "".join(f"{line}\n" for line in lines))
    items = (
        f'item {{\n  name: "{name}"\n  id: {number}\n}}\n'
        for number, name in enumerate(STICK_LABELS, 1)
    )
    write_text(data_dir / LABEL_MAP, "".join(items))
    return report


def _build(seed, size, key):
    split, index = key
    return build_crowd((seed, SPLITS.index(split), STREAM, index), size)


def _draw(seed, size, key):
    return _build(seed, size, key).frames()


def _rows(name, crowd):
    for number, frame in enumerate(key_frames()):
        for person, box in enumerate(crowd.boxes(frame)):
            corners = ",".join(f"{value:.4f}" for value in box)
            action = STICK_LABELS.index(crowd.actions[person][number]) + 1
            yield f"{name},{frame / FRAME_RATE:.2f},{corners},{action},{person}"
