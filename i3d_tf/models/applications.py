"""The networks of `keras.applications`, with the values that each was trained with."""

import inspect
import warnings
from typing import NamedTuple

import keras
from keras import KerasTensor

from i3d_tf.models.clip_input import NORMALIZE, normalized
from i3d_tf.specs.streams import CHANNELS


class PixelValues(NamedTuple):
    """The values of pixels that a network reads: (value - mean) / std, of values in [0, 1].

    Attributes:
        mean: Of R, G and B.
        std: Of R, G and B.
        channel_order: "rgb" or "bgr".
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: str = "rgb"


_TO_255 = (1 / 255,) * 3
_SIGNED = PixelValues((0.5,) * 3, (0.5,) * 3)  # [-1, 1]
_CAFFE = PixelValues((123.68 / 255, 116.779 / 255, 103.939 / 255), _TO_255, "bgr")
_TORCH = PixelValues((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_BYTES = PixelValues((0.0,) * 3, _TO_255)  # [0, 255]: the network computes the rest
# Keras's module of a network to the values that its `preprocess_input` gives.
PIXEL_VALUES = {
    "convnext": _BYTES,
    "densenet": _TORCH,
    "efficientnet": _BYTES,
    "efficientnet_v2": _BYTES,
    "inception_resnet_v2": _SIGNED,
    "inception_v3": _SIGNED,
    "mobilenet": _SIGNED,
    "mobilenet_v2": _SIGNED,
    "mobilenet_v3": _BYTES,
    "nasnet": _SIGNED,
    "resnet": _CAFFE,
    "resnet_v2": _SIGNED,
    "vgg16": _CAFFE,
    "vgg19": _CAFFE,
    "xception": _SIGNED,
}
# Of networks that can leave their own preprocessing out: the factor in it of values in [-1, 1].
_IMAGENET_FACTOR = 0.5 / (sum(_TORCH.std) / 3)
_OWN_FACTORS = {"convnext": _IMAGENET_FACTOR, "efficientnet_v2": 1.0, "mobilenet_v3": 1.0}


def application_names() -> tuple[str, ...]:
    """Returns the names of all networks of `keras.applications`."""
    return tuple(sorted(dict(inspect.getmembers(keras.applications, inspect.isfunction))))


def application_module(name: str) -> str:
    """Returns the name of Keras's module of a network, such as "resnet" of ResNet50."""
    return getattr(keras.applications, name).__module__.rpartition(".")[2]


def apply_application(name: str, images: KerasTensor, pooling: str | None) -> KerasTensor:
    """Applies an untrained network of `keras.applications`, up to its average pool.

    RGB becomes what the network's `preprocess_input` makes of it. Of images with another number of
    channels, such as stacked flow, 0 stays 0, and values are scaled like those of RGB on average.

    Args:
        name: One of `application_names`.
        images: Symbolic (N, H, W, C) in [-1, 1].
        pooling: "avg", or None for the last maps.

    Returns:
        Features, (N, filters), or maps, (N, H', W', filters).

    Raises:
        ValueError: The images are too small for the network.
    """
    build, module = getattr(keras.applications, name), application_module(name)
    options = {}
    if images.shape[-1] == CHANNELS["rgb"]:
        values = PIXEL_VALUES[module]
        if values != _SIGNED:
            images = normalized(images, *values)
    else:
        if module in _OWN_FACTORS:
            options["include_preprocessing"] = False
        factor = _OWN_FACTORS.get(module, _factor(PIXEL_VALUES[module]))
        if factor != 1:
            images = keras.layers.Rescaling(factor, dtype="float32", name=NORMALIZE)(images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is not RGB
        return build(
            include_top=False,
            weights=None,
            input_tensor=images,
            input_shape=tuple(images.shape[1:]),
            pooling=pooling,
            **options,
        ).output


def _factor(values):
    return sum(0.5 / std for std in values.std) / len(values.std)
