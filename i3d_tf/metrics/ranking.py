"""Ranked class names from logits."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from i3d_tf.specs.labels import read_labels
from i3d_tf.specs.validation import check_integer


class Prediction(NamedTuple):
    """One class of a ranking.

    Attributes:
        label: The class name.
        index: Its index in the logits.
        probability: Softmax of the logits at that index, in [0, 1].
        logit: The logit.
    """

    label: str
    index: int  # type: ignore[assignment]  # a public name, which hides the tuple's method
    probability: float
    logit: float


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities over the last axis, in float64; logits of any size are safe."""
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the logarithms of `softmax`, also of probabilities too small for a float."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def decode_predictions(
    logits: np.ndarray, top: int = 5, labels: str | Sequence[str] = "kinetics400"
) -> list[list[Prediction]]:
    """Returns the best classes of each clip.

    Args:
        logits: (N, classes), finite.
        top: Number of classes of each clip.
        labels: A label set ("kinetics400", "kinetics600") or the class names in logit order.

    Returns:
        N lists of `top` `Prediction`s, best first; equal logits keep their order.

    Raises:
        ValueError: The logits are not (N, classes) with one label a class, or are not finite real
            numbers; or another argument is not as above.
    """
    logits = np.asarray(logits)
    if logits.dtype.kind not in "biuf" and logits.dtype.name != "bfloat16":
        raise ValueError(f"`logits` must be real numbers; received dtype {logits.dtype}.")
    names = read_labels(labels) if isinstance(labels, str) else _check_names(labels)
    if logits.ndim != 2 or logits.shape[1] != len(names):
        raise ValueError(
            f"`logits` must be (N, {len(names)}), one for each label; received {logits.shape}."
        )
    if not np.isfinite(logits).all():
        raise ValueError("`logits` must be finite; received NaN or infinite values.")
    check_integer("top", top, 1)
    probabilities = softmax(logits)
    order = np.argsort(-logits, axis=-1, kind="stable")[:, :top]
    return [
        [
            Prediction(names[index], int(index), float(p[index]), float(clip[index]))
            for index in best
        ]
        for clip, p, best in zip(logits, probabilities, order, strict=True)
    ]


def _check_names(labels):
    if not isinstance(labels, Iterable) or not all(isinstance(name, str) for name in labels):
        raise ValueError(
            f"`labels` must be a label set, or a list of class names; received {labels!r:.80}."
        )
    return tuple(labels)
