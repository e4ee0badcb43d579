"""Models by name, with their weights."""

import inspect
import warnings
import zipfile
from pathlib import Path

import numpy as np

from i3d_tf.models.c3d import c3d
from i3d_tf.models.convnet_lstm import convnet_lstm
from i3d_tf.models.fused_3d import fused_3d
from i3d_tf.models.inception import inception_i3d, inception_v1
from i3d_tf.models.two_stream import two_stream_2d, two_stream_i3d
from i3d_tf.specs.inception_v1 import FIRST_KERNEL, HEAD, I3D, widen
from i3d_tf.specs.releases import RELEASES
from i3d_tf.weights.assign import WeightsError, assign_weights, read_weights
from i3d_tf.weights.store import SUFFIX, find_weights, read_manifest
from i3d_tf.weights.weights_file import RANKS, describe_weights

CHECKPOINT_DIR = "checkpoints"
MODELS = {
    "inception_i3d": inception_i3d,
    "inception_v1": inception_v1,
    "convnet_lstm": convnet_lstm,
    "c3d": c3d,
    "two_stream": two_stream_2d,
    "fused_3d": fused_3d,
    "two_stream_i3d": two_stream_i3d,
}

_HEAD_WEIGHTS = (f"{HEAD}/*",)


def build(name, /, **arguments):
    """Builds a network of the zoo with untrained weights.

    Args:
        name: One of `MODELS`.
        **arguments: As of the network's function.

    Raises:
        ValueError: The name is unknown, or the network has no such argument.
    """
    if name not in MODELS:
        raise ValueError(f"`name` must be one of {tuple(MODELS)}; received {name!r}.")
    known = tuple(inspect.signature(MODELS[name]).parameters)
    if unknown := [argument for argument in arguments if argument not in known]:
        raise ValueError(f"{name!r} takes the arguments {known}; received {unknown}.")
    return MODELS[name](**arguments)


def InceptionI3D(  # noqa: N802 - a model family's name, as in keras.applications
    include_top=True,
    weights=None,
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=400,
    classifier_activation=None,
    dropout_rate=0.0,
    width_multiplier=1.0,
    name="inception_i3d",
    checkpoint_dir=CHECKPOINT_DIR,
):
    """Inception-v1 I3D (arXiv:1705.07750), as a functional Keras model.

    Inputs are float in [-1, 1], shape (N, T, H, W, C); see `i3d_tf.preprocess_input`. Outputs are
    logits, (N, classes): the mean over the T' - 1 steps left of time, where T' = ceil(T / 8). At
    224 x 224 the head is the released one, an average pool of 2x7x7 before the last convolution; at
    other sizes it averages over the whole frame, however many positions that has, and time keeps
    its window of 2. `model.get_layer("Mixed_4f").output` is an endpoint.

    Args:
        include_top: Whether the head follows `Mixed_5c`.
        weights: None (untrained), a name in the checkpoint directory, such as the release
            "rgb_imagenet", or the path of a `.weights.h5` or `.keras` file of this network. Where
            they have another number of classes, everything but the head is loaded, with a warning.
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
        checkpoint_dir: Where named weights are looked up.

    Raises:
        ValueError: An argument cannot work, or the weights do not fit.
        FileNotFoundError: The weights are not there; the message says how to make them.
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
    path = _weights_file(weights, checkpoint_dir)
    source = _read_weights_file(path, width_multiplier)
    if input_shape is None and input_tensor is None:
        channels = source[FIRST_KERNEL].shape[3]
        input_shape = (None, None, None, channels)
    model = inception_i3d(input_shape=input_shape, **arguments)
    _write_fitting_head(model, source, path)
    return model


def load(release, checkpoint_dir=CHECKPOINT_DIR, input_shape=None):
    """A model with the weights of a release, ready to answer.

    Args:
        release: A release's name, or any other name in the directory's manifest.
        checkpoint_dir: Where `tools/convert.py` has put the weights.
        input_shape: (T, H, W, C), or (H, W, C) of a 2D network, default any size; a fixed size runs
            a little faster.

    Returns:
        A functional `keras.Model` named like the release: clips, or images where the manifest names
        a 2D architecture, -> logits.

    Raises:
        FileNotFoundError: The weights are not there; the message names the command that makes them.
        ValueError: The file is not the one that the manifest speaks of.
    """
    path, row = find_weights(release, checkpoint_dir)
    architecture = row.get("architecture", "inception_i3d")
    if architecture not in RANKS:
        raise WeightsError(
            f"{path}: the manifest's `architecture` must be one of {tuple(RANKS)}; it is "
            f"{architecture!r}."
        )
    return _model_of(path, row.get("width_multiplier", 1.0), input_shape, release, architecture)


def _weights_file(weights, checkpoint_dir):
    """The file that a `weights` argument means."""
    text = str(weights)
    if not text.endswith((SUFFIX, ".keras")):
        if Path(text).suffix and text not in read_manifest(checkpoint_dir):
            raise ValueError(
                f"`weights` must be None, a name in {checkpoint_dir} (such as {tuple(RELEASES)}), "
                f"or the path of a .weights.h5 or .keras file; received {text!r}."
            )
        return find_weights(text, checkpoint_dir)[0]
    if not Path(text).is_file():
        raise FileNotFoundError(f"{text}: no such weights file.")
    return Path(text)


def _read_weights_file(path, width_multiplier):
    """`variable.path` to value of a file's weights."""
    model = load_keras(path) if path.suffix == ".keras" else _model_of(path, width_multiplier)
    source = read_weights(model)
    if len(source.get(FIRST_KERNEL, np.empty(0)).shape) != 5:
        raise WeightsError(f"{path}: these are not the weights of an I3D.")
    return source


def load_keras(path):
    """The model of a `.keras` file, not compiled; code in it is not run.

    Raises:
        WeightsError: The file is not one, or is damaged.
    """
    import keras

    if not zipfile.is_zipfile(path):
        raise WeightsError(f"{path}: not a .keras file, or cut short.")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file fails anywhere, in any way
        raise WeightsError(f"{path}: cannot be loaded ({_reason(error)}).") from error


def _model_of(
    path, width_multiplier, input_shape=None, name="inception_i3d", architecture="inception_i3d"
):
    """The network of a `.weights.h5` file, with its weights."""
    found = describe_weights(path, architecture)
    filters = widen(I3D[0], width_multiplier).filters
    if found.filters != filters:
        raise WeightsError(
            f"{path}: its first layer has {found.filters} filters; with width_multiplier="
            f"{width_multiplier} it would have {filters}."
        )
    any_size = (*(None,) * RANKS[architecture], found.channels)
    model = MODELS[architecture](
        include_top=found.classes is not None,
        classes=found.classes or 1,
        input_shape=any_size if input_shape is None else input_shape,
        width_multiplier=width_multiplier,
        name=name,
    )
    if model.input_shape[-1] != found.channels:
        raise WeightsError(
            f"{path}: these weights read {found.channels} channels (RGB has 3, flow 2), and "
            f"`input_shape` has {model.input_shape[-1]}."
        )
    if len(model.weights) != found.variables:
        raise WeightsError(
            f"{path}: {found.variables} arrays; {name!r} has {len(model.weights)} variables."
        )
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: does not fit {name!r} ({_reason(error)}).") from error
    return model


def _reason(error):
    return " ".join(str(error).split())[:200] or type(error).__name__


def _write_fitting_head(model, source, path):
    """Writes all weights, or all but the head's where the number of classes differs."""
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
