"""Videos to one feature vector each, as the Fréchet video distance takes them.

Every video is one clip: its first frames, each resized to a square without keeping its aspect, in
[-1, 1] (Unterthiner et al. 2018, arXiv:1812.01717, and the code that came with it). That code
resizes at other pixel centres, TensorFlow 1's, and other programs crop or keep the aspect, so that
distances compare only with those of the same program and protocol.
"""

import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import tensorflow as tf

from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.metrics.frechet import FeatureStatistics
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.streams import CROP_SIZE
from i3d_tf.system.console import progress_bar
from i3d_tf.system.worker_pool import processor_count
from i3d_tf.video.decode import read_first_frames
from i3d_tf.video.errors import VideoError
from i3d_tf.video.find import find_videos
from i3d_tf.video.npy_clips import count_clips, is_clip_array, read_array_clips
from i3d_tf.video.transforms import preprocess_input, stretch
from i3d_tf.zoo import open_checkpoints

FEATURES = ("logits", "pooled")
POOL = "AvgPool3d_0a_7x7"  # the endpoint whose mean over time and space is "pooled"
MAX_WORKERS = 16
READ_AHEAD_BYTES = 2**29


@dataclass(frozen=True)
class ClipRules:
    """How clips are made of videos, and what is computed from them.

    Attributes:
        frames: Frames of a clip, the first ones of a video.
        frame_rate: Frames per second after resampling, or None: a video's frames as they are.
        size: Pixels, the side of the square that every frame is resized to.
        features: One of FEATURES: the network's output, or the mean of its last endpoint before it.
    """

    frames: int = 16
    frame_rate: float | None = None
    size: int = CROP_SIZE
    features: str = "logits"

    def __post_init__(self):
        if self.features not in FEATURES:
            raise ValueError(f"`features` must be one of {FEATURES}; received {self.features!r}.")
        if self.frames < MIN_FRAMES:
            raise ValueError(f"`frames` must be at least {MIN_FRAMES}; received {self.frames!r}.")
        if not 32 <= self.size <= 1024:
            raise ValueError(f"`size` must be within 32..1024 pixels; received {self.size!r}.")
        rate = self.frame_rate
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"`frame_rate` must be a finite number > 0; received {rate!r}.")


class FeatureNetwork:
    """A network as a function of clips, uint8 (N, T, S, S, 3) -> features, float32 (N, D).

    Args:
        weights: A name in the checkpoint directory, or the folder of a training run.
        checkpoint_dir: Where names are looked up.
        rules: ClipRules.

    Attributes:
        rules: ClipRules.
        about: What features of it depend on: plain values by name.
    """

    def __init__(self, weights, checkpoint_dir, rules):
        checkpoint = open_checkpoints({"rgb": weights}, checkpoint_dir).by_stream["rgb"]
        if len(checkpoint.model.input_shape) != 5:
            raise ValueError(
                f"{weights}: reads images. Name a network for clips of RGB, such as rgb_imagenet."
            )
        self.rules = rules
        self._forward = forward_function(_network(checkpoint.model, weights, rules))
        self.about = {
            "weights": checkpoint.name,
            "weights_sha256": checkpoint.sha256,
            "features": rules.features,
            "frames": rules.frames,
            "frame_rate": rules.frame_rate,
            "resize": f"{rules.size} x {rules.size}, bilinear, aspect not kept",
        }

    def __call__(self, clips):
        """Features of clips."""
        try:
            features = self._forward(preprocess_input(clips)).numpy().astype(np.float32)
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise ValueError(
                f"there is not enough memory for {len(clips)} clips at once; give a smaller "
                "--batch_size."
            ) from error
        if not np.isfinite(features).all():
            raise ValueError(
                f"{self.about['weights']}: its output is not finite; the weights are damaged."
            )
        return features


