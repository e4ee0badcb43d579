"""Checks that a network gives the features that are asked for."""

import keras

from i3d_tf.features.options import LAST, FeatureConfig
from i3d_tf.inference.streaming import is_i3d, pools_as_i3d
from i3d_tf.specs.inception_v1 import HEAD_POOL, HEAD_POOL_KERNEL
from i3d_tf.specs.protocol import Protocol, clip_shape
from i3d_tf.specs.streams import BOTH
from i3d_tf.zoo.checkpoint import Checkpoint


def check_network(checkpoint: Checkpoint, config: FeatureConfig, protocol: Protocol) -> None:
    """Checks that a network has the endpoint and takes the clips of a config and a protocol.

    Args:
        checkpoint: The network.
        config: Endpoint, pooling and window.
        protocol: Its crop size is used.

    Raises:
        ValueError: It has no such endpoint, or takes no such clips, or pools in another way.
    """
    model, name, window = checkpoint.model, checkpoint.name, config.window
    layers = {layer.name: layer for layer in model.layers}
    if config.endpoint not in layers:
        last = ", ".join(list(layers)[-6:])
        raise ValueError(
            f"{name}: it has no endpoint {config.endpoint}. Give --endpoint; its last layers are "
            f"{last}."
        )
    if checkpoint.protocol.flow_direction == BOTH:
        raise ValueError(
            f"{name}: it reads flow of both directions, and features are made of forward flow "
            "alone. Name another network."
        )
    rgb_step = checkpoint.protocol.rgb_step
    if window is None:
        check_clip_size(model, name, (None, protocol.crop_size, protocol.crop_size))
        if not is_i3d(model) or (rgb_step > 1 and checkpoint.stream == "rgb"):
            raise ValueError(
                f"{name}: it is not I3D over all frames, which alone takes videos whole. Give a "
                "--window."
            )
        return
    size = clip_shape(checkpoint.stream, window, rgb_step, protocol.crop_size)
    check_clip_size(model, name, size[:3])
    shape = _endpoint_shape(model, name, layers[config.endpoint].output, size)
    if shape[0] != 1:
        raise ValueError(
            f"{name}: its layer {config.endpoint} sees frames as clips of their own. Name another "
            "--endpoint."
        )
    if config.pool != "head" or config.endpoint != LAST:
        return
    if shape[1] < HEAD_POOL_KERNEL[0]:
        raise _unfit(name, size, "Its head needs two time steps; give a longer --window.")
    if not pools_as_i3d(layers.get(HEAD_POOL), shape):
        raise ValueError(f"{name}: its head pools in another way than I3D's. Give --pool=mean.")


def _endpoint_shape(model, name, endpoint, size):
    """Returns the shape of an endpoint for one clip (T, H, W, C)."""
    clip = keras.KerasTensor((1, *size), model.input.dtype)
    try:
        shape = keras.Model(model.input, endpoint).compute_output_spec(clip).shape
    except ValueError as error:
        raise _unfit(name, size, str(error).partition("\n")[0]) from error
    if not all(shape):
        raise _unfit(name, size, "Give a longer --window.")
    return shape


def _unfit(name, size, advice):
    return ValueError(f"{name}: it takes no clips of {size[:3]} (T, H, W). {advice}")


def check_clip_size(model: keras.Model, name: str, size: tuple[int | None, ...]) -> None:
    """Checks that a network takes clips of a size.

    Args:
        model: The network.
        name: Its name in the error.
        size: (T, H, W); None for T means any length.

    Raises:
        ValueError: It only takes clips of another size.
    """
    fixed = model.input_shape[1:4]
    if any(has not in (None, want) for has, want in zip(fixed, size, strict=True)):
        raise ValueError(f"{name}: it takes only clips of {fixed} (T, H, W), not of {size}.")
