"""The main job: networks that ship classify rendered clips, and a release classifies real ones."""

import os
from collections.abc import Sequence
from pathlib import Path

from i3d_tf.inference.command_output import classify_videos
from i3d_tf.inference.predictor import Predictor
from i3d_tf.inference.sliding_window import WindowPredictor
from i3d_tf.specs.stick_actions import DEMO, STICK_ACTIONS, STICK_NETWORKS
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.system.console import print_lines
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.video.decode import read_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.find import find_videos
from i3d_tf.viz.contact_sheet import contact_sheet, write_png

CLIPS = (*(action.name for action in STICK_ACTIONS[::2]), "stand_up")
SEED = 0
SIZE = 256  # pixels


def demo(output_dir: Path | str = "demo", checkpoint_dir: Path | str | None = None) -> int:
    """Renders clips that are in no training set, and classifies them with both streams.

    Writes the clips, copies in `labelled/` with classes and flow drawn, and `predictions.png`.

    Args:
        output_dir: Output folder; the files of an earlier demo are replaced.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Returns:
        The number of clips without a prediction.
    """
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*(f"{action}.mp4" for action in CLIPS), "predictions.png"):
        check_target(folder / name, lambda path: (folder / "labelled").is_dir())
    videos = [write_demo_clip(folder, action) for action in CLIPS]
    _remove_files(folder / "labelled", "*_predicted.mp4")
    predictor = Predictor("joint", STICK_NETWORKS, checkpoint_dir)
    predictions = classify_videos(videos, predictor, top=3, output_video=folder / "labelled")
    failed = sum(prediction.error is not None for prediction in predictions)
    classified = [prediction for prediction in predictions if prediction.top]
    if classified:
        picture = folder / "predictions.png"
        with atomic_write(picture) as temporary:
            write_png(
                temporary,
                contact_sheet(
                    [read_clip(prediction.path) for prediction in classified],
                    [f"{p.top[0].label} {p.top[0].probability:.0%}" for p in classified],
                ),
            )
        print_lines(f"Look at {picture} and at the videos in {folder / 'labelled'}.")
    return failed


def demo_release(
    videos: Sequence[str | os.PathLike],
    output_dir: Path | str,
    release: str,
    checkpoint_dir: Path | str | None = None,
) -> int:
    """Classifies real videos, whole and window by window, with a released RGB network.

    Writes copies in `labelled/` with the top classes drawn, and pictures of the classes over time
    in `timelines/`.

    Args:
        videos: Files, folders and glob patterns.
        output_dir: Output folder; the files of an earlier demo are replaced.
        release: A release for RGB, downloaded if it is nowhere.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Returns:
        The number of videos without a prediction.

    Raises:
        ValueError: The arguments name no video.
    """
    labelled, timelines = (Path(output_dir) / name for name in ("labelled", "timelines"))
    paths = find_videos(videos)
    predictor = WindowPredictor("rgb", {"rgb": release}, checkpoint_dir)
    _remove_files(labelled, "*_predicted.mp4", paths)
    _remove_files(timelines, "*_timeline.svg")
    predictions = classify_videos(paths, predictor, output_video=labelled, timeline_dir=timelines)
    print_lines(f"Look at the videos in {labelled} and at the pictures in {timelines}.")
    return sum(prediction.error is not None for prediction in predictions)


def _remove_files(folder, pattern, inputs=()):
    paths = list(folder.glob(pattern))
    for path in paths:
        check_target(path, Path.is_file, inputs)
    for path in paths:
        path.unlink()


def write_demo_clip(folder: Path, action: str) -> Path:
    """Renders one clip of the embedded dataset that is in no split; returns its path."""
    path = folder / f"{action}.mp4"
    write_video(path, render_clip(action, clip_seed(SEED, DEMO, action, 0), SIZE))
    return path
