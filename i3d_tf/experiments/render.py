"""Renders the embedded dataset: video files, class by class, and the lists of its splits.

```
<data_dir>/stick_actions.json                        what the clips were made with
<data_dir>/videos/sit_down/sit_down_train_0000.mp4   25 frames/s, H.264
<data_dir>/splits/train.csv                          path (below data_dir), label
<data_dir>/splits/test.csv
```
"""

import contextlib
import csv
import io
import json
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
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
from i3d_tf.system.console import progress_bar

RECIPE_FILE = "stick_actions.json"
ABANDONED = 60  # seconds after which a half-written video is one that a killed job left behind
MAX_PROCESSES = 1024
MAX_CLIPS = 9999  # per action and split: the file names have four digits


@dataclass(frozen=True)
class RenderReport:
    """What a rendering job did.

    Attributes:
        data_dir: The dataset's folder.
        rendered: Clips made now.
        kept: Clips that were there already.
    """

    data_dir: Path
    rendered: int
    kept: int


def render_stick_actions(
    data_dir,
    train_clips=TRAIN_CLIPS,
    test_clips=TEST_CLIPS,
    size=CLIP_SIZE,
    seed=0,
    processes=None,
):
    """Renders the embedded dataset, or what is missing of it.

    A clip depends on the seed, the size, its split, action and index, and on nothing else. Stopped
    and run again, the job goes on where it was; with larger numbers of clips it adds to what is
    there.

    Args:
        data_dir: Folder for the dataset; it is made where it does not exist.
        train_clips: Training clips per action, 0..9999.
        test_clips: Test clips per action, 0..9999.
        size: Pixels, the side of a frame, within CLIP_SIZES.
        seed: Integer >= 0.
        processes: How many processes render; None for one per processor.

    Returns:
        A RenderReport.

    Raises:
        ValueError: An argument is out of range, or the folder holds something else.
        OSError: The folder cannot be written.
        VideoError: A video cannot be written.
    """
    counts = {
        "train": _within("train_clips", train_clips, 0, MAX_CLIPS),
        "test": _within("test_clips", test_clips, 0, MAX_CLIPS),
    }
    recipe = {
        "revision": REVISION,
        "seed": _within("seed", seed, 0, 2**63 - 1),
        "size": _within("size", size, *CLIP_SIZES),
    }
    if processes is None:
        processes = _available_processors()
    processes = _within("processes", processes, 1, MAX_PROCESSES)
    data_dir = Path(data_dir)
    _claim(data_dir, recipe)
    _sweep(data_dir / "videos")
    clips = {
        split: [(split, action, i) for action in STICK_LABELS for i in range(counts[split])]
        for split in counts
    }
    wanted = clips["train"] + clips["test"]
    tasks = [
        (data_dir / _clip_path(*clip), *clip, recipe["seed"], recipe["size"])
        for clip in wanted
        if not (data_dir / _clip_path(*clip)).exists()
    ]
    _render_all(tasks, min(processes, len(tasks)))
    for split, rows in clips.items():
        _write_split(data_dir / "splits" / f"{split}.csv", rows)
    return RenderReport(data_dir, len(tasks), len(wanted) - len(tasks))


def _available_processors():
    if hasattr(os, "sched_getaffinity"):  # Linux: those this process may use
        return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
    return min(os.cpu_count() or 1, MAX_PROCESSES)


def _within(name, value, smallest, largest):
    if not isinstance(value, int) or not smallest <= value <= largest:
        raise ValueError(
            f"`{name}` must be an integer within {smallest}..{largest}; received {value!r}."
        )
    return value


def _clip_path(split, action, index):
    return Path("videos", action, f"{action}_{split}_{index:04d}.mp4")


def _claim(data_dir, recipe):
    """Makes the folders, and makes sure that what they hold is of the same recipe."""
    recipe_path = data_dir / RECIPE_FILE
    try:
        if recipe_path.exists():
            _compare(recipe_path, recipe)
        elif (data_dir / "videos").exists() and any((data_dir / "videos").iterdir()):
            raise ValueError(
                f"`data_dir` {data_dir} has videos but no {RECIPE_FILE}, so they are not this "
                "dataset's; give another folder."
            )
        for action in STICK_LABELS:
            (data_dir / "videos" / action).mkdir(parents=True, exist_ok=True)
        (data_dir / "splits").mkdir(exist_ok=True)
        _write_text(recipe_path, json.dumps(recipe, indent=1) + "\n")
    except OSError as error:
        raise OSError(
            f"`data_dir` {data_dir} cannot be written: {error.strerror} ({error.filename}); "
            "give another folder."
        ) from error


def _compare(recipe_path, recipe):
    try:
        found = json.loads(recipe_path.read_text("utf-8"))
        found = {name: found[name] for name in recipe}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{recipe_path} is damaged; remove the folder, or give another one."
        ) from error
    if found != recipe:
        raise ValueError(
            f"`data_dir` {recipe_path.parent} holds clips made with {_spell(found)}, not with "
            f"{_spell(recipe)}; give another folder, or remove that one."
        )


def _sweep(videos_dir):
    """Removes what a killed job left half-written, but nothing that another job may be writing."""
    for leftover in videos_dir.glob("*/.*.part"):
        with contextlib.suppress(FileNotFoundError):
            if leftover.stat().st_mtime < time.time() - ABANDONED:
                leftover.unlink()


def _spell(recipe):
    return ", ".join(f"{name} {value}" for name, value in recipe.items())


def _render_all(tasks, processes):
    with progress_bar() as progress:
        bar = progress.add_task("rendering clips", total=len(tasks))
        if processes <= 1:
            for task in tasks:
                _render(*task)
                progress.advance(bar)
            return
        # Spawned, not forked: a fork of a process that runs TensorFlow's threads can deadlock.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, initializer=_start_worker) as pool:
            futures = [pool.submit(_render, *task) for task in tasks]
            try:
                for future in as_completed(futures):
                    future.result()
                    progress.advance(bar)
            except BrokenProcessPool as error:
                raise OSError(
                    "a rendering process was killed, perhaps for want of memory; run the same "
                    "command again to go on, or with fewer processes."
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)


def _start_worker():
    """Leaves Ctrl-C to the parent, and ends when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def _render(path, split, action, index, seed, size):
    from i3d_tf.synthetic.clip import clip_seed, render_clip
    from i3d_tf.video.encode import write_video

    write_video(path, render_clip(action, clip_seed(seed, split, action, index), size), FRAME_RATE)


def _write_split(path, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label"))
    writer.writerows((_clip_path(*row).as_posix(), row[1]) for row in rows)
    _write_text(path, text.getvalue())


def _write_text(path, text):
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
