"""Networks that give features of persons in boxes."""

import dataclasses
import os

from i3d_tf.specs.inception_v1 import FIRST_KERNEL, HEAD
from i3d_tf.specs.streams import CHANNELS, TRAIN_FRAMES
from i3d_tf.weights.assign import WeightsError, assign_weights, read_weights
from i3d_tf.zoo.checkpoint import Checkpoint, has_boxes, open_checkpoint
from i3d_tf.zoo.networks import build_person_network


def open_person_features(
    reference: os.PathLike | str, checkpoint_dir: os.PathLike | str | None = None
) -> Checkpoint:
    """Opens a network that gives features of persons.

    That is a network that was trained on persons; or I3D, whose layers look at each person in clips
    of as many frames as it was trained with, 64. Its head is replaced by an untrained one.

    Args:
        reference: See `i3d_tf.zoo.open_checkpoint`.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Returns:
        Checkpoint whose model has the inputs of `i3d_tf.models.person_i3d.person_i3d`.

    Raises:
        FileNotFoundError: See `open_checkpoint`.
        ValueError: See `open_checkpoint`; or the network is not I3D.
    """
    opened = open_checkpoint(reference, checkpoint_dir, sees_persons=None)
    if has_boxes(opened.model):
        return opened
    values = read_weights(opened.model)
    if opened.stream not in CHANNELS or FIRST_KERNEL not in values:
        raise _unfit(reference)
    model = build_person_network(
        input_shape=(None, None, None, CHANNELS[opened.stream]),
        classes=1,
        width_multiplier=opened.width_multiplier,
        name=opened.model.name,
    )
    head = f"{HEAD}/"
    arrays = {path: value for path, value in values.items() if not path.startswith(head)}
    untrained = [each.path for each in model.weights if each.path.startswith(head)]
    try:
        assign_weights(model, arrays, ignore_target=untrained)
    except WeightsError as error:
        raise _unfit(reference) from error
    protocol = dataclasses.replace(opened.protocol, frames=TRAIN_FRAMES)
    return dataclasses.replace(opened, model=model, protocol=protocol)


def _unfit(reference):
    return ValueError(
        f"{reference}: it is not I3D, whose layers can look at persons in boxes. Give I3D, or a "
        "network of train --task=persons."
    )
