"""What a flow file says about its flow, and whether what one says can be true."""

import math
import os
from dataclasses import asdict

from i3d_tf.flow.engines import ALGORITHMS, choose_engine, engine_parameters
from i3d_tf.flow.quantize import ROUNDINGS
from i3d_tf.specs.streams import FLOW_BOUND, FRAME_RATE, SHORT_SIDE
from i3d_tf.specs.version import __version__
from i3d_tf.video.container import MAX_FRAMES, MAX_PIXELS

FORMAT = "i3d_tf flow"
VERSION = 1
FORMULAS = {
    "nearest": "code = floor((clip(flow, -20, 20) + 20) * 255 / 40 + 0.5)",
    "floor": "code = floor((clip(flow, -20, 20) + 20) * 255 / 40)",
}
# What makes two files of one video hold the same flow.
DECISIVE = ("algorithm", "engine", "parameters", "frame_rate", "short_side", "rounding", "source")


def flow_metadata(
    source,
    engine="auto",
    parameters=None,
    frame_rate=FRAME_RATE,
    short_side=SHORT_SIDE,
    rounding="nearest",
):
    """What is known of a flow file before its flow is computed.

    Args:
        source: Path of the video.
        engine: As for `compute_flow`; "auto" becomes the engine that it means here.
        parameters: As for `compute_flow`.
        frame_rate: Frames per second of the clip that the flow is computed from.
        short_side: Pixels, the shorter side of that clip; None where it was not resized.
        rounding: "nearest" or "floor", see `flow_codec`.

    Returns:
        Dictionary of plain values, of which `DECISIVE` decide what the flow is. Its `source` is the
        video's name without folders, and its bytes (None for one that is not on this machine).
    """
    engine = choose_engine(engine)
    name = os.fspath(source)
    size = os.path.getsize(name) if os.path.isfile(name) else None
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
        "source": {"name": os.path.basename(name), "bytes": size},
        "project_version": __version__,
    }


def difference(metadata, wanted):
    """The first thing that makes the flow of two descriptions another one.

    Args:
        metadata: What a file says.
        wanted: What it should say, from `flow_metadata`.

    Returns:
        In words, such as "engine opencv, not numba"; None where nothing decisive differs.
    """
    for field in DECISIVE:
        found, needed = metadata[field], wanted[field]
        if isinstance(found, dict) and isinstance(needed, dict):
            names = sorted(found | needed)
            pairs = [(f"{field}: {name}", found.get(name), needed.get(name)) for name in names]
        else:
            pairs = [(field, found, needed)]
        for name, value, other in pairs:
            if value != other:
                return f"{name} {value}, not {other}"
    return None


def fault(metadata, whole=True):
    """What is wrong with the description of a flow file.

    Args:
        metadata: Anything; from a file that may come from anywhere.
        whole: Whether the fields that are known only when all flow is written must be there.

    Returns:
        In words, or None.
    """
    if not isinstance(metadata, dict):
        return "its description is not a JSON object"
    checks = BEFORE | AFTER if whole else BEFORE
    for field, (allowed, holds) in checks.items():
        if field not in metadata:
            return f"`{field}` is missing from its description"
        if not holds(metadata[field]):
            return f"`{field}` must be {allowed}; it is {_short(metadata[field])}"
    if metadata["codes"] != FORMULAS[metadata["rounding"]]:
        return f"`codes` must be {FORMULAS[metadata['rounding']]!r}; it is another formula"
    if whole and 2 * metadata["height"] * metadata["width"] > MAX_PIXELS:
        return f"its frames are larger than {MAX_PIXELS // 2} pixels"
    return None


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _is_count(value, most, least=1):
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_source(value):
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and (value.get("bytes") is None or _is_count(value["bytes"], 2**63, least=0))
    )


def _is_side(value):
    return _is_count(value, MAX_PIXELS)


# Field -> what it must be, in words, and whether it is.
BEFORE = {
    "format": (repr(FORMAT), lambda value: value == FORMAT),
    "version": (f"{VERSION}, the only one there is", lambda value: value == VERSION),
    "algorithm": ("a string", lambda value: isinstance(value, str)),
    "engine": ("a string", lambda value: isinstance(value, str)),
    "parameters": ("an object", lambda value: isinstance(value, dict)),
    "frame_rate": ("a number > 0", lambda value: _is_number(value) and value > 0),
    "short_side": ("a size or null", lambda value: value is None or _is_side(value)),
    "bound": (f"{FLOW_BOUND:g}", lambda value: value == FLOW_BOUND),
    "rounding": (f"one of {ROUNDINGS}", lambda value: value in ROUNDINGS),
    "codes": ("a string", lambda value: isinstance(value, str)),
    "source": ("an object with a name and bytes", _is_source),
    "project_version": ("a string", lambda value: isinstance(value, str)),
}
AFTER = {
    "frames": (
        f"a whole number within 1..{MAX_FRAMES}",
        lambda value: _is_count(value, MAX_FRAMES),
    ),
    "height": ("a size", _is_side),
    "width": ("a size", _is_side),
    "clipped_share": ("within [0, 1]", lambda value: _is_number(value) and 0 <= value <= 1),
}
