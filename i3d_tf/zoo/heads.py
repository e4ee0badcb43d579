"""Networks with a classifier for each of several datasets (arXiv:1406.2199, section 3.3)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from i3d_tf.specs.inception_v1 import HEAD

if TYPE_CHECKING:
    import keras


def head_names(model: "keras.Model") -> tuple[str, ...]:
    """Returns the names of a network's classifiers; empty where it has one, without a name."""
    return tuple(model.output) if isinstance(model.output, dict) else ()


def is_head(layer_name: str) -> bool:
    """Returns whether a layer is a classifier, by its name."""
    return layer_name == HEAD or layer_name.startswith(f"{HEAD}_")


def select_head(model: "keras.Model", head: str) -> "keras.Model":
    """Returns a network with one of its classifiers alone, on the same variables."""
    import keras

    return keras.Model(model.input, model.output[head], name=model.name)


def choose_head(reference: str, names: Sequence[str], head: str | None) -> str | None:
    """Returns the classifier to use; None of a network with one without a name.

    Args:
        reference: The network, for messages.
        names: See `head_names`.
        head: The name that was given, or None.

    Raises:
        ValueError: A name is needed and was not given, or there is none of that name.
    """
    if names and head is None:
        raise ValueError(
            f"{reference}: it has the heads {' and '.join(names)}. Choose one, such as "
            f"--head={names[0]}."
        )
    if names and head not in names:
        raise ValueError(
            f"{reference}: it has the heads {' and '.join(names)}; received {head!r}. Choose one."
        )
    return head if names else None
