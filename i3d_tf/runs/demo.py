"""The main job on a machine that has nothing: checkpoint to weights, mp4 to ranked actions."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from i3d_tf.runs.answering import answer_videos
from i3d_tf.runs.convert import convert
from i3d_tf.runs.predict import Predictor
from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.releases import RELEASES, Release, released_name
from i3d_tf.specs.stick_actions import CLIP_SIZE, DEMO
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.encode import write_video
from i3d_tf.weights.store import read_manifest

CLIPS = ("sit_down", "climb_up", "open_door")
RELEASE = "rgb_imagenet"


def demo(output_dir="demo", checkpoint_dir="checkpoints") -> int:
    """Renders three clips and recognises them with the released RGB network.

    Where the released weights have not been converted yet, a checkpoint of the same form with
    random values stands in for them: every step is the real one, the classes mean nothing.

    Args:
        output_dir: Where the clips, and the stand-in weights, go.
        checkpoint_dir: Where converted weights would be.

    Returns:
        How many clips could not be answered.
    """
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    videos = [write_demo_clip(folder, action) for action in CLIPS]
    if RELEASE not in read_manifest(checkpoint_dir):
        print(
            f"{RELEASE} has not been converted, so random values stand in for its weights and the "
            f"classes below mean\nnothing. For the real ones: python tools/convert.py "
            f"--release={RELEASE} --download\n"
        )
        checkpoint_dir = folder / "stand_in"
        source = write_stand_in(RELEASES[RELEASE], checkpoint_dir / RELEASE)
        convert(RELEASE, source, checkpoint_dir)
    predictor = Predictor("rgb", {"rgb": RELEASE}, checkpoint_dir)
    return answer_videos(videos, predictor)


def write_demo_clip(folder, action) -> Path:
    """Renders one clip of the embedded dataset that nobody trains on; returns its path."""
    path = folder / f"{action}.mp4"
    write_video(path, render_clip(action, clip_seed(0, DEMO, action, 0), CLIP_SIZE))
    return path


def write_stand_in(release: Release, folder) -> Path:
    """Writes a checkpoint of a release's form with random values; returns its folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    values = {}
    for path, shape in variable_shapes(I3D, CHANNELS[release.stream], release.classes).items():
        spread = (2 / np.prod(shape[:-1])) ** 0.5 if path.endswith("kernel") else 0.1
        value = generator.normal(0, spread, shape)
        if path.endswith("moving_variance"):
            value = 1 + np.abs(value)
        values[release.prefix + released_name(path)] = value.astype(np.float32)
    tf.raw_ops.SaveV2(
        prefix=str(folder / "model.ckpt"),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=list(values.values()),
    )
    return folder
