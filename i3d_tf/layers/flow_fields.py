"""Layers over stacks of flow fields: subtraction of their means, sampling along trajectories.

Source: arXiv:1406.2199, section 3.1.
"""

from typing import Any

import keras
from keras import KerasTensor, ops

from i3d_tf.specs.geometry import Shape
from i3d_tf.specs.streams import FLOW_BOUND
from i3d_tf.specs.validation import check_integer


@keras.saving.register_keras_serializable(package="i3d_tf")
class SubtractMeanFlow(keras.layers.Layer):
    """Flow fields without their own mean vectors, as if the camera stood still.

    (N, L, H, W, 2) -> (N, L, H, W, 2).
    """

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Subtracts from each field the mean of its x and that of its y."""
        return inputs - ops.mean(inputs, axis=(2, 3), keepdims=True)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="i3d_tf")
class FollowTrajectories(keras.layers.Layer):
    """Values of a stack of fields along the trajectories of its points.

    [(N, L, H, W, C), (N, L, H, W, 2)] -> (N, L, H, W, C): the first input, field k of it sampled at
    p_k. The trajectories are those of the second input, the flow d: p_1 is a point of the grid and
    p_k = p_(k-1) + d_(k-1)(p_(k-1)). Between points values are interpolated linearly; beyond an
    edge they are those of the edge.

    Args:
        bound: Pixels of a flow of 1.
        directions: 2 where the second half of the fields goes back in time from the first frame, so
            that trajectories start there again; else 1.
        **kwargs: See `keras.layers.Layer`.
    """

    def __init__(self, bound: float = FLOW_BOUND, directions: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.bound = bound
        self.directions = check_integer("directions", directions, 1, 2)

    def call(self, inputs: list[KerasTensor]) -> KerasTensor:
        """Samples the values; L must be known, and a multiple of the directions."""
        values, flow = inputs
        length = self._length(flow.shape)
        outputs = []
        for step in range(length * self.directions):
            if step % length == 0:
                x, y = _grid(flow)
                displacement, sampled = flow[:, step], values[:, step]
            else:
                both = ops.concatenate([flow[:, step], values[:, step]], axis=-1)
                both = _interpolated(both, x, y)
                displacement, sampled = both[..., :2], both[..., 2:]
            outputs.append(sampled)
            x = x + self.bound * displacement[..., 0]
            y = y + self.bound * displacement[..., 1]
        return ops.stack(outputs, axis=1)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        """Returns the shape of the values."""
        values, flow = input_shape
        self._length(flow)
        return values

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "bound": self.bound, "directions": self.directions}

    def _length(self, shape):
        """Returns the number of fields of one direction."""
        if shape[1] is None or shape[1] % self.directions:
            raise ValueError(
                f"The number of flow fields must be known, and a multiple of {self.directions}; "
                f"received inputs of shape {tuple(shape)}."
            )
        return shape[1] // self.directions


def _grid(flow):
    """Returns x and y of the points of the fields (N, L, H, W, 2), each (1, H, W)."""
    _, _, height, width, _ = ops.shape(flow)
    x, y = ops.meshgrid(ops.arange(width, dtype=flow.dtype), ops.arange(height, dtype=flow.dtype))
    return x[None], y[None]


def _interpolated(field, x, y):
    """Samples (N, H, W, C) at points, x and y of which are (N, H, W)."""
    batch, height, width, channels = ops.shape(field)
    flat = ops.reshape(field, (-1, channels))
    first = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1)) * (height * width)
    columns, to_right = _neighbors(x, width)
    rows, to_lower = _neighbors(y, height)
    weighted = [
        ops.take(flat, first + row * width + column, axis=0) * (by_row * by_column)[..., None]
        for row, by_row in zip(rows, (1 - to_lower, to_lower), strict=True)
        for column, by_column in zip(columns, (1 - to_right, to_right), strict=True)
    ]
    return weighted[0] + weighted[1] + weighted[2] + weighted[3]


def _neighbors(positions, length):
    """Returns the indices before and after positions on an axis, and the weight of those after."""
    inside = ops.clip(positions, 0, length - 1)
    before = ops.floor(inside)
    index = ops.cast(before, "int32")
    return (index, ops.minimum(index + 1, length - 1)), inside - before
