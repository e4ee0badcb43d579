"""3D convolutions whose padding in time differs from that in space, and depthwise ones."""

import keras
from keras import ops

TIME_PADDINGS = ("zero", "edge", "valid")


def same_padding(length, extent, stride):
    """How much SAME padding adds before and after, (before, after).

    Args:
        length: Steps along the axis, a whole number or a tensor of one.
        extent: Steps that the kernel spans.
        stride: Steps from one output to the next.
    """
    total = extent - 1 - (length - 1) % stride
    total = max(total, 0) if isinstance(total, int) else ops.maximum(total, 0)
    return total // 2, total - total // 2


def pad_time(clip, extent, stride, time_padding):
    """Pads (N, T, ...) along time, so that a kernel may then be applied without padding."""
    before, after = _time_widths(clip, extent, stride, time_padding)
    if time_padding != "edge":
        return _pad_zeros(clip, [(before, after)])
    first = ops.repeat(clip[:, :1], before, axis=1)
    last = ops.repeat(clip[:, -1:], after, axis=1)
    return ops.concatenate([first, clip, last], axis=1)


def pad_space(clip, extents, strides):
    """Pads (N, T, H, W, C) along height and width as SAME does."""
    lengths = ops.shape(clip)[2:4]
    widths = [same_padding(*axis) for axis in zip(lengths, extents, strides, strict=True)]
    return _pad_zeros(clip, [(0, 0), *widths])


def padded_length(length, extent, stride, time_padding):
    """The length that `pad_time` gives; None stays None."""
    if length is None or time_padding == "valid":
        return length
    return length + sum(same_padding(length, extent, stride))


def _time_widths(clip, extent, stride, time_padding):
    if time_padding == "valid":
        return 0, 0
    return same_padding(ops.shape(clip)[1], extent, stride)


def _pad_zeros(clip, widths):
    """Pads the axes that follow the batch by (before, after) each, and no others."""
    others = [(0, 0)] * (len(clip.shape) - 1 - len(widths))
    return ops.pad(clip, [(0, 0), *widths, *others])


@keras.saving.register_keras_serializable(package="i3d_tf")
class CropStart(keras.layers.Layer):
    """Leaves out the first steps: (N, T, ...) -> (N, T - steps, ...).

    Args:
        steps: How many.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, steps, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.steps = steps

    def call(self, inputs):
        """(N, T, ...) -> (N, T - steps, ...)."""
        return inputs[:, self.steps :]

    def compute_output_shape(self, input_shape):
        """(N, T, ...) -> (N, T - steps, ...)."""
        batch, time, *rest = input_shape
        return (batch, None if time is None else time - self.steps, *rest)

    def compute_output_spec(self, inputs):
        """Like the shape, of the clip's own type."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package="i3d_tf")
class AlignTime(keras.layers.Layer):
    """Cuts clips to the time that they have in common: [(N, T_i, ...)] -> [(N, T, ...)].

    Convolutions without padding in time lose steps at both ends, each branch of a network as many
    as its own kernels; before branches meet they are cut to the same steps.

    Args:
        starts: How many of each clip's first steps are left out; the ends follow from the lengths.
        **kwargs: As of `keras.layers.Layer`.
    """

    def __init__(self, starts, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.starts = tuple(starts)

    def call(self, inputs):
        """[(N, T_i, ...)] -> [(N, T, ...)]."""
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

    def compute_output_shape(self, input_shape):
        """[(N, T_i, ...)] -> [(N, T, ...)]."""
        times = [shape[1] for shape in input_shape]
        if None in times:
            time = None
        else:
            time = min(t - start for t, start in zip(times, self.starts, strict=True))
        return [(shape[0], time, *shape[2:]) for shape in input_shape]

    def compute_output_spec(self, inputs):
        """Like the shapes, each clip of its own type."""
        shapes = self.compute_output_shape([clip.shape for clip in inputs])
        return [
            keras.KerasTensor(shape, dtype=clip.dtype)
            for shape, clip in zip(shapes, inputs, strict=True)
        ]

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "starts": self.starts}


