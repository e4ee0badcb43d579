"""Networks that pool the features of single frames (arXiv:1503.08909)."""

import keras
from keras import KerasTensor

from i3d_tf.layers.frames import ExtendTime, FoldTime, SpacePool, TimePool, UnfoldTime
from i3d_tf.layers.pool import MaxPool3D
from i3d_tf.models.backbone import apply_backbone
from i3d_tf.models.clip_input import clip_input
from i3d_tf.models.validation import check_network
from i3d_tf.specs.baselines import (
    LOCAL,
    POOLED_UNITS,
    POOLING_STRIDE,
    POOLING_WINDOW,
    POOLINGS,
    TIME_CONV_FILTERS,
    widen_units,
)
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import HEAD
from i3d_tf.specs.validation import check_choice


def pooled_frames(
    input_shape: Shape | None = None,
    classes: int = 400,
    dropout_rate: float = 0.0,
    width_multiplier: float = 1.0,
    pooling: str = "conv",
    backbone: str = "inception_v1",
    name: str = "pooled_frames",
) -> keras.Model:
    """Builds a 2D network on every frame, a max-pool over frames, and two fully connected layers.

    Inputs are float in [-1, 1], (N, T, H, W, C); outputs are logits, (N, classes). The five ways of
    arXiv:1503.08909, section 3.1, differ in where the frames meet:

    - "conv": the largest of each position of the last maps over all frames, then `fc6`, `fc7`;
    - "late": `fc6` and `fc7` on every frame, then the largest over all frames;
    - "slow": the largest over windows of 10 frames, 5 apart, `fc6` on each, then the largest over
      windows, `fc7`;
    - "local": windows as in "slow", `fc6` and `fc7` on each, and one classifier on all of them
      side by side, so that the number of frames is part of the network;
    - "time_conv": 256 kernels of 10 frames x 3 x 3, 5 frames apart, on the last maps, then the
      largest over all frames and positions, `fc6`, `fc7`.

    Between maps and fully connected layers the maps are averaged over their positions, as the 2D
    networks here do; the paper's AlexNet reads each position. The last frame is repeated where a
    window lacks frames.

    Args:
        input_shape: (T, H, W, C); H and W >= 32, each of the three may be None (any), but T is
            given for "local". Default: any size, RGB.
        classes: Number of logits.
        dropout_rate: Dropout behind both fully connected layers; the paper's AlexNet has 0.6.
        width_multiplier: Scale of the number of filters and units of every layer.
        pooling: One of the above.
        backbone: The 2D network, one of `i3d_tf.models.backbone.BACKBONES`.
        name: Name of the model.

    Raises:
        ValueError: An argument is not allowed.
    """
    clip = clip_input(input_shape)
    check_network(classes, dropout_rate, width_multiplier)
    check_choice("pooling", pooling, POOLINGS)
    if pooling == LOCAL and clip.shape[1] is None:
        raise ValueError(
            "`input_shape` must have T = an integer for the pooling local; received "
            f"{tuple(clip.shape[1:])}."
        )
    frames = FoldTime(name="fold_time")(clip)  # (N * T, H, W, C)
    maps = apply_backbone(backbone, frames, width_multiplier, pooling=None)
    maps = UnfoldTime(name="unfold_time")([maps, clip])  # (N, T, H', W', filters)
    features = _Pooling(dropout_rate, width_multiplier).apply(pooling, maps)
    outputs = keras.layers.Dense(classes, dtype="float32", name=HEAD)(features)
    return keras.Model(clip, outputs, name=name)


class _Pooling:
    """The layers between the maps of all frames and the classifier."""

    def __init__(self, dropout_rate, width_multiplier):
        self.dropout_rate = dropout_rate
        self.units = widen_units(POOLED_UNITS, width_multiplier)
        self.filters = widen_units(TIME_CONV_FILTERS, width_multiplier)

    def apply(self, pooling: str, maps: KerasTensor) -> KerasTensor:
        """Returns features of clips, (N, units), from maps, (N, T, H', W', filters)."""
        largest = TimePool("max", name="time_pool")
        over_space = {"data_format": "channels_last", "name": "space_pool"}
        if pooling == "conv":
            features = keras.layers.GlobalAveragePooling2D(**over_space)(largest(maps))
            return self._fc("fc7", self._fc("fc6", features))
        if pooling == "time_conv":
            features = keras.layers.GlobalMaxPooling2D(**over_space)(largest(self._time_conv(maps)))
            return self._fc("fc7", self._fc("fc6", features))
        over_space = SpacePool("mean", name="space_pool")
        if pooling == "late":
            return largest(self._fc("fc7", self._fc("fc6", over_space(maps))))
        towers = self._fc("fc6", over_space(_window_max(maps)))  # (N, windows, units)
        if pooling == "slow":
            return self._fc("fc7", largest(towers))
        return keras.layers.Flatten(name="towers")(self._fc("fc7", towers))

    def _fc(self, name, inputs):
        outputs = keras.layers.Dense(self.units, activation="relu", name=name)(inputs)
        return keras.layers.Dropout(self.dropout_rate, name=f"{name}_dropout")(outputs)

    def _time_conv(self, maps):
        padded = keras.layers.ZeroPadding3D((0, 1, 1), data_format="channels_last")(_extend(maps))
        convolution = keras.layers.Conv3D(
            self.filters,
            (POOLING_WINDOW, 3, 3),
            (POOLING_STRIDE, 1, 1),
            data_format="channels_last",
            activation="relu",
            name="time_conv",
        )
        return convolution(padded)


def _window_max(maps):
    """Returns the largest of each window of frames, (N, windows, H', W', filters)."""
    pool = MaxPool3D(
        (POOLING_WINDOW, 1, 1),
        (POOLING_STRIDE, 1, 1),
        data_format="channels_last",
        name="window_pool",
    )
    return pool(_extend(maps))


def _extend(maps):
    return ExtendTime(POOLING_WINDOW, POOLING_STRIDE, name="extend_time")(maps)
