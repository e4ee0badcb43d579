"""Videos to ranked actions: decode and resize, flow, crop, networks, ranking."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from i3d_tf.metrics.ranking import Prediction, decode_predictions
from i3d_tf.models.inference import fuse_for_inference
from i3d_tf.runs.checkpoints import open_checkpoint
from i3d_tf.runs.inputs import VIDEO_SUFFIXES
from i3d_tf.specs.inception_v1 import MIN_FRAMES
from i3d_tf.specs.streams import FRAME_RATE
from i3d_tf.video.decode import read_clip
from i3d_tf.video.engines import ALGORITHMS, choose_engine
from i3d_tf.video.flow import compute_flow
from i3d_tf.video.media import VideoError
from i3d_tf.video.sample import first_frames
from i3d_tf.video.transform import centre_crop, preprocess_input, resize_short_side

# Resized to the protocol's short side, frames of any length would not fit into memory.
LARGEST_ASPECT = 16
STREAMS_OF = {"rgb": ("rgb",), "flow": ("flow",), "joint": ("rgb", "flow")}


@dataclass(frozen=True)
class Window:
    """A part of a video.

    Attributes:
        start: Seconds.
        end: Seconds.
        top: The best classes, best first.
    """

    start: float
    end: float
    top: list[Prediction]

    def as_json(self) -> dict:
        """A record of plain values."""
        return {"start": round(self.start, 3), "end": round(self.end, 3), "top": _plain(self.top)}


def _plain(predictions):
    return [
        {"class": p.label, "index": p.index, "probability": p.probability, "logit": p.logit}
        for p in predictions
    ]


@dataclass
class Answer:
    """What is known of one video.

    Attributes:
        path: The video.
        stream: "rgb", "flow" or "joint".
        frames: Frames at 25 per second that were used; fewer than 250 are looped.
        seconds: The same in seconds.
        top: The best classes, best first.
        error: Why there is no answer, or no copy of the video, or None.
        timing: Seconds spent on each stage.
        engine: What computed the flow, or None where there is none.
        timeline: What was seen when, of a whole video, where that was asked for.
    """

    path: str
    stream: str
    frames: int = 0
    seconds: float = 0.0
    top: list[Prediction] = field(default_factory=list)
    error: str | None = None
    timing: dict[str, float] = field(default_factory=dict)
    engine: str | None = None
    timeline: list[Window] = field(default_factory=list)

    def as_json(self) -> dict:
        """A record of plain values."""
        record = {"path": self.path, "stream": self.stream}
        if self.error is not None:
            record["error"] = self.error
        if not self.top:
            return record
        if self.engine is not None:
            record["flow"] = {"algorithm": ALGORITHMS[self.engine], "engine": self.engine}
        return {
            **record,
            "frames": self.frames,
            "seconds": self.seconds,
            "top": _plain(self.top),
            **(
                {"timeline": [window.as_json() for window in self.timeline]}
                if self.timeline
                else {}
            ),
            "timing": {stage: round(seconds, 3) for stage, seconds in self.timing.items()},
        }


class Predictor:
    """The networks of one or two streams, ready to answer.

    Videos are shown as the network's `Protocol` says, which for the releases is the paper's: 25
    frames per second, short side 256, the first 250 frames, shorter videos looped, centre crop of
    224; for two streams the logits are added.

    Args:
        stream: "rgb", "flow" or "joint".
        weights: Stream to a name in the checkpoint directory, or the folder of a training run.
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
        if stream not in STREAMS_OF:
            raise ValueError(f"`stream` must be one of {tuple(STREAMS_OF)}; received {stream!r}.")
        self.stream = stream
        self.engine = choose_engine(engine) if "flow" in STREAMS_OF[stream] else None
        self.models, self.networks = {}, {}
        label_sets, protocols = set(), set()
        for part in STREAMS_OF[stream]:
            checkpoint = open_checkpoint(weights[part], checkpoint_dir)
            if checkpoint.stream != part:
                raise ValueError(f"{weights[part]}: is for {checkpoint.stream}, not for {part}.")
            label_sets.add(checkpoint.class_names)
            protocols.add(checkpoint.protocol)
            self.models[part] = fuse_for_inference(checkpoint.model, precision)
            self.networks[part] = tf.function(self.models[part], autograph=False)
        for found, what in ((label_sets, "classes"), (protocols, "protocol")):
            if len(found) > 1:
                raise ValueError(f"{' and '.join(weights.values())} do not have the same {what}.")
        self.labels, self.protocol = label_sets.pop(), protocols.pop()

    def answer(self, path, top=5) -> Answer:
        """The best classes of one video; a video that cannot be answered says why in `error`."""
        answer = Answer(str(path), self.stream, engine=self.engine)
        try:
            self._fill(answer, path, top)
        except VideoError as error:
            answer.error = error.reason
        except (MemoryError, tf.errors.ResourceExhaustedError):
            answer.error = "there is not enough memory for it"
        return answer

    def _fill(self, answer, path, top):
        rate, wanted = self.protocol.frame_rate, self.protocol.frames

        def resized(frame):
            _check_aspect(path, *frame.shape[:2])
            return resize_short_side(frame[np.newaxis], self.protocol.short_side)[0]

        with stage(answer, "decode"):
            # One frame more than is shown to the network, so that the last flow is a real one.
            frames = read_clip(path, rate, end=(wanted + 1) / rate, change=resized)
        if len(frames) < MIN_FRAMES:
            raise VideoError(
                path,
                f"it has {len(frames)} frames at {rate:.4g} per second; at least {MIN_FRAMES} "
                "are needed",
            )
        answer.frames = min(len(frames), wanted)
        answer.seconds = answer.frames / rate
        logits = 0.0
        for part, network in self.networks.items():
            clip = self._clip(answer, part, frames)
            with stage(answer, f"{part} network"):
                logits = logits + network(clip[np.newaxis], training=False).numpy()
        if not np.isfinite(logits).all():
            raise VideoError(path, "the network's output is not finite: its weights are damaged")
        answer.top = decode_predictions(logits, top, self.labels)[0]

    def _clip(self, answer, part, frames):
        """What the network sees: float32 (T, crop size, crop size, C) in [-1, 1]."""
        shown = frames[: answer.frames]
        if part == "flow":
            with stage(answer, "flow"):
                following = frames[answer.frames] if len(frames) > answer.frames else None
                shown = compute_flow(shown, engine=self.engine, next_frame=following)
        with stage(answer, "crop"):
            clip = preprocess_input(centre_crop(shown, self.protocol.crop_size), stream=part)
            return clip[first_frames(answer.frames, self.protocol.frames)]


