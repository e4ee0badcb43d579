"""Logits of one video under all conditions, and their file, by which a stopped ablation goes on.

The file is a JSON object: `format` and `version`; `path`, the video's name; `source`, which tells
the video from others; `settings`, the networks among them; `logits`, network to condition to one
value a class; `frozen`, network to such a row for each frame that is repeated; and `middle`, the
index of the middle one of these frames.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i3d_tf.system.files import atomic_write
from i3d_tf.system.jobs import SOURCE
from i3d_tf.system.records import get_list, get_value, of_kind, read_json_object, record_errors
from i3d_tf.video.frame_folder import video_metadata

VIDEO_FORMAT, VERSION = "i3d_tf temporal ablation of a video", 1
SETTINGS, LOGITS, FROZEN, MIDDLE = "settings", "logits", "frozen", "middle"
DIGITS = 5  # of a logit


@dataclass(frozen=True)
class VideoLogits:
    """The logits of one video, the means over its clips and crops.

    Attributes:
        ordered: Network, "rgb", "flow" or "joint", to name of a condition to logits (classes,).
        frozen: Network to the logits of each frame that is repeated, (K, classes); (0, classes)
            where none was asked for.
        middle: Index of the middle frame among these; 0 where there are none.
    """

    ordered: dict[str, dict[str, np.ndarray]]
    frozen: dict[str, np.ndarray]
    middle: int


def write_video_logits(
    logits: VideoLogits,
    name: str,
    video: str,
    settings: Mapping[str, Any],
    path: os.PathLike | str,
    staging: os.PathLike | str,
) -> None:
    """Writes the logits of a video.

    Args:
        logits: They are rounded to `DIGITS` decimals.
        name: The video's name on every machine.
        video: Its path.
        settings: What the logits depend on, as plain values.
        path: Path of the file.
        staging: Folder on the same disk for the half-written file.
    """
    record = {
        "format": VIDEO_FORMAT,
        "version": VERSION,
        "path": name,
        SOURCE: video_metadata(video),
        SETTINGS: settings,
        MIDDLE: logits.middle,
        LOGITS: {
            network: {condition: _plain(row) for condition, row in rows.items()}
            for network, rows in logits.ordered.items()
        },
        FROZEN: {network: [_plain(row) for row in rows] for network, rows in logits.frozen.items()},
    }
    with atomic_write(Path(path), folder=staging) as unfinished:
        unfinished.write_text(json.dumps(record) + "\n", "ascii")


def read_video_logits(path: os.PathLike | str) -> tuple[VideoLogits, dict[str, Any]]:
    """Reads the logits of a video.

    Returns:
        (logits, record): the record has `source` and `settings`.

    Raises:
        ValueError: It is another file, or damaged.
        OSError: It cannot be read.
    """
    with record_errors(path, "the logits of an ablation", "Delete it to have it made anew."):
        record = read_json_object(path)
        if (record.get("format"), record.get("version")) != (VIDEO_FORMAT, VERSION):
            raise ValueError(f"it must be of {VIDEO_FORMAT!r}, version {VERSION}")
        for name in (SETTINGS, SOURCE):
            get_value(record, name, dict)
        ordered = {
            network: {name: _row(get_list(rows, name, float)) for name in rows}
            for network, rows in get_value(record, LOGITS, dict).items()
            if of_kind(rows, network, dict)
        }
        networks = get_value(record, FROZEN, dict)
        rows = {network: get_list(networks, network, list) for network in networks}
        frozen = {
            network: _row([[of_kind(value, network, float) for value in row] for row in table])
            for network, table in rows.items()
        }
        middle = get_value(record, MIDDLE, int)
        _check(ordered, frozen, middle)
    return VideoLogits(ordered, frozen, middle), record


def _check(ordered, frozen, middle):
    """Checks that all networks have logits of the same classes under the same conditions."""
    conditions = {tuple(rows) for rows in ordered.values()}
    shapes = {row.shape for rows in ordered.values() for row in rows.values()}
    if len(conditions) != 1 or len(shapes) != 1 or set(ordered) != set(frozen):
        raise ValueError("its networks do not have the same conditions and classes")
    counts = {len(rows) for rows in frozen.values()}
    (count,), (classes,) = counts, shapes.pop()
    if count and {rows.shape for rows in frozen.values()} != {(count, classes)}:
        raise ValueError("its frozen frames do not have the same classes")
    tables = [*frozen.values(), *(row for rows in ordered.values() for row in rows.values())]
    if not classes or not all(np.isfinite(table).all() for table in tables):
        raise ValueError("its logits are not finite numbers")
    if not 0 <= middle < max(count, 1):
        raise ValueError(f"{MIDDLE} {middle} is none of its {count} frozen frames")


def _row(values):
    with np.errstate(over="ignore"):  # what is too large is infinite, and refused
        return np.array(values, np.float32)


def _plain(row):
    return [round(float(value), DIGITS) for value in row]
