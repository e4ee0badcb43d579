"""Numbers and protocols as text, for the page and for terminals."""

from collections.abc import Iterator, Mapping
from typing import Any

from i3d_tf.evaluation.results import Results
from i3d_tf.specs.streams import FEATURES, FUSED, JOINT

RESULT_NAMES = {
    "rgb": "RGB",
    "flow": "Optical flow",
    JOINT: "Two-stream",
    FEATURES: "Features",
    FUSED: "Fused",
}
FUSION_NAMES = {
    "logits": "sum of the logits",
    "probabilities": "mean of the probabilities",
    "log_probabilities": "sum of the log-probabilities",
    "svm": "linear SVM on the normalized probabilities",
}
MISSING = "-"
# Protocol entry, its text in a sentence, and its name in the table.
PROTOCOL_NAMES = (
    ("frames", "{} frames", "Frames of a clip"),
    ("segments", "{} snippet(s) of so many", "Snippets of a clip"),
    ("rgb_step", "RGB 1 of {}", "RGB shows one frame of"),
    ("frame_rate", "{} frames/s", "Frames per second"),
    ("folder_rate", "folders at {} frames/s", "Frames per second of folders"),
    ("video_options", "videos read with {}", "Options of reading videos"),
    ("clips", "{} clip(s) a video", "Clips of a video"),
    ("crops", "{} crop(s)", "Crops of a clip"),
    ("crop_set", "at {}", "Places of the crops"),
    ("short_side", "short side {}", "Short side, pixels"),
    ("crop_size", "crop {}", "Crop, pixels"),
    ("time", "time {}", "Time"),
    ("flow_engine", "{} flow", "Optical flow engine"),
    ("flow_rounding", "rounded {}", "Rounding of the flow's codes"),
    ("fusion_weights", "weights {}", "Weights of the fusion"),
    ("precision", "{}", "Precision"),
)


def percent(share: float | None, digits: int = 1) -> str:
    """Returns a share in [0, 1] as text; a dash for None."""
    return MISSING if share is None else f"{100 * share:.{digits}f}%"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Returns a number with its noun: "1 video", "1,200 videos", "2 classes"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def protocol_line(results: Results, name: str | None = None) -> str:
    """Returns the protocol in one line, to stand beside numbers.

    Args:
        results: The results.
        name: The result that the numbers are of, or None for all of them.
    """
    streams = results.by_stream[name].streams if name else list(results.by_stream)
    parts = []
    for key, text, _ in PROTOCOL_NAMES:
        value = results.protocol.get(key)
        if value is None or (key.startswith("flow_") and "flow" not in streams):
            continue
        if key == "rgb_step" and (value == 1 or "rgb" not in streams):
            continue
        plural = "" if value == 1 else "s"
        parts.append(text.replace("(s)", plural).format(format_value(value)))
    if name and (fusion := results.by_stream[name].fusion):
        parts.append(FUSION_NAMES[fusion])
    return ", ".join([counted(len(results.predictions), "video"), *parts])


def format_value(value: Any) -> str:
    """Returns a plain value as text."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(format_value, value)) or MISSING
    return str(value)


def flatten(
    record: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields (keys, value) for every value of nested dicts."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from flatten(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def summary(results: Results, report_dir: str) -> list[str]:
    """Returns the lines that show the results on a terminal."""
    lines = [f"{len(results.predictions)} videos, {len(results.class_names)} classes"]
    for name, result in results.by_stream.items():
        top_5 = "" if result.top_5 is None else f", top-5 {result.top_5:.1%}"
        lines.append(f"  {name:<6} top-1 {result.top_1:.1%}{top_5}")
    lines += [f"  note: {note}" for note in results.data["notes"]]
    return [*lines, f"report: {report_dir}/index.html"]
