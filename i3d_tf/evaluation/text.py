"""How a report spells its numbers, and the protocol that stands beside them."""

from i3d_tf.specs.streams import JOINT

RESULT_NAMES = {"rgb": "RGB", "flow": "Optical flow", JOINT: "Two-stream"}
FUSION_WORDS = {"logits": "sum of the logits", "probabilities": "mean of the probabilities"}
NOTHING = "-"
# Protocol entry, how it reads in a sentence, and its name in the table.
PROTOCOL_WORDS = (
    ("frames", "{} frames", "Frames of a clip"),
    ("rgb_step", "RGB 1 of {}", "RGB shows one frame of"),
    ("frame_rate", "{} frames/s", "Frames per second"),
    ("clips", "{} clip(s) a video", "Clips of a video"),
    ("crops", "{} crop(s)", "Crops of a clip"),
    ("short_side", "short side {}", "Short side, pixels"),
    ("crop_size", "crop {}", "Crop, pixels"),
    ("time", "time {}", "Time"),
    ("flow_engine", "{} flow", "Optical flow engine"),
    ("precision", "{}", "Precision"),
)


def percent(share, digits=1) -> str:
    """A share in [0, 1] as text; None, of which nothing is known, as a dash."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}%"


def counted(number, noun, plural=None) -> str:
    """A number with its noun: "1 video", "1,200 videos", "2 classes"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def protocol_line(record, result=None) -> str:
    """The protocol in one line, to stand beside numbers.

    Args:
        record: What `report_numbers` returns.
        result: The result that the numbers are of, or None for all of them.

    Returns:
        Text.
    """
    streams = record["results"][result]["streams"] if result else list(record["results"])
    parts = []
    for key, words, _ in PROTOCOL_WORDS:
        value = record["protocol"].get(key)
        if value is None or (key == "flow_engine" and "flow" not in streams):
            continue
        if key == "rgb_step" and (value == 1 or "rgb" not in streams):
            continue
        plural = "" if value == 1 else "s"
        parts.append(words.replace("(s)", plural).format(spelt(value)))
    if result and (fusion := record["results"][result]["fusion"]):
        parts.append(FUSION_WORDS[fusion])
    return ", ".join([counted(record["videos"], "video"), *parts])


def spelt(value) -> str:
    """A plain value as text."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(spelt, value)) or NOTHING
    return str(value)


def flattened(record, prefix=()):
    """Yields (keys, value) for every value of nested dicts."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from flattened(value, (*prefix, key))
        else:
            yield (*prefix, key), value
