"""What is known of one video: its best classes, or why there are none."""

import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import tensorflow as tf

from i3d_tf.flow.engines import ALGORITHMS
from i3d_tf.metrics.ranking import Prediction
from i3d_tf.video.errors import VideoError


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
        frames: Frames at the protocol's rate that were used; fewer than a clip has are looped.
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


def answered(path, predictor, fill) -> Answer:
    """An answer, which says in `error` why a video could not be answered.

    Args:
        path: The video.
        predictor: Whose `stream` and `engine` it is.
        fill: Function that writes what is found into the answer.
    """
    answer = Answer(str(path), predictor.stream, engine=predictor.engine)
    try:
        fill(answer)
    except VideoError as error:
        answer.error = error.reason
    except (MemoryError, tf.errors.ResourceExhaustedError):
        answer.error = "there is not enough memory for it"
    return answer


@contextmanager
def stage(answer, name):
    """Notes in an answer's timing how long the block takes."""
    begin = time.perf_counter()
    yield
    answer.timing[name] = answer.timing.get(name, 0.0) + time.perf_counter() - begin
