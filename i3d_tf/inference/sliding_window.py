"""Classification of whole videos of any length, and of every window of them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing

import numpy as np

from i3d_tf.flow.engines import choose_engine
from i3d_tf.flow.quantize import check_rounding
from i3d_tf.inference.prediction import (
    VIDEO_FAILURES,
    StageTimer,
    VideoPrediction,
    WindowPrediction,
    failed_prediction,
    rank_classes,
)
from i3d_tf.inference.predictor import checkpoints_of, open_networks
from i3d_tf.inference.streaming import LAST_ENDPOINT, Streamer, step_logits
from i3d_tf.inference.test_clip import check_num_frames
from i3d_tf.inference.video_source import VideoSource
from i3d_tf.specs.geometry import receptive_fields, time_steps
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.specs.streams import streams_of
from i3d_tf.specs.validation import check_integer

WINDOW_FRAMES = 64  # the clips that the networks were trained on
STEP_FRAMES = receptive_fields(I3D)[LAST_ENDPOINT].jump[0]  # from one step of the head to the next


class WindowPredictor:
    """The networks of one or two streams as a classifier of videos of any length.

    The networks see the video in one piece, as far as they see, in the memory of some chunks of it.
    Their logits at every eighth frame are averaged over each window and over the whole video; those
    of two networks are added.

    Args:
        stream: See `Predictor`.
        checkpoints: See `Predictor`.
        checkpoint_dir: See `Predictor`.
        flow_engine: See `Predictor`.
        precision: See `Predictor`.
        window: Frames of a window, at least 8; windows follow each other.
        flow_rounding: See `Predictor`.

    Attributes:
        stream: As given.
        flow_engine: The engine in use, or None without flow.
        window: As given.
        networks: The opened networks.
        settings: See `VideoPredictor`.

    Raises:
        FileNotFoundError: See `Predictor`.
        ValueError: See `Predictor`; or a network cannot be streamed, or `window` is too short.
    """

    def __init__(
        self,
        stream: str = "rgb",
        checkpoints: Mapping[str, os.PathLike | str] | os.PathLike | str | None = None,
        checkpoint_dir: os.PathLike | str | None = None,
        flow_engine: str = "auto",
        precision: str = "float32",
        window: int = WINDOW_FRAMES,
        flow_rounding: str | None = None,
    ):
        check_integer("window", window, STEP_FRAMES)
        self.stream, self.window = stream, window
        self.flow_engine = choose_engine(flow_engine) if "flow" in streams_of(stream) else None
        self._flow_rounding = check_rounding(flow_rounding)
        self.networks = open_networks(stream, checkpoints, checkpoint_dir, precision)
        self.settings = {
            "weights": self.networks.weights,
            "precision": precision,
            "flow_engine": self.flow_engine,
            "flow_rounding": self._flow_rounding,
            "window": window,
        }
        try:
            self._streamers = {name: Streamer(m) for name, m in self.networks.models.items()}
        except ValueError as error:
            names = " and ".join(map(str, checkpoints_of(stream, checkpoints).values()))
            raise ValueError(f"{names}: cannot see a video in one piece: {error}") from error

    def predict(self, path: str | os.PathLike, top: int = 5) -> VideoPrediction:
        """Classifies one video and every window of it; see `VideoPredictor`."""
        try:
            return self._predict(path, top)
        except VIDEO_FAILURES as error:
            return failed_prediction(path, self.stream, error)

    def _predict(self, path, top):
        protocol, class_names = self.networks.protocol, self.networks.class_names
        timer = StageTimer()
        with timer.stage("count frames"):
            engine, rounding = self.flow_engine or "auto", self._flow_rounding
            video = VideoSource(path, protocol, engine, flow_rounding=rounding)
            num_frames = video.num_frames
        check_num_frames(path, num_frames, protocol)
        logits = sum(self._step_logits(video, timer))
        best = rank_classes(path, logits.mean(0), top, class_names)
        timeline = [
            WindowPrediction(
                start / protocol.frame_rate,
                end / protocol.frame_rate,
                rank_classes(path, steps.mean(0), top, class_names),
            )
            for start, end, steps in split_steps(logits, num_frames, self.window)
        ]
        return VideoPrediction(
            str(path),
            self.stream,
            frames=num_frames,
            seconds=num_frames / protocol.frame_rate,
            top=best,
            timeline=timeline,
            timing=timer.seconds,
            flow_engine=self.flow_engine,
        )

    def _step_logits(self, video: VideoSource, timer: StageTimer) -> Iterator[np.ndarray]:
        """Yields each network's logits of the video, float32 (steps, classes)."""
        for name, streamer in self._streamers.items():
            chunks = streamer.run(video.frames(name), video.num_frames)
            with timer.stage(f"{name} stream"), closing(chunks):
                steps = list(step_logits(self.networks.models[name], chunks))
            yield np.concatenate(steps)


def split_steps(
    logits: np.ndarray, num_frames: int, window: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Divides the logits of a video among its windows.

    Args:
        logits: (steps, classes), see `step_logits`.
        num_frames: Frames of the video.
        window: Frames of a window.

    Yields:
        (start, end, logits): first frame, one after the last, and the steps of each window but the
        last frames where they are too few for a step of their own.
    """
    numbers = window_of_steps(num_frames, window)
    for number, start in enumerate(range(0, num_frames, window)):
        steps = logits[numbers == number]
        if len(steps):
            yield start, min(start + window, num_frames), steps


def window_of_steps(num_frames: int, window: int) -> np.ndarray:
    """Returns the window that each of the head's steps belongs to: the one its middle lies in.

    Args:
        num_frames: Frames of the video.
        window: Frames of a window.

    Returns:
        int (steps,): numbers of windows, in ascending order.
    """
    count, first, jump = time_steps(I3D, LAST_ENDPOINT, num_frames)
    middles = first + jump * (np.arange(count - 1) + 0.5)  # the head averages two neighbors
    return np.floor(np.clip(middles, 0, num_frames - 1) / window).astype(int)
