"""Clips of videos and their features, for the Fréchet video distance.

`i3d_tf.features.fvd_protocol` says which frames of a video make a clip, and how they are resized.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.features.fvd_protocol import ClipConfig
from i3d_tf.features.fvd_reader import ClipReader
from i3d_tf.features.network_check import check_clip_size
from i3d_tf.features.npy_clips import DEFAULT_LAYOUT, ArrayLayout
from i3d_tf.features.windows import batched
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.metrics.frechet import FeatureStatistics
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.inception_v1 import HEAD_POOL
from i3d_tf.system.console import progress_bar
from i3d_tf.video.find import find_videos
from i3d_tf.video.transforms import preprocess_input
from i3d_tf.zoo import open_checkpoints


class FeatureNetwork:
    """Network as a function of clips, (N, T, S, S, 3) -> features, float32 (N, D).

    Clips are float32 in [-1, 1], or uint8.

    Args:
        checkpoint: A name in the checkpoint directory, or the folder of a training run.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        config: ClipConfig.

    Attributes:
        config: ClipConfig.
        metadata: Everything that determines the features, plain values by name.
    """

    def __init__(
        self,
        checkpoint: os.PathLike | str,
        checkpoint_dir: os.PathLike | str | None,
        config: ClipConfig,
    ):
        opened = open_checkpoints({"rgb": checkpoint}, checkpoint_dir).by_stream["rgb"]
        self.config = config
        self._forward = forward_function(_feature_model(opened.model, opened.name, config))
        self.metadata: dict[str, Any] = {
            "weights": opened.name,
            "weights_sha256": opened.sha256,
            **config.metadata(),
        }

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Returns the features of clips.

        Raises:
            ValueError: The memory is too small for so many clips, or the weights are damaged.
        """
        try:
            clips = preprocess_input(clips, "rgb") if clips.dtype == np.uint8 else clips
            features = self._forward(clips).numpy().astype(np.float32)
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise ValueError(
                f"there is not enough memory for {len(clips)} clips at once; give a smaller "
                "--batch_size."
            ) from error
        if not np.isfinite(features).all():
            raise ValueError(
                f"{self.metadata['weights']}: its output is not finite; the weights are damaged."
            )
        return features


def _feature_model(model, name, config):
    """Returns a Keras model from clips to features."""
    if len(model.input_shape) != 5:
        raise ValueError(f"{name}: it takes images. Name a network for RGB clips: rgb_scratch.")
    check_clip_size(model, name, (config.frames, config.size, config.size))
    model = fuse_for_inference(model)
    if config.features == "logits":
        return model
    if HEAD_POOL not in {layer.name for layer in model.layers}:
        raise ValueError(f"{name}: it has no {HEAD_POOL} to take features from. Use logits.")
    pooled = keras.ops.mean(model.get_layer(HEAD_POOL).output, axis=(1, 2, 3))
    return keras.Model(model.input, pooled)


@dataclass
class FeatureSet:
    """Features of a set of videos.

    Attributes:
        statistics: FeatureStatistics.
        features: float32 (N, D), or None if they were not kept.
        failures: Path to reason of each video or clip array that could not be read.
    """

    statistics: FeatureStatistics
    features: np.ndarray | None = None
    failures: dict[str, str] = field(default_factory=dict)


def gather_features(
    sources: Sequence[os.PathLike | str],
    network: FeatureNetwork,
    batch_size: int,
    title: str,
    keep: bool = False,
    seed: int = 0,
    layout: ArrayLayout = DEFAULT_LAYOUT,
) -> FeatureSet:
    """Computes the features of a set of videos, in the memory of a few batches.

    Args:
        sources: Files, folders and glob patterns; files are videos, or .npy and .npz of clips,
            and folders with pictures are videos.
        network: FeatureNetwork.
        batch_size: Clips of a batch.
        title: Text of the progress bar.
        keep: Whether to keep the features themselves.
        seed: See `ClipReader`.
        layout: Layout of clip arrays.

    Returns:
        FeatureSet. Of a clip array that is damaged in the middle, the clips before count.
    """
    gathered, kept = FeatureSet(FeatureStatistics(network.metadata)), []
    with progress_bar() as bar:
        paths = find_videos(sources)
        task = bar.add_task(title, total=len(paths))
        clips = ClipReader(paths, network.config, gathered.failures, seed, layout)
        for batch in batched(clips, batch_size):
            features = network(np.stack(batch))
            gathered.statistics.add(features)
            if keep:
                kept.append(features)
            bar.update(task, advance=len(batch), total=clips.total)
    if kept:
        gathered.features = np.concatenate(kept)
    return gathered
