"""Metadata of flow files, and its validation."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from i3d_tf.flow.engines import ALGORITHMS, FlowParameters, choose_engine, engine_parameters
from i3d_tf.specs.streams import (
    BOTH,
    FLOW_BOUND,
    FLOW_DIRECTIONS,
    FLOW_ROUNDINGS,
    FORWARD,
    FRAME_RATE,
    SHORT_SIDE,
)
from i3d_tf.specs.validation import is_integer, is_number
from i3d_tf.specs.version import __version__
from i3d_tf.system.jobs import SOURCE, first_difference
from i3d_tf.video.frame_folder import video_metadata
from i3d_tf.video.limits import MAX_FRAMES, MAX_PIXELS

FORMAT = "i3d_tf flow"
VERSION = 1
DIRECTION = "direction"  # "both" of a file with backward flow, too; others need not have it
FORMULAS = {
    "nearest": "code = floor((clip(flow, -20, 20) + 20) * 255 / 40 + 0.5)",
    "floor": "code = floor((clip(flow, -20, 20) + 20) * 255 / 40)",
    "deepmind": "code = floor((clip(flow, -20, 20) + 20) * 255 / 40)",
}
# Two files of one video with the same values here hold the same flow.
DECISIVE_FIELDS = (
    "algorithm",
    "engine",
    "parameters",
    "frame_rate",
    "short_side",
    "rounding",
    SOURCE,
)


def flow_metadata(
    source: str | os.PathLike,
    engine: str = "auto",
    parameters: FlowParameters | str | None = None,
    frame_rate: float = FRAME_RATE,
    short_side: int | None = SHORT_SIDE,
    rounding: str = "nearest",
    direction: str = FORWARD,
) -> dict[str, Any]:
    """Returns the metadata of a flow file, as far as it is known before flow is computed.

    Args:
        source: Path of the video.
        engine: See `choose_engine`; "auto" becomes the engine that it means here.
        parameters: See `engine_parameters`.
        frame_rate: Frames per second of the clip that the flow is computed from.
        short_side: Pixels, the shorter side of that clip; None where it was not resized.
        rounding: See `i3d_tf.flow.quantize`.
        direction: "both" for backward flow beside forward flow; "forward" adds no field.

    Returns:
        Plain values; `DECISIVE_FIELDS` among them determine the flow. `source` tells the video from
        others, see `i3d_tf.system.jobs.source_metadata`.
    """
    engine = choose_engine(engine)
    return {
        "format": FORMAT,
        "version": VERSION,
        "algorithm": ALGORITHMS[engine],
        "engine": engine,
        "parameters": asdict(engine_parameters(engine, parameters)),
        "frame_rate": float(frame_rate),
        "short_side": short_side,
        "bound": FLOW_BOUND,
        "rounding": rounding,
        "codes": FORMULAS.get(rounding),
        SOURCE: video_metadata(source),
        "project_version": __version__,
        **({} if direction == FORWARD else {DIRECTION: direction}),
    }


def has_backward(metadata: Mapping[str, Any]) -> bool:
    """Returns whether a flow file holds backward flow, too, by its metadata."""
    return metadata.get(DIRECTION) == BOTH


def metadata_difference(
    found: Mapping[str, Any], wanted: Mapping[str, Any], fields: Iterable[str] = DECISIVE_FIELDS
) -> str | None:
    """Returns the first decisive difference between the metadata of two flow files.

    Args:
        found: Metadata of a file.
        wanted: What it should be, from `flow_metadata`.
        fields: Those that are compared.

    Returns:
        Text such as "engine opencv, not numba"; None where the flow is the same. A file with
        backward flow, too, has all that is wanted of one without.
    """
    difference = first_difference(found, wanted, fields)
    if difference is None and has_backward(wanted) and not has_backward(found):
        return "it has no backward flow"
    return difference


def metadata_fault(metadata: Any, complete: bool = True) -> str | None:
    """Returns what is wrong with the metadata of a flow file.

    Args:
        metadata: Anything; from a file that may come from anywhere.
        complete: Whether the fields that are known only when all flow is written must be there.

    Returns:
        Text, or None where nothing is wrong.
    """
    if not isinstance(metadata, dict):
        return "its description is not a JSON object"
    checks = REQUIRED_FIELDS | FINAL_FIELDS if complete else REQUIRED_FIELDS
    if DIRECTION in metadata:
        checks = checks | OPTIONAL_FIELDS
    for field, (allowed, holds) in checks.items():
        if field not in metadata:
            return f"`{field}` is missing from its description"
        if not holds(metadata[field]):
            return f"`{field}` must be {allowed}; it is {_shortened(metadata[field])}"
    if metadata["codes"] != FORMULAS[metadata["rounding"]]:
        return f"`codes` must be {FORMULAS[metadata['rounding']]!r}; it is another formula"
    if complete and 2 * metadata["height"] * metadata["width"] > MAX_PIXELS:
        return f"its frames are larger than {MAX_PIXELS // 2} pixels"
    return None


def _shortened(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _is_count(value, maximum, minimum=1):
    return is_integer(value) and minimum <= value <= maximum


def _is_source(value):
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and (value.get("bytes") is None or _is_count(value["bytes"], 2**63, minimum=0))
        and isinstance(value.get("digest", ""), str)
    )


def _is_size(value):
    return _is_count(value, MAX_PIXELS)


# Field -> its allowed values in words, and a function that checks them.
REQUIRED_FIELDS = {
    "format": (repr(FORMAT), lambda value: value == FORMAT),
    "version": (f"{VERSION}, the only one there is", lambda value: value == VERSION),
    "algorithm": ("a string", lambda value: isinstance(value, str)),
    "engine": ("a string", lambda value: isinstance(value, str)),
    "parameters": ("an object", lambda value: isinstance(value, dict)),
    "frame_rate": ("a number > 0", lambda value: is_number(value) and value > 0),
    "short_side": ("a size or null", lambda value: value is None or _is_size(value)),
    "bound": (f"{FLOW_BOUND:g}", lambda value: value == FLOW_BOUND),
    "rounding": (f"one of {FLOW_ROUNDINGS}", lambda value: value in FLOW_ROUNDINGS),
    "codes": ("a string", lambda value: isinstance(value, str)),
    SOURCE: ("an object with a name and bytes", _is_source),
    "project_version": ("a string", lambda value: isinstance(value, str)),
}
OPTIONAL_FIELDS = {
    DIRECTION: (f"one of {FLOW_DIRECTIONS}", lambda value: value in FLOW_DIRECTIONS),
}
FINAL_FIELDS = {
    "frames": (
        f"an integer within 1..{MAX_FRAMES}",
        lambda value: _is_count(value, MAX_FRAMES),
    ),
    "height": ("a size", _is_size),
    "width": ("a size", _is_size),
    "clipped_share": ("within [0, 1]", lambda value: is_number(value) and 0 <= value <= 1),
}
