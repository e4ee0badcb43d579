"""Padding and cropping along time: what stands before a clip's first frame and after its last.

Clips are (N, T, ...). "zero" and "edge" add as many steps as TensorFlow's SAME padding does, of
zeros or of copies of the outermost step; "valid" adds none.
"""

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
