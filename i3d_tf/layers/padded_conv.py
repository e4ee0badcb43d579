"""3D convolutions that pad time differently from space, and layers that crop time."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape

TIME_PADDINGS = ("zero", "edge", "valid")


@keras.saving.register_keras_serializable(package="i3d_tf")
class PaddedConv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D` with one padding for space and another for time.

    (N, T, H, W, C) -> (N, T', H', W', filters).

    Args:
        filters: Output channels.
        kernel_size: (time, height, width).
        space_padding: "same", with zeros, or "valid".
        time_padding: "zero" or "edge" (copies of the outermost step) for SAME lengths, or "valid".
        **kwargs: See `keras.layers.Conv3D`; `dilation_rate` is 1 along time.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        space_padding: str = "same",
        time_padding: str = "zero",
        **kwargs: Any,
    ):
        kwargs.pop("padding", None)  # always "valid": inputs are padded before
        super().__init__(filters, kernel_size, padding="valid", **kwargs)
        self.space_padding = space_padding
        self.time_padding = time_padding

    def build(self, input_shape: Shape) -> None:
        """Creates the kernel and the bias."""
        super().build(self._padded_shape(input_shape))

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pads and convolves: (N, T, H, W, C) -> (N, T', H', W', filters)."""
        inputs = pad_time(inputs, self.kernel_size[0], self.strides[0], self.time_padding)
        if self.space_padding == "same":
            inputs = pad_space(inputs, self._space_extents(), self.strides[1:])
        return super().call(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T', H', W', filters)."""
        return super().compute_output_shape(self._padded_shape(input_shape))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        paddings = {"space_padding": self.space_padding, "time_padding": self.time_padding}
        return {**config, **paddings}

    def _space_extents(self):
        """Returns the height and the width that the dilated kernel spans."""
        kernel, dilation = self.kernel_size[1:], self.dilation_rate[1:]
        return [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]

    def _padded_shape(self, input_shape):
        batch, time, height, width, channels = input_shape
        time = padded_length(time, self.kernel_size[0], self.strides[0], self.time_padding)
        if self.space_padding == "same":
            extents, strides = self._space_extents(), self.strides[1:]
            height = padded_length(height, extents[0], strides[0], "zero")
            width = padded_length(width, extents[1], strides[1], "zero")
        return (batch, time, height, width, channels)


@keras.saving.register_keras_serializable(package="i3d_tf")
class DepthwiseConv3D(keras.layers.DepthwiseConv2D):
    """A depthwise convolution over time, height and width: one filter per channel.

    (N, T, H, W, C) -> (N, T', H', W', C * depth_multiplier). TensorFlow has no such convolution for
    the CPU, so it is computed exactly as the sum of one 2D depthwise convolution for each time step
    of the kernel, each over the frames under that step: with an extent of 1 a plain per-frame
    convolution, with t about t times its cost.

    Args:
        kernel_size: (height, width).
        extent: Kernel size in time.
        time_stride: Stride in time.
        time_padding: See `PaddedConv3D`.
        **kwargs: See `keras.layers.DepthwiseConv2D`, for height and width.
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        extent: int = 1,
        time_stride: int = 1,
        time_padding: str = "zero",
        **kwargs: Any,
    ):
        super().__init__(kernel_size, **kwargs)
        self.extent = extent
        self.time_stride = time_stride
        self.time_padding = time_padding

    def build(self, input_shape: Shape) -> None:
        """Creates the kernel, (t, h, w, C, depth_multiplier), and the bias."""
        channels = input_shape[-1]
        self.input_spec = keras.layers.InputSpec(ndim=5, axes={-1: channels})
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.extent, *self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.depth_multiplier * channels,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Pads and convolves: (N, T, H, W, C) -> (N, T', H', W', C * depth_multiplier)."""
        clip = pad_time(inputs, self.extent, self.time_stride, self.time_padding)
        steps = (ops.shape(clip)[1] - self.extent) // self.time_stride + 1
        outputs = None
        for offset in range(self.extent):
            end = offset + (steps - 1) * self.time_stride + 1
            part = self._convolve_frames(clip[:, offset : end : self.time_stride], offset)
            outputs = part if outputs is None else outputs + part
        if self.bias is not None:
            outputs = outputs + self.bias
        outputs = ops.reshape(outputs, (-1, steps, *ops.shape(outputs)[1:]))
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T', H', W', C * depth_multiplier)."""
        batch, time, *image = input_shape
        time = padded_length(time, self.extent, self.time_stride, self.time_padding)
        steps = None if time is None else (time - self.extent) // self.time_stride + 1
        return (batch, steps, *super().compute_output_shape((batch, *image))[1:])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        time = {"extent": self.extent, "time_stride": self.time_stride}
        return {**config, **time, "time_padding": self.time_padding}

    def _convolve_frames(self, clip, offset):
        """Applies one time step of the kernel: (N, T, H, W, C) -> (N * T, H', W', C')."""
        return ops.depthwise_conv(
            ops.reshape(clip, (-1, *ops.shape(clip)[2:])),
            self.kernel[offset],
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )


@keras.saving.register_keras_serializable(package="i3d_tf")
class CropStart(keras.layers.Layer):
    """A clip without its first steps: (N, T, ...) -> (N, T - steps, ...).

    Args:
        steps: Number of steps to drop.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, steps: int, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.steps = steps

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Drops the first steps."""
        return inputs[:, self.steps :]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (N, T - steps, ...)."""
        batch, time, *rest = input_shape
        return (batch, None if time is None else time - self.steps, *rest)

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        """Returns the symbolic output, of the clip's own dtype."""
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package="i3d_tf")
class AlignTime(keras.layers.Layer):
    """Clips cut to the time that they have in common: [(N, T_i, ...)] -> [(N, T, ...)].

    Convolutions without padding in time lose steps at both ends, each branch of a network as many
    as its own kernels; before branches meet they are cut to the same steps.

    Args:
        starts: Number of each clip's first steps to drop; the ends follow from the lengths.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, starts: Sequence[int], **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.starts = tuple(starts)

    def call(self, inputs: list[KerasTensor]) -> list[KerasTensor]:
        """Cuts the clips."""
        lengths = [
            ops.shape(clip)[1] - start for clip, start in zip(inputs, self.starts, strict=True)
        ]
        shortest = lengths[0]
        for length in lengths[1:]:
            known = isinstance(shortest, int) and isinstance(length, int)
            shortest = min(shortest, length) if known else ops.minimum(shortest, length)
        return [
            clip[:, start : start + shortest]
            for clip, start in zip(inputs, self.starts, strict=True)
        ]

    def compute_output_shape(self, input_shape: list[Shape]) -> list[Shape]:
        """Returns [(N, T, ...)]."""
        known = [
            shape[1] - start
            for shape, start in zip(input_shape, self.starts, strict=True)
            if shape[1] is not None
        ]
        time = min(known) if len(known) == len(input_shape) else None
        return [(shape[0], time, *shape[2:]) for shape in input_shape]

    def compute_output_spec(self, inputs: list[KerasTensor]) -> list[KerasTensor]:
        """Returns the symbolic outputs, each of its clip's own dtype."""
        shapes = self.compute_output_shape([clip.shape for clip in inputs])
        return [
            KerasTensor(shape, dtype=clip.dtype) for shape, clip in zip(shapes, inputs, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "starts": self.starts}


def same_padding(length: Any, extent: int, stride: int) -> tuple[Any, Any]:
    """Computes SAME padding, (before, after).

    Args:
        length: Length of the axis, an integer or a tensor of one.
        extent: Length that the kernel spans.
        stride: Steps from one output to the next.
    """
    total = extent - 1 - (length - 1) % stride
    total = max(total, 0) if isinstance(total, int) else ops.maximum(total, 0)
    return total // 2, total - total // 2


def padded_length(length: int | None, extent: int, stride: int, time_padding: str) -> int | None:
    """Returns the length after `pad_time`; None stays None."""
    if length is None or time_padding == "valid":
        return length
    return length + sum(same_padding(length, extent, stride))


def pad_time(clip: KerasTensor, extent: int, stride: int, time_padding: str) -> KerasTensor:
    """Pads (N, T, ...) along time for a convolution that does not pad."""
    if time_padding == "valid":
        return clip
    before, after = same_padding(ops.shape(clip)[1], extent, stride)
    if time_padding == "zero":
        return _pad_zeros(clip, [(before, after)])
    first = ops.repeat(clip[:, :1], before, axis=1)
    last = ops.repeat(clip[:, -1:], after, axis=1)
    return ops.concatenate([first, clip, last], axis=1)


def pad_space(clip: KerasTensor, extents: Sequence[int], strides: Sequence[int]) -> KerasTensor:
    """Pads (N, T, H, W, C) along height and width with zeros, as SAME does."""
    lengths = ops.shape(clip)[2:4]
    widths = [same_padding(*axis) for axis in zip(lengths, extents, strides, strict=True)]
    return _pad_zeros(clip, [(0, 0), *widths])


def _pad_zeros(clip, widths):
    """Pads the axes that follow the batch by (before, after) each, and no others."""
    others = [(0, 0)] * (len(clip.shape) - 1 - len(widths))
    return ops.pad(clip, [(0, 0), *widths, *others])
