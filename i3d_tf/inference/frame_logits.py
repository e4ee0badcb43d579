"""I3D's logits along whole videos: at every step, and at any time in between."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np

from i3d_tf.data.example import VideoExample
from i3d_tf.data.pipeline import Failures, PipelineConfig
from i3d_tf.data.views import View
from i3d_tf.inference.streaming import Streamer, step_logits
from i3d_tf.layers.head import Logits
from i3d_tf.layers.step_interpolation import interpolation_weights
from i3d_tf.models.keras_graph import producer_of
from i3d_tf.specs.geometry import CENTERS, head_positions
from i3d_tf.specs.inception_v1 import I3D, MIN_FRAMES
from i3d_tf.system.console import progress_bar
from i3d_tf.video.errors import VideoError

FRAMES_AT_ONCE = 256  # that are decoded


@dataclass(frozen=True)
class VideoLogits:
    """The logits along a video.

    Attributes:
        steps: float32 (steps, classes), of the head's steps.
        positions: float64 (steps,), where they are, as indices of frames.
        num_frames: Frames of the video.
        frame_rate: Frames per second.
    """

    steps: np.ndarray
    positions: np.ndarray
    num_frames: int
    frame_rate: float

    @property
    def frame_times(self) -> np.ndarray:
        """The seconds at which frames begin, float64 (T,)."""
        return np.arange(self.num_frames) / self.frame_rate

    def at(self, times: np.ndarray) -> np.ndarray:
        """Returns the logits at some times, linear between steps and constant outside of them.

        Args:
            times: (P,), seconds; a frame is at the time at which it begins.

        Returns:
            float32 (P, classes).
        """
        frames = np.asarray(times, np.float64) * self.frame_rate
        return interpolation_weights(frames, self.positions).astype(np.float32) @ self.steps


def gives_frame_logits(model: keras.Model) -> bool:
    """Returns whether a network was trained on frames: it gives logits at all of I3D's steps."""
    last_layer = producer_of(model.outputs[0])
    return isinstance(last_layer, Logits) and last_layer.all_steps


class FrameLogits:
    """I3D over whole videos, whose memory does not grow with their length.

    Args:
        model: I3D with its head, with logits of clips or of all steps.
        config: How videos are read: stream, frame rate, size, flow files; its frames and windows
            have no effect.
        step_rule: Where steps are in time, see `i3d_tf.specs.geometry.head_positions`.

    Raises:
        ValueError: The network is another.
    """

    def __init__(self, model: keras.Model, config: PipelineConfig, step_rule: str = CENTERS):
        self._model = model
        self._streamer = Streamer(model)
        self._config = config
        self._of_length: dict[int, PipelineConfig] = {}
        self._step_rule = step_rule

    def __call__(self, example: VideoExample) -> VideoLogits:
        """Computes the logits along a video; one that is too short for a step is looped.

        Raises:
            VideoError: The video cannot be read.
            FloatingPointError: A logit is not finite.
        """
        num_frames = self._config.count(example)
        length = max(num_frames, MIN_FRAMES)
        chunks = self._streamer.run(self._frames(example, num_frames, length), length)
        steps = np.concatenate(list(step_logits(self._model, chunks)))
        if not np.isfinite(steps).all():
            raise FloatingPointError(
                f"the network's logits are not finite, such as those of {example.path}."
            )
        positions = np.array(head_positions(I3D, length, self._step_rule))
        return VideoLogits(steps, positions, num_frames, self._config.protocol.frame_rate)

    def of_all(
        self, failures: Failures, title: str = "test"
    ) -> Iterator[tuple[VideoExample, VideoLogits | None]]:
        """Yields every video of the config with its logits, and shows a progress bar.

        Args:
            failures: Filled with the videos that could not be read; their logits are None.
            title: Text of the progress bar.

        Raises:
            FloatingPointError: See `__call__`.
        """
        with progress_bar() as bar:
            task = bar.add_task(title, total=len(self._config.examples))
            for example in self._config.examples:
                try:
                    yield example, self(example)
                except VideoError as error:
                    failures.reasons[error.path] = error.reason
                    yield example, None
                bar.advance(task)

    def _frames(self, example, num_frames, length) -> Iterator[np.ndarray]:
        for start in range(0, length, FRAMES_AT_ONCE):
            part = np.arange(start, min(start + FRAMES_AT_ONCE, length))
            config = self._of_length.get(len(part))
            if config is None:
                protocol = replace(self._config.protocol, frames=len(part))
                config = self._of_length[len(part)] = replace(self._config, protocol=protocol)
            (clip,) = config.decode(example, View(part % num_frames))
            yield from clip
