"""Predictions for videos, or the reasons why they failed, and their JSON."""

import contextlib
import os
import time
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from i3d_tf.flow.engines import ALGORITHMS
from i3d_tf.metrics.ranking import Prediction, decode_predictions
from i3d_tf.system.jobs import NO_MEMORY
from i3d_tf.video.errors import VideoError

# What makes one video fail, and lets a predictor go on with the next.
VIDEO_FAILURES = (VideoError, MemoryError, tf.errors.ResourceExhaustedError)


@dataclass(frozen=True)
class WindowPrediction:
    """The prediction for a part of a video.

    Attributes:
        start: Seconds.
        end: Seconds.
        top: The best classes, best first.
    """

    start: float
    end: float
    top: list[Prediction]

    def to_json(self) -> dict:
        """Returns the fields as plain values."""
        start, end = round(self.start, 3), round(self.end, 3)
        return {"start": start, "end": end, "top": _top_to_json(self.top)}


@dataclass(frozen=True)
class PersonPrediction:
    """The prediction for a person at a moment of a video.

    Attributes:
        time: Seconds after the first frame.
        box: (x1, y1, x2, y2), corners, shares of the frame's width and height.
        top: The best classes, best first; their probabilities are sigmoids, each class by itself.
        person: Number of the person, where the file of boxes tells persons apart.
        score: Score of the box, where the file has one.
    """

    time: float
    box: tuple[float, float, float, float]
    top: list[Prediction]
    person: int | None = None
    score: float | None = None

    def to_json(self) -> dict:
        """Returns the fields as plain values."""
        values: dict[str, Any] = {"time": round(self.time, 6), "box": list(self.box)}
        values |= {
            name: value
            for name, value in (("person", self.person), ("score", self.score))
            if value is not None
        }
        return {**values, "top": _top_to_json(self.top)}


@dataclass(frozen=True)
class VideoPrediction:
    """The prediction for one video, or the reason it failed.

    Attributes:
        path: The video.
        stream: "rgb", "flow" or "joint".
        frames: Frames at the protocol's rate that were used; fewer than a clip has are looped.
        seconds: The same in seconds.
        top: The best classes, best first; none where the prediction failed.
        timeline: The prediction for each window, where windows were asked for.
        persons: The prediction for each person in boxes, by time; there is no `top` then.
        timing: Stage to the seconds spent on it.
        flow_engine: The engine that computed the flow, or None without flow.
        concealed_frames: Frames of the video that were damaged or lost, where damage is concealed.
        error: Reason why there is no prediction, or no file made of it, or None.
    """

    path: str
    stream: str
    frames: int = 0
    seconds: float = 0.0
    top: list[Prediction] = field(default_factory=list)
    timeline: list[WindowPrediction] = field(default_factory=list)
    persons: list[PersonPrediction] = field(default_factory=list)
    timing: dict[str, float] = field(default_factory=dict)
    flow_engine: str | None = None
    concealed_frames: int = 0
    error: str | None = None

    def to_json(self) -> dict:
        """Returns the fields as plain values; those of a failure are path, stream and error."""
        values: dict[str, Any] = {"path": self.path, "stream": self.stream}
        if self.error is not None:
            values["error"] = self.error
        if not self.top and not self.persons:
            return values
        if self.flow_engine is not None:
            values["flow"] = {
                "algorithm": ALGORITHMS[self.flow_engine],
                "engine": self.flow_engine,
            }
        values |= {"frames": self.frames, "seconds": self.seconds}
        if self.persons:
            values["persons"] = [person.to_json() for person in self.persons]
        else:
            values["top"] = _top_to_json(self.top)
        if self.concealed_frames:
            values["concealed_frames"] = self.concealed_frames
        if self.timeline:
            values["timeline"] = [window.to_json() for window in self.timeline]
        values["timing"] = {stage: round(seconds, 3) for stage, seconds in self.timing.items()}
        return values


def _top_to_json(top):
    return [
        {"class": p.label, "index": p.index, "probability": p.probability, "logit": p.logit}
        for p in top
    ]


class VideoPredictor(typing.Protocol):
    """The interface of classifiers of single videos.

    Attributes:
        stream: "rgb", "flow" or "joint".
        settings: What determines its predictions, as plain values: networks, precision and so on.
    """

    stream: str
    settings: dict[str, Any]

    def predict(self, path: str | os.PathLike, top: int = 5) -> VideoPrediction:
        """Classifies one video; a video that fails has the reason in `error`.

        Args:
            path: The video.
            top: Classes to return.
        """


class PredictionWriter(typing.Protocol):
    """The interface of what writes a file for each prediction.

    Attributes:
        name: What the file is, in words.
    """

    name: str

    def paths(self, videos: Sequence[str]) -> dict[str, Path]:
        """Returns the file of each video; it raises an error where one cannot be written."""

    def write(self, prediction: VideoPrediction, path: Path) -> None:
        """Writes the file of a prediction; it raises VideoError or OSError where that fails."""


def failed_prediction(path: str | os.PathLike, stream: str, error: Exception) -> VideoPrediction:
    """Returns the prediction for a video that failed.

    Args:
        path: The video.
        stream: "rgb", "flow" or "joint".
        error: One of VIDEO_FAILURES.
    """
    reason = error.reason if isinstance(error, VideoError) else NO_MEMORY
    return VideoPrediction(str(path), stream, error=reason)


def rank_classes(
    path: str | os.PathLike, logits: np.ndarray, top: int, class_names: tuple[str, ...]
) -> list[Prediction]:
    """Returns the best classes of a video, or of a part of it, best first.

    Args:
        path: The video, for the error.
        logits: (classes,).
        top: Classes to return.
        class_names: In the order of the logits.

    Raises:
        VideoError: The logits are not finite.
    """
    check_finite(path, logits)
    return decode_predictions(logits[np.newaxis], top, class_names)[0]


def check_finite(path: str | os.PathLike, logits: np.ndarray) -> None:
    """Refuses logits that are not finite.

    Raises:
        VideoError: Some are NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise VideoError(str(path), "the network's output is not finite: its weights are damaged")


class StageTimer:
    """The time spent on each stage of a prediction.

    Attributes:
        seconds: Stage to seconds, in the order in which the stages ended first.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time that the block takes to a stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
