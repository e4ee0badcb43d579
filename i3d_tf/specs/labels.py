"""Label sets: class names in the order of the logits."""

from functools import cache
from importlib import resources

from i3d_tf.specs.validation import check_choice

LABEL_SETS = ("kinetics400", "kinetics600", "kinetics700")


@cache
def read_labels(label_set: str) -> tuple[str, ...]:
    """Reads the class names of a label set, in the order of the logits.

    Args:
        label_set: One of `LABEL_SETS`.

    Returns:
        400, 600 or 700 names.

    Raises:
        ValueError: The label set is unknown.
    """
    check_choice("label_set", label_set, LABEL_SETS)
    text = resources.files("i3d_tf.specs").joinpath(f"labels_{label_set}.txt").read_text("utf-8")
    return tuple(text.splitlines())


def label_set_of(classes: int | None) -> str | None:
    """Returns the label set of a number of classes; None where there is none."""
    return next((name for name in LABEL_SETS if len(read_labels(name)) == classes), None)
