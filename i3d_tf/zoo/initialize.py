"""Weights to start training with: of the same network, or of Inception-v1, copied or inflated."""

import os
import warnings
from typing import TYPE_CHECKING

import numpy as np

from i3d_tf.inflation.inception_variants import inflate_variant
from i3d_tf.inflation.kernels import adapt_channels, inflate_inception
from i3d_tf.specs.inception_v1 import (
    FIRST_KERNEL,
    FIRST_KERNEL_2D,
    HEAD,
    I3D,
    INCEPTION_V1,
    INCEPTION_V1_ENDPOINTS,
)
from i3d_tf.weights.assign import WeightsError, assign_weights, read_weights
from i3d_tf.zoo import imagenet
from i3d_tf.zoo.checkpoint import has_boxes
from i3d_tf.zoo.heads import is_head
from i3d_tf.zoo.network_file import load_network
from i3d_tf.zoo.resolve import resolve

if TYPE_CHECKING:
    import keras

LAST_BLOCK = I3D[-1].name
TRUNKS = ("", "rgb_stream/", "flow_stream/")  # prefixes of the paths of a 2D trunk


def write_initial_weights(
    model: "keras.Model",
    init: os.PathLike | str,
    checkpoint_dir: os.PathLike | str | None = None,
    width_multiplier: float = 1.0,
) -> None:
    """Assigns the weights to start with, and warns of layers that stay untrained.

    Weights of the same network are copied; where the number of classes differs, without the head.
    A network on persons that ends before I3D's last blocks takes the others.
    Those of 2D Inception-v1 are inflated for I3D and the networks of its rows, and copied into
    every trunk of the networks that look at single frames; a first layer of images that reads other
    channels gets the kernels of `i3d_tf.inflation.kernels.adapt_channels`.

    Args:
        model: The network.
        init: A release or another known name; the folder of a training run, which means its best
            state; a `.keras` file; a `.weights.h5` file of I3D; or "imagenet:" and the name of a
            network of `keras.applications`, see `i3d_tf.zoo.imagenet`.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
        width_multiplier: The network's.

    Raises:
        FileNotFoundError: The weights do not exist.
        WeightsError: They are of another network, or of another width; the model is as it was.
    """
    targets = {variable.path: tuple(variable.shape) for variable in model.weights}
    if str(init).startswith(imagenet.PREFIX):
        arrays = imagenet.imagenet_arrays(model, str(init))
        untrained = [path for path in targets if path not in arrays]
        assign_weights(model, arrays, ignore_target=untrained)
        _warn_of_untrained(init, untrained)
        return
    source = read_initial_weights(init, checkpoint_dir, width_multiplier)
    is_2d = _is_inception_v1(source)
    if is_2d:
        arrays = _from_images(source, targets, init, model.name)
    else:
        arrays = _with_channels(source, targets)
    arrays = {
        path: value
        for path, value in arrays.items()
        if not _in_head(path) or targets.get(path) == value.shape
    }
    if has_boxes(model):
        arrays = _of_layers(arrays, targets)
    untrained = [
        path
        for path in targets
        if path not in arrays and (_in_head(path) or (is_2d and not _in_trunk(path)))
    ]
    assign_weights(model, arrays, ignore_target=untrained)
    _warn_of_untrained(init, untrained)


def _of_layers(arrays, targets):
    """Returns the arrays without those of I3D's last blocks, where the network has none of them."""
    layers = {path.partition("/")[0] for path in targets}
    left_out = {row.name for row in I3D} - layers
    return {path: v for path, v in arrays.items() if path.partition("/")[0] not in left_out}


def _warn_of_untrained(init, paths):
    if paths:
        layers = ", ".join(dict.fromkeys(path.partition("/")[0] for path in paths))
        warnings.warn(f"{init}: all was loaded but {layers}, untrained.", stacklevel=3)


def read_initial_weights(
    init: os.PathLike | str,
    checkpoint_dir: os.PathLike | str | None = None,
    width_multiplier: float = 1.0,
) -> dict[str, np.ndarray]:
    """Reads `variable.path` to value of the weights to start with; see `write_initial_weights`."""
    return read_weights(load_network(resolve(init, checkpoint_dir), None, width_multiplier))


def _is_inception_v1(source):
    layers = {path.partition("/")[0] for path in source}
    return FIRST_KERNEL_2D in source and layers <= set(INCEPTION_V1_ENDPOINTS)


def _is_variant(targets):
    """Returns whether a network has I3D's rows, and not its layers."""
    blocks = (path for path in targets if path.startswith(f"{LAST_BLOCK}_Branch_"))
    return next(blocks, None) is not None


def _in_head(path):
    return is_head(path.partition("/")[0])


def _in_trunk(path):
    """Returns whether a variable belongs to an Inception-v1, in 2D or in 3D."""
    for prefix in TRUNKS:
        path = path.removeprefix(prefix)
    return path.partition("/")[0] in {row.name for row in (*INCEPTION_V1, *I3D)}


def _with_channels(source, targets):
    """Returns weights with the first kernel of images for the channels that the network reads."""
    kernels = [path for path, value in source.items() if np.ndim(value) == 4 and path in targets]
    others = [path for path in kernels if source[path].shape[-2] != targets[path][-2]]
    if not others or others != kernels[:1]:
        return source
    (path,) = others
    return {**source, path: adapt_channels(source[path], targets[path][-2])}


def _from_images(source, targets, init, name):
    """Returns the weights of 2D Inception-v1 by the paths of a network that it is a part of."""
    if _is_variant(targets):
        return inflate_variant(source, targets)
    if FIRST_KERNEL in targets:
        return inflate_inception(source, targets[FIRST_KERNEL][-2])
    trunks = [prefix for prefix in TRUNKS if prefix + FIRST_KERNEL_2D in targets]
    if not trunks:
        raise WeightsError(
            f"Nothing was assigned: {init} holds Inception-v1, which is no part of {name!r}."
        )
    arrays = {prefix + path: value for prefix in trunks for path, value in source.items()}
    for prefix in trunks:
        first = prefix + FIRST_KERNEL_2D
        arrays[first] = adapt_channels(source[FIRST_KERNEL_2D], targets[first][-2])
    return {path: v for path, v in arrays.items() if HEAD not in path.split("/") or path in targets}
