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
# Protocol entry to its name and its value in the table of the page, with the unit.
PROTOCOL_NAMES = {
    "frames": ("Frames of a clip", "{}"),
    "segments": ("Snippets of a clip", "{}, each of so many frames"),
    "rgb_step": ("Frames that RGB gets", "one of {}"),
    "frame_rate": ("Frame rate", "{} frames per second"),
    "folder_rate": ("Frame rate of folders of pictures", "{} frames per second"),
    "video_options": ("Reading of videos", "{}"),
    "clips": ("Clips of a video", "{}"),
    "crops": ("Crops of a clip", "{}"),
    "crop_set": ("Places of the crops", "{}"),
    "short_side": ("Short side of the frames", "{} pixels"),
    "crop_size": ("Crop", "{0} x {0} pixels"),
    "time": ("Time", "{}"),
    "flow_engine": ("Optical flow", "{}"),
    "flow_rounding": ("Rounding of the flow's codes", "{}"),
    "fusion_weights": ("Weights of the streams", "{}"),
    "precision": ("Precision", "{}"),
}
CHECKPOINTS = "checkpoints"


def percent(share: float | None, digits: int = 1) -> str:
    """Returns a share in [0, 1] as text; a dash for None."""
    return MISSING if share is None else f"{100 * share:.{digits}f}%"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Returns a number with its noun: "1 video", "1,200 videos", "2 classes"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def protocol_rows(results: Results) -> list[tuple[str, str]]:
    """Returns how the clips were made, and by which networks, as names and values.

    An entry that says nothing (RGB gets every frame) or that stands with the data (its name and
    split) is left out.
    """
    protocol, data = results.protocol, results.data
    rows = []
    for key, (name, text) in PROTOCOL_NAMES.items():
        if protocol.get(key) is not None and (key, protocol[key]) != ("rgb_step", 1):
            value = protocol[key]
            words = f"{value:.4g}" if isinstance(value, float) else format_value(value)
            rows.append((name, text.format(words)))
    fusions = [r.fusion for r in results.by_stream.values() if r.fusion is not None]
    rows += [("Fusion of the streams", FUSION_NAMES[fusion]) for fusion in dict.fromkeys(fusions)]
    networks = protocol.get(CHECKPOINTS)
    for stream, network in networks.items() if isinstance(networks, dict) else ():
        title = RESULT_NAMES.get(stream, stream)
        if isinstance(network, dict):
            rows.append((f"{title} network", format_value(network.get("name"))))
            rows.append((f"SHA-256 of the {title} network", format_value(network.get("sha256"))))
        else:
            rows.append((f"{title} network", format_value(network)))
    known = {*PROTOCOL_NAMES, *({CHECKPOINTS} if isinstance(networks, dict) else ())}
    if protocol.get("dataset") == data.get("name"):
        known.add("dataset")
    if protocol.get("split") == data.get("split"):
        known.add("split")
    others = {key: value for key, value in protocol.items() if key not in known}
    rows += [(sentence_case(*keys), format_value(value)) for keys, value in flatten(others)]
    return [(name, value) for name, value in rows if value not in ("", MISSING)]


def sentence_case(*keys: str) -> str:
    """Returns the name of a field, or of one in others, as the start of a sentence."""
    text = ", ".join(keys).replace("_", " ")
    return text[:1].upper() + text[1:]


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
