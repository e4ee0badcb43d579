"""Classification of the clips that a network's protocol takes from a video."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.engines import choose_engine
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.inference.prediction import (
    VIDEO_FAILURES,
    StageTimer,
    VideoPrediction,
    failed_prediction,
    rank_classes,
)
from i3d_tf.inference.test_clip import TestClips, TestWindow, read_test_clips
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.protocol import Protocol, frame_indices
from i3d_tf.specs.streams import JOINT, streams_of
from i3d_tf.video.sampling import first_frames
from i3d_tf.video.transforms import center_crop, preprocess_input
from i3d_tf.zoo import open_checkpoints


@dataclass(frozen=True)
class Networks:
    """The networks of a predictor, made ready for inference.

    Attributes:
        models: "rgb" and "flow", one of them, or "joint" for one network of both, to its model.
        class_names: In the order of the logits.
        protocol: How clips of a video are made for all of them.
    """

    models: dict[str, keras.Model]
    class_names: tuple[str, ...]
    protocol: Protocol


def open_networks(
    stream: str,
    checkpoints: Mapping[str, os.PathLike | str],
    checkpoint_dir: os.PathLike | str | None = None,
    precision: str = "float32",
) -> Networks:
    """Opens the networks of a stream, see `Predictor`."""
    names = (stream,) if stream in checkpoints else streams_of(stream)
    opened = open_checkpoints({name: checkpoints[name] for name in names}, checkpoint_dir)
    models = {
        name: fuse_for_inference(checkpoint.model, precision)
        for name, checkpoint in opened.by_stream.items()
    }
    return Networks(models, opened.class_names, opened.protocol)


class Predictor:
    """The networks of one or two streams, or one network of both, as a classifier of videos.

    The clips are those of the networks' `Protocol`, which for the releases is the paper's: 25
    frames per second, short side 256, the first 250 frames, shorter videos looped, center crop of
    224. The logits of several windows are averaged; those of two networks are added.

    Args:
        stream: "rgb", "flow" or "joint".
        checkpoints: Stream to a release, another name in the checkpoint directory, the folder of a
            training run or a `.keras` file in one. One for "joint" is a network of both streams.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        flow_engine: Optical flow engine, see `i3d_tf.compute_flow`.
        precision: "float32" or "bfloat16", see `i3d_tf.fuse_for_inference`.

    Attributes:
        stream: As given.
        flow_engine: The engine in use, or None without flow.
        networks: The opened networks.

    Raises:
        FileNotFoundError: See `i3d_tf.zoo.open_checkpoints`.
        ValueError: An argument is invalid; or see `i3d_tf.zoo.open_checkpoints`.
    """

    def __init__(
        self,
        stream: str,
        checkpoints: Mapping[str, os.PathLike | str],
        checkpoint_dir: os.PathLike | str | None = None,
        flow_engine: str = "auto",
        precision: str = "float32",
    ):
        self.stream = stream
        self.flow_engine = choose_engine(flow_engine) if "flow" in streams_of(stream) else None
        self.networks = open_networks(stream, checkpoints, checkpoint_dir, precision)
        self._forward = {
            name: forward_function(model) for name, model in self.networks.models.items()
        }

    def predict(self, path: str | os.PathLike, top: int = 5) -> VideoPrediction:
        """Classifies one video; see `VideoPredictor`."""
        try:
            return self._predict(path, top)
        except VIDEO_FAILURES as error:
            return failed_prediction(path, self.stream, error)

    def _predict(self, path, top):
        protocol, timer = self.networks.protocol, StageTimer()
        with timer.stage("decode"):
            clips = read_test_clips(path, protocol)
        logits = sum(self._logits(clips, timer))
        return VideoPrediction(
            str(path),
            self.stream,
            frames=clips.num_frames,
            seconds=clips.num_frames / protocol.frame_rate,
            top=rank_classes(path, logits, top, self.networks.class_names),
            timing=timer.seconds,
            flow_engine=self.flow_engine,
        )

    def _logits(self, clips: TestClips, timer: StageTimer) -> Iterator[np.ndarray]:
        """Yields each network's logits of each window, divided by the number of windows."""
        for window in clips.windows():
            for name, forward in self._forward.items():
                inputs = {s: self._clip(s, window, timer) for s in streams_of(name)}
                with timer.stage(f"{name} network"):
                    logits = forward(inputs if name == JOINT else inputs[name]).numpy()[0]
                yield logits / len(clips.starts)

    def _clip(self, stream: str, window: TestWindow, timer: StageTimer) -> np.ndarray:
        """Returns a network's input: float32 (1, T, crop size, crop size, C) in [-1, 1]."""
        protocol, frames = self.networks.protocol, window.frames
        if stream == "flow":
            with timer.stage("flow"):
                engine = self.flow_engine or "auto"
                frames = compute_flow(frames, engine, next_frame=window.next_frame)
        with timer.stage("crop"):
            order = first_frames(len(frames), protocol.frames)
            order = order[frame_indices(stream, protocol.frames, protocol.rgb_step)]
            clip = preprocess_input(center_crop(frames, protocol.crop_size), stream)
            return clip[np.newaxis, order]
