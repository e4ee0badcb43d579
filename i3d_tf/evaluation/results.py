"""The results of an evaluation, typed, and as the JSON of report.json.

```
format, version   constants of this file
protocol, data    how clips were made, and the report of the dataset: plain values
classes, videos   class names in the order of the logits, and the number of videos
headline          name of the main result
results           one of `specs.streams.RESULTS` -> accuracies, confusion matrix, see `StreamResult`
history           stream -> evaluations during its training
worst             indices of the most confident errors among the predictions
predictions       a record for each video, see `VideoPrediction`
```
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.specs.streams import RESULTS
from i3d_tf.system.records import get_list, get_value, read_json_object, record_errors

FILE = "report.json"
FORMAT = "i3d_tf evaluation"
VERSION = 1


@dataclass(frozen=True)
class RankedClass:
    """A class and its probability in [0, 1] for one video."""

    label: str
    probability: float


@dataclass(frozen=True)
class Ranking:
    """The classes of one video, as one result ranks them.

    Attributes:
        rank: Place of the video's label, from 1.
        top: The most probable classes, best first.
    """

    rank: int
    top: tuple[RankedClass, ...]


@dataclass(frozen=True)
class VideoPrediction:
    """The predictions for one video.

    Attributes:
        path: The video file.
        start: Seconds at which its cut starts, or None.
        end: Seconds at which its cut ends, or None.
        label: Name of its class.
        rankings: Name of a result to its ranking.
    """

    path: str
    start: float | None
    end: float | None
    label: str
    rankings: dict[str, Ranking]


@dataclass(frozen=True)
class StreamResult:
    """The accuracies of one stream, or of both together.

    Attributes:
        streams: The streams.
        fusion: How the logits of two networks were fused; None for one network.
        correct: Videos whose label is the most probable class.
        top_1: Their share, in [0, 1].
        top_5: Share of videos whose label is among the 5 most probable classes; None for 5 classes
            and fewer.
        mean_class: Mean of the accuracies of the classes that have videos.
        class_videos: Videos of each class.
        class_accuracy: Top-1 accuracy of each class; None for a class without videos.
        confusion: (class, predicted class, videos) of every entry of the confusion matrix that is
            not 0: few of 160,000 for 400 classes.
    """

    streams: tuple[str, ...]
    fusion: str | None
    correct: int
    top_1: float
    top_5: float | None
    mean_class: float
    class_videos: tuple[int, ...]
    class_accuracy: tuple[float | None, ...]
    confusion: tuple[tuple[int, int, int], ...]

    def confusion_matrix(self) -> np.ndarray:
        """Returns int64 (classes, classes): videos by class and predicted class."""
        classes = len(self.class_videos)
        matrix = np.zeros((classes, classes), np.int64)
        for true, predicted, videos in self.confusion:
            matrix[true, predicted] = videos
        return matrix

    def to_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return {
            "streams": list(self.streams),
            "fusion": self.fusion,
            "correct": self.correct,
            "top_1": self.top_1,
            "top_5": self.top_5,
            "mean_class": self.mean_class,
            "class_videos": list(self.class_videos),
            "class_accuracy": list(self.class_accuracy),
            "confusion": [list(entry) for entry in self.confusion],
        }


@dataclass(frozen=True)
class Results:
    """Everything that an evaluation found.

    Attributes:
        protocol: How clips were made, as plain values.
        data: The dataset's report, as plain values.
        class_names: In the order of the logits.
        by_stream: "rgb", "flow" or "joint" to its result; the last one is the headline. Or one of
            "features", for a network that reads stored ones, and "fused", for two reports.
        history: Stream to its training history, rows with a "step" each.
        errors: Indices of the wrong predictions with the highest probability, highest first, in
            the headline's result.
        predictions: The predictions for each video.
    """

    protocol: dict[str, Any]
    data: dict[str, Any]
    class_names: tuple[str, ...]
    by_stream: dict[str, StreamResult]
    history: dict[str, list[dict[str, Any]]]
    errors: tuple[int, ...]
    predictions: tuple[VideoPrediction, ...]

    @property
    def headline(self) -> str:
        """Name of the main result: of both streams, where there are two."""
        return list(self.by_stream)[-1]

    @property
    def best(self) -> StreamResult:
        """The main result."""
        return self.by_stream[self.headline]

    def to_json(self) -> dict[str, Any]:
        """Returns the content of report.json."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "protocol": self.protocol,
            "data": self.data,
            "classes": list(self.class_names),
            "videos": len(self.predictions),
            "headline": self.headline,
            "results": {name: result.to_json() for name, result in self.by_stream.items()},
            "history": self.history,
            "worst": list(self.errors),
            "predictions": [_prediction_to_json(prediction) for prediction in self.predictions],
        }


