"""What is seen when: the best classes of every window of a video of any length."""

from contextlib import closing

import numpy as np

from i3d_tf.inference.prediction import Window, stage
from i3d_tf.inference.predictor import Predictor
from i3d_tf.inference.streaming import LAST, Streamer, step_logits
from i3d_tf.inference.test_clip import check_number
from i3d_tf.inference.video_source import VideoSource
from i3d_tf.metrics.ranking import decode_predictions
from i3d_tf.specs.geometry import time_steps
from i3d_tf.specs.inception_v1 import I3D
from i3d_tf.video.errors import VideoError

WINDOW_FRAMES = 64  # the clips that the networks were trained on


class WindowPredictor(Predictor):
    """Answers whole videos, however long, and every window of them.

    The networks see the video in one piece, as far as they see, but never hold more of it than some
    chunks; their answers at every eighth frame are averaged over each window, and over the whole
    video, and for two streams added.

    Args:
        stream: As all that follow but the last, an argument of `Predictor`.
        weights: Stream to name.
        checkpoint_dir: Where the weights are.
        engine: Optical flow engine.
        precision: "float32" or "bfloat16".
        window: Frames of a window, at least 8; windows follow each other.
    """

    def __init__(
        self,
        stream,
        weights,
        checkpoint_dir="checkpoints",
        engine="auto",
        precision="float32",
        window=WINDOW_FRAMES,
    ):
        super().__init__(stream, weights, checkpoint_dir, engine, precision)
        self.window = window
        try:
            self.streamers = {part: Streamer(model) for part, model in self.models.items()}
        except ValueError as error:
            names = " and ".join(weights[part] for part in self.models)
            raise ValueError(f"{names}: cannot be shown a video in one piece: {error}") from error
        jump = next(iter(self.streamers.values())).jump
        if window < jump:
            raise ValueError(
                f"`window` must be at least {jump} frames, a step of the network; received "
                f"{window}."
            )

    def _fill(self, answer, path, top):
        with stage(answer, "count frames"):
            video = VideoSource(path, self.protocol, self.engine or "auto")
            frames = video.num_frames
        check_number(path, frames, self.protocol)
        rate = self.protocol.frame_rate
        answer.frames, answer.seconds = frames, frames / rate
        logits = 0.0
        for part in self.streamers:
            with stage(answer, f"{part} stream"):
                with closing(self.streamers[part].run(video.frames(part), frames)) as chunks:
                    steps = np.concatenate(list(step_logits(self.models[part], chunks)))
                logits = logits + steps
        if not np.isfinite(logits).all():
            raise VideoError(path, "the network's output is not finite: its weights are damaged")
        answer.top = decode_predictions(logits.mean(0, keepdims=True), top, self.labels)[0]
        windows = window_of_steps(frames, self.window)
        for start in range(0, frames, self.window):
            own = logits[windows == start // self.window]
            if not len(own):
                continue  # the last frames, too few for a step of their own
            best = decode_predictions(own.mean(0, keepdims=True), top, self.labels)[0]
            end = min(start + self.window, frames)
            answer.timeline.append(Window(start / rate, end / rate, best))


def window_of_steps(num_frames, window):
    """The window that each of the head's steps belongs to: that which its middle lies in.

    Args:
        num_frames: Of the video.
        window: Frames of a window.

    Returns:
        int (T' - 1,): numbers of windows, in ascending order.
    """
    count, first, jump = time_steps(I3D, LAST, num_frames)
    middles = first + jump * (np.arange(count - 1) + 0.5)  # the head averages two neighbours
    return np.floor(np.clip(middles, 0, num_frames - 1) / window).astype(int)
