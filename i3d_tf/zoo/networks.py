"""The networks of the zoo by name, untrained."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from i3d_tf.models.bn_inception import bn_inception
from i3d_tf.models.c3d import c3d, c3d_original
from i3d_tf.models.convnet_lstm import convnet_lstm
from i3d_tf.models.feature_sequence import feature_linear, feature_sequence
from i3d_tf.models.fused_3d import fused_3d
from i3d_tf.models.inception import inception_i3d, inception_v1
from i3d_tf.models.inception_variants import inception_3d
from i3d_tf.models.lrcn import lrcn
from i3d_tf.models.person_i3d import person_i3d
from i3d_tf.models.pooled_frames import pooled_frames
from i3d_tf.models.resnet_3d import resnet_18, resnet_50
from i3d_tf.models.sports_1m import sports_1m
from i3d_tf.models.tsn import tsn
from i3d_tf.models.two_stream import two_stream_2d, two_stream_i3d
from i3d_tf.models.two_stream_2014 import two_stream_2014
from i3d_tf.specs.baselines import NETWORK_MODALITIES, SPORTS_1M_FUSIONS
from i3d_tf.specs.inception_variants import VARIANTS, InceptionVariant
from i3d_tf.specs.resnet_3d import BASIC_RESNETS
from i3d_tf.specs.validation import check_choice

if TYPE_CHECKING:
    import keras

MODELS: dict[str, Callable[..., "keras.Model"]] = {
    "inception_i3d": inception_i3d,
    "inception_v1": inception_v1,
    "convnet_lstm": convnet_lstm,
    "c3d": c3d,
    "two_stream": two_stream_2d,
    "fused_3d": fused_3d,
    "two_stream_i3d": two_stream_i3d,
    **{name: partial(inception_3d, name) for name in VARIANTS},
    **{name: partial(resnet_18, name) for name in BASIC_RESNETS},
    "c3d_original": c3d_original,
    "bn_inception": bn_inception,
    "two_stream_2014": two_stream_2014,
    **{f"sports_1m_{fusion}": partial(sports_1m, fusion) for fusion in SPORTS_1M_FUSIONS},
    "i3d_resnet50": partial(resnet_50, "i3d"),
    "c2d_resnet50": partial(resnet_50, "c2d"),
    "pooled_frames": pooled_frames,
    "deep_lstm": partial(
        convnet_lstm, name="deep_lstm", lstm_layers=5, batch_norm=False, step_pooling="gain"
    ),
    "lrcn": lrcn,
    "tsn": tsn,
    **{
        name: partial(tsn, modality=modality, name=name)
        for name, modality in NETWORK_MODALITIES.items()
    },
    "feature_lstm": partial(feature_sequence, "lstm"),
    "feature_gru": partial(feature_sequence, "gru"),
    "feature_linear": feature_linear,
}


def build(name: str, /, **arguments: Any) -> "keras.Model":
    """Builds a network of the zoo with untrained weights.

    Args:
        name: One of `MODELS`.
        **arguments: Arguments of the network's function.

    Raises:
        ValueError: The name is unknown, or the network has no such argument.
    """
    check_choice("name", name, MODELS)
    _check_arguments(name, arguments_of(name), arguments)
    return MODELS[name](**arguments)


def build_person_network(**arguments: Any) -> "keras.Model":
    """Builds I3D on persons in boxes, which has two inputs, with untrained weights.

    Args:
        **arguments: See `i3d_tf.models.person_i3d.person_i3d`.

    Raises:
        ValueError: The network has no such argument.
    """
    known = tuple(inspect.signature(person_i3d).parameters)
    _check_arguments("person_i3d", known, arguments)
    return person_i3d(**arguments)


def _check_arguments(name, known, arguments):
    if unknown := [argument for argument in arguments if argument not in known]:
        raise ValueError(f"{name!r} takes the arguments {known}; received {unknown}.")


def arguments_of(name: str) -> tuple[str, ...]:
    """Returns the names of the arguments of one of `MODELS`."""
    known = tuple(inspect.signature(MODELS[name]).parameters)
    if name in VARIANTS:
        options = tuple(field.name for field in dataclasses.fields(InceptionVariant))
        known = (*(argument for argument in known if argument != "options"), *options)
    return known
