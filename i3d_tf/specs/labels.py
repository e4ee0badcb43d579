"""Label sets: class names in logit order."""

from functools import cache
from importlib import resources

LABEL_SETS = ("kinetics400", "kinetics600")


@cache
def read_labels(label_set: str) -> tuple[str, ...]:
    """Class names of a label set, in logit order.

    Args:
        label_set: One of `LABEL_SETS`.

    Returns:
        The names, 400 or 600 of them.

    Raises:
        ValueError: The label set is unknown.
    """
    if label_set not in LABEL_SETS:
        raise ValueError(f"`label_set` must be one of {LABEL_SETS}; received {label_set!r}.")
    text = resources.files("i3d_tf.specs").joinpath(f"labels_{label_set}.txt").read_text("utf-8")
    return tuple(text.splitlines())