@keras.saving.register_keras_serializable(package="i3d_tf")
class PaddedConv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D` with one padding for space and another for time.

    (N, T, H, W, C) -> (N, T', H', W', filters).

    Args:
        filters: Output channels.
        kernel_size: (time, height, width).
        space_padding: "same", with zeros, or "valid".
        time_padding: One of `i3d_tf.layers.padded_conv.TIME_PADDINGS`.
        **kwargs: As of `keras.layers.Conv3D`; `dilation_rate` is 1 along time.
    """

    def __init__(self, filters, kernel_size, space_padding="same", time_padding="zero", **kwargs):
        kwargs.pop("padding", None)  # always "valid": what is added is added before
        super().__init__(filters, kernel_size, padding="valid", **kwargs)
        self.space_padding = space_padding
        self.time_padding = time_padding

    def build(self, input_shape):
        """Creates the kernel and the bias."""
        super().build(self._padded_shape(input_shape))

    def call(self, inputs):
        """(N, T, H, W, C) -> (N, T', H', W', filters)."""
        inputs = pad_time(inputs, self.kernel_size[0], self.strides[0], self.time_padding)
        if self.space_padding == "same":
            inputs = pad_space(inputs, self._space_extents(), self.strides[1:])
        return super().call(inputs)

    def compute_output_shape(self, input_shape):
        """(N, T, H, W, C) -> (N, T', H', W', filters)."""
        return super().compute_output_shape(self._padded_shape(input_shape))

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config()
        paddings = {"space_padding": self.space_padding, "time_padding": self.time_padding}
        return {**config, **paddings}

    def _space_extents(self):
        """What the kernel spans in height and width."""
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
    """A depthwise convolution over time, height and width: each channel by itself.

    (N, T, H, W, C) -> (N, T', H', W', C * depth_multiplier). TensorFlow has no such convolution for
    the CPU, so it is computed exactly as the sum of one 2D depthwise convolution for each of the
    kernel's time steps, over the frames that the step lies on: with an extent of 1 a plain
    per-frame convolution, with t about t times its cost.

    Args:
        kernel_size: (height, width).
        extent: Time steps that the kernel spans.
        time_stride: Time steps from one output to the next.
        time_padding: One of `i3d_tf.layers.padded_conv.TIME_PADDINGS`.
        **kwargs: As of `keras.layers.DepthwiseConv2D`, for height and width.
    """

    def __init__(self, kernel_size, extent=1, time_stride=1, time_padding="zero", **kwargs):
        super().__init__(kernel_size, **kwargs)
        self.extent = extent
        self.time_stride = time_stride
        self.time_padding = time_padding

    def build(self, input_shape):
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

    def call(self, inputs):
        """(N, T, H, W, C) -> (N, T', H', W', C * depth_multiplier)."""
        clip = pad_time(inputs, self.extent, self.time_stride, self.time_padding)
        steps = (ops.shape(clip)[1] - self.extent) // self.time_stride + 1
        outputs = None
        for offset in range(self.extent):
            end = offset + (steps - 1) * self.time_stride + 1
            answer = self._convolve_frames(clip[:, offset : end : self.time_stride], offset)
            outputs = answer if outputs is None else outputs + answer
        if self.bias is not None:
            outputs = outputs + self.bias
        outputs = ops.reshape(outputs, (-1, steps, *ops.shape(outputs)[1:]))
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape):
        """(N, T, H, W, C) -> (N, T', H', W', C * depth_multiplier)."""
        batch, time, *image = input_shape
        time = padded_length(time, self.extent, self.time_stride, self.time_padding)
        steps = None if time is None else (time - self.extent) // self.time_stride + 1
        return (batch, steps, *super().compute_output_shape((batch, *image))[1:])

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config()
        time = {"extent": self.extent, "time_stride": self.time_stride}
        return {**config, **time, "time_padding": self.time_padding}

    def _convolve_frames(self, clip, offset):
        """One time step of the kernel over each frame: (N, T, H, W, C) -> (N * T, H', W', C')."""
        return ops.depthwise_conv(
            ops.reshape(clip, (-1, *ops.shape(clip)[2:])),
            self.kernel[offset],
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )
