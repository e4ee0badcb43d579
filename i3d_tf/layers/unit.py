"""The unit of the networks, in 3D, in 2D and without positions: layer, norm, activation."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.layers.convolution import Conv3D
from i3d_tf.layers.input_range import check_input_size, warn_of_input_range
from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.inception_v1 import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM
from i3d_tf.specs.validation import check_choice

CONVOLUTIONS = {2: keras.layers.Conv2D, 3: Conv3D}
# Zeros around the input: as TensorFlow's SAME, fewer in front where a stride leaves an odd number;
# or as PyTorch's networks, half a kernel on both sides.
PADDINGS = ("same", "symmetric")


class Unit(keras.layers.Layer):
    """Convolution -> batch norm -> activation; subclasses are 2D or 3D.

    Input and output are (N, *positions, C).

    Args:
        filters: Output channels.
        kernel_size: (time, height, width) or (height, width).
        strides: Like `kernel_size`; None is 1 along all axes.
        activation: Name of an activation, or None.
        use_batch_norm: Whether batch norm follows the convolution.
        use_bias: Whether the convolution has a bias.
        padding: One of `PADDINGS`.
        use_scale: Whether batch norm has a scale (gamma), and not beta alone.
        epsilon: Of batch norm.
        momentum: Of batch norm.
        gamma_initializer: Of batch norm's scale; with "zeros" a residual branch starts as nothing.
        **kwargs: See `keras.layers.Layer`.
    """

    rank: int  # axes of the kernel, set by subclasses

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        strides: Sequence[int] | None = None,
        activation: str | None = "relu",
        use_batch_norm: bool = True,
        use_bias: bool = False,
        padding: str = "same",
        use_scale: bool = False,
        epsilon: float = BATCH_NORM_EPSILON,
        momentum: float = BATCH_NORM_MOMENTUM,
        gamma_initializer: str = "ones",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_choice("padding", padding, PADDINGS)
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = (1,) * self.rank if strides is None else tuple(strides)
        self.activation = keras.activations.get(activation)
        self.use_batch_norm = use_batch_norm
        self.use_bias = use_bias
        self.padding = padding
        self.norm_options = {
            "use_scale": use_scale,
            "epsilon": epsilon,
            "momentum": momentum,
            "gamma_initializer": gamma_initializer,
        }
        # What the convolution itself pads is faster; without strides both paddings are the same.
        self._pads = padding == "symmetric" and any(stride > 1 for stride in self.strides)
        # The attribute's name is part of the weights files; it is the released variable's.
        self._convolution_name = f"conv_{self.rank}d"
        convolution = CONVOLUTIONS[self.rank](
            filters,
            self.kernel_size,
            self.strides,
            padding="valid" if self._pads else "same",
            data_format="channels_last",
            use_bias=use_bias,
            dtype=self.dtype_policy,
            name=self._convolution_name,
        )
        setattr(self, self._convolution_name, convolution)
        self.batch_norm = None
        if use_batch_norm:
            self.batch_norm = _batch_norm(self.dtype_policy, **self.norm_options)

    def convolution(self) -> keras.layers.Layer:
        """Returns the layer that holds the kernel: `conv_3d` or `conv_2d`."""
        return getattr(self, self._convolution_name)

    def build(self, input_shape: Shape) -> None:
        """Creates the variables for inputs of (N, *positions, C)."""
        self.convolution().build(self._padded_shape(input_shape))
        if self.batch_norm is not None:
            self.batch_norm.build(self.compute_output_shape(input_shape))

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Applies the unit: (N, *positions, C) -> (N, *fewer positions, filters)."""
        check_input_size(self, inputs)
        warn_of_input_range(self, inputs)
        outputs = self.convolution()(self.pad(inputs))
        if self.batch_norm is not None:
            outputs = self.batch_norm(outputs, training=training)
        return self.activation(outputs)

    def pad(self, inputs: KerasTensor) -> KerasTensor:
        """Returns what the convolution reads: with zeros around it that it does not pad itself."""
        if not self._pads:
            return inputs
        return ops.pad(inputs, [(0, 0), *((k // 2, k // 2) for k in self.kernel_size), (0, 0)])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, *fewer positions, filters)."""
        return self.convolution().compute_output_shape(self._padded_shape(input_shape))

    def _padded_shape(self, input_shape):
        if not self._pads:
            return input_shape
        batch, *positions, channels = input_shape
        padded = [
            None if length is None else length + 2 * (kernel // 2)
            for length, kernel in zip(positions, self.kernel_size, strict=True)
        ]
        return (batch, *padded, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            **self.norm_options,
            "padding": self.padding,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "use_batch_norm": self.use_batch_norm,
            "use_bias": self.use_bias,
        }


@keras.saving.register_keras_serializable(package="i3d_tf")
class Unit3D(Unit):
    """A unit over (N, T, H, W, C), with the released variable names.

    Its variables are `conv_3d/kernel`, `conv_3d/bias` if there is a bias, and `batch_norm/beta`,
    `batch_norm/moving_mean`, `batch_norm/moving_variance` if there is batch norm.
    """

    rank = 3


@keras.saving.register_keras_serializable(package="i3d_tf")
class Unit2D(Unit):
    """A unit over (N, H, W, C); its variables are those of `Unit3D`, with `conv_2d`."""

    rank = 2


UNITS = {2: Unit2D, 3: Unit3D}


@keras.saving.register_keras_serializable(package="i3d_tf")
class DenseUnit(keras.layers.Layer):
    """Fully connected layer -> batch norm (beta only) -> ReLU: (N, C) -> (N, units).

    Its variables are `dense/kernel` and `batch_norm/beta`, `batch_norm/moving_mean`,
    `batch_norm/moving_variance`.

    Args:
        units: Output channels.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(
            units, use_bias=False, dtype=self.dtype_policy, name="dense"
        )
        self.batch_norm = _batch_norm(self.dtype_policy)

    def build(self, input_shape: Shape) -> None:
        """Creates the variables for inputs of (N, C)."""
        self.dense.build(input_shape)
        self.batch_norm.build(self.compute_output_shape(input_shape))

    def call(self, inputs: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Applies the unit: (N, C) -> (N, units)."""
        outputs = self.batch_norm(self.dense(inputs), training=training)
        return keras.activations.relu(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units}


def _batch_norm(
    dtype,
    use_scale=False,
    epsilon=BATCH_NORM_EPSILON,
    momentum=BATCH_NORM_MOMENTUM,
    gamma_initializer="ones",
):
    return keras.layers.BatchNormalization(
        scale=use_scale,
        epsilon=epsilon,
        momentum=momentum,
        gamma_initializer=gamma_initializer,
        dtype=dtype,
        name="batch_norm",
    )
