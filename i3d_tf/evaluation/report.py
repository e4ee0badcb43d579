"""What an evaluation found, as a folder: numbers, logits, and a page to look at.

```
<report_dir>/report.json   every number, the protocol, and what was said of every clip
<report_dir>/logits.npz    the streams' logits, labels (N,), class_names, paths
<report_dir>/index.html    the same as one page, which needs no other file and no network
```
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.evaluation.html import report_page
from i3d_tf.evaluation.results import FILE, report_numbers
from i3d_tf.specs.streams import FUSIONS, STREAM_CHOICES, STREAMS
from i3d_tf.system.files import atomic_write
from i3d_tf.video.decode import read_clip
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe

LOGITS, PAGE = "logits.npz", "index.html"
FRAMES_SHOWN = 4  # of each of the worst clips
SECONDS_SHOWN = 10.0  # from the clip's start at most: what 250 frames at 25 per second cover


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the networks said of the clips of a split, and how they were asked.

    Attributes:
        class_names: One name a class, in the order of the logits.
        paths: The clips' video files, N of them.
        labels: Integers (N,), the clips' classes.
        logits: Stream, "rgb" or "flow" or both, to its logits (N, classes), or "joint" alone to
            those of a network that sees both; kept as float32.
        protocol: How the clips were shown, as plain values. The page knows frames, frame_rate,
            clips, crops, short_side, crop_size, time, flow_engine and precision; checkpoints maps
            each stream to its name and sha256; whatever else is there is listed too.
        data_report: `DataReport.as_json()`: what was found, missing, unreadable and skipped.
        history: Stream to its training history, [{"step": ..., "loss": ..., "val_loss": ...}, ...].
        fusion: How two streams are fused, see `i3d_tf.metrics.classification.fuse`.
        cuts: (start, end) of each clip in its file, in seconds, either may be None; None for whole
            files.

    Raises:
        ValueError: The parts do not fit together.
    """

    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    logits: Mapping[str, np.ndarray]
    protocol: Mapping[str, Any]
    data_report: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, list] | None = None
    fusion: str = "logits"
    cuts: tuple[tuple[float | None, float | None], ...] | None = None

    def __post_init__(self):
        parts = {
            "class_names": tuple(map(str, self.class_names)),
            "paths": tuple(map(str, self.paths)),
            "labels": np.asarray(self.labels),
            # float32 also for the numbers, so that they can be had again from the file.
            "logits": {
                stream: np.asarray(self.logits[stream], np.float32)
                for stream in STREAM_CHOICES
                if stream in self.logits
            },
            "cuts": tuple(self.cuts or [(None, None)] * len(self.paths)),
        }
        allowed = ({"rgb"}, {"flow"}, {"rgb", "flow"}, {"joint"})
        if set(self.logits) not in allowed:
            raise ValueError(
                f"`logits` must be of streams among {STREAMS}, or of joint alone; received "
                f"{sorted(self.logits) or 'none'}."
            )
        if self.fusion not in FUSIONS:
            raise ValueError(f"`fusion` must be one of {FUSIONS}; received {self.fusion!r}.")
        for name, value in parts.items():
            object.__setattr__(self, name, value)
        self._check_sizes()

    def _check_sizes(self):
        names = self.class_names
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"`class_names` must differ; received {repeated[0]!r} twice.")
        shape = (len(self.paths), len(names))
        for stream, values in self.logits.items():
            if values.shape != shape:
                raise ValueError(
                    f"`logits` of {stream} must be {shape}, one row a path and one column a class "
                    f"name; received {values.shape}."
                )
        if len(self.cuts) != len(self.paths):
            raise ValueError(
                f"`cuts` must be {len(self.paths)}, one a path; received {len(self.cuts)}."
            )


def write_report(evaluation, report_dir) -> dict:
    """Writes an evaluation's report; files of an earlier one are replaced when all new ones exist.

    Args:
        evaluation: An `Evaluation`.
        report_dir: Folder of the report; it is made where it does not exist.

    Returns:
        The record in report.json, see `report_numbers`.

    Raises:
        ValueError: The logits, the labels or the protocol are not as they must be.
        OSError: The folder cannot be written.
    """
    record = report_numbers(evaluation)
    strips = {index: _film_strip(record["predictions"][index]) for index in record["worst"]}
    page = report_page(record, strips)
    folder = Path(report_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as files:
            # Replaced from the last to the first: who finds the numbers finds the rest as well.
            numbers, logits, html = (
                files.enter_context(atomic_write(folder / name)) for name in (FILE, LOGITS, PAGE)
            )
            numbers.write_text(_as_json(record), "utf-8")
            _write_logits(evaluation, logits)
            html.write_text(page, "utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"`report_dir` {folder} cannot be written ({reason}); name another folder."
        ) from error
    return record


def _as_json(record):
    """JSON with a line for each entry and each prediction: it can be searched, and is not long."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
        for key, value in record.items()
        if key != "predictions"
    ]
    predictions = ",\n".join(json.dumps(p, allow_nan=False) for p in record["predictions"])
    return "{\n" + ",\n".join([*lines, f'"predictions": [\n{predictions}\n]']) + "\n}\n"


def _write_logits(evaluation, path):
    with open(path, "wb") as file:
        np.savez(  # logits are noise in their last digits, which compression cannot shorten
            file,
            allow_pickle=False,
            **evaluation.logits,
            labels=evaluation.labels,
            class_names=np.array(evaluation.class_names, np.str_),
            paths=np.array(evaluation.paths, np.str_),
        )


def _film_strip(prediction):
    """A clip as a JPEG's address, or why there is none: (address or None, reason or None)."""
    from i3d_tf.viz.thumbnails import data_uri, film_strip, jpeg

    try:
        frames = _frames_shown(prediction["path"], prediction["start"], prediction["end"])
    except (VideoError, OSError, ValueError) as error:
        return None, str(getattr(error, "reason", error))
    return data_uri(jpeg(film_strip(frames, FRAMES_SHOWN))), None


def _frames_shown(path, start, end):
    """A few frames, from the first to nearly the last: only they are converted and kept."""
    start = start or 0.0
    duration = probe(path).duration
    seconds = min(
        SECONDS_SHOWN,
        SECONDS_SHOWN if end is None else end - start,
        SECONDS_SHOWN if duration is None else duration - start,
    )
    if seconds <= 0:
        raise VideoError(path, f"it ends before the cut starts, at {start:g} s")
    rate = (FRAMES_SHOWN - 1) / (0.95 * seconds)
    return read_clip(path, rate, start, start + seconds)[:FRAMES_SHOWN]
