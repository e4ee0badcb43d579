"""ImageNet's weights of `keras.applications` for networks that are made of one of these."""

import contextlib
import sys
import warnings
from typing import TYPE_CHECKING

import keras
import numpy as np

from i3d_tf.inflation.kernels import adapt_channels
from i3d_tf.models.applications import application_module, application_names
from i3d_tf.specs.validation import check_choice
from i3d_tf.system.cache import OFFLINE_VARIABLE, is_offline
from i3d_tf.system.errors import short_reason
from i3d_tf.weights.assign import WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "imagenet:"
# EfficientNetB0 to B7 with ImageNet's weights divide by the root of these once more, in a layer
# that the untrained networks lack.
_EFFICIENTNET_STD = np.array([0.229, 0.224, 0.225], np.float32)


def download_application(name: str, remedy: str, **arguments: object) -> keras.Model:
    """Returns a network with ImageNet's weights, which Keras downloads or has in its cache.

    Args:
        name: One of `i3d_tf.models.applications.application_names`.
        remedy: What to do where that fails, a sentence.
        **arguments: See the function of `keras.applications`.

    Raises:
        WeightsError: They cannot be downloaded.
    """
    try:
        # Keras reports its download on stdout, which is for results.
        with contextlib.redirect_stdout(sys.stderr):
            return getattr(keras.applications, name)(weights="imagenet", **arguments)
    except Exception as error:  # Keras raises a bare Exception where the network fails
        raise WeightsError(
            f"{name}: ImageNet's weights cannot be downloaded ({short_reason(error)}). {remedy}"
        ) from error


def imagenet_arrays(model: keras.Model, init: str) -> dict[str, np.ndarray]:
    """Returns ImageNet's weights by the variables' paths of a network that starts with their own.

    A first layer that reads other channels than RGB gets the kernels of
    `i3d_tf.inflation.kernels.adapt_channels`.

    Args:
        model: A network that sees images with one of `keras.applications`, such as `tsn`.
        init: "imagenet:" and its name, such as "imagenet:ResNet50".

    Raises:
        ValueError: There is no network of the name.
        WeightsError: The weights cannot be downloaded, or are no part of the network.
    """
    name = check_choice("application", init.removeprefix(PREFIX), application_names())
    if is_offline():
        raise WeightsError(
            f"{init}: Keras downloads ImageNet's weights, and {OFFLINE_VARIABLE} forbids "
            "downloads. Unset it for one run."
        )
    remedy = "Put their file into ~/.keras/models, or start from other weights with --init=NAME."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the size that the weights are made for
        source = download_application(name, remedy, include_top=False)
    variables = model.weights[: len(source.weights)]  # the images are seen first
    arrays = _adapted(source.weights, variables, application_module(name) == "efficientnet")
    wanted = [(_name(variable), tuple(variable.shape)) for variable in variables]
    pairs = zip(source.weights, arrays, strict=True)
    found = [(_name(weight), array.shape) for weight, array in pairs]
    if wanted != found:
        raise WeightsError(
            f"Nothing was assigned: {init} is no part of {model.name!r}. Name the weights of its "
            f"backbone, or train with --network_arguments=backbone={name}."
        )
    return dict(zip([variable.path for variable in variables], arrays, strict=True))


def _name(variable):
    """Returns the last part of a variable's path, without the number that Keras may add."""
    return variable.name.rstrip("0123456789")


def _adapted(
    weights: "Sequence[keras.Variable]", targets: "Sequence[keras.Variable]", is_efficientnet: bool
) -> list[np.ndarray]:
    """Returns the values of weights, those of the first layers for the channels that they get."""
    arrays = [keras.ops.convert_to_numpy(weight) for weight in weights]
    for index, (weight, target) in enumerate(zip(weights, targets, strict=False)):
        array, shape = arrays[index], tuple(target.shape)
        if is_efficientnet and weight.name == "variance":
            array = array * _EFFICIENTNET_STD
        if weight.name == "kernel":
            if array.shape[-2] != shape[-2]:
                array = adapt_channels(array, shape[-2])
            arrays[index] = array
            return arrays
        if array.ndim == 1 and array.shape != shape and weight.name in ("mean", "variance"):
            # Values of other channels are centered on 0.
            array = np.full(shape, 0.0 if weight.name == "mean" else array.mean(), array.dtype)
        arrays[index] = array
    return arrays
