"""Clips of videos and their features, for the Fréchet video distance.

Every video is one clip: its first frames, each resized to a square without keeping its aspect, in
[-1, 1] (Unterthiner et al. 2018, arXiv:1812.01717, and the code that came with it). That code
resizes at other pixel centers, TensorFlow 1's, and other programs crop or keep the aspect, so
distances are comparable only within one program and protocol.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from i3d_tf.features.extractor import check_clip_size
from i3d_tf.features.windows import batched
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.metrics.frechet import FeatureStatistics
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.inception_v1 import HEAD_POOL, MIN_FRAMES
from i3d_tf.specs.streams import CROP_SIZE
from i3d_tf.specs.validation import check_choice, check_integer, check_positive
from i3d_tf.system.console import progress_bar
from i3d_tf.system.worker_pool import processor_count
from i3d_tf.video.decode import read_first_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.find import find_videos
from i3d_tf.video.npy_clips import count_clips, is_clip_array, read_array_clips
from i3d_tf.video.transforms import preprocess_input, stretch
from i3d_tf.zoo import open_checkpoints

FEATURES = ("logits", "pooled")
MIN_SIZE, MAX_SIZE = 32, 1024  # pixels
MAX_THREADS = 16
READ_AHEAD_BYTES = 2**29


@dataclass(frozen=True)
class ClipConfig:
    """Clips to make of videos, and features to compute of them.

    Attributes:
        frames: Frames of a clip, the first ones of a video.
        frame_rate: Frames per second after resampling; None takes a video's frames as they are.
        size: Side of the square, in pixels, to which every frame is resized.
        features: "logits", or "pooled": the mean over time and space of the head's input.
    """

    frames: int = 16
    frame_rate: float | None = None
    size: int = CROP_SIZE
    features: str = "logits"

    def __post_init__(self):
        check_choice("features", self.features, FEATURES)
        check_integer("frames", self.frames, MIN_FRAMES)
        check_integer("size", self.size, MIN_SIZE, MAX_SIZE)
        if self.frame_rate is not None:
            check_positive("frame_rate", self.frame_rate)


class FeatureNetwork:
    """Network as a function of clips, uint8 (N, T, S, S, 3) -> features, float32 (N, D).

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
            "features": config.features,
            "frames": config.frames,
            "frame_rate": config.frame_rate,
            "resize": f"{config.size} x {config.size}, bilinear, aspect not kept",
        }

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Returns the features of clips.

        Raises:
            ValueError: The memory is too small for so many clips, or the weights are damaged.
        """
        try:
            features = self._forward(preprocess_input(clips, "rgb")).numpy().astype(np.float32)
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
        raise ValueError(f"{name}: it takes images. Name a network for RGB clips: rgb_imagenet.")
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
) -> FeatureSet:
    """Computes the features of a set of videos, in the memory of a few batches.

    Args:
        sources: Files, folders and glob patterns; files are videos, or .npy and .npz of clips.
        network: FeatureNetwork.
        batch_size: Clips of a batch.
        title: Text of the progress bar.
        keep: Whether to keep the features themselves.

    Returns:
        FeatureSet. Of a clip array that is damaged in the middle, the clips before count.
    """
    gathered, kept = FeatureSet(FeatureStatistics(network.metadata)), []
    with progress_bar() as bar:
        paths = find_videos(sources)
        task = bar.add_task(title, total=len(paths))
        clips = _ClipReader(paths, network.config, gathered.failures)
        for batch in batched(clips, batch_size):
            features = network(np.stack(batch))
            gathered.statistics.add(features)
            if keep:
                kept.append(features)
            bar.update(task, advance=len(batch), total=clips.total)
    if kept:
        gathered.features = np.concatenate(kept)
    return gathered


class _ClipReader:
    """Clips of videos and of clip arrays, in order, some of them read ahead by threads.

    Args:
        paths: Paths of videos and of clip arrays.
        config: ClipConfig.
        failures: Dictionary that receives the reasons of paths that cannot be read.

    Attributes:
        total: Number of clips, as far as known.
    """

    def __init__(self, paths, config, failures):
        self.total = len(paths)
        self._paths, self._config, self._failures = paths, config, failures

    def __iter__(self) -> Iterator[np.ndarray]:
        threads = min(MAX_THREADS, processor_count())
        clip_bytes = self._config.frames * self._config.size**2 * 3
        ahead = max(1, min(2 * threads, READ_AHEAD_BYTES // clip_bytes))
        waiting: deque[tuple[str, Future[np.ndarray]]] = deque()
        pool = ThreadPoolExecutor(threads)
        try:
            for path, read in self._readers():
                waiting.append((path, pool.submit(read)))
                if len(waiting) > ahead:
                    yield from self._result(*waiting.popleft())
            while waiting:
                yield from self._result(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _readers(self):
        """Yields (path, function that returns a clip)."""
        config, change = self._config, partial(stretch, size=self._config.size)
        for path in self._paths:
            if not is_clip_array(path):
                yield (
                    path,
                    partial(read_first_frames, path, config.frames, config.frame_rate, change),
                )
                continue
            try:
                if config.frame_rate is not None:
                    raise VideoError(path, "clips in arrays have no frame rate: drop --frame_rate")
                self.total += count_clips(path, config.frames) - 1
                for clip in read_array_clips(path, config.frames, change):
                    yield path, lambda clip=clip: clip
            except (VideoError, MemoryError) as error:
                self._fail(path, error)

    def _result(self, path, future):
        """Yields the clip of a future, if it could be read."""
        try:
            yield future.result()
        except (VideoError, MemoryError) as error:
            self._fail(path, error)

    def _fail(self, path, error):
        reason = error.reason if isinstance(error, VideoError) else "there is not enough memory"
        self._failures[path] = reason
        self.total -= 1