def read_results(path: os.PathLike | str) -> Results:
    """Reads a report.json, or the one in a folder.

    Raises:
        ValueError: It is not a report of this version, or is damaged.
        OSError: It cannot be read.
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    title = f"a report of format {FORMAT!r}, version {VERSION}"
    with record_errors(file, title, "Evaluate again to make one."):
        return _results(read_json_object(file))


def plain(value: Any, name: str) -> Any:
    """Returns a value as JSON can hold it; numbers that are not finite become None.

    Args:
        value: Text, numbers, truth values, None, NumPy's scalars, and lists and dicts of these.
        name: Name of the value in errors.

    Raises:
        ValueError: The value is, or holds, something else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{name}[{k}]") for k, item in enumerate(value)]
    raise ValueError(
        f"`{name}` must be text, a number, a truth value, None, or a list or dict of such; "
        f"received {type(value).__name__}."
    )


def _prediction_to_json(prediction):
    rankings = {
        name: {
            "rank": ranking.rank,
            "top": [{"label": k.label, "probability": k.probability} for k in ranking.top],
        }
        for name, ranking in prediction.rankings.items()
    }
    return {
        "path": prediction.path,
        "start": prediction.start,
        "end": prediction.end,
        "label": prediction.label,
        **rankings,
    }


# The reader: every function returns a checked part of report.json, or raises ValueError.
_NUMBER, _SECONDS = (int, float), (int, float, type(None))


def _results(record):
    if (found := (get_value(record, "format", str), get_value(record, "version", int))) != (
        FORMAT,
        VERSION,
    ):
        raise ValueError(f"{found[0]!r}, version {found[1]!r}")
    class_names = get_list(record, "classes", str)
    if len(set(class_names)) != len(class_names):
        raise ValueError("a class occurs twice")
    results = get_value(record, "results", dict)
    if not results or not set(results) <= set(RESULTS):
        raise ValueError(f"results of {list(results)}")
    predictions = tuple(
        _video_prediction(prediction, results)
        for prediction in get_list(record, "predictions", dict)
    )
    errors = get_list(record, "worst", int)
    if not all(0 <= index < len(predictions) for index in errors):
        raise ValueError("'worst' names predictions that are not there")
    history = get_value(record, "history", dict)
    return Results(
        protocol=get_value(record, "protocol", dict),
        data=get_value(record, "data", dict),
        class_names=class_names,
        by_stream={
            name: _stream_result(get_value(results, name, dict), len(class_names))
            for name in results
        },
        history={stream: list(get_list(history, stream, dict)) for stream in history},
        errors=errors,
        predictions=predictions,
    )


def _stream_result(record, classes):
    entries = tuple(map(tuple, get_list(record, "confusion", list)))
    for entry in entries:
        numbers = len(entry) == 3 and all(type(number) is int for number in entry)
        if not numbers or not (min(entry) >= 0 and max(entry[:2]) < classes):
            raise ValueError(f"an entry {entry} of a confusion matrix of {classes} classes")
    return StreamResult(
        streams=get_list(record, "streams", str),
        fusion=get_value(record, "fusion", (str, type(None))),
        correct=get_value(record, "correct", int),
        top_1=_share(record, "top_1"),
        top_5=_share(record, "top_5", optional=True),
        mean_class=_share(record, "mean_class"),
        class_videos=get_list(record, "class_videos", int, classes),
        class_accuracy=tuple(
            _checked_share(share, "class_accuracy")
            for share in get_list(record, "class_accuracy", _SECONDS, classes)
        ),
        confusion=entries,
    )


def _video_prediction(record, names):
    return VideoPrediction(
        path=get_value(record, "path", str),
        start=get_value(record, "start", _SECONDS),
        end=get_value(record, "end", _SECONDS),
        label=get_value(record, "label", str),
        rankings={name: _ranking(get_value(record, name, dict)) for name in names},
    )


def _ranking(record):
    top = tuple(
        RankedClass(get_value(k, "label", str), get_value(k, "probability", _NUMBER))
        for k in get_list(record, "top", dict)
    )
    return Ranking(get_value(record, "rank", int), top)


def _share(record, key, optional=False):
    share = get_value(record, key, _SECONDS if optional else _NUMBER)
    return _checked_share(share, key)


def _checked_share(share, key):
    if share is not None and not 0 <= share <= 1:
        raise ValueError(f"{key!r} of {share!r}")
    return share
