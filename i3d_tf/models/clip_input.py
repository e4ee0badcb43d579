"""The input of a network over clips, and the values that it was trained with."""

from collections.abc import Sequence

import keras
from keras import KerasTensor

from i3d_tf.layers.channel_order import ReverseChannels
from i3d_tf.models.validation import check_input_shape
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.streams import CHANNELS
from i3d_tf.specs.validation import check_choice, check_positive

NORMALIZE, REVERSE = "normalize", "reverse_channels"
CHANNEL_ORDERS = ("rgb", "bgr")


def clip_input(input_shape: Shape | None, min_frames: int = 1) -> KerasTensor:
    """Returns the symbolic input of a network, checked.

    Args:
        input_shape: (T, H, W, C), each of the first three may be None (any); None is any size of
            RGB.
        min_frames: The smallest T.
    """
    shape = (None, None, None, CHANNELS["rgb"]) if input_shape is None else input_shape
    return keras.Input(check_input_shape(shape, min_frames=min_frames), name="clip")


def normalized(
    clip: KerasTensor,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    channel_order: str = "rgb",
) -> KerasTensor:
    """Returns ((clip + 1) / 2 - mean) / std, what a network's weights were trained with.

    Args:
        clip: Values in [-1, 1], as every network here is given.
        pixel_mean: Of each channel, for values in [0, 1]; None leaves the clip as it is.
        pixel_std: Likewise; both or neither are given.
        channel_order: "rgb", or "bgr" for the channels in reversed order; mean and std are given in
            that of the clip.

    Raises:
        ValueError: One is missing, or there is not one for each channel, or the order is unknown.
    """
    check_choice("channel_order", channel_order, CHANNEL_ORDERS)
    outputs = _rescaled(clip, pixel_mean, pixel_std)
    return ReverseChannels(name=REVERSE)(outputs) if channel_order == "bgr" else outputs


def _rescaled(clip, pixel_mean, pixel_std):
    if pixel_mean is None and pixel_std is None:
        return clip
    means, stds = (
        _check_channels(name, values, clip.shape[-1])
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std))
    )
    scale = [0.5 / check_positive("pixel_std", std) for std in stds]
    offset = [(0.5 - mean) / std for mean, std in zip(means, stds, strict=True)]
    return keras.layers.Rescaling(scale, offset, dtype="float32", name=NORMALIZE)(clip)


def _check_channels(name, values, channels) -> Sequence[float]:
    if values is None or len(values) != channels:
        raise ValueError(f"`{name}` must have {channels} numbers; received {values!r}.")
    return values
