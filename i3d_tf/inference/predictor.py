"""Videos to ranked actions: decode and resize, flow, crop, networks, ranking."""

from collections.abc import Iterator

import numpy as np

from i3d_tf.flow.compute import compute_flow
from i3d_tf.flow.engines import choose_engine
from i3d_tf.inference.dataset_logits import forward_function
from i3d_tf.inference.prediction import Answer, answered, stage
from i3d_tf.inference.test_clip import read_test_clips
from i3d_tf.metrics.ranking import decode_predictions
from i3d_tf.models.fold_batch_norm import fuse_for_inference
from i3d_tf.specs.protocol import frame_indices
from i3d_tf.specs.streams import JOINT, STREAM_CHOICES, streams_of
from i3d_tf.video.errors import VideoError
from i3d_tf.video.sampling import first_frames
from i3d_tf.video.transforms import centre_crop, preprocess_input
from i3d_tf.zoo import open_checkpoints


class Predictor:
    """The networks of one or two streams, or one network of both, ready to answer.

    Videos are shown as the network's `Protocol` says, which for the releases is the paper's: 25
    frames per second, short side 256, the first 250 frames, shorter videos looped, centre crop of
    224. The logits of several windows are averaged; those of two networks are added.

    Args:
        stream: "rgb", "flow" or "joint".
        weights: Stream to a name in the checkpoint directory, or the folder of a training run.
            A name for "joint" is that of one network that sees both streams.
        checkpoint_dir: Where the weights are.
        engine: Optical flow engine, see `i3d_tf.compute_flow`.
        precision: "float32" or "bfloat16", see `i3d_tf.fuse_for_inference`.

    Raises:
        FileNotFoundError: Weights are not there.
        ValueError: The weights are of another stream, their classes are not known, or the streams
            do not share classes and protocol.
    """

    def __init__(
        self, stream, weights, checkpoint_dir="checkpoints", engine="auto", precision="float32"
    ):
        if stream not in STREAM_CHOICES:
            raise ValueError(f"`stream` must be one of {STREAM_CHOICES}; received {stream!r}.")
        self.stream = stream
        self.engine = choose_engine(engine) if "flow" in streams_of(stream) else None
        self.models, self.networks = {}, {}
        parts = (stream,) if stream in weights else streams_of(stream)
        checkpoints = open_checkpoints({part: weights[part] for part in parts}, checkpoint_dir)
        self.labels, self.protocol = checkpoints.class_names, checkpoints.protocol
        for part, checkpoint in checkpoints.by_stream.items():
            self.models[part] = fuse_for_inference(checkpoint.model, precision)
            self.networks[part] = forward_function(self.models[part])

    def answer(self, path, top=5) -> Answer:
        """The best classes of one video; a video that cannot be answered says why in `error`."""
        return answered(path, self, lambda answer: self._fill(answer, path, top))

    def _fill(self, answer, path, top):
        with stage(answer, "decode"):
            shown = read_test_clips(path, self.protocol)
        answer.frames = shown.number
        answer.seconds = answer.frames / self.protocol.frame_rate
        logits = 0.0
        for window in shown.windows():
            for part, network in self.networks.items():
                clips = {s: self._clip(answer, s, window) for s in streams_of(part)}
                with stage(answer, f"{part} network"):
                    answers = network(clips if part == JOINT else clips[part])
                    logits = logits + answers.numpy() / len(shown.starts)
        if not np.isfinite(logits).all():
            raise VideoError(path, "the network's output is not finite: its weights are damaged")
        answer.top = decode_predictions(logits, top, self.labels)[0]

    def _clip(self, answer, stream, window):
        """What the network sees: float32 (1, T, crop size, crop size, C) in [-1, 1]."""
        protocol, shown = self.protocol, window.frames
        if stream == "flow":
            with stage(answer, "flow"):
                shown = compute_flow(shown, engine=self.engine, next_frame=window.following)
        with stage(answer, "crop"):
            order = first_frames(len(shown), protocol.frames)
            order = order[frame_indices(stream, protocol.frames, protocol.rgb_step)]
            clip = preprocess_input(centre_crop(shown, protocol.crop_size), stream=stream)
            return clip[np.newaxis, order]


def predict(videos, predictor, top=5) -> Iterator[Answer]:
    """Answers videos one after the other.

    Args:
        videos: Paths.
        predictor: A `Predictor`.
        top: How many classes to return of each.

    Yields:
        One `Answer` a video, in order, also for those that cannot be read.
    """
    for path in videos:
        yield predictor.answer(path, top)
