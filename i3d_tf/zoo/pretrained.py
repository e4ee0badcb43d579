"""Networks by name, with their weights."""

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from i3d_tf.models.inception import inception_i3d
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, HEAD
from i3d_tf.weights.assign import WeightsError, assign_weights, read_weights
from i3d_tf.zoo.network_file import load_keras, load_network, load_weights_file
from i3d_tf.zoo.resolve import KERAS_FILE, WEIGHTS_FILE, resolve

if TYPE_CHECKING:
    import keras

_HEAD_WEIGHTS = (f"{HEAD}/*",)


def InceptionI3D(  # noqa: N802 - a model family's name, as in keras.applications
    include_top: bool = True,
    weights: os.PathLike | str | None = None,
    input_tensor: "keras.KerasTensor | None" = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 400,
    classifier_activation: Any = None,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    name: str = "inception_i3d",
    checkpoint_dir: os.PathLike | str | None = None,
) -> "keras.Model":
    """Builds Inception-v1 I3D (arXiv:1705.07750) as a functional Keras model.

    Inputs are float in [-1, 1], shape (N, T, H, W, C); see `i3d_tf.preprocess_input`. Outputs are
    logits, (N, classes): the mean over the T' - 1 steps left of time, where T' = ceil(T / 8). At
    224 x 224 the head is the released one, an average pool of 2x7x7 before the last convolution; at
    other sizes it averages over the whole frame, however many positions that has, and time keeps
    its window of 2. `model.get_layer("Mixed_4f").output` is an endpoint.

    Args:
        include_top: Whether the head follows `Mixed_5c`.
        weights: None (untrained), a name, such as the release "rgb_imagenet", or the path of a
            `.weights.h5` or `.keras` file of this network. Where they have another number of
            classes, everything but the head is loaded, with a warning. A release that is nowhere
            is downloaded.
        input_tensor: A symbolic Keras tensor to build on, (N, T, H, W, C).
        input_shape: (T, H, W, C); T >= 9, H and W >= 32, each of the three may be None (any). C is
            3 for RGB and 2 for flow. Default: any size, and the channels of `weights`, else 3.
        pooling: Without the head: None for `Mixed_5c` as it is, (N, T', H', W', 1024), or "avg" or
            "max" over time and space, (N, 1024).
        classes: Number of logits.
        classifier_activation: Activation of the logits after they are averaged, or None.
        dropout_rate: Dropout between the average pool and the last convolution; the paper has 0.5.
        width_multiplier: Scales the number of filters everywhere.
        name: The model's name.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.

    Raises:
        ValueError: An argument cannot work, or the weights do not fit.
        FileNotFoundError: The weights are nowhere, and cannot be downloaded.
    """
    arguments = {
        "include_top": include_top,
        "input_tensor": input_tensor,
        "pooling": pooling,
        "classes": classes,
        "classifier_activation": classifier_activation,
        "dropout_rate": dropout_rate,
        "width_multiplier": width_multiplier,
        "name": name,
    }
    if weights is None:
        return inception_i3d(input_shape=input_shape, **arguments)
    path = resolve(weights, checkpoint_dir, (KERAS_FILE, WEIGHTS_FILE)).path
    source = _read_i3d(path, width_multiplier)
    if input_shape is None and input_tensor is None:
        channels = source[FIRST_KERNEL].shape[-2]
        input_shape = (None, None, None, channels)
    model = inception_i3d(input_shape=input_shape, **arguments)
    _assign_fitting_head(model, source, path)
    return model


def load(
    release: str,
    checkpoint_dir: os.PathLike | str | None = None,
    input_shape: tuple[int | None, ...] | None = None,
) -> "keras.Model":
    """Loads a network with the weights of a release.

    Args:
        release: A release's name, or any other known one. A release that is nowhere is downloaded
            into the user's cache, see `i3d_tf.system.cache`.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        input_shape: (T, H, W, C), or (H, W, C) of a 2D network, default any size; a fixed size runs
            a little faster.

    Returns:
        A functional `keras.Model` named like the release: clips, or images where the manifest names
        a 2D architecture, -> logits.

    Raises:
        FileNotFoundError: The weights are nowhere, and cannot be downloaded.
        ValueError: The file is not the one of the manifest.
    """
    return load_network(resolve(release, checkpoint_dir, paths=()), input_shape)


def _read_i3d(path, width_multiplier):
    """Reads `variable.path` to value of the weights in a file of I3D."""
    is_model = path.suffix == ".keras"
    source = read_weights(
        load_keras(path) if is_model else load_weights_file(path, width_multiplier)
    )
    if np.ndim(source.get(FIRST_KERNEL)) != 5:
        raise WeightsError(f"{path}: these are not the weights of an I3D.")
    return source


def _assign_fitting_head(model, source, path):
    """Assigns all weights, or all but the head's where the number of classes differs."""
    ours = {v.path: tuple(v.shape) for v in model.weights if v.path.startswith(f"{HEAD}/")}
    theirs = {name: value.shape for name, value in source.items() if name.startswith(f"{HEAD}/")}
    if ours == theirs:
        assign_weights(model, source)
        return
    assign_weights(model, source, ignore_source=_HEAD_WEIGHTS, ignore_target=_HEAD_WEIGHTS)
    if ours:
        classes = {shape[-1] for shape in theirs.values()}
        warnings.warn(
            f"{path.name} has {classes.pop() if classes else 'no'} classes and the model has "
            f"{next(iter(ours.values()))[-1]}: all was loaded but the head, which is untrained.",
            stacklevel=3,
        )