def _check_aspect(path, height, width):
    if max(height, width) > LARGEST_ASPECT * min(height, width):
        raise VideoError(
            path,
            f"its frames of {width} x {height} pixels are too narrow: one side is more than "
            f"{LARGEST_ASPECT} times the other",
        )


@contextmanager
def stage(answer, name):
    """Notes in an answer's timing how long the block takes."""
    begin = time.perf_counter()
    yield
    answer.timing[name] = answer.timing.get(name, 0.0) + time.perf_counter() - begin


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


def annotated_path(output_video, video, number_of_videos) -> Path:
    """Where the copy of a video with its labels goes.

    Args:
        output_video: An .mp4 file where there is one video, else a folder.
        video: The video.
        number_of_videos: How many there are.

    Raises:
        ValueError: It cannot be written there, or something is there already; nothing is replaced.
    """
    target = Path(output_video)
    if target.is_dir() or target.suffix.lower() not in VIDEO_SUFFIXES:
        if target.exists() and not target.is_dir():
            raise ValueError(f"{target}: not a folder; name a folder or a new .mp4 file.")
        target = target / f"{Path(video).stem}_predicted.mp4"
    elif target.suffix.lower() != ".mp4":
        raise ValueError(f"{target}: copies are .mp4 files; name one, or a folder.")
    elif number_of_videos > 1:
        raise ValueError(f"{target}: one file for {number_of_videos} videos; name a folder.")
    if os.path.lexists(target):
        raise ValueError(f"{target}: exists already; name another --output_video or remove it.")
    return target


def write_annotated(answer, target):
    """Writes a copy of an answered video, at 25 frames per second, with its top classes drawn.

    It shows what the networks were shown: frames, flow, or for two streams frames beside flow.
    """
    from i3d_tf.runs.flow_pictures import flow_pictures
    from i3d_tf.video.encode import write_video
    from i3d_tf.video.flow_stream import read_frames
    from i3d_tf.viz.annotate import annotate_frames

    target.parent.mkdir(parents=True, exist_ok=True)
    lines = [(f"{p.label}  {p.probability:.1%}", p.probability) for p in answer.top]
    if answer.stream == "rgb":
        shown = read_frames(answer.path, short_side=None)  # whole, in the memory of one frame
    else:
        shown = flow_pictures(answer.path, answer.engine, beside=answer.stream == "joint")
    write_video(target, annotate_frames(shown, lines), FRAME_RATE)