def _network(model, weights, rules):
    """The Keras model that answers with the features."""
    import keras

    wanted = (rules.frames, rules.size, rules.size)
    fixed = model.input_shape[1:4]
    if any(has not in (None, want) for has, want in zip(fixed, wanted, strict=True)):
        raise ValueError(f"{weights}: only reads clips of {fixed} (T, H, W); asked for {wanted}.")
    model = fuse_for_inference(model)
    if rules.features == "logits":
        return model
    if POOL not in {layer.name for layer in model.layers}:
        raise ValueError(f"{weights}: has no {POOL} to take features from; use logits.")
    pooled = keras.ops.mean(model.get_layer(POOL).output, axis=(1, 2, 3))
    return keras.Model(model.input, pooled)


@dataclass
class FeatureSet:
    """What a set of videos came to.

    Attributes:
        statistics: FeatureStatistics.
        features: float32 (N, D) where they were kept, or None.
        failures: Videos and files of clips that could not be used: path to reason.
    """

    statistics: FeatureStatistics
    features: np.ndarray | None = None
    failures: dict[str, str] = field(default_factory=dict)


def gather_features(sources, network, batch_size, title, keep=False) -> FeatureSet:
    """Computes the features of a set of videos, in the memory of a few batches.

    Args:
        sources: Files, folders and glob patterns; files may be videos, or .npy and .npz of clips.
        network: A FeatureNetwork.
        batch_size: Clips at once.
        title: What the progress bar says.
        keep: Whether the features themselves are kept.

    Returns:
        FeatureSet. What cannot be read is in `failures`; of a file of clips that is damaged in the
        middle, the clips before are taken.
    """
    gathered = FeatureSet(FeatureStatistics(network.about))
    kept, batch = [], []

    def flush():
        features = network(np.stack(batch))
        gathered.statistics.add(features)
        if keep:
            kept.append(features)
        bar.advance(task, len(batch))
        batch.clear()

    with progress_bar() as bar:
        paths = find_videos(sources)
        task = bar.add_task(title, total=len(paths))
        clips = _Clips(paths, network.rules, gathered.failures)
        for clip in clips:
            bar.update(task, total=clips.total)
            batch.append(clip)
            if len(batch) == batch_size:
                flush()
        if batch:
            flush()
    if kept:
        gathered.features = np.concatenate(kept)
    return gathered


class _Clips:
    """The clips of videos and of files of clips, in order, some of them read ahead.

    Attributes:
        total: How many there are, as far as is known.
    """

    def __init__(self, paths, rules, failures):
        self.total = len(paths)
        self._paths, self._rules, self._failures = paths, rules, failures

    def __iter__(self):
        workers = min(MAX_WORKERS, processor_count())
        clip_bytes = self._rules.frames * self._rules.size**2 * 3
        ahead = max(1, min(2 * workers, READ_AHEAD_BYTES // clip_bytes))
        waiting = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            for path, read in self._tasks():
                waiting.append((path, pool.submit(read)))
                if len(waiting) > ahead:
                    yield from self._result(*waiting.popleft())
            while waiting:
                yield from self._result(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _tasks(self):
        """(path, function that returns a clip)."""
        rules, change = self._rules, partial(stretch, size=self._rules.size)
        for path in self._paths:
            if not is_clip_array(path):
                read = partial(read_first_frames, path, rules.frames, rules.frame_rate, change)
                yield path, read
                continue
            try:
                if rules.frame_rate is not None:
                    raise VideoError(path, "clips in arrays have no frame rate: drop --frame_rate")
                self.total += count_clips(path, rules.frames) - 1
                for clip in read_array_clips(path, rules.frames, change):
                    yield path, partial(_same, clip)
            except (VideoError, MemoryError) as error:
                self._fail(path, error)

    def _result(self, path, future):
        """The clip, or nothing where it could not be read."""
        try:
            yield future.result()
        except (VideoError, MemoryError) as error:
            self._fail(path, error)

    def _fail(self, path, error):
        reason = error.reason if isinstance(error, VideoError) else "there is not enough memory"
        self._failures[path] = reason
        self.total -= 1


def _same(clip):
    return clip
